// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/worker_state.hpp"

#include "nat64-svc/core/owners.hpp"

namespace isthmus::nat64 {
namespace {

// Records of limits reached, in a second: a client that is refused at line rate must not push the records of
// blocks out of the queue. The refusals themselves are all counted.
constexpr std::uint32_t kLimitRecordsPerSecond = 100;

constexpr std::uint32_t kOwnErrorBytes = 1U << 14;

std::pmr::memory_resource* memory_of(const TranslatorLimits& limits) {
  return limits.memory != nullptr ? limits.memory : std::pmr::new_delete_resource();
}

}  // namespace

WorkerState::WorkerState(const TranslatorLimits& limits, HashKey key, std::uint64_t seed)
    : tables(limits.max_sessions, key, memory_of(limits)),
      wheel(memory_of(limits)),
      extra(limits.extra_bytes),
      own_errors(kOwnErrorBytes),
      handed_over(limits.extra_bytes),
      held_syns(limits.max_held_syns, key),
      fragments{FragmentTable{limits.max_held_fragments, key}, FragmentTable{limits.max_held_fragments, key}},
      key_(key),
      subscribers_(limits.max_subscribers, key, memory_of(limits)),
      max_records_(limits.event_records),
      random_(seed) {
  records.reserve(max_records_);
  counters.sessions_max.set(limits.max_sessions);
  counters.subscribers_max.set(limits.max_subscribers);
  counters.bib_entries_max.set(tables.bibs().capacity());
  counters.held_syns_max.set(limits.max_held_syns);
}

std::uint64_t WorkerState::random() {
  random_ += 0x9e3779b97f4a7c15ULL;
  return keyed_hash(key_, random_, 0);
}

void WorkerState::record(const EventRecord& event) {
  if (records.size() < max_records_)
    records.push_back(event);
  else
    counters.of(Event::kRecordsLost).add();
}

void WorkerState::log_block(RecordKind kind, std::uint32_t block, const Ipv6Address& subscriber,
                            TimePoint now) {
  counters.of(kind == RecordKind::kBlockTaken ? Event::kBlockTaken : Event::kBlockFreed).add();
  counters.blocks_used.set(pool.blocks_used());
  if (runtime->nat64.log_blocks) record_block(kind, block, subscriber, now);
}

void WorkerState::record_block(RecordKind kind, std::uint32_t block, const Ipv6Address& subscriber,
                               TimePoint now) {
  const auto ports = pool.ports_of(block);
  const Ipv6Prefix prefix{subscriber, runtime->pools.front().subscribers.prefix_length};
  record(
      {kind, now, prefix, ports.address, ports.first, ports.last, Protocol::kTcp, DropReason::kUnclassified});
}

void WorkerState::log_static(RecordKind kind, const Bib& b, TimePoint now) {
  record({kind, now, Ipv6Prefix{b.client6, 128}, b.public4, b.port4, b.port4, b.protocol,
          DropReason::kUnclassified});
}

void WorkerState::limit_reached(DropReason reason, const Ipv6Address& subscriber, TimePoint now) {
  if (!limit_records_.take(now, kLimitRecordsPerSecond)) return;
  const unsigned length = runtime->pools.empty() ? 128 : runtime->pools.front().subscribers.prefix_length;
  record({RecordKind::kLimitReached, now, Ipv6Prefix{subscriber, length}, {}, 0, 0, Protocol::kTcp, reason});
}

Result<std::uint32_t, Refusal> WorkerState::find_or_add_subscriber(const Ipv6Address& client6,
                                                                   TimePoint now) {
  const auto prefix = subscriber_prefix(*runtime, client6);
  if (const auto found = subscribers_.find(prefix); found != kNone) return found;
  const auto number = subscribers_.add(prefix, most_per_64(*runtime));
  if (number == kNone) {
    limit_reached(DropReason::kSubscriberLimit, client6, now);
    return failure(exhausted(DropReason::kSubscriberLimit));
  }
  counters.subscribers.set(subscribers_.used());
  return number;
}

void WorkerState::drop_subscriber_if_idle(std::uint32_t number) {
  if (subscribers_[number].bibs != 0 || subscribers_[number].sessions != 0) return;
  subscribers_.remove(number);
  counters.subscribers.set(subscribers_.used());
}

std::optional<DropReason> WorkerState::at_limit(const Subscriber& subscriber, TimePoint now) const {
  if (runtime->pools.empty()) return std::nullopt;
  const auto& policy = runtime->pools.front().subscribers;
  if (subscriber.sessions >= policy.max_sessions) return DropReason::kSubscriberSessions;
  if (!subscriber.may_open(now, policy.new_sessions_per_second)) return DropReason::kSubscriberRate;
  return std::nullopt;
}

Result<std::uint32_t, Refusal> WorkerState::make_bib(Protocol protocol, const TransportAddress6& client6,
                                                     const TransportAddress4& peer, TimePoint now) {
  if (runtime->pools.empty()) return failure(exhausted(DropReason::kNoPoolAddress));
  const auto subscriber = find_or_add_subscriber(client6.address, now);
  if (!subscriber) return failure(subscriber.error());
  Subscriber& s = subscribers_[*subscriber];
  const auto refuse = [&](DropReason reason) {
    limit_reached(reason, client6.address, now);
    drop_subscriber_if_idle(*subscriber);
    return failure(exhausted(reason));
  };
  // Before a port, and perhaps a block, is taken for a session that will not be.
  if (const auto reason = at_limit(s, now)) return refuse(*reason);
  const auto grant = pool.allocate(s, *subscriber, protocol, client6.port, random(), now);
  if (!grant) return refuse(grant.error());
  tables.prefetch_new({protocol, grant->public4, peer});
  ++s.bibs;
  if (!grant->rested) counters.of(Event::kBlockTakenEarly).add();
  if (grant->new_block != kNone) log_block(RecordKind::kBlockTaken, grant->new_block, s.prefix, now);
  const auto bib = tables.add_bib(protocol, client6, grant->public4);
  if (bib == kNone) {
    --s.bibs;
    const auto freed = pool.release(s, protocol, grant->public4, now);
    if (freed != kNone) log_block(RecordKind::kBlockFreed, freed, s.prefix, now);
    return refuse(DropReason::kSessionLimit);
  }
  tables.bibs()[bib].subscriber = *subscriber;
  counters.of(Event::kBibCreated).add();
  auto& gauge = counters.bib_entries[static_cast<std::size_t>(protocol)];
  gauge.set(gauge.get() + 1);
  return bib;
}

void WorkerState::drop_unused_bib(std::uint32_t number, TimePoint now) {
  Bib& b = tables.bibs()[number];
  if (b.sessions != 0) return;
  const std::uint32_t subscriber = b.subscriber;
  if (b.is_static) {  // stays, without its subscriber
    b.subscriber = kNone;
  } else {
    Subscriber& s = subscribers_[subscriber];
    const auto freed = pool.release(s, b.protocol, {b.public4, b.port4}, now);
    if (freed != kNone) log_block(RecordKind::kBlockFreed, freed, s.prefix, now);
    --s.bibs;
    counters.of(Event::kBibRemoved).add();
    auto& gauge = counters.bib_entries[static_cast<std::size_t>(b.protocol)];
    gauge.set(gauge.get() - 1);
    tables.remove_bib(number);
  }
  if (subscriber != kNone) drop_subscriber_if_idle(subscriber);
}

Result<std::uint32_t, Refusal> WorkerState::make_session(std::uint32_t bib, const TransportAddress6& server6,
                                                         const TransportAddress4& server4, TcpState state,
                                                         TimePoint now) {
  Bib& b = tables.bibs()[bib];
  if (b.subscriber == kNone) {
    const auto subscriber = find_or_add_subscriber(b.client6, now);
    if (!subscriber) return failure(subscriber.error());
    b.subscriber = *subscriber;
  }
  Subscriber& s = subscribers_[b.subscriber];
  const auto refuse = [&](DropReason reason) {
    limit_reached(reason, b.client6, now);
    drop_unused_bib(bib, now);
    return failure(exhausted(reason));
  };
  if (const auto reason = at_limit(s, now)) return refuse(*reason);
  if (tables.sessions().used() >= runtime->nat64.max_sessions) return refuse(DropReason::kSessionLimit);
  const auto number = tables.add_session(bib, server6, server4);
  if (number == kNone) return refuse(DropReason::kSessionLimit);
  Session& session = tables.sessions()[number];
  session.set_state(state);
  session.set_hairpin(pool.is_active(server4.address));
  session.generation = generation;
  session.last_seen = session_ticks(now);
  wheel.add(tables.sessions(), number, due(session));
  if (b.is_static && b.sessions == 1) log_static(RecordKind::kStaticUsed, b, now);
  ++s.sessions;
  ++made_since_expiry_;
  if (!runtime->pools.empty()) s.opened(now, runtime->pools.front().subscribers.new_sessions_per_second);
  counters.of(Event::kSessionCreated).add();
  auto& gauge = counters.sessions[static_cast<std::size_t>(session.protocol())];
  gauge.set(gauge.get() + 1);
  return number;
}

void WorkerState::end_session(std::uint32_t number, Event why, TimePoint now) {
  const Session& session = tables.sessions()[number];
  const std::uint32_t bib = session.bib;
  auto& gauge = counters.sessions[static_cast<std::size_t>(session.protocol())];
  gauge.set(gauge.get() - 1);
  counters.of(why).add();
  --subscribers_[tables.bibs()[bib].subscriber].sessions;
  tables.remove_session(number);
  const Bib& b = tables.bibs()[bib];
  if (b.is_static && b.sessions == 0) log_static(RecordKind::kStaticFreed, b, now);
  drop_unused_bib(bib, now);
}

}  // namespace isthmus::nat64
