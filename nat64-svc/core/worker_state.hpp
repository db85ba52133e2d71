// SPDX-License-Identifier: Apache-2.0
// All state of one worker, and the life of its sessions: made, touched, ended. Every change of tables, ports,
// subscribers, timers, gauges and records goes through here, so that they cannot come apart. worker_state.cpp
// makes and ends, worker_state_lifetimes.cpp has the timers, worker_state_policy.cpp what a new policy does.
#pragma once

#include <optional>
#include <vector>

#include "nat64-svc/core/counters.hpp"
#include "nat64-svc/core/event_record.hpp"
#include "nat64-svc/core/extra_queue.hpp"
#include "nat64-svc/core/icmp_reply.hpp"
#include "nat64-svc/core/tables/fragment_table.hpp"
#include "nat64-svc/core/tables/held_syns.hpp"
#include "nat64-svc/core/tables/pool4.hpp"
#include "nat64-svc/core/tables/session_tables.hpp"
#include "nat64-svc/core/tables/subscriber_table.hpp"
#include "nat64-svc/core/translator.hpp"

namespace isthmus::nat64 {

class WorkerState {
 public:
  WorkerState(const TranslatorLimits& limits, HashKey key, std::uint64_t seed);

  // RFC 6146 §3.5.1.1: a BIB entry for the client with a fresh public address and port. `peer` is that of the
  // session to come, whose place in the tables is fetched meanwhile.
  // Refusals (answered): kNoPoolAddress, kPoolExhausted, kBlockLimit, kSubscriberLimit, kSubscriberSessions,
  // kSubscriberRate, kSessionLimit.
  [[nodiscard]] Result<std::uint32_t, Refusal> make_bib(Protocol protocol, const TransportAddress6& client6,
                                                        const TransportAddress4& peer, TimePoint now);
  // Refusals (answered): kSubscriberSessions, kSubscriberRate, kSubscriberLimit, kSessionLimit.
  [[nodiscard]] Result<std::uint32_t, Refusal> make_session(std::uint32_t bib,
                                                            const TransportAddress6& server6,
                                                            const TransportAddress4& server4, TcpState state,
                                                            TimePoint now);
  // A BIB entry made for a session that was refused goes again.
  void drop_unused_bib(std::uint32_t bib, TimePoint now);
  void end_session(std::uint32_t number, Event why, TimePoint now);
  // The state machine's answer to a packet, applied.
  void apply(Session& session, std::uint32_t number, TcpStep step, TimePoint now) {
    if (step.refresh) see(session, now);
    if (step.state != session.state()) [[unlikely]]
      change_state(session, number, step.state);
  }
  // Written only when it changes: most packets leave the session's cache line clean.
  static void see(Session& session, TimePoint now) {
    if (const auto ticks = session_ticks(now); session.last_seen != ticks) session.last_seen = ticks;
  }
  // False when the policy of today no longer allows the session; it has been ended then.
  [[nodiscard]] bool revalidate(std::uint32_t number, TimePoint now);

  void set_runtime(std::shared_ptr<const Runtime> next, TimePoint now);
  // What make_bib() and make_session() would refuse now; foresight.cpp. `bib` kNone: one yet to be made.
  [[nodiscard]] std::optional<Refusal> would_refuse_bib(Protocol protocol, const TransportAddress6& client6,
                                                        TimePoint now) const;
  [[nodiscard]] std::optional<Refusal> would_refuse_session(std::uint32_t bib,
                                                            const TransportAddress6& client6,
                                                            TimePoint now) const;
  // Subscriber and ports of the block in which this address and port lie, if somebody holds it.
  [[nodiscard]] std::optional<std::pair<Ipv6Prefix, Pool4::Ports>> block_holder(
      const TransportAddress4& public4) const;
  [[nodiscard]] bool still_allowed(const Session& session) const;
  // A withdrawn address past its deadline: nothing new, and what there was ends.
  [[nodiscard]] bool is_drained(Ipv4Address public4) const;
  // Expires what is due and checks some sessions against a new runtime; bounded. True: there is more to do.
  bool expire(TimePoint now);

  // May this packet be answered with this error, by the RFCs and by the rate limit? Counted when it may not.
  [[nodiscard]] bool may_answer(Side side, std::span<const std::uint8_t> packet, IcmpError error,
                                TimePoint now);
  [[nodiscard]] std::uint64_t random();
  void record(const EventRecord& event);
  [[nodiscard]] Duration timeout(const Session& session) const;
  [[nodiscard]] TimePoint due(const Session& session) const;

  std::shared_ptr<const Runtime> runtime;
  SessionTables tables;
  TimerWheel wheel;
  Pool4 pool;
  Counters counters;
  ExtraQueue extra;
  ExtraQueue own_errors;  // ICMP errors of ours about packets translated once, to be translated themselves
  HandOverQueue handed_over;
  std::vector<EventRecord> records;
  HeldSyns held_syns;
  std::array<FragmentTable, 2> fragments;  // by the side they come from
  std::uint8_t generation = 0;

 private:
  void change_state(Session& session, std::uint32_t number, TcpState state);
  [[nodiscard]] Result<std::uint32_t, Refusal> find_or_add_subscriber(const Ipv6Address& client6,
                                                                      TimePoint now);
  void drop_subscriber_if_idle(std::uint32_t number);
  // Why the subscriber may not have one session more, if so.
  [[nodiscard]] std::optional<DropReason> at_limit(const Subscriber& subscriber, TimePoint now) const;
  void sync_static_mappings(TimePoint now);
  void remove_former_static_mappings(TimePoint now);
  void end_mappings_in_the_way(TimePoint now);
  [[nodiscard]] bool expire_sessions(TimePoint now);  // true: there may be more
  void expire_session(std::uint32_t number, TimePoint now);
  void answer_held_syn(std::span<const std::uint8_t> packet, TimePoint now);
  void set_limits();
  void begin_generation(TimePoint now);
  void sweep(std::uint32_t budget, TimePoint now);
  template <class Ends>
  void end_sessions_if(Ends&& ends, TimePoint now);
  void end_sessions_of(const std::vector<std::uint32_t>& bibs, TimePoint now);
  void end_at_changed_ports(const Runtime& next, TimePoint now);
  void free_former_static_ports(const Runtime& before);
  void log_block(RecordKind kind, std::uint32_t block, const Ipv6Address& subscriber, TimePoint now);
  void record_block(RecordKind kind, std::uint32_t block, const Ipv6Address& subscriber, TimePoint now);
  void record_all_blocks(RecordKind kind, TimePoint now);
  void log_static(RecordKind kind, const Bib& bib, TimePoint now);
  void limit_reached(DropReason reason, const Ipv6Address& subscriber, TimePoint now);

  HashKey key_;
  SubscriberTable subscribers_;
  std::size_t max_records_;
  RateLimit limit_records_;
  // Those that path MTU discovery needs have a limit of their own: a scan must not use it up.
  RateLimit limit_icmp_;
  RateLimit limit_too_big_;
  std::uint64_t random_;
  std::uint32_t made_since_expiry_ = 0;  // sessions
  std::uint32_t sweep_left_ = 0;
  std::uint32_t sweep_at_ = 0;
  std::uint32_t unswept_generations_ = 0;  // since a sweep was through
  using Drain = std::pair<Ipv4Address, TimePoint>;
  std::vector<Drain> drains_;  // withdrawn addresses with a deadline, sorted
};

}  // namespace isthmus::nat64
