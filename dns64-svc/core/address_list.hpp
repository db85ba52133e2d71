// SPDX-License-Identifier: Apache-2.0
// A short list of address prefixes of both families: load balancers and forwarders that are trusted to say
// for whom they ask.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/net/prefix.hpp"
#include "dns64-svc/core/client_info.hpp"

namespace isthmus::dns64 {

class AddressList {
 public:
  // "192.0.2.0/24", "2001:db8::1". The error names the text that is no prefix.
  [[nodiscard]] static Result<AddressList, std::string> parse(const std::vector<std::string>& texts);
  [[nodiscard]] bool contains(const ClientAddress& address) const;
  [[nodiscard]] bool empty() const { return v6_.empty() && v4_.empty(); }

 private:
  std::vector<Ipv6Prefix> v6_;
  std::vector<Ipv4Prefix> v4_;
};

}  // namespace isthmus::dns64
