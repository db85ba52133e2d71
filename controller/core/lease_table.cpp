// SPDX-License-Identifier: Apache-2.0
#include "controller/core/lease_table.hpp"

#include <algorithm>

namespace isthmus::controller {
namespace {

// A node's clock may run 1 % slow.
Duration with_drift(Duration term) {
  return term + term / 100;
}

bool stops(const LeaseTerms& terms) {
  return terms.on_expiry == OnExpiry::kStop;
}

// What a holder may do that may act on either: go on for ever if one says so, and count on the longer term.
LeaseTerms laxer(const LeaseTerms& a, const LeaseTerms& b) {
  return {stops(a) && stops(b) ? OnExpiry::kStop : OnExpiry::kHold, std::max(a.term, b.term)};
}

LeaseTerms terms_of(const Pool& pool) {
  return {pool.lease.on_expiry, pool.lease.term};
}

}  // namespace

const Lease* LeaseTable::find(Ipv4Address address) const {
  const auto it = leases_.find(address);
  return it == leases_.end() ? nullptr : &it->second;
}

const std::set<Ipv4Address>& LeaseTable::held_by(const Holder& holder) const {
  static const std::set<Ipv4Address> kNone;
  const auto it = by_holder_.find(holder);
  return it == by_holder_.end() ? kNone : it->second;
}

std::uint64_t LeaseTable::revision_of(const Holder& holder) const {
  const auto it = revisions_.find(holder);
  return it == revisions_.end() ? 0 : it->second;
}

Lease* LeaseTable::held_lease(const Holder& holder, Ipv4Address address) {
  const auto it = leases_.find(address);
  if (it == leases_.end() || !it->second.held() || it->second.holder != holder) return nullptr;
  return &it->second;
}

Lease& LeaseTable::change(Lease& lease) {
  changed_.insert(lease.address);
  ++generation_;
  return lease;
}

void LeaseTable::stamp(Lease& lease) {
  lease.revision = ++revision_;
  revisions_[lease.holder] = revision_;
}

void LeaseTable::clear_timer(Lease& lease) {
  timers_.erase({lease.until, lease.address});
}

void LeaseTable::set_timer(Lease& lease, TimePoint until) {
  clear_timer(lease);
  lease.until = until;
  timers_.insert({until, lease.address});
}

void LeaseTable::enter(Lease& lease, LeaseState state, TimePoint now) {
  change(lease);
  lease.state = state;
  lease.since = now;
  if (lease.held()) {
    by_holder_[lease.holder].insert(lease.address);
    stamp(lease);
  } else if (const auto it = by_holder_.find(lease.holder); it != by_holder_.end()) {
    if (it->second.erase(lease.address) > 0) stamp(lease);
    if (it->second.empty()) by_holder_.erase(it);
  }
}

void LeaseTable::free_after_quarantine(Lease& lease, TimePoint now, bool may_return) {
  lease.may_return = may_return;
  enter(lease, LeaseState::kQuarantined, now);
  set_timer(lease, now + lease.quarantine);
}

// The holder may still act on the old terms: until it acks, the laxer of both bind us.
void LeaseTable::offer(Lease& lease, const LeaseTerms& terms, TimePoint now) {
  if (lease.offered == terms) return;
  change(lease);
  lease.offered = terms;
  if (!lease.held()) return;
  lease.in_force = laxer(lease.in_force, terms);
  if (stops(lease.in_force)) {
    // A longer term may be in use as soon as it arrives; counted from a renewal that is yet to come or came
    // at most now.
    set_timer(lease, std::max(lease.until, now + with_drift(lease.in_force.term)));
  } else {
    clear_timer(lease);
  }
  stamp(lease);
}

void LeaseTable::set_pools(const std::vector<Pool>& pools, TimePoint now) {
  std::set<Ipv4Address> wanted;
  for (const auto& pool : pools) {
    if (pool.kind != PoolKind::kLeased) continue;
    for (const auto& prefix : pool.addresses) {
      for (std::uint64_t i = 0; i < prefix.size(); ++i) {
        const Ipv4Address address{prefix.address().value() + static_cast<std::uint32_t>(i)};
        if (!wanted.insert(address).second) continue;
        auto [it, is_new] = leases_.try_emplace(address);
        Lease& lease = it->second;
        if (is_new || lease.pool != pool.name || !lease.in_policy ||
            lease.quarantine != pool.lease.quarantine) {
          lease.address = address;
          const bool moved = !is_new && lease.held() && (lease.pool != pool.name || !lease.in_policy);
          lease.pool = pool.name;
          lease.in_policy = true;
          lease.quarantine = pool.lease.quarantine;
          change(lease);
          if (moved) stamp(lease);
        }
        offer(lease, terms_of(pool), now);
      }
    }
  }
  for (auto it = leases_.begin(); it != leases_.end();) {
    Lease& lease = it->second;
    if (wanted.contains(lease.address)) {
      ++it;
      continue;
    }
    if (lease.state == LeaseState::kFree) {
      change(lease);
      it = leases_.erase(it);
      continue;
    }
    if (lease.in_policy) change(lease).in_policy = false;
    if (lease.state == LeaseState::kGranted) enter(lease, LeaseState::kWithdrawing, now);
    ++it;
  }
}

bool LeaseTable::grant(Ipv4Address address, const Holder& holder, TimePoint now) {
  const auto it = leases_.find(address);
  if (it == leases_.end() || !it->second.in_policy) return false;
  Lease& lease = it->second;
  const bool returns = lease.state == LeaseState::kQuarantined && lease.may_return && lease.holder == holder;
  if (lease.state != LeaseState::kFree && !returns) return false;
  clear_timer(lease);
  lease.holder = holder;
  lease.in_force = lease.offered;
  enter(lease, LeaseState::kGranted, now);
  if (stops(lease.in_force)) set_timer(lease, now + with_drift(lease.in_force.term));
  return true;
}

bool LeaseTable::withdraw(Ipv4Address address, TimePoint now) {
  const auto it = leases_.find(address);
  if (it == leases_.end() || it->second.state != LeaseState::kGranted) return false;
  enter(it->second, LeaseState::kWithdrawing, now);
  return true;
}

bool LeaseTable::resume(Ipv4Address address, TimePoint now) {
  const auto it = leases_.find(address);
  if (it == leases_.end() || it->second.state != LeaseState::kWithdrawing || !it->second.in_policy)
    return false;
  enter(it->second, LeaseState::kGranted, now);
  return true;
}

LeaseTable::Reconciled LeaseTable::on_hello(const Holder& holder, const std::vector<Ipv4Address>& held,
                                            TimePoint now) {
  Reconciled result;
  const std::set<Ipv4Address> claims(held.begin(), held.end());
  // What was being withdrawn and is not claimed any more has been given up while the stream was down.
  const std::set<Ipv4Address> before = held_by(holder);
  for (const auto address : before) {
    Lease& lease = leases_.at(address);
    if (claims.contains(address)) {
      lease.doubtful = false;
    } else if (lease.state == LeaseState::kWithdrawing || lease.doubtful) {
      free_after_quarantine(lease, now, false);
    }
  }
  for (const auto address : claims) {
    if (trusted_ && !leases_.contains(address)) {
      result.conflicts.push_back(address);
      continue;
    }
    auto [it, unknown] = leases_.try_emplace(address);
    Lease& lease = it->second;
    if (unknown) {
      lease.address = address;
      lease.in_policy = false;
    }
    if (lease.held() && lease.holder == holder) continue;
    const bool available = lease.doubtful || lease.state == LeaseState::kFree ||
                           (lease.state == LeaseState::kQuarantined && lease.holder == holder);
    if (!available) {
      result.conflicts.push_back(address);
      continue;
    }
    clear_timer(lease);
    lease.doubtful = false;
    if (lease.held()) enter(lease, LeaseState::kFree, now);  // of the holder that a restored store knew
    lease.holder = holder;
    lease.in_force =
        LeaseTerms{OnExpiry::kHold, lease.offered.term};  // under which terms it runs is not known
    enter(lease, lease.in_policy ? LeaseState::kGranted : LeaseState::kWithdrawing, now);
    result.adopted.push_back(address);
  }
  return result;
}

void LeaseTable::on_ack(const Holder& holder, std::uint64_t revision, TimePoint now) {
  for (const auto address : held_by(holder)) {
    Lease& lease = leases_.at(address);
    if (lease.revision > revision || lease.in_force == lease.offered) continue;
    // The answer to a renewal that it sent before now may have promised it the longest of the terms until
    // now.
    const Duration longest = lease.in_force.term;
    change(lease).in_force = lease.offered;
    if (stops(lease.in_force)) set_timer(lease, std::max(lease.until, now + with_drift(longest)));
  }
}

std::vector<Ipv4Address> LeaseTable::on_released(const Holder& holder,
                                                 const std::vector<Ipv4Address>& addresses,
                                                 std::uint64_t acked, TimePoint now) {
  std::vector<Ipv4Address> freed;
  for (const auto address : addresses) {
    Lease* lease = held_lease(holder, address);
    if (lease == nullptr || lease->state != LeaseState::kWithdrawing || lease->revision > acked) continue;
    free_after_quarantine(*lease, now, false);
    freed.push_back(address);
  }
  return freed;
}

std::vector<Ipv4Address> LeaseTable::on_goodbye(const Holder& holder,
                                                const std::vector<Ipv4Address>& addresses, TimePoint now) {
  std::vector<Ipv4Address> freed;
  for (const auto address : addresses) {
    if (Lease* lease = held_lease(holder, address)) {
      free_after_quarantine(*lease, now, lease->state == LeaseState::kGranted);
      freed.push_back(address);
    }
  }
  return freed;
}

std::vector<Ipv4Address> LeaseTable::on_renewal(const Holder& holder,
                                                const std::vector<Ipv4Address>& addresses, TimePoint now) {
  std::vector<Ipv4Address> renewed;
  for (const auto address : addresses) {
    Lease* lease = held_lease(holder, address);
    if (lease == nullptr) continue;
    renewed.push_back(address);
    // Never earlier than promised before: under a longer term the holder may count on until then, and the
    // answer to this renewal may get lost.
    if (stops(lease->in_force))
      set_timer(*lease, std::max(lease->until, now + with_drift(lease->in_force.term)));
  }
  return renewed;
}

std::vector<Ipv4Address> LeaseTable::fence(const Holder& holder, TimePoint now) {
  const auto& held = held_by(holder);
  std::vector<Ipv4Address> freed(held.begin(), held.end());
  for (const auto address : freed) free_after_quarantine(leases_.at(address), now, false);
  return freed;
}

std::vector<Lease> LeaseTable::tick(TimePoint now) {
  std::vector<Lease> expired;
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const auto address = timers_.begin()->second;
    timers_.erase(timers_.begin());
    Lease& lease = leases_.at(address);
    if (lease.held()) {
      expired.push_back(lease);
      free_after_quarantine(lease, now, lease.state == LeaseState::kGranted);
    } else if (lease.in_policy) {
      enter(lease, LeaseState::kFree, now);
    } else {
      change(lease);
      leases_.erase(address);
    }
  }
  return expired;
}

void LeaseTable::restore(const Lease& stored, TimePoint now, bool doubtful) {
  Lease& lease = leases_[stored.address] = stored;
  lease.doubtful = doubtful;
  if (lease.held()) {
    by_holder_[lease.holder].insert(lease.address);
    stamp(lease);
  }
  if (lease.state == LeaseState::kQuarantined) {
    set_timer(lease, std::clamp(lease.until, now, now + lease.quarantine));
  } else if (lease.held() && stops(lease.in_force)) {
    set_timer(lease, now + with_drift(std::max(lease.in_force.term, lease.offered.term)));
  }
  ++generation_;
}

void LeaseTable::trust() {
  trusted_ = true;
  for (auto& [address, lease] : leases_) lease.doubtful = false;
}

}  // namespace isthmus::controller
