// SPDX-License-Identifier: Apache-2.0
// Why a packet is not translated, together with the ICMP error it deserves: counting and answering cannot
// come apart. The error belongs to the family that the packet came in by.
#pragma once

#include <cstdint>

#include "common/base/result.hpp"
#include "nat64-svc/core/drop_reason.hpp"

namespace isthmus::nat64 {

struct IcmpError {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint32_t rest = 0;  // the 32 bits after the checksum: MTU or pointer
  bool operator==(const IcmpError&) const = default;
};

struct Refusal {
  DropReason reason = DropReason::kUnclassified;
  bool answer = false;
  IcmpError icmp{};

  constexpr Refusal(DropReason why) : reason(why) {}  // NOLINT: a bare reason is a silent drop
  constexpr Refusal(DropReason why, IcmpError error) : reason(why), answer(true), icmp(error) {}
};

namespace icmp4 {
inline constexpr std::uint8_t kEchoReply = 0, kUnreachable = 3, kEchoRequest = 8, kTimeExceeded = 11,
                              kParameterProblem = 12;
inline constexpr std::uint8_t kNetUnreachable = 0, kHostUnreachable = 1, kProtocolUnreachable = 2,
                              kPortUnreachable = 3, kFragmentationNeeded = 4, kSourceRouteFailed = 5,
                              kProhibited = 13;
}  // namespace icmp4

namespace icmp6 {
inline constexpr std::uint8_t kUnreachable = 1, kPacketTooBig = 2, kTimeExceeded = 3, kParameterProblem = 4,
                              kEchoRequest = 128, kEchoReply = 129, kRedirect = 137;
inline constexpr std::uint8_t kNoRoute = 0, kProhibited = 1, kAddressUnreachable = 3, kPortUnreachable = 4;
}  // namespace icmp6

// RFC 6146 §3.5.1.1: a packet that finds no resource is answered with "address unreachable".
[[nodiscard]] constexpr Refusal exhausted(DropReason reason) {
  return {reason, {icmp6::kUnreachable, icmp6::kAddressUnreachable, 0}};
}

}  // namespace isthmus::nat64
