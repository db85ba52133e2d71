// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/rfc7915/icmp_tables.hpp"

#include <algorithm>
#include <array>

namespace isthmus::nat64 {
namespace {

// RFC 1191 §7.1: the plateau below the length of the packet that was too big.
std::uint32_t plateau_below(std::uint32_t length) {
  constexpr std::array<std::uint32_t, 10> kPlateaus{32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68};
  const auto at = std::ranges::find_if(kPlateaus, [&](std::uint32_t p) { return p < length; });
  return at == kPlateaus.end() ? 68 : *at;
}

// §4.2: the MTU as the IPv6 client must see it: 20 bytes of header more. Not below 1280: smaller IPv6 packets
// are sent on without DF, so IPv4 routers can fragment them.
std::uint32_t mtu_as_ipv6(std::uint32_t told, std::uint16_t quoted_length, PathMtu path) {
  if (told == 0) told = plateau_below(quoted_length);
  return std::max<std::uint32_t>(1280, std::min({told + 20, path.mtu6, path.mtu4 + 20}));
}

std::optional<IcmpError> unreachable_as_ipv6(IcmpError error, std::uint16_t quoted_length, PathMtu path) {
  switch (error.code) {
    case 2:  // protocol unreachable: the next header field at fault is at offset 6
      return IcmpError{icmp6::kParameterProblem, 1, 6};
    case icmp4::kPortUnreachable:
      return IcmpError{icmp6::kUnreachable, icmp6::kPortUnreachable, 0};
    case icmp4::kFragmentationNeeded:
      return IcmpError{icmp6::kPacketTooBig, 0, mtu_as_ipv6(error.rest & 0xffff, quoted_length, path)};
    case 0:
    case 1:
    case 5:
    case 6:
    case 7:
    case 8:
    case 11:
    case 12:
      return IcmpError{icmp6::kUnreachable, icmp6::kNoRoute, 0};
    case 9:
    case 10:
    case 13:
    case 15:
      return IcmpError{icmp6::kUnreachable, icmp6::kProhibited, 0};
    default:  // 14, host precedence violation, and unknown ones
      return std::nullopt;
  }
}

constexpr std::uint8_t kNoPointer = 0xff;

// Figure 3: offsets in the IPv4 header -> offsets in the IPv6 header.
constexpr std::array<std::uint8_t, 20> kPointer4To6{
    0,          1,          4, 4, kNoPointer, kNoPointer, kNoPointer, kNoPointer, 7,  6,
    kNoPointer, kNoPointer, 8, 8, 8,          8,          24,         24,         24, 24};

// Figure 6: offsets in the IPv6 header -> offsets in the IPv4 header.
constexpr std::uint8_t pointer_as_ipv4(std::uint32_t pointer) {
  if (pointer <= 1) return static_cast<std::uint8_t>(pointer);
  if (pointer == 4 || pointer == 5) return 2;
  if (pointer == 6) return 9;
  if (pointer == 7) return 8;
  if (pointer >= 8 && pointer <= 23) return 12;
  if (pointer >= 24 && pointer <= 39) return 16;
  return kNoPointer;
}

std::optional<IcmpError> parameter_problem_as_ipv6(IcmpError error) {
  if (error.code != 0 && error.code != 2) return std::nullopt;
  const std::uint32_t pointer = error.rest >> 24;
  if (pointer >= kPointer4To6.size() || kPointer4To6[pointer] == kNoPointer) return std::nullopt;
  return IcmpError{icmp6::kParameterProblem, 0, kPointer4To6[pointer]};
}

std::optional<IcmpError> parameter_problem_as_ipv4(IcmpError error) {
  if (error.code == 1) return IcmpError{icmp4::kUnreachable, icmp4::kProtocolUnreachable, 0};
  if (error.code != 0) return std::nullopt;
  const std::uint8_t pointer = pointer_as_ipv4(error.rest);
  if (pointer == kNoPointer) return std::nullopt;
  return IcmpError{icmp4::kParameterProblem, 0, std::uint32_t{pointer} << 24};
}

std::optional<IcmpError> unreachable_as_ipv4(IcmpError error) {
  switch (error.code) {
    case icmp6::kNoRoute:
    case 2:  // beyond scope of source address
    case icmp6::kAddressUnreachable:
      return IcmpError{icmp4::kUnreachable, icmp4::kHostUnreachable, 0};
    case icmp6::kProhibited:
      return IcmpError{icmp4::kUnreachable, 10, 0};
    case icmp6::kPortUnreachable:
      return IcmpError{icmp4::kUnreachable, icmp4::kPortUnreachable, 0};
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<IcmpError> icmp_error_as_ipv6(IcmpError error, std::uint16_t quoted_length, PathMtu path) {
  switch (error.type) {
    case icmp4::kUnreachable:
      return unreachable_as_ipv6(error, quoted_length, path);
    case icmp4::kTimeExceeded:
      return IcmpError{icmp6::kTimeExceeded, error.code, 0};
    case icmp4::kParameterProblem:
      return parameter_problem_as_ipv6(error);
    default:
      return std::nullopt;
  }
}

Refusal as_ipv6(const Refusal& refusal) {
  if (!refusal.answer) return refusal;
  // An MTU of ours is never 0, and no other way limits it.
  const auto icmp = icmp_error_as_ipv6(refusal.icmp, 0, {.mtu6 = 0xffff, .mtu4 = 0xffff});
  return icmp ? Refusal{refusal.reason, *icmp} : Refusal{refusal.reason};
}

std::optional<IcmpError> icmp_error_as_ipv4(IcmpError error, PathMtu path, bool fragment) {
  switch (error.type) {
    case icmp6::kUnreachable:
      return unreachable_as_ipv4(error);
    case icmp6::kPacketTooBig: {
      // §5.2: the smallest of what was told and both ways, less the bytes by which IPv4 is shorter: those of
      // a Fragment Header too, where there is one.
      const std::uint32_t shorter = fragment ? 28 : 20;
      const std::uint32_t told = error.rest < 68 + shorter ? 68 : error.rest - shorter;
      return IcmpError{icmp4::kUnreachable, icmp4::kFragmentationNeeded,
                       std::min({told, path.mtu4, path.mtu6 - shorter, std::uint32_t{0xffff}})};
    }
    case icmp6::kTimeExceeded:
      return IcmpError{icmp4::kTimeExceeded, error.code, 0};
    case icmp6::kParameterProblem:
      return parameter_problem_as_ipv4(error);
    default:
      return std::nullopt;
  }
}

}  // namespace isthmus::nat64
