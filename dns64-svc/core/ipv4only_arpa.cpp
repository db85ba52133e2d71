// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/ipv4only_arpa.hpp"

#include <algorithm>

namespace isthmus::dns64 {
namespace {

constexpr std::uint8_t kName[] = {8, 'i', 'p', 'v', '4', 'o', 'n', 'l', 'y', 4, 'a', 'r', 'p', 'a', 0};
constexpr std::uint8_t kReverse170[] = {3,   '1', '7', '0', 1,   '0', 1,   '0', 3,   '1', '9', '2', 7,
                                        'i', 'n', '-', 'a', 'd', 'd', 'r', 4,   'a', 'r', 'p', 'a', 0};
// mname "ipv4only.arpa.", rname "nobody.invalid."; serial, refresh, retry, expire, minimum (kIpv4OnlyTtl).
constexpr std::uint8_t kSoa[] = {8,   'i', 'p',  'v',  '4', 'o',  'n',  'l',  'y', 4, 'a',  'r',  'p',
                                 'a', 0,   6,    'n',  'o', 'b',  'o',  'd',  'y', 7, 'i',  'n',  'v',
                                 'a', 'l', 'i',  'd',  0,   0,    0,    0,    1,   0, 0,    0x0e, 0x10,
                                 0,   0,   0x02, 0x58, 0,   0x09, 0x3a, 0x80, 0,   0, 0x02, 0x58};
static_assert(kIpv4OnlyTtl == 0x258);

}  // namespace

NameView ipv4only_arpa_name() {
  return kName;
}
std::span<const std::uint8_t> ipv4only_arpa_soa() {
  return kSoa;
}

LocalName local_name(NameView name) {
  // Nearly every name leaves here: it does not end in "arpa".
  constexpr std::size_t kTail = 6;
  if (name.size() < sizeof kName || !std::equal(name.end() - kTail, name.end(), std::end(kName) - kTail))
    return LocalName::kNone;
  if (is_at_or_below(name, kName))
    return name.size() == sizeof kName ? LocalName::kIpv4OnlyArpa : LocalName::kBelowIpv4OnlyArpa;
  if (name.size() == sizeof kReverse170 && name[0] == 3 && name[1] == '1' && name[2] == '7' &&
      (name[3] == '0' || name[3] == '1') && std::equal(name.begin() + 4, name.end(), kReverse170 + 4))
    return LocalName::kReverse;
  return LocalName::kNone;
}

}  // namespace isthmus::dns64
