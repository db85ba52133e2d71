// SPDX-License-Identifier: Apache-2.0
// A Session::Host for tests: requests are kept, and answered at once, later or never as the first byte of
// their id says. The reply is the request with QR set.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "dns64-svc/session/session.hpp"

namespace isthmus::dns64 {

using Bytes = std::vector<std::uint8_t>;

inline std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// A question for "a." A, 19 bytes; `first` is the first byte of its id.
inline Bytes question(char first) {
  return {static_cast<std::uint8_t>(first), 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1};
}

struct FakeHost final : Session::Host {
  static constexpr char kAtOnce = 'a', kLater = 'l', kNever = 'n';

  Session* session = nullptr;
  std::vector<std::pair<std::uint64_t, Bytes>> waiting;
  std::vector<Bytes> requests;
  Bytes written;
  std::array<std::uint8_t, 65535> reply_room{};
  bool writable = true;
  DropReason never_because = DropReason::kRateLimited;
  std::string date = "Sun, 06 Nov 1994 08:49:37 GMT";

  static Bytes reply_to(std::span<const std::uint8_t> message) {
    Bytes reply{message.begin(), message.end()};
    reply[2] |= 0x80;
    return reply;
  }
  std::size_t on_request(std::span<const std::uint8_t> message, std::uint64_t exchange) override {
    requests.emplace_back(message.begin(), message.end());
    if (message[0] == kLater) {
      waiting.emplace_back(exchange, requests.back());
      return 0;
    }
    if (message[0] == kNever) {
      session->abandon(exchange, never_because);
      return 0;
    }
    const auto reply = reply_to(message);
    std::copy(reply.begin(), reply.end(), reply_room.begin());
    return reply.size();
  }
  std::span<std::uint8_t> room() override { return reply_room; }
  std::vector<std::uint8_t>& out() override { return written; }
  [[nodiscard]] bool may_write() const override { return writable; }
  [[nodiscard]] bool may_write_late() const override { return writable; }
  [[nodiscard]] const std::string& http_date() override { return date; }

  void answer(std::size_t index) { session->reply(waiting[index].first, reply_to(waiting[index].second)); }
  std::string heard() {
    const std::string text{written.begin(), written.end()};
    written.clear();
    return text;
  }
};

}  // namespace isthmus::dns64
