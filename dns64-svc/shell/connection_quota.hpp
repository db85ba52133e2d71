// SPDX-License-Identifier: Apache-2.0
// How many streams one worker has, in all and of each client (an IPv6 client is its /64: whoever has one has
// every address in it). One thread.
#pragma once

#include <cstddef>
#include <map>

#include "dns64-svc/core/client_info.hpp"

namespace isthmus::dns64 {

class ConnectionQuota {
 public:
  ConnectionQuota(std::size_t max_total, std::size_t max_per_client)
      : max_total_(max_total), max_per_client_(max_per_client) {}

  // Both are given back as often as they were taken.
  [[nodiscard]] bool take() {
    if (total_ >= max_total_) return false;
    ++total_;
    return true;
  }
  void give() { --total_; }
  [[nodiscard]] bool take_client(const ClientAddress& client) {
    auto& count = per_client_[counted_as(client)];
    if (count >= max_per_client_) return false;
    ++count;
    return true;
  }
  void give_client(const ClientAddress& client) {
    const auto found = per_client_.find(counted_as(client));
    if (found != per_client_.end() && --found->second == 0) per_client_.erase(found);
  }
  // Idle streams are to make room: RFC 7766 §6.2.3.
  [[nodiscard]] bool is_scarce() const { return total_ > max_total_ / 4 * 3; }
  [[nodiscard]] bool is_half_taken() const { return total_ >= (max_total_ + 1) / 2; }
  [[nodiscard]] std::size_t total() const { return total_; }

 private:
  static ClientAddress counted_as(const ClientAddress& client) {
    if (const auto* v6 = std::get_if<Ipv6Address>(&client)) return Ipv6Address::from_halves(v6->high(), 0);
    return client;
  }
  std::size_t max_total_;
  std::size_t max_per_client_;
  std::size_t total_ = 0;
  std::map<ClientAddress, std::size_t> per_client_;
};

}  // namespace isthmus::dns64
