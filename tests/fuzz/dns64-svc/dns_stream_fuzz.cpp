// SPDX-License-Identifier: Apache-2.0
// DNS over TCP: length-prefixed messages, in pieces of any size (fuzz_host.hpp).
#include "dns64-svc/session/dns_stream.hpp"
#include "tests/fuzz/dns64-svc/fuzz_host.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  isthmus::dns64::drive<isthmus::dns64::DnsStream>({data, size});
  return 0;
}
