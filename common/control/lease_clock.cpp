// SPDX-License-Identifier: Apache-2.0
#include "common/control/lease_clock.hpp"

#include <algorithm>
#include <utility>

namespace isthmus {
namespace {

constexpr std::size_t kMaxOutstanding = 16;

}  // namespace

void LeaseClock::set_leases(const std::vector<LeasedAddress>& leases) {
  auto before = std::exchange(leases_, {});
  for (const auto& lease : leases) {
    if (lease.on_expiry != OnExpiry::kStop) continue;
    const auto known = before.find(lease.address);
    leases_[lease.address] = {lease.term, known == before.end() ? std::nullopt : known->second.renewed};
  }
}

void LeaseClock::renewal_sent(std::uint64_t sequence, TimePoint now) {
  if (sent_.size() == kMaxOutstanding) sent_.pop_front();
  sent_.push_back({sequence, now});
}

bool LeaseClock::renewal_answered(std::uint64_t sequence, const std::vector<Ipv4Address>& renewed) {
  const auto sent = std::ranges::find(sent_, sequence, &Sent::sequence);
  if (sent == sent_.end()) return false;
  for (const auto address : renewed) {
    const auto lease = leases_.find(address);
    if (lease == leases_.end()) continue;
    auto& last = lease->second.renewed;
    last = last ? std::max(*last, sent->at) : sent->at;
  }
  sent_.erase(sent);
  return true;
}

std::vector<LeaseDeadline> LeaseClock::deadlines() const {
  std::vector<LeaseDeadline> out;
  for (const auto& [address, lease] : leases_) {
    if (!lease.renewed) continue;
    out.push_back({address, *lease.renewed + lease.term / 3 * 2, *lease.renewed + lease.term});
  }
  return out;
}

std::optional<TimePoint> LeaseClock::earliest_stop() const {
  std::optional<TimePoint> earliest;
  for (const auto& deadline : deadlines())
    earliest = std::min(earliest.value_or(deadline.stop), deadline.stop);
  return earliest;
}

}  // namespace isthmus
