// SPDX-License-Identifier: Apache-2.0
// Who gets which address: whom the controller waits for before it grants, the plan, fences, and what a node
// is told of it.
#include <algorithm>
#include <utility>

#include "controller/core/control_plane.hpp"
#include "controller/core/event_text.hpp"

namespace isthmus::controller {
namespace {

using std::chrono::seconds;

constexpr Duration kTellAwaitedEvery = std::chrono::minutes{1};
constexpr std::size_t kAwaitedNamed = 20;  // in one line

std::string listed(const std::set<Holder>& holders) {
  std::string text;
  std::size_t named = 0;
  for (const auto& [node_id, machine] : holders) {
    if (named++ == kAwaitedNamed)
      return text + " and " + std::to_string(holders.size() - kAwaitedNamed) + " more";
    text += (text.empty() ? "" : ", ") + node_id + " (machine " + machine + ")";
  }
  return text;
}

bool has_capability(const Hello& hello, std::string_view capability) {
  return std::ranges::find(hello.capabilities, capability) != hello.capabilities.end();
}

}  // namespace

void ControlPlane::remember(const ServiceRecord& service, TimePoint now) {
  if (has_capability(service.hello, kNodeModeCapability)) return;  // holds no leases
  const auto holder = service.holder();
  awaited_.erase(holder);
  auto& known = known_nodes_[holder];
  known.last_heard = now;
  if (known.incarnation == service.hello.incarnation) return;
  known.boot_id = service.hello.boot_id;
  known.incarnation = service.hello.incarnation;
  changed_nodes_.insert(holder);
}

void ControlPlane::forget_node(const Holder& holder) {
  known_nodes_.erase(holder);
  awaited_.erase(holder);
  leases_.forget(holder);
  changed_nodes_.insert(holder);
}

void ControlPlane::fence(const Holder& holder, TimePoint now) {
  const auto freed = leases_.fence(holder, now);
  if (known_nodes_.contains(holder)) forget_node(holder);
  note(EventKind::kFenced, holder.node_id,
       "machine " + holder.machine + (freed.empty() ? " held nothing" : ": rest now: " + listed(freed)));
  const auto it = services_.find({ServiceKind::kNat64, holder.node_id});
  if (it == services_.end() || it->second.holder() != holder) return;
  it->second.left = true;
  if (!it->second.connected()) return;
  out_.actions.emplace_back(
      EndSession{it->second.session, "this machine was fenced by an operator", seconds{5}});
  disconnect(it->second);
}

void ControlPlane::reconcile_leases(ServiceRecord& service, TimePoint now) {
  const auto holder = service.holder();
  const auto result = leases_.on_hello(holder, service.hello.leases_held, now);
  if (!result.adopted.empty())
    note(EventKind::kGranted, holder.node_id, "already holds " + listed(result.adopted));
  if (!result.conflicts.empty()) {
    lease_conflicts_ += result.conflicts.size();
    note(EventKind::kLeaseConflict, holder.node_id,
         "claims addresses of others and is told to stop: " + listed(result.conflicts));
    leases_.touch(holder);
  }
  if (leases_.revision_of(holder) == 0) leases_.touch(holder);
  const Version running = service.hello.running[index_of(Resource::kAllocation)];
  if (running == Version{epoch_, leases_.revision_of(holder)}) {
    service.acked_allocation = running.counter;
    leases_.on_ack(holder, running.counter, now);
  }
}

// When is it safe to grant although the store may not know who holds what? Nodes that live have told within
// the grace. One that is cut off may hold an address, for ever if it got it under HOLD: it is waited for
// until it tells or is fenced.
void ControlPlane::settle_down(TimePoint now) {
  if (now < all_could_come() + settings_.adopt_grace) return;
  if (!awaited_.empty()) return tell_awaited(now);
  settling_ = false;
  leases_.trust();
  replan_ = true;
  note(EventKind::kSettled, "", "who holds what is known: addresses are granted");
}

void ControlPlane::tell_awaited(TimePoint now) {
  if (now < tell_awaited_at_) return;
  tell_awaited_at_ = now + kTellAwaitedEvery;
  note(EventKind::kAwaited, "",
       "no address is granted until these have told what they hold, or are fenced: " + listed(awaited_));
}

void ControlPlane::plan(TimePoint now) {
  if (pools_of_ == nullptr) return;
  std::vector<LeaseCandidate> candidates;
  bool pressure = false;
  for (auto& [key, service] : services_) {
    if (key.first != ServiceKind::kNat64 || !service.connected() ||
        has_capability(service.hello, kNodeModeCapability) || drains_.contains(key.second))
      continue;
    pressure = pressure || service.use > 0;
    // A report counts for one plan: what was granted must show in the next before more is given.
    candidates.push_back({.holder = service.holder(),
                          .use = std::exchange(service.use, 0.0),
                          .idle = now - service.busy_at >= settings_.idle_after});
  }
  if (!replan_ && !pressure && leases_.generation() == planned_generation_) return;
  const auto wishes = plan_leases(leases_, *pools_of_, candidates);
  for (const auto& [address, holder] : wishes.grants) {
    if (leases_.grant(address, holder, now)) note(EventKind::kGranted, holder.node_id, address.to_string());
  }
  const auto withdraw = [&](Ipv4Address address, const char* why) {
    if (leases_.withdraw(address, now))
      note(EventKind::kWithdrawn, leases_.find(address)->holder.node_id, address.to_string() + why);
  };
  for (const auto address : wishes.withdrawals) withdraw(address, " for a node without one");
  for (const auto address : wishes.from_idle)
    withdraw(address, " for a node that runs short: it has little use here");
  planned_generation_ = leases_.generation();
  replan_ = false;
}

Allocation ControlPlane::allocation_of(const ServiceRecord& service) {
  Allocation allocation;
  const Drain* drain = drain_of(service.hello.node_id);
  allocation.draining = drain != nullptr && drain->stage >= DrainStage::kReleasing;
  for (const auto address : leases_.held_by(service.holder())) {
    const Lease& lease = *leases_.find(address);
    LeasedAddress leased{.address = address,
                         .pool = lease.pool,
                         .on_expiry = lease.offered.on_expiry,
                         .term = lease.offered.term,
                         .withdrawn = lease.state == LeaseState::kWithdrawing,
                         .withdraw_within = std::nullopt};
    if (leased.withdrawn) leased.withdraw_within = settings_.withdraw_within;
    allocation.addresses.push_back(std::move(leased));
  }
  const auto& text = policy_.next(ServiceKind::kNat64);
  const bool gone = drain != nullptr && drain->stage == DrainStage::kDrained;
  if (!gone && !text.empty()) allocation.node_prefixes = prefixes_.of(service.hello.node_id, *text.policy);
  return allocation;
}

}  // namespace isthmus::controller
