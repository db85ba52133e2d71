// SPDX-License-Identifier: Apache-2.0
// Who holds which address. This table is the safety half of lease allocation: whatever a planner wishes, no
// change made here lets two nodes forward for one address. Rules:
//
//  * The holder is a machine, not a name: two machines with one node_id are two holders.
//  * HOLD: the lease ends when its holder released it, said goodbye, or was fenced. Never by time.
//  * STOP: also when `term` x 1.01 passed since the last renewal *arrived*; the node counts `term` from
//  *sending* it, and
//    uses a STOP address only under a renewal that was answered, so its deadline is always the earlier one (a
//    node's clock may drift by 1 %).
//  * A release counts only after the holder acked an allocation that lists the address as withdrawn: one that
//  was sent
//    before and arrives late speaks of an earlier grant.
//  * When the terms of a lease change, the laxer of old and new binds us until the holder acked the new ones.
//  * A freed address rests for the quarantine; only its last holder may have it back earlier, if it said
//  goodbye or was
//    not heard (a restart), not if the address was taken from it.
//
// Not thread-safe. O(log n) per change.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/enum_names.hpp"
#include "common/config/policy.hpp"

namespace isthmus::controller {

struct Holder {
  std::string node_id;
  std::string machine;
  auto operator<=>(const Holder&) const = default;
};

enum class LeaseState : std::uint8_t { kFree, kGranted, kWithdrawing, kQuarantined, kCount };
inline constexpr EnumNames<LeaseState> kLeaseStateNames{{"free", "granted", "withdrawing", "quarantined"}};

struct LeaseTerms {
  OnExpiry on_expiry = OnExpiry::kHold;
  Duration term = std::chrono::seconds{60};
  bool operator==(const LeaseTerms&) const = default;
};

struct Lease {
  Ipv4Address address;
  std::string pool;
  bool in_policy = true;  // false: the policy dropped it; it goes when its holder has
  LeaseState state = LeaseState::kFree;
  Holder holder;            // now, or the last one; empty: never held
  LeaseTerms offered;       // what the holder is told
  LeaseTerms in_force;      // the laxest the holder may be acting on
  bool doubtful = false;    // from a restored store: whoever claims it, has it
  bool may_return = false;  // kQuarantined: its holder did not choose to lose it and may have it back at once
  std::uint64_t revision = 0;  // of the allocation in which it last changed
  TimePoint since;             // of this state
  TimePoint until;             // kQuarantined: its end; granted with STOP in force: expiry. Else unused
  Duration quarantine = std::chrono::seconds{240};

  [[nodiscard]] bool held() const {
    return state == LeaseState::kGranted || state == LeaseState::kWithdrawing;
  }
};

class LeaseTable {
 public:
  // The LEASED pools of the policy. New addresses become free; dropped ones are withdrawn from their holders.
  void set_pools(const std::vector<Pool>& pools, TimePoint now);

  // --- planning; each returns false and changes nothing when the rules forbid it ---
  [[nodiscard]] bool grant(Ipv4Address address, const Holder& holder, TimePoint now);
  [[nodiscard]] bool withdraw(Ipv4Address address, TimePoint now);
  [[nodiscard]] bool resume(Ipv4Address address,
                            TimePoint now);  // undoes a withdrawal that is still under way

  // --- what holders say ---
  struct Reconciled {
    std::vector<Ipv4Address> adopted;    // nobody else had them
    std::vector<Ipv4Address> conflicts;  // another holder has them: this one must stop at once
  };
  // A (re)started holder tells all it holds. Nothing it sent earlier counts from here on.
  Reconciled on_hello(const Holder& holder, const std::vector<Ipv4Address>& held, TimePoint now);
  void on_ack(const Holder& holder, std::uint64_t revision, TimePoint now);
  // Those of `addresses` that are released now. `acked`: the highest revision acked in this session.
  std::vector<Ipv4Address> on_released(const Holder& holder, const std::vector<Ipv4Address>& addresses,
                                       std::uint64_t acked, TimePoint now);
  // The last word of a process: everything it names is free of it.
  std::vector<Ipv4Address> on_goodbye(const Holder& holder, const std::vector<Ipv4Address>& addresses,
                                      TimePoint now);
  std::vector<Ipv4Address> on_renewal(const Holder& holder, const std::vector<Ipv4Address>& addresses,
                                      TimePoint now);
  // An operator vouches that this machine is gone. Another machine of the same node_id may well forward: it
  // keeps what it holds.
  std::vector<Ipv4Address> fence(const Holder& holder, TimePoint now);

  // Leases whose time has come: returns those that expired (their holders did not renew).
  std::vector<Lease> tick(TimePoint now);

  // --- reading ---
  [[nodiscard]] const std::map<Ipv4Address, Lease>& leases() const { return leases_; }
  [[nodiscard]] const Lease* find(Ipv4Address address) const;
  [[nodiscard]] const std::set<Ipv4Address>& held_by(const Holder& holder) const;
  [[nodiscard]] const std::map<Holder, std::set<Ipv4Address>>& holders() const { return by_holder_; }
  // Of the newest change to what this holder is told; 0: it was never told anything.
  [[nodiscard]] std::uint64_t revision_of(const Holder& holder) const;
  // Something else that this holder is told changed: its allocation gets a new revision.
  void touch(const Holder& holder) { revisions_[holder] = ++revision_; }
  // What a holder was told is of no interest any more; no effect while it holds an address. When it comes
  // back it gets a new revision.
  void forget(const Holder& holder) {
    if (!by_holder_.contains(holder)) revisions_.erase(holder);
  }
  [[nodiscard]] std::size_t remembered() const { return revisions_.size(); }
  // Grows with every change that a planner could act on.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

  // --- persistence ---
  // Addresses changed since the last call; one that is no longer in leases() was erased.
  [[nodiscard]] std::set<Ipv4Address> take_changes() { return std::exchange(changed_, {}); }
  // `stored`: with times of this start's clock. What was promised in answers to renewals is not stored: a
  // STOP lease may run for its term from now. `doubtful`: the store may be older than what nodes do.
  void restore(const Lease& stored, TimePoint now, bool doubtful);
  // From here on the table knows best: it has every address that a node may hold, and a claim of another one
  // is a conflict.
  void trust();

 private:
  Lease& change(Lease& lease);  // notes that it changes
  void enter(Lease& lease, LeaseState state, TimePoint now);
  void set_timer(Lease& lease, TimePoint until);
  void clear_timer(Lease& lease);
  void stamp(Lease& lease);
  void offer(Lease& lease, const LeaseTerms& terms, TimePoint now);
  void free_after_quarantine(Lease& lease, TimePoint now, bool may_return);
  Lease* held_lease(const Holder& holder, Ipv4Address address);

  std::map<Ipv4Address, Lease> leases_;
  std::map<Holder, std::set<Ipv4Address>> by_holder_;  // granted or withdrawing
  std::map<Holder, std::uint64_t> revisions_;
  std::set<std::pair<TimePoint, Ipv4Address>> timers_;
  std::set<Ipv4Address> changed_;
  std::uint64_t revision_ = 0;
  std::uint64_t generation_ = 0;
  bool trusted_ = false;
};

}  // namespace isthmus::controller
