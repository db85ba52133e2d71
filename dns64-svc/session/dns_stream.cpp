// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/session/dns_stream.hpp"

#include "common/net/big_endian.hpp"
#include "dns64-svc/core/wire/constants.hpp"

namespace isthmus::dns64 {

std::size_t DnsStream::receive(std::span<const std::uint8_t> bytes) {
  std::size_t at = 0;
  while (takes_more() && bytes.size() - at >= 2) {
    const std::size_t length = load_be16(&bytes[at]);
    if (length < kHeaderSize) {  // the stream is not DNS: nothing after this can be trusted
      broken_ = true;
      return bytes.size();
    }
    if (bytes.size() - at - 2 < length) break;
    const auto request = bytes.subspan(at + 2, length);
    at += 2 + length;
    ++in_work_;
    const auto size = host_.on_request(request, 0);
    if (size == 0) continue;  // reply() or abandon() comes, or has come
    --in_work_;
    append(host_.room().first(size));
  }
  return at;
}

void DnsStream::append(std::span<const std::uint8_t> message) {
  auto& out = host_.out();
  std::uint8_t length[2];
  store_be16(length, static_cast<std::uint16_t>(message.size()));
  out.insert(out.end(), length, length + 2);
  out.insert(out.end(), message.begin(), message.end());
}

void DnsStream::reply(std::uint64_t /*exchange*/, std::span<const std::uint8_t> message) {
  if (in_work_ == 0) return;
  --in_work_;
  append(message);
}

void DnsStream::abandon(std::uint64_t /*exchange*/, DropReason /*why*/) {
  if (in_work_ != 0) --in_work_;
}

}  // namespace isthmus::dns64
