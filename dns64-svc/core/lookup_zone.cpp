// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/lookup_zone.hpp"

namespace isthmus::dns64 {
namespace {

constexpr std::uint8_t kInAddrArpa[] = {7, 'i', 'n', '-', 'a', 'd', 'd', 'r', 4, 'a', 'r', 'p', 'a', 0};
constexpr std::uint8_t kIp6Arpa[] = {3, 'i', 'p', '6', 4, 'a', 'r', 'p', 'a', 0};
constexpr unsigned kUsual = 2, kOfInAddrArpa = 4, kOfIp6Arpa = 10;

unsigned labels_of_zone(NameView name) {
  if (is_at_or_below(name, kInAddrArpa)) return kOfInAddrArpa;
  return is_at_or_below(name, kIp6Arpa) ? kOfIp6Arpa : kUsual;
}

}  // namespace

NameView lookup_zone(NameView name) {
  const auto wanted = labels_of_zone(name);
  for (auto labels = label_count(name); labels > wanted; --labels) name = parent_of(name);
  return name;
}

}  // namespace isthmus::dns64
