// SPDX-License-Identifier: Apache-2.0
// DNS over TCP and TLS: messages with their length before them (RFC 1035 §4.2.2). Requests are taken as they
// come, replies leave in the order they are ready (RFC 7766 §6.2.1.1).
#pragma once

#include "dns64-svc/session/session.hpp"

namespace isthmus::dns64 {

class DnsStream final : public Session {
 public:
  using Session::Session;
  [[nodiscard]] std::size_t receive(std::span<const std::uint8_t> bytes) override;
  void reply(std::uint64_t exchange, std::span<const std::uint8_t> message) override;
  void abandon(std::uint64_t exchange, DropReason why) override;
  void drain() override { closing_ = true; }
  [[nodiscard]] bool takes_more() const override {
    return !closing_ && !broken_ && in_work_ < kMaxInWork && host_.may_write();
  }
  [[nodiscard]] bool finished() const override { return broken_ || (closing_ && in_work_ == 0); }

 private:
  void append(std::span<const std::uint8_t> message);
  bool closing_ = false;
  bool broken_ = false;
};

}  // namespace isthmus::dns64
