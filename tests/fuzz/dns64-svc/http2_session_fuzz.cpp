// SPDX-License-Identifier: Apache-2.0
// DNS over HTTPS in HTTP/2, in pieces of any size (fuzz_host.hpp).
#include "dns64-svc/session/http2_session.hpp"
#include "tests/fuzz/dns64-svc/fuzz_host.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  isthmus::dns64::drive<isthmus::dns64::Http2Session>({data, size});
  return 0;
}
