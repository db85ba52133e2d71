// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/address_list.hpp"

#include <algorithm>

namespace isthmus::dns64 {

Result<AddressList, std::string> AddressList::parse(const std::vector<std::string>& texts) {
  AddressList list;
  for (const auto& text : texts) {
    if (const auto v6 = Ipv6Prefix::parse(text))
      list.v6_.push_back(*v6);
    else if (const auto v4 = Ipv4Prefix::parse(text))
      list.v4_.push_back(*v4);
    else
      return failure("\"" + text + "\" is not an address or prefix: write 192.0.2.0/24 or 2001:db8::/64");
  }
  return list;
}

bool AddressList::contains(const ClientAddress& address) const {
  const auto* v6 = std::get_if<Ipv6Address>(&address);
  if (v6 != nullptr)
    return std::any_of(v6_.begin(), v6_.end(), [&](const auto& p) { return p.contains(*v6); });
  const auto v4 = std::get<Ipv4Address>(address);
  return std::any_of(v4_.begin(), v4_.end(), [&](const auto& p) { return p.contains(v4); });
}

}  // namespace isthmus::dns64
