// SPDX-License-Identifier: Apache-2.0
// Numbers of the DNS protocol, under the names that IANA and the RFCs give them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace isthmus::dns64 {

// RR types (IANA "DNS Parameters"). A plain integer with names: any 16-bit value may come from the network.
namespace rr {
inline constexpr std::uint16_t kA = 1, kNs = 2, kMd = 3, kMf = 4, kCname = 5, kSoa = 6, kMb = 7, kMg = 8,
                               kMr = 9, kPtr = 12, kHinfo = 13, kMinfo = 14, kMx = 15, kTxt = 16, kRp = 17,
                               kAfsdb = 18, kRt = 21, kSig = 24, kKey = 25, kPx = 26, kAaaa = 28, kNxt = 30,
                               kSrv = 33, kNaptr = 35, kKx = 36, kDname = 39, kOpt = 41, kDs = 43,
                               kRrsig = 46, kNsec = 47, kDnskey = 48, kNsec3 = 50, kSvcb = 64, kHttps = 65,
                               kTkey = 249, kTsig = 250, kIxfr = 251, kAxfr = 252, kMailb = 253, kMaila = 254,
                               kAny = 255;
}  // namespace rr

inline constexpr std::uint16_t kClassIn = 1;

namespace rcode {
inline constexpr std::uint16_t kNoError = 0, kFormErr = 1, kServFail = 2, kNxDomain = 3, kNotImp = 4,
                               kRefused = 5, kYxDomain = 6, kBadVers = 16, kBadCookie = 23;
}  // namespace rcode

// Header flags (RFC 1035 §4.1.1, RFC 4035 §3).
namespace flag {
inline constexpr std::uint16_t kQr = 0x8000, kOpcode = 0x7800, kAa = 0x0400, kTc = 0x0200, kRd = 0x0100,
                               kRa = 0x0080, kAd = 0x0020, kCd = 0x0010, kRcode = 0x000f;
}  // namespace flag

// EDNS options.
namespace option {
inline constexpr std::uint16_t kClientSubnet = 8, kCookie = 10, kTcpKeepalive = 11, kPadding = 12, kEde = 15;
}  // namespace option

// Extended DNS errors (RFC 8914 and its registry).
namespace ede {
inline constexpr std::uint16_t kNone = 0xffff, kOther = 0, kStaleAnswer = 3, kDnssecBogus = 6,
                               kCachedError = 13, kBlocked = 15, kProhibited = 18, kStaleNxdomain = 19,
                               kNotSupported = 21, kNoReachableAuthority = 22, kNetworkError = 23,
                               kSynthesized = 29;
}  // namespace ede

inline constexpr std::size_t kHeaderSize = 12;
inline constexpr std::size_t kMaxNameSize = 255;
inline constexpr std::size_t kMaxMessageSize = 65535;
inline constexpr std::size_t kMinUdpSize = 512;
// RFC 9715 / DNS flag day 2020: what crosses the Internet without fragments.
inline constexpr std::size_t kDefaultUdpSize = 1232;

}  // namespace isthmus::dns64
