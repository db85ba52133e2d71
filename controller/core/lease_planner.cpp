// SPDX-License-Identifier: Apache-2.0
#include "controller/core/lease_planner.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "common/net/keyed_hash.hpp"

namespace isthmus::controller {
namespace {

constexpr double kShortOfPorts = 0.7;  // of its port blocks

struct Share {
  const LeaseCandidate* node;
  std::size_t count = 0;             // granted now, and by this plan
  std::vector<Ipv4Address> resting;  // its own, in quarantine: nobody else can use them
  std::vector<Ipv4Address> former;   // free, last held by this node
};

// The free addresses of one pool, the one that rested longest last.
using FreeList = std::vector<std::pair<TimePoint, Ipv4Address>>;

std::uint64_t text_hash(const std::string& text) {
  std::uint64_t state = 0xcbf29ce484222325ULL;  // FNV-1a: stable across machines and versions
  for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return state;
}

class PoolPlan {
 public:
  PoolPlan(const LeaseTable& table, const Policy& policy, const Pool& pool,
           const std::vector<LeaseCandidate>& candidates, LeasePlan& plan)
      : plan_(plan) {
    for (const auto& mapping : policy.static_mappings)
      pins_.emplace(mapping.public4.address, mapping.client6.address);
    for (const auto& node : candidates) {
      by_holder_.emplace(node.holder, shares_.size());
      shares_.push_back({.node = &node, .resting = {}, .former = {}});
    }
    survey(table, pool);
  }

  void run() {
    grant_pinned();
    for (auto& share : shares_) {
      while (!share.resting.empty()) take(share, share.resting);
      while (share.count < std::max<std::size_t>(1, fair_share_) && grant_one(share)) {
      }
    }
    for (auto& share : shares_) {
      if (share.node->use < kShortOfPorts || share.count == 0) continue;
      std::size_t more = std::max<std::size_t>(1, share.count / 4);
      if (!grant_one(share)) ++short_;
      while (--more > 0 && grant_one(share)) {
      }
    }
    take_from_the_rich();
    take_from_the_idle();
  }

 private:
  void survey(const LeaseTable& table, const Pool& pool) {
    std::size_t size = 0;
    std::set<Holder> absent;  // who holds some and is not connected counts: it will be back
    for (const auto& [address, lease] : table.leases()) {
      if (lease.pool != pool.name || !lease.in_policy) continue;
      ++size;
      const auto it = by_holder_.find(lease.holder);
      Share* share = it == by_holder_.end() ? nullptr : &shares_[it->second];
      if (lease.held() && share == nullptr) absent.insert(lease.holder);
      const bool pinned = pins_.contains(address);
      if (lease.state == LeaseState::kGranted && share != nullptr) {
        ++share->count;
        if (!pinned) held_[it->second].push_back(address);
      } else if (lease.state == LeaseState::kWithdrawing || lease.state == LeaseState::kQuarantined) {
        if (lease.state == LeaseState::kQuarantined && lease.may_return && share != nullptr) {
          share->resting.push_back(address);
        } else {
          ++on_their_way_;
        }
      } else if (lease.state == LeaseState::kFree) {
        if (pinned) {
          pinned_free_.push_back(address);
        } else {
          free_.emplace_back(lease.since, address);
          if (share != nullptr) share->former.push_back(address);
        }
      }
    }
    std::sort(free_.rbegin(), free_.rend());
    fair_share_ = size / 2 / (shares_.size() + absent.size());
  }

  void grant(Share& share, Ipv4Address address) {
    plan_.grants.push_back({address, share.node->holder});
    taken_.insert(address);
    ++share.count;
  }

  bool take(Share& share, std::vector<Ipv4Address>& from) {
    const auto address = from.back();
    from.pop_back();
    if (taken_.contains(address)) return false;
    grant(share, address);
    return true;
  }

  bool grant_one(Share& share) {
    while (!share.former.empty()) {
      if (take(share, share.former)) return true;
    }
    while (!free_.empty()) {
      const auto address = free_.back().second;
      free_.pop_back();
      if (taken_.contains(address)) continue;
      grant(share, address);
      return true;
    }
    return false;
  }

  void grant_pinned() {
    for (const auto address : pinned_free_) {
      const auto& client = pins_.at(address);
      const auto best = std::max_element(shares_.begin(), shares_.end(), [&](const Share& a, const Share& b) {
        return weight(client, a) < weight(client, b);
      });
      if (best != shares_.end()) grant(*best, address);
    }
  }

  static std::uint64_t weight(const Ipv6Address& client, const Share& share) {
    return keyed_hash(HashKey{}, client.high(), client.low(), text_hash(share.node->holder.node_id));
  }

  // Each node that still has none waits for one address: those on their way already serve as many.
  void take_from_the_rich() {
    std::size_t poor = 0;
    for (const auto& share : shares_) poor += share.count == 0 ? 1 : 0;
    while (poor > on_their_way_) {
      if (!take_one(1, plan_.withdrawals, [](const Share&) { return true; }))
        break;  // more gateways than addresses
    }
    on_their_way_ -= std::min(on_their_way_, poor);  // the rest are for others
  }

  // Each node that runs short waits for one address.
  void take_from_the_idle() {
    while (short_ > on_their_way_) {
      const auto keeps = std::max<std::size_t>(1, fair_share_);
      if (!take_one(keeps, plan_.from_idle, [](const Share& share) { return share.node->idle; })) return;
    }
  }

  // From the node that has most of those that `may` lose one and have more than they keep.
  template <class May>
  bool take_one(std::size_t keeps, std::vector<Ipv4Address>& into, May may) {
    std::size_t richest = shares_.size();
    for (std::size_t i = 0; i < shares_.size(); ++i) {
      if (shares_[i].count <= keeps || held_[i].empty() || !may(shares_[i])) continue;
      if (richest == shares_.size() || shares_[i].count > shares_[richest].count) richest = i;
    }
    if (richest == shares_.size()) return false;
    into.push_back(held_[richest].back());
    held_[richest].pop_back();
    --shares_[richest].count;
    ++on_their_way_;
    return true;
  }

  LeasePlan& plan_;
  std::map<Ipv4Address, Ipv6Address> pins_;
  std::vector<Share> shares_;
  std::map<Holder, std::size_t> by_holder_;
  std::map<std::size_t, std::vector<Ipv4Address>> held_;  // not pinned, by index in shares_
  FreeList free_;
  std::vector<Ipv4Address> pinned_free_;
  std::set<Ipv4Address> taken_;
  std::size_t on_their_way_ = 0;
  std::size_t short_ = 0;  // nodes that run short and got nothing
  std::size_t fair_share_ = 0;
};

}  // namespace

LeasePlan plan_leases(const LeaseTable& table, const Policy& policy,
                      const std::vector<LeaseCandidate>& candidates) {
  LeasePlan plan;
  if (candidates.empty()) return plan;
  for (const auto& pool : policy.pools) {
    if (pool.kind == PoolKind::kLeased) PoolPlan(table, policy, pool, candidates, plan).run();
  }
  return plan;
}

}  // namespace isthmus::controller
