// SPDX-License-Identifier: Apache-2.0
// Addresses in the text of an event.
#pragma once

#include <string>
#include <vector>

#include "common/net/ipv4_address.hpp"

namespace isthmus::controller {

[[nodiscard]] inline std::string listed(const std::vector<Ipv4Address>& addresses) {
  std::string text;
  for (const auto address : addresses) text += (text.empty() ? "" : " ") + address.to_string();
  return text;
}

}  // namespace isthmus::controller
