// SPDX-License-Identifier: Apache-2.0
// Answers ARP for the pool addresses on the IPv4 interface, and announces those that are new here, so that
// neighbours learn at once that an address moved. For pools whose addresses lie on the link; a routed pool
// needs none of this. (The kernel's own proxy ARP would want a route out of another interface.)
//
// A thread of its own; ARP never comes to the workers.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "common/base/clock.hpp"
#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "common/net/ipv4_address.hpp"
#include "nat64-svc/shell/announce/arp.hpp"

namespace isthmus::nat64 {

class ArpResponder {
 public:
  [[nodiscard]] static Result<std::unique_ptr<ArpResponder>, std::string> open(const std::string& interface);
  ~ArpResponder();  // stops
  ArpResponder(const ArpResponder&) = delete;
  ArpResponder& operator=(const ArpResponder&) = delete;

  // Any thread. New addresses are announced kAnnouncements times; others are no longer answered for.
  void set_addresses(const std::set<Ipv4Address>& addresses);
  void set_mac(const MacAddress& mac);

  // RFC 5227 §1.1.
  static constexpr int kAnnouncements = 2;
  static constexpr Duration kAnnounceEvery = std::chrono::seconds{2};
  static constexpr int kPollMs = 500;

 private:
  ArpResponder() = default;
  void run();
  void answer();
  void announce();

  UniqueFd socket_;
  UniqueFd wake_;
  std::atomic<bool> stop_{false};
  std::atomic<TimePoint> next_round_{};  // of announcements
  std::mutex mutex_;                     // what follows
  MacAddress mac_;
  std::map<Ipv4Address, int> addresses_;  // with the announcements still to be made
  std::thread thread_;
};

}  // namespace isthmus::nat64
