// SPDX-License-Identifier: Apache-2.0
// Any frame: what is read as a request can be answered, and the answer is no request.
#include <cstdlib>
#include <span>

#include "nat64-svc/shell/announce/arp.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isthmus::nat64;
  const auto request = parse_arp_request({data, size});
  if (!request) return 0;
  const auto reply = arp_reply(*request, request->target, MacAddress{{2, 0, 0, 0, 0, 1}});
  if (size < kArpFrame || parse_arp_request(reply)) std::abort();
  return 0;
}
