// SPDX-License-Identifier: Apache-2.0
// Drives a Session as a connection does: bytes in pieces of any size, replies at once, later or never, a peer
// that reads or does not. Whatever comes: what a session holds stays bounded, and it consumes no more than it
// was given.
//
// Input: the first byte of each step says what happens (low two bits) and how much (the rest).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "dns64-svc/session/session.hpp"

namespace isthmus::dns64 {

struct FuzzHost final : Session::Host {
  std::vector<std::uint64_t> waiting;
  std::vector<std::uint8_t> written;
  std::array<std::uint8_t, 65535> reply_room{};
  std::string date = "Sun, 06 Nov 1994 08:49:37 GMT";
  bool writable = true;

  std::size_t on_request(std::span<const std::uint8_t> message, std::uint64_t exchange) override {
    if (message.size() < 12) std::abort();  // a session lets nothing through that cannot be answered
    if ((message[0] & 1) != 0) {
      waiting.push_back(exchange);
      return 0;
    }
    std::copy(message.begin(), message.end(), reply_room.begin());
    return message.size();
  }
  std::span<std::uint8_t> room() override { return reply_room; }
  std::vector<std::uint8_t>& out() override { return written; }
  [[nodiscard]] bool may_write() const override { return writable && written.size() < Session::kMaxUnsent; }
  [[nodiscard]] bool may_write_late() const override {
    return writable && written.size() < Session::kMaxUnsent;
  }
  [[nodiscard]] const std::string& http_date() override { return date; }
};

template <class S>
void drive(std::span<const std::uint8_t> data) {
  FuzzHost host;
  S session{host};
  std::vector<std::uint8_t> rest;
  const auto require = [](bool holds) {
    if (!holds) std::abort();
  };
  while (!data.empty() && !session.finished()) {
    const std::uint8_t step = data[0];
    data = data.subspan(1);
    const std::size_t amount = std::size_t{step} >> 2;
    switch (step & 3) {
      case 0:
      case 1: {
        // 0..63 bytes, or with the other code as many times 16.
        const auto size = std::min(data.size(), (step & 1) != 0 ? amount * 16 : amount);
        rest.insert(rest.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size));
        data = data.subspan(size);
        break;
      }
      case 2:
        if (host.waiting.empty()) break;
        if ((amount & 1) != 0)
          session.abandon(host.waiting.back(),
                          (amount & 2) != 0 ? DropReason::kNotReady : DropReason::kRateLimited);
        else
          session.reply(host.waiting.back(), std::span{host.reply_room}.first(12 + amount));
        host.waiting.pop_back();
        break;
      default:
        host.writable = (amount & 1) != 0;
        if (amount == 63) session.drain();
        host.written.clear();
        session.on_writable();
    }
    const auto used = session.receive(rest);
    require(used <= rest.size());
    rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(used));
    require(session.in_work() <= Session::kMaxInWork);
    require(host.written.size() < Session::kMaxUnsent + 4 * host.reply_room.size());
  }
}

}  // namespace isthmus::dns64
