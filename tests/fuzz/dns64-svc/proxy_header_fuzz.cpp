// SPDX-License-Identifier: Apache-2.0
// The PROXY protocol's header from any bytes: as a datagram, and byte by byte as a stream; both agree.
#include <cstdlib>

#include "dns64-svc/core/proxy_header.hpp"

using namespace isthmus::dns64;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes{data, size};
  const auto whole = parse_proxy_header(bytes);
  if (whole && (whole->size < 16 || whole->size > size || whole->size > kMaxProxyHeader)) std::abort();
  std::size_t have = 0;
  for (;;) {
    const auto wanted = proxy_header_size(bytes.first(have));
    if (!wanted) {
      if (whole) std::abort();
      return 0;
    }
    if (*wanted == have) break;
    if (*wanted < have || have == size) return 0;
    ++have;
  }
  const auto streamed = parse_proxy_header(bytes.first(have));
  if (streamed.has_value() != whole.has_value()) std::abort();
  if (whole && (streamed->size != whole->size || streamed->client != whole->client)) std::abort();
  return 0;
}
