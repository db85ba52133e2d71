// SPDX-License-Identifier: Apache-2.0
// One client query as events and actions.
//
//   Query query;
//   Step step = query.start(bytes, client, context, reply);
//   kReply: reply[0, step.size) is the answer.   kDrop: say nothing, count step.drop.
//   kAsk:   resolve each of step.asks, keep the Query (it is a value; move it where pending queries live),
//   arm
//           two timers: kAaaaDeadline after start, kClientDeadline after start; then feed on_fact(),
//           on_failure(), on_deadline() until one gives kReply. kWait: nothing yet. Whoever cannot keep it
//           calls on_refusal() instead.
//
// Each event decides afresh from what is known by then (see answer.cpp), under the runtime of that moment: a
// policy may change between two events. No allocation, no clock, no I/O. A reply may carry `refresh`: facts
// that it used and that should be resolved again in the background (popular and about to expire, or stale).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.hpp"
#include "dns64-svc/core/address_list.hpp"
#include "dns64-svc/core/cache/fact_cache.hpp"
#include "dns64-svc/core/client_info.hpp"
#include "dns64-svc/core/cookies.hpp"
#include "dns64-svc/core/drop_reason.hpp"
#include "dns64-svc/core/outcome.hpp"
#include "dns64-svc/core/request.hpp"
#include "dns64-svc/core/resolve_failure.hpp"
#include "dns64-svc/core/runtime.hpp"

namespace isthmus::dns64 {

inline constexpr Duration kAaaaDeadline = std::chrono::milliseconds{800};
inline constexpr Duration kClientDeadline =
    std::chrono::milliseconds{1900};  // the client has its answer in 2 s

// A decision on the way to an answer, for `explain`.
struct TraceStep {
  std::string_view section;  // "RFC 6147 §5.1.4"
  std::string text;
};
using Trace = std::vector<TraceStep>;

struct Context {
  const Dns64Runtime& runtime;
  const FactCache& cache;
  TimePoint now;
  const CookieJar* cookies = nullptr;       // none: cookies are not spoken
  const AddressList* forwarders = nullptr;  // whose client subnet (RFC 7871) stands for the client
  std::uint32_t wall_seconds = 0;           // Unix time, for cookies (RFC 9018 §4.3)
  Trace* trace = nullptr;                   // explain only
};

struct Ask {
  std::uint8_t slot = 0;  // give it back with the fact
  std::uint16_t type = 0;
  std::uint16_t group = 0;
  Name name;  // lower case
  // Of a refresh: seconds that the fact to be replaced lived. What would expire within them comes anew; 0: no
  // refresh.
  std::uint32_t refresh_ttl = 0;
};

struct Step {
  enum class Kind : std::uint8_t { kReply, kAsk, kWait, kDrop };
  Kind kind = Kind::kDrop;
  DropReason drop = DropReason::kNoRoom;
  Outcome outcome = Outcome::kFailed;
  std::uint16_t rcode = 0;
  std::uint16_t view = 0xffff;    // index in the runtime; 0xffff: none
  std::uint16_t prefix = 0xffff;  // index of the first translation prefix used; 0xffff: none
  std::uint16_t ede = ede::kNone;
  bool from_cache = false;     // answered by start()
  bool is_nodata = false;      // no error and no answer; a truncated reply is none
  std::uint32_t ttl = 0;       // smallest in the answer, seconds: DoH's Cache-Control
  std::size_t size = 0;        // kReply: bytes of the reply
  std::uint8_t ask_count = 0;  // kAsk: to resolve now; kReply: to refresh in the background
  std::array<Ask, 2> asks;

  [[nodiscard]] std::span<const Ask> to_resolve() const { return {asks.data(), ask_count}; }
};

enum class Deadline : std::uint8_t { kAaaa, kClient };

class Query {
 public:
  // `reply` is the room for the answer: 65535 bytes, or at least client.max_udp_size for UDP.
  [[nodiscard]] Step start(std::span<const std::uint8_t> request, const ClientInfo& client,
                           const Context& context, std::span<std::uint8_t> reply);
  // The same for a request that was parsed already (explain, tests).
  [[nodiscard]] Step start(const Request& request, const ClientInfo& client, const Context& context,
                           std::span<std::uint8_t> reply);

  [[nodiscard]] Step on_fact(std::uint8_t slot, FactPtr fact, const Context& context,
                             std::span<std::uint8_t> reply);
  [[nodiscard]] Step on_failure(std::uint8_t slot, ResolveFailure why, const Context& context,
                                std::span<std::uint8_t> reply);
  [[nodiscard]] Step on_deadline(Deadline deadline, const Context& context, std::span<std::uint8_t> reply);
  // Too much waits here: nothing is looked up for this query any more, what is known must do.
  [[nodiscard]] Step on_refusal(const Context& context, std::span<std::uint8_t> reply);

  [[nodiscard]] const Request& request() const { return request_; }
  // The limits of this client are used up, or much is waiting: instead of the answer something small that
  // tells a real client how to go on. One that speaks cookies gets BADCOOKIE and asks again with the right
  // one (RFC 7873 §5.2.3), any other an empty answer with TC and asks again over TCP.
  [[nodiscard]] Step slip(const Context& context, std::span<std::uint8_t> reply);

  [[nodiscard]] const ClientInfo& client() const { return client_; }
  // Whom views and prefixes are chosen for: the client, or the subnet that a listed forwarder names.
  [[nodiscard]] const ClientAddress& subject() const { return subject_; }
  [[nodiscard]] unsigned subject_known() const { return subject_known_; }  // bits of it
  // The client's address is not forged: it came over a stream, or with a valid cookie.
  [[nodiscard]] bool is_proven() const { return proven_; }
  [[nodiscard]] bool speaks_cookies() const { return request_.edns.cookie_size != 0; }
  [[nodiscard]] bool answers_for_subnet() const { return answers_for_subnet_; }

  // What is known about one thing that was looked up.
  struct Slot {
    enum class State : std::uint8_t { kEmpty, kAsked, kFact, kFailed };
    State state = State::kEmpty;
    ResolveFailure why = ResolveFailure::kTimeout;
    std::uint16_t ede = ede::kNone;  // kFailed: what is known beyond `why`
    std::uint16_t type = 0;
    FactPtr fact;  // kFact: the answer. Else a stale one, if the cache had it
    bool stale = false;
    bool own_name = true;         // looked up under the question's name; else under a name derived from it
    std::uint64_t name_hash = 0;  // of the derived name
    std::uint8_t ask = 0;         // Ask::slot: the index here, and two more each time it is used anew
  };

 private:
  friend class Answerer;
  [[nodiscard]] Step run(const Context& context, std::span<std::uint8_t> reply);
  void identify(const Context& context);
  [[nodiscard]] Slot* waiting_for(std::uint8_t ask);
  Request request_;
  ClientInfo client_;
  ClientAddress subject_;
  unsigned subject_known_ = kWholeAddress;
  bool proven_ = false;
  bool answers_for_subnet_ = false;
  Slot slots_[2];
  bool started_ = false;
  bool aaaa_is_overdue_ = false;
  std::optional<ResolveFailure> given_up_;  // why nothing is asked any more
};

}  // namespace isthmus::dns64
