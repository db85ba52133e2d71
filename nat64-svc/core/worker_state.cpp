// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/worker_state.hpp"

#include <algorithm>

#include "nat64-svc/core/owners.hpp"
#include "nat64-svc/core/steps/admit.hpp"
#include "nat64-svc/core/tcp_probe.hpp"

namespace isthmus::nat64 {
namespace {

// RFC 6146 §3.5.1.1: a packet that finds no resource is answered with "address unreachable".
Refusal exhausted(DropReason reason) {
  return {reason, {icmp6::kUnreachable, icmp6::kAddressUnreachable, 0}};
}

std::pmr::memory_resource* memory_of(const TranslatorLimits& limits) {
  return limits.memory != nullptr ? limits.memory : std::pmr::new_delete_resource();
}

// Another range of ports for an address that stays.
bool same_ports(const Runtime& a, const Runtime& b) {
  const auto ports = [](const Runtime& runtime, const RuntimeAddress& address) {
    const auto& p = runtime.pools[address.pool].ports;
    return std::pair{p.first, p.last};
  };
  return std::ranges::all_of(a.addresses, [&](const RuntimeAddress& x) {
    const auto y = std::ranges::lower_bound(b.addresses, x.address, {}, &RuntimeAddress::address);
    return y == b.addresses.end() || y->address != x.address || ports(a, x) == ports(b, *y);
  });
}

// Blocks of another size or range, subscribers of another length or another share of the ports have nothing
// in common with the old ones.
bool same_layout(const Runtime& a, const Runtime& b) {
  if (a.options.worker != b.options.worker || a.options.workers != b.options.workers) return false;
  if (a.pools.empty() || b.pools.empty()) return a.pools.empty() == b.pools.empty();
  const auto& x = a.pools.front().subscribers;
  const auto& y = b.pools.front().subscribers;
  return x.prefix_length == y.prefix_length && x.ports_per_block == y.ports_per_block && same_ports(a, b);
}

// At most this much per call, so that no packet waits for longer than some hundred microseconds. A burst
// makes fewer sessions than a call can end, so ends keep up with beginnings.
constexpr std::uint32_t kExpirePerCall = 128;
constexpr std::uint32_t kSweepPerCall = 256;
constexpr std::uint32_t kAll = 0xffffffff;
constexpr std::uint32_t kEndCost = 4;  // of a session that ends in a sweep; one that stays costs 1

}  // namespace

WorkerState::WorkerState(const TranslatorLimits& limits, HashKey key, std::uint64_t seed)
    : tables(limits.max_sessions, key, memory_of(limits)),
      wheel(memory_of(limits)),
      extra(limits.extra_bytes),
      handed_over(limits.extra_bytes),
      held_syns(limits.max_held_syns, key),
      fragments{FragmentTable{limits.max_held_fragments, key}, FragmentTable{limits.max_held_fragments, key}},
      key_(key),
      subscribers_(limits.max_subscribers, memory_of(limits)),
      by_prefix_(limits.max_subscribers, memory_of(limits)),
      slash64s_(limits.max_subscribers, memory_of(limits)),
      by_slash64_(limits.max_subscribers, memory_of(limits)),
      max_records_(limits.event_records),
      random_(seed) {
  records.reserve(max_records_);
  counters.sessions_max.set(limits.max_sessions);
  counters.subscribers_max.set(limits.max_subscribers);
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
  if (!runtime->nat64.log_blocks) return;
  const auto ports = pool.ports_of(block);
  const Ipv6Prefix prefix{subscriber, runtime->pools.front().subscribers.prefix_length};
  record(
      {kind, now, prefix, ports.address, ports.first, ports.last, Protocol::kTcp, DropReason::kUnclassified});
}

void WorkerState::limit_reached(DropReason reason, const Ipv6Address& subscriber, TimePoint now) {
  const unsigned length = runtime->pools.empty() ? 128 : runtime->pools.front().subscribers.prefix_length;
  record({RecordKind::kLimitReached, now, Ipv6Prefix{subscriber, length}, {}, 0, 0, Protocol::kTcp, reason});
}

Result<std::uint32_t, Refusal> WorkerState::find_or_add_subscriber(const Ipv6Address& client6) {
  const auto prefix = subscriber_prefix(*runtime, client6);
  const auto hash = keyed_hash(key_, prefix.high(), prefix.low());
  const auto found = by_prefix_.find(hash, [&](std::uint32_t n) { return subscribers_[n].prefix == prefix; });
  if (found != kNone) return found;
  const auto number = subscribers_.take();
  if (number == kNone) return failure(exhausted(DropReason::kSubscriberLimit));
  if (!join_slash64(prefix)) {
    subscribers_.give_back(number);
    return failure(exhausted(DropReason::kSubscriberLimit));
  }
  subscribers_[number].prefix = prefix;
  by_prefix_.insert(hash, number);
  counters.subscribers.set(subscribers_.used());
  return number;
}

std::uint32_t WorkerState::find_slash64(std::uint64_t high) const {
  return by_slash64_.find(keyed_hash(key_, high, 0),
                          [&](std::uint32_t n) { return slash64s_[n].high == high; });
}

bool WorkerState::join_slash64(const Ipv6Address& prefix) {
  auto number = find_slash64(prefix.high());
  if (number == kNone) {
    number = slash64s_.take();
    if (number == kNone) return false;  // as many as subscribers: cannot run out before them
    slash64s_[number].high = prefix.high();
    by_slash64_.insert(keyed_hash(key_, prefix.high(), 0), number);
  }
  const auto* pool_policy = runtime->pools.empty() ? nullptr : &runtime->pools.front().subscribers;
  const bool counted = pool_policy != nullptr && pool_policy->prefix_length > 64;
  if (counted && slash64s_[number].subscribers >= pool_policy->max_per_64) return false;
  ++slash64s_[number].subscribers;
  return true;
}

void WorkerState::leave_slash64(const Ipv6Address& prefix) {
  const auto number = find_slash64(prefix.high());
  if (number == kNone || --slash64s_[number].subscribers != 0) return;
  const auto hash_of = [&](std::uint32_t n) { return keyed_hash(key_, slash64s_[n].high, 0); };
  by_slash64_.erase(hash_of(number), number, hash_of);
  slash64s_.give_back(number);
}

void WorkerState::drop_subscriber_if_idle(std::uint32_t number) {
  const Subscriber& s = subscribers_[number];
  if (s.bibs != 0 || s.sessions != 0) return;
  const auto hash_of = [&](std::uint32_t n) {
    return keyed_hash(key_, subscribers_[n].prefix.high(), subscribers_[n].prefix.low());
  };
  by_prefix_.erase(hash_of(number), number, hash_of);
  leave_slash64(s.prefix);
  subscribers_.give_back(number);
  counters.subscribers.set(subscribers_.used());
}

Result<std::uint32_t, Refusal> WorkerState::make_bib(Protocol protocol, const TransportAddress6& client6,
                                                     TimePoint now) {
  if (runtime->pools.empty()) return failure(exhausted(DropReason::kNoPoolAddress));
  const auto subscriber = find_or_add_subscriber(client6.address);
  if (!subscriber) return failure(subscriber.error());
  Subscriber& s = subscribers_[*subscriber];
  const auto grant = pool.allocate(s, *subscriber, protocol, client6.port, random());
  if (!grant) {
    limit_reached(grant.error(), client6.address, now);
    drop_subscriber_if_idle(*subscriber);
    return failure(exhausted(grant.error()));
  }
  ++s.bibs;
  if (grant->new_block != kNone) log_block(RecordKind::kBlockTaken, grant->new_block, s.prefix, now);
  const auto bib = tables.add_bib(protocol, client6, grant->public4);
  if (bib == kNone) {
    --s.bibs;
    const auto freed = pool.release(s, protocol, grant->public4);
    if (freed != kNone) log_block(RecordKind::kBlockFreed, freed, s.prefix, now);
    drop_subscriber_if_idle(*subscriber);
    return failure(exhausted(DropReason::kSessionLimit));
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
    const auto freed = pool.release(s, b.protocol, {b.public4, b.port4});
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
    const auto subscriber = find_or_add_subscriber(b.client6);
    if (!subscriber) return failure(subscriber.error());
    b.subscriber = *subscriber;
    if (b.is_static) {
      record({RecordKind::kStaticUsed, now, Ipv6Prefix{b.client6, 128}, b.public4, b.port4, b.port4,
              b.protocol, DropReason::kUnclassified});
    }
  }
  Subscriber& s = subscribers_[b.subscriber];
  const auto refuse = [&](DropReason reason) {
    limit_reached(reason, b.client6, now);
    drop_unused_bib(bib, now);
    return failure(exhausted(reason));
  };
  if (!runtime->pools.empty() && s.sessions >= runtime->pools.front().subscribers.max_sessions)
    return refuse(DropReason::kSubscriberSessions);
  if (tables.sessions().used() >= runtime->nat64.max_sessions) return refuse(DropReason::kSessionLimit);
  const auto number = tables.add_session(bib, server6, server4);
  if (number == kNone) return refuse(DropReason::kSessionLimit);
  Session& session = tables.sessions()[number];
  session.set_state(state);
  session.set_hairpin(pool.is_active(server4.address));
  session.generation = generation;
  session.last_seen = session_ticks(now);
  wheel.add(tables.sessions(), number, due(session));
  ++s.sessions;
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
  drop_unused_bib(bib, now);
}

Duration WorkerState::timeout(const Session& session) const {
  const auto& t = runtime->nat64.timeouts;
  switch (session.protocol()) {
    case Protocol::kUdp:
      return t.udp;
    case Protocol::kIcmp:
      return t.icmp;
    case Protocol::kTcp:
      break;
  }
  const auto state = session.state();
  const bool established =
      state == TcpState::kEstablished || state == TcpState::kV4FinRcv || state == TcpState::kV6FinRcv;
  return established ? t.tcp_established : t.tcp_transitory;
}

// Rounded up, so that no session ends before its time.
TimePoint WorkerState::due(const Session& session) const {
  const std::int64_t seen = (std::int64_t{session.last_seen} + 1) << 26;
  return TimePoint{Duration{seen}} + timeout(session);
}

void WorkerState::change_state(Session& session, std::uint32_t number, TcpState state) {
  const auto before = timeout(session);
  session.set_state(state);
  if (timeout(session) >= before) return;  // the wheel finds out by itself
  wheel.remove(tables.sessions(), number);
  wheel.add(tables.sessions(), number, due(session));
}

bool WorkerState::still_allowed(const Session& session) const {
  if (!pool.is_active(session.public4)) return false;
  const bool draining_over = std::ranges::any_of(
      drains_, [&](const auto& d) { return d.first == session.public4 && d.second == TimePoint::min(); });
  return !draining_over && admit(*runtime, session.client6, session.server6).has_value();
}

bool WorkerState::revalidate(std::uint32_t number, TimePoint now) {
  Session& session = tables.sessions()[number];
  if (still_allowed(session)) {
    session.generation = generation;
    session.set_hairpin(pool.is_active(session.server4));
    return true;
  }
  wheel.remove(tables.sessions(), number);
  end_session(number, Event::kSessionEnded, now);
  return false;
}

void WorkerState::end_everything(TimePoint now) {
  for (std::uint32_t n = 0; n < tables.sessions().touched(); ++n) {
    if (!tables.sessions()[n].live()) continue;
    wheel.remove(tables.sessions(), n);
    end_session(n, Event::kSessionEnded, now);
  }
}

void WorkerState::set_runtime(std::shared_ptr<const Runtime> next, TimePoint now) {
  if (runtime && !same_layout(*runtime, *next)) {
    end_everything(now);
    pool = Pool4{};
  }
  runtime = std::move(next);
  pool.configure(*runtime);
  std::vector<std::pair<Ipv4Address, TimePoint>> drains;
  for (const auto& a : runtime->addresses) {
    if (!a.withdrawn || !a.withdraw_within) continue;
    const auto old = std::ranges::find(drains_, a.address, &std::pair<Ipv4Address, TimePoint>::first);
    drains.emplace_back(a.address, old != drains_.end() ? old->second : now + *a.withdraw_within);
  }
  drains_ = std::move(drains);
  tables.index_peers(runtime->nat64.filtering == Filtering::kAddressDependent);
  sync_static_mappings(now);
  pool.reserve_static_ports();
  counters.addresses.set(pool.addresses());
  counters.blocks_total.set(pool.blocks_total());
  counters.blocks_used.set(pool.blocks_used());
  ++generation;
  sweep_left_ = tables.sessions().touched();
  if (generation == 0) sweep(kAll, now);  // a session must never meet its own generation again
}

void WorkerState::sync_static_mappings(TimePoint now) {
  const auto wanted = [&](const Bib& b) {
    return std::ranges::any_of(runtime->static_mappings, [&](const StaticMapping& m) {
      return m.protocol == b.protocol && m.client6 == TransportAddress6{b.client6, b.port6} &&
             m.public4 == TransportAddress4{b.public4, b.port4};
    });
  };
  const auto end_sessions_of = [&](std::uint32_t bib) {
    for (std::uint32_t n = 0; n < tables.sessions().touched(); ++n) {
      if (!tables.sessions()[n].live() || tables.sessions()[n].bib != bib) continue;
      wheel.remove(tables.sessions(), n);
      end_session(n, Event::kSessionEnded, now);
    }
  };
  for (std::uint32_t n = 0; n < tables.bibs().touched(); ++n) {
    if (!tables.bibs()[n].live() || !tables.bibs()[n].is_static || wanted(tables.bibs()[n])) continue;
    end_sessions_of(n);
    tables.remove_bib(n);
  }
  for (const auto& m : runtime->static_mappings) {
    if (client_owner(*runtime, m.client6.address) != runtime->options.worker) continue;
    // A dynamic mapping in the way ends: the operator's word goes first.
    for (const auto other :
         {tables.find_bib(m.protocol, m.client6), tables.find_bib(m.protocol, m.public4)}) {
      if (other != kNone && tables.bibs()[other].live() && !tables.bibs()[other].is_static)
        end_sessions_of(other);
    }
    if (tables.find_bib(m.protocol, m.client6) != kNone || tables.find_bib(m.protocol, m.public4) != kNone)
      continue;
    const auto bib = tables.add_bib(m.protocol, m.client6, m.public4);
    if (bib != kNone) tables.bibs()[bib].is_static = true;
  }
}

void WorkerState::sweep(std::uint32_t budget, TimePoint now) {
  while (budget > 0 && sweep_left_ > 0) {
    --budget;
    --sweep_left_;
    if (sweep_at_ >= tables.sessions().touched()) sweep_at_ = 0;
    const auto number = sweep_at_++;
    const Session& s = tables.sessions()[number];
    if (!s.live() || s.generation == generation) continue;
    if (!revalidate(number, now)) {
      budget -= std::min(budget, kEndCost);
      continue;
    }
    wheel.remove(tables.sessions(), number);  // timeouts may be shorter now
    wheel.add(tables.sessions(), number, due(s));
  }
}

bool WorkerState::expire(TimePoint now) {
  if (!runtime) return false;
  for (auto& [address, deadline] : drains_) {
    if (deadline == TimePoint::min() || now < deadline) continue;
    deadline = TimePoint::min();  // over
    ++generation;
    sweep_left_ = tables.sessions().touched();
  }
  sweep(kSweepPerCall, now);
  for (const auto side : {Side::kV6, Side::kV4}) {
    fragments[static_cast<std::size_t>(side)].expire(now, [&](std::uint8_t protocol) {
      counters.of(side).drop(protocol_seen(protocol), DropReason::kFragmentTimeout).add();
    });
  }
  counters.held_fragments.set(fragments[0].held() + fragments[1].held());
  std::uint32_t left = kExpirePerCall;
  for (; left > 0; --left) {
    const auto number = wheel.pop(tables.sessions(), now);
    if (number == kNone) break;
    const auto when = due(tables.sessions()[number]);
    if (when > now)
      wheel.add(tables.sessions(), number, when);
    else
      expire_session(number, now);
  }
  held_syns.expire(now, [&](std::span<const std::uint8_t> packet) { answer_held_syn(packet, now); });
  counters.held_syns.set(held_syns.used());
  return left == 0 || sweep_left_ > 0;
}

// §3.5.2.2: an established connection is asked once more before it goes.
void WorkerState::expire_session(std::uint32_t number, TimePoint now) {
  Session& session = tables.sessions()[number];
  const bool established = session.protocol() == Protocol::kTcp && session.state() == TcpState::kEstablished;
  if (!established) {
    end_session(number, Event::kSessionExpired, now);
    return;
  }
  session.set_state(TcpState::kTrans);
  session.last_seen = session_ticks(now);
  wheel.add(tables.sessions(), number, due(session));
  if (extra.add(Side::kV6, tcp_probe(session.tuple6()))) counters.of(Event::kProbeSent).add();
}

// §3.5.2.2, V4 INIT: the SYN that nobody wanted is answered with "port unreachable".
void WorkerState::answer_held_syn(std::span<const std::uint8_t> packet, TimePoint now) {
  std::array<std::uint8_t, kTranslationHeadroom + 128> frame{};
  std::ranges::copy(packet, frame.begin() + kTranslationHeadroom);
  PacketBuffer buffer{frame, kTranslationHeadroom, packet.size()};
  auto& side = counters.of(Side::kV4);
  const bool answered =
      may_answer_ipv4(packet) && icmp_limit.take(now, runtime->nat64.icmp_errors_per_second) &&
      make_reply_ipv4(buffer, {icmp4::kUnreachable, icmp4::kPortUnreachable, 0}, *runtime) &&
      extra.add(Side::kV4, buffer.packet());
  constexpr auto kReason = DropReason::kSynUnanswered;
  (answered ? side.reply(ProtocolSeen::kTcp, kReason) : side.drop(ProtocolSeen::kTcp, kReason)).add();
}

}  // namespace isthmus::nat64
