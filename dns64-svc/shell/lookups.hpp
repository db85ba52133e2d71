// SPDX-License-Identifier: Apache-2.0
// The lookups that one worker owns: each (name, type, group) in flight once, however many queries of however
// many workers wait for it; no more at a time than the policy allows; what comes back becomes a fact in the
// shared cache. One thread.
//
// Names under one zone (core/lookup_zone.hpp) get a quarter of what may be in flight: questions for random
// names below a zone whose servers are dead leave the rest to others. Names under a public suffix of two
// labels share theirs; that is felt under attack only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "dns64-svc/core/cache/fact_cache.hpp"
#include "dns64-svc/core/query.hpp"
#include "dns64-svc/core/resolver_groups.hpp"
#include "dns64-svc/shell/resolver.hpp"
#include "dns64-svc/shell/upstream_probe.hpp"

namespace isthmus::dns64 {

class EventLoop;

// Who waits: a pending query of some worker. query 0: nobody, the cache alone (a refresh).
struct Waiter {
  unsigned worker = 0;
  std::uint64_t query = 0;
  std::uint8_t slot = 0;
};

// Queries that may wait at a worker; the other limits of waiting are made of this one (WaitingLimits).
inline constexpr std::size_t kMostWaiting = 32768;

// What became of a lookup: a fact, or why there is none.
struct LookupResult {
  FactPtr fact;
  ResolveFailure why = ResolveFailure::kInternal;
};

// Resolver groups that a runtime uses, by number.
using GroupConfigs = std::unordered_map<std::uint16_t, Resolver>;

class Lookups {
 public:
  using Deliver = std::function<void(const Waiter&, const LookupResult&)>;
  Lookups(EventLoop& loop, UbEventBase& base, FactCache& cache, Deliver deliver, RootAnchor root_anchor = {},
          std::size_t max_waiters = kMostWaiting)
      : loop_(loop),
        base_(base),
        cache_(cache),
        deliver_(std::move(deliver)),
        root_anchor_(std::move(root_anchor)),
        max_waiters_(max_waiters) {}
  ~Lookups();
  Lookups(const Lookups&) = delete;
  Lookups& operator=(const Lookups&) = delete;

  using Contexts = std::unordered_map<std::uint16_t, std::unique_ptr<ResolverContext>>;
  // A policy comes in five steps; only make_all_contexts() takes long, and it alone may run in any thread, so
  // that answers do not wait for it. Groups on their way out that are named here stay; returned are those
  // that are missing.
  [[nodiscard]] GroupConfigs keep(const GroupConfigs& groups);
  [[nodiscard]] Result<Contexts, std::string> make_all_contexts(const GroupConfigs& groups,
                                                                const Dns64Limits& limits);
  void adopt(const GroupConfigs& groups, Contexts&& fresh);  // `fresh`: contexts of some of `groups`
  // From now on these groups are used. Others are still asked: by workers that run the policy before.
  void use(const GroupConfigs& groups, const Dns64Limits& limits, const FactLimits& fact_limits);
  // No worker runs the policy before any more: contexts of groups that are not used go when nothing waits for
  // them.
  void let_go();

  // The result comes by `deliver`, perhaps before this returns when the lookup is refused.
  void resolve(const Ask& ask, const Waiter& waiter);
  // Hands out what libunbound has answered. Call at the end of every turn: what is left is for the next one.
  void settle();
  void prime();
  // Asks for the root's keys where it is time to; how long until the next call.
  [[nodiscard]] Duration follow_root();
  // New contexts in place of those in use: what they had learned of servers, delegations and CNAMEs is
  // forgotten. Lookups in flight end in the old ones, for those who wait already: what they bring is not kept
  // in the cache, and nobody joins them. Making takes long and may be done in any thread; a group without
  // memory for a second context keeps its first, one that is gone meanwhile stays so.
  [[nodiscard]] Contexts make_contexts(const GroupConfigs& groups, const Dns64Limits& limits);
  void renew(Contexts&& fresh);
  [[nodiscard]] bool has_answered() const;
  [[nodiscard]] std::uint64_t refreshes() const { return refreshes_; }
  [[nodiscard]] std::size_t outstanding() const { return in_flight_.size(); }
  [[nodiscard]] std::uint64_t failures(ResolveFailure why) const {
    return failures_[static_cast<std::size_t>(why)];
  }

 private:
  struct Lookup {
    Ask ask;
    std::string key;
    std::uint64_t zone = 0;
    std::vector<Waiter> waiters;
    bool keep = true;  // what it brings goes into the cache; else its key is not in ticket_of_key_ either
  };
  struct Group {
    std::unique_ptr<ResolverContext> context;
    std::unique_ptr<UpstreamProbe> probe;
    enum class State : std::uint8_t { kPrepared, kUsed, kRetired, kLeaving } state = State::kPrepared;
  };
  // Its only work is that the loop turns once more.
  struct OneMoreTurn final : Timer {
    void on_timer() override {}
  };
  void on_reply(std::uint16_t group, ResolverReply&& reply);
  [[nodiscard]] LookupResult fact_of(const Lookup& lookup, const ResolverReply& reply);
  void refuse(const Waiter& waiter, ResolveFailure why);
  void forget(std::unordered_map<std::uint64_t, Lookup>::iterator lookup);
  [[nodiscard]] Result<std::unique_ptr<ResolverContext>, std::string> make_context(std::uint16_t id,
                                                                                   const Resolver& config,
                                                                                   const Dns64Limits& limits);

  EventLoop& loop_;
  UbEventBase& base_;
  FactCache& cache_;
  Deliver deliver_;
  RootAnchor root_anchor_;
  std::size_t max_waiters_;  // for one lookup
  Dns64Limits limits_;
  FactLimits fact_limits_;
  std::unordered_map<std::uint16_t, Group> groups_;
  std::vector<std::unique_ptr<ResolverContext>> replaced_;        // by renew(), until nothing waits for them
  std::unordered_map<std::uint64_t, Lookup> in_flight_;           // by ticket
  std::unordered_map<std::string, std::uint64_t> ticket_of_key_;  // type, group, name
  std::unordered_map<std::uint64_t, std::size_t> in_flight_of_zone_;
  OneMoreTurn again_;
  std::uint64_t next_ticket_ = 1;
  std::uint64_t refreshes_ = 0;
  std::uint64_t failures_[static_cast<std::size_t>(ResolveFailure::kCount)] = {};
};

}  // namespace isthmus::dns64
