// SPDX-License-Identifier: Apache-2.0
// The other half of subscription.cpp: what a service sends by its own clock. Reports, renewals of leases,
// goodbye.
#include <algorithm>

#include "common/control/subscription.hpp"

namespace isthmus {

Subscription::Step Subscription::on_timer(TimePoint now) {
  Step step;
  if (now >= next_report_) add_report(step, now);
  if (next_renewal_ && now >= *next_renewal_) add_renewal(step, now);
  return step;
}

TimePoint Subscription::next_timer() const {
  return next_renewal_ ? std::min(next_report_, *next_renewal_) : next_report_;
}

void Subscription::add_report(Step& step, TimePoint now) {
  next_report_ = now + report_every_;
  auto& report = *step.send.emplace_back().mutable_report();
  if (handlers_.fill_report) handlers_.fill_report(report);
  for (auto& address : split_leases().given_up) report.add_addresses_released(std::move(address));
}

void Subscription::add_renewal(Step& step, TimePoint now) {
  const auto every = renew_every();
  if (!every) {
    next_renewal_.reset();
    return;
  }
  next_renewal_ = now + *every;
  auto& renewal = *step.send.emplace_back().mutable_lease_renewal();
  renewal.set_sequence(++renewal_sequence_);
  lease_clock_.renewal_sent(renewal_sequence_, now);
  for (auto& address : split_leases().in_use) renewal.add_addresses(std::move(address));
}

Subscription::Leases Subscription::split_leases() const {
  Leases leases;
  if (!good_.allocation) return leases;
  const auto held = leases_held();
  for (const auto& lease : good_.allocation->allocation().addresses()) {
    const auto address = Ipv4Address::parse(lease.address());
    const bool unused = address && std::ranges::find(held, *address) == held.end();
    (lease.withdrawn() && unused ? leases.given_up : leases.in_use).push_back(lease.address());
  }
  return leases;
}

// A third of the shortest term, so that two renewals may be lost; nothing when there are no leases.
std::optional<Duration> Subscription::renew_every() const {
  if (!good_.allocation || good_.allocation->allocation().addresses().empty()) return std::nullopt;
  constexpr Duration kDefaultTerm = std::chrono::seconds{60};
  Duration shortest = std::chrono::hours{24};
  for (const auto& lease : good_.allocation->allocation().addresses()) {
    shortest = std::min<Duration>(
        shortest, lease.has_term() ? Duration{std::chrono::seconds{lease.term().seconds()}} : kDefaultTerm);
  }
  return std::max<Duration>(shortest / 3, std::chrono::seconds{1});
}

std::vector<Ipv4Address> Subscription::leases_held() const {
  return handlers_.leases_held ? handlers_.leases_held() : std::vector<Ipv4Address>{};
}

Subscription::Step Subscription::goodbye() {
  Step step;
  auto& goodbye = *step.send.emplace_back().mutable_goodbye();
  if (good_.allocation) {
    for (const auto& lease : good_.allocation->allocation().addresses()) {
      goodbye.add_addresses_released(lease.address());
    }
    good_.allocation.reset();
    lease_clock_.set_leases({});
    step.state_changed = true;
  }
  next_renewal_.reset();
  return step;
}

void Subscription::on_lease_renewed(const v1::LeaseRenewed& renewed) {
  std::vector<Ipv4Address> addresses;
  for (const auto& text : renewed.addresses()) {
    if (const auto address = Ipv4Address::parse(text)) addresses.push_back(*address);
  }
  if (lease_clock_.renewal_answered(renewed.sequence(), addresses)) tell_deadlines();
}

void Subscription::tell_deadlines() const {
  if (handlers_.on_lease_deadlines) handlers_.on_lease_deadlines(lease_clock_.deadlines());
}

}  // namespace isthmus
