// SPDX-License-Identifier: Apache-2.0
// One libunbound context on one worker's loop. libunbound's event API, and what it asks of us:
//
// - The packet handed to a callback lives in a buffer that the next call into the same context overwrites,
//   and a question that is answered locally calls back inside ub_resolve_event(). So the callback only copies
//   and queues; deliver() hands out later, from the worker's loop, never from inside libunbound.
// - With rcode != 0 the packet pointer is garbage and is not looked at.
// - Bad configuration shows as an error of the first question, without a text: create() asks one. It is there
//   that libunbound reads anchors, hints and certificates, which takes long; the name is one that it answers
//   by itself (kStartName), so no event is added to the loop and any thread may make a context.
// - Deleting a context calls nobody back: what was outstanding is told so by the destructor.
//
// One thread, but for create(). Its configuration parser is global, so contexts are made under one lock.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/result.hpp"
#include "common/config/policy.hpp"
#include "dns64-svc/core/fact.hpp"
#include "dns64-svc/shell/resolver_config.hpp"

struct ub_ctx;

namespace isthmus::dns64 {

class UbEventBase;

struct ResolverReply {
  std::uint64_t ticket = 0;  // of ask()
  std::uint16_t rcode = 0;   // not 0: failed, `wire` is empty
  Security security = Security::kInsecure;
  std::vector<std::uint8_t> wire;  // the whole answer, id 0
};

// What a process that was killed while it wrote RootAnchor::file has left beside it. Before the first
// context.
void remove_half_written_anchors(const std::string& file);

class ResolverContext {
 public:
  using Sink = std::function<void(ResolverReply&&)>;

  // Asks nobody yet: see prime(). The file of `root_anchor` is made when it is missing; one that cannot be
  // made or read leaves the built-in anchors as they are. All contexts of a process share it: each writes it
  // whole and renames it, and only after keys that it has verified, so that whoever wrote last knew the
  // root's keys of that time; a context made later, and the next process, begin with what it says.
  [[nodiscard]] static Result<std::unique_ptr<ResolverContext>, std::string> create(
      UbEventBase& base, const Resolver& resolver, const Dns64Limits& limits, Sink sink,
      const RootAnchor& root_anchor = {});
  ~ResolverContext();  // outstanding questions end as SERVFAIL in the sink
  ResolverContext(const ResolverContext&) = delete;
  ResolverContext& operator=(const ResolverContext&) = delete;

  // False: libunbound refused it (no memory, a name it cannot read); the sink is not called. `refresh_ttl`,
  // in seconds: not 0 asks the network although libunbound has an answer, and what it has of the answer's
  // records gives way to the new ones if it would expire within them. Each refresh before that time has
  // passed makes sure that no record of a chain brings less than a whole life to the next answer.
  [[nodiscard]] bool ask(const Name& name, std::uint16_t type, std::uint64_t ticket,
                         std::uint32_t refresh_ttl = 0);
  // Calls the sink for every reply that has come since; true when there was one.
  bool deliver();
  // Asks what shows that the upstream lives: NS of the root, SOA of each zone of its own.
  void prime();
  // Asks for the root's keys when it is time to (RFC 5011 §2.3), where a file follows them. How long until
  // the next call.
  [[nodiscard]] Duration follow_root();
  // Something came from the network. What libunbound answers by itself (localhost., private reverse zones)
  // comes before ask() has returned, and tells nothing of the upstream.
  [[nodiscard]] bool has_answered() const { return answered_; }
  [[nodiscard]] std::size_t outstanding() const { return outstanding_.size(); }

 private:
  struct Question;
  ResolverContext() = default;
  static void on_reply(void* question, int rcode, void* packet, int size, int security, char* why_bogus,
                       int was_rate_limited);

  // Tickets of our own questions.
  static constexpr std::uint64_t kPriming = 0;
  static constexpr std::uint64_t kStarting = ~std::uint64_t{0};

  ub_ctx* context_ = nullptr;
  Sink sink_;
  std::vector<std::string> zones_;
  std::unordered_map<const Question*, std::unique_ptr<Question>> outstanding_;
  std::vector<ResolverReply> arrived_;
  bool asking_ = false;
  bool answered_ = false;
};

}  // namespace isthmus::dns64
