// SPDX-License-Identifier: Apache-2.0
// A new policy meets what is in the tables already: what it still allows stays, the rest ends.
#include <algorithm>

#include "nat64-svc/core/owners.hpp"
#include "nat64-svc/core/steps/admit.hpp"
#include "nat64-svc/core/worker_state.hpp"

namespace isthmus::nat64 {
namespace {

// Blocks of another size, subscribers of another length or another share of the ports have nothing in common
// with the old ones.
bool same_layout(const Runtime& a, const Runtime& b) {
  if (a.options.worker != b.options.worker || a.options.workers != b.options.workers) return false;
  if (a.pools.empty() || b.pools.empty()) return a.pools.empty() == b.pools.empty();
  const auto& x = a.pools.front().subscribers;
  const auto& y = b.pools.front().subscribers;
  return x.prefix_length == y.prefix_length && x.ports_per_block == y.ports_per_block;
}

constexpr std::uint32_t kAll = 0xffffffff;
constexpr std::uint32_t kGenerations = 255;
constexpr std::uint32_t kEndCost = 4;  // of a session that ends in a sweep; one that stays costs 1

}  // namespace

bool WorkerState::is_drained(Ipv4Address public4) const {
  const auto drain = std::ranges::lower_bound(drains_, public4, {}, &Drain::first);
  return drain != drains_.end() && drain->first == public4 && drain->second == TimePoint::min();
}

bool WorkerState::still_allowed(const Session& session) const {
  return pool.is_active(session.public4) && !is_drained(session.public4) &&
         admit(*runtime, session.client6, session.server6).has_value();
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

template <class Ends>
void WorkerState::end_sessions_if(Ends&& ends, TimePoint now) {
  for (std::uint32_t n = 0; n < tables.sessions().touched(); ++n) {
    const Session& session = tables.sessions()[n];
    if (!session.live() || !ends(session)) continue;
    wheel.remove(tables.sessions(), n);
    end_session(n, Event::kSessionEnded, now);
  }
}

// An address with another range of ports, also one that was gone for a while: its blocks are others.
void WorkerState::end_at_changed_ports(const Runtime& next, TimePoint now) {
  const auto addresses = pool.that_change_ports(next);
  if (addresses.empty()) return;
  end_sessions_if([&](const Session& s) { return std::ranges::binary_search(addresses, s.public4); }, now);
}

// They are in nobody's way any more, while the block is in use.
void WorkerState::free_former_static_ports(const Runtime& before) {
  for (const auto& m : before.static_mappings) {
    if (tables.find_bib(m.protocol, m.public4) == kNone) pool.free_static_port(m.protocol, m.public4);
  }
}

// Where the records begin, or end, while blocks are in use.
void WorkerState::record_all_blocks(RecordKind kind, TimePoint now) {
  pool.visit_used([&](std::uint32_t block) {
    record_block(kind, block, subscribers_[pool.holder_of(block)].prefix, now);
  });
}

void WorkerState::set_runtime(std::shared_ptr<const Runtime> next, TimePoint now) {
  if (runtime && !same_layout(*runtime, *next)) {
    end_sessions_if([](const Session&) { return true; }, now);
    pool = Pool4{};
  }
  end_at_changed_ports(*next, now);
  if (runtime && runtime->nat64.log_blocks && !next->nat64.log_blocks)
    record_all_blocks(RecordKind::kBlockFreed, now);
  const auto before = std::exchange(runtime, std::move(next));
  pool.configure(*runtime);
  std::vector<Drain> drains;
  for (const auto& a : runtime->addresses) {
    if (!a.withdrawn || !a.withdraw_within) continue;
    const auto old = std::ranges::lower_bound(drains_, a.address, {}, &Drain::first);
    const bool known = old != drains_.end() && old->first == a.address;
    drains.emplace_back(a.address, known ? old->second : now + *a.withdraw_within);
  }
  drains_ = std::move(drains);
  tables.index_peers(runtime->nat64.filtering == Filtering::kAddressDependent);
  sync_static_mappings(now);
  pool.reserve_static_ports();
  if (before) free_former_static_ports(*before);
  if (before && !before->nat64.log_blocks && runtime->nat64.log_blocks)
    record_all_blocks(RecordKind::kBlockTaken, now);
  counters.addresses.set(pool.addresses());
  set_limits();
  counters.blocks_total.set(pool.blocks_total());
  counters.blocks_used.set(pool.blocks_used());
  begin_generation(now);
}

// What refuses first, of the tables' sizes and the policy's limits.
void WorkerState::set_limits() {
  const auto& policy = runtime->nat64;
  counters.sessions_max.set(std::min<std::uint64_t>(tables.sessions().capacity(), policy.max_sessions));
  std::uint32_t held = 0;
  for (const auto& side : fragments)
    held += std::min<std::uint32_t>(side.capacity(), policy.max_held_fragments);
  counters.held_fragments_max.set(held);
}

// A session must never meet its own generation again. Whenever a sweep is through, all sessions are of this
// one; only 255 changes before that (it takes half a second, with a million sessions) cannot wait for it.
void WorkerState::begin_generation(TimePoint now) {
  ++generation;
  sweep_left_ = tables.sessions().touched();
  if (++unswept_generations_ == kGenerations) sweep(kAll, now);
}

// In one pass, however many there are; `bibs` is sorted.
void WorkerState::end_sessions_of(const std::vector<std::uint32_t>& bibs, TimePoint now) {
  if (std::ranges::all_of(bibs, [&](std::uint32_t n) { return tables.bibs()[n].sessions == 0; })) return;
  end_sessions_if([&](const Session& session) { return std::ranges::binary_search(bibs, session.bib); }, now);
}

// Static BIB entries that the policy has no more.
void WorkerState::remove_former_static_mappings(TimePoint now) {
  const auto wanted = [&](const Bib& b) {
    const auto at = std::ranges::lower_bound(
        runtime->static_mappings, std::pair{TransportAddress4{b.public4, b.port4}, b.protocol}, {},
        [](const StaticMapping& m) { return std::pair{m.public4, m.protocol}; });
    return at != runtime->static_mappings.end() && at->protocol == b.protocol &&
           at->public4 == TransportAddress4{b.public4, b.port4} &&
           at->client6 == TransportAddress6{b.client6, b.port6};
  };
  std::vector<std::uint32_t> former;
  for (std::uint32_t n = 0; n < tables.bibs().touched(); ++n) {
    const Bib& b = tables.bibs()[n];
    if (b.live() && b.is_static && !wanted(b)) former.push_back(n);
  }
  end_sessions_of(former, now);
  for (const auto n : former) tables.remove_bib(n);
}

// A dynamic mapping in the way of a static one ends: the operator's word goes first. The port may be in a
// block of any worker, so each of them looks, not only the client's.
void WorkerState::end_mappings_in_the_way(TimePoint now) {
  std::vector<std::uint32_t> in_the_way;
  for (const auto& m : runtime->static_mappings) {
    for (const auto n : {tables.find_bib(m.protocol, m.client6), tables.find_bib(m.protocol, m.public4)})
      if (n != kNone && !tables.bibs()[n].is_static) in_the_way.push_back(n);
  }
  std::ranges::sort(in_the_way);
  end_sessions_of(in_the_way, now);
}

void WorkerState::sync_static_mappings(TimePoint now) {
  remove_former_static_mappings(now);
  end_mappings_in_the_way(now);
  for (const auto& m : runtime->static_mappings) {
    if (client_owner(*runtime, m.client6.address) != runtime->options.worker) continue;
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
  if (sweep_left_ == 0) unswept_generations_ = 0;
}

}  // namespace isthmus::nat64
