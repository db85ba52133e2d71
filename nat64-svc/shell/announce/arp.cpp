// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/announce/arp.hpp"

#include <algorithm>

#include "common/net/big_endian.hpp"

namespace isthmus::nat64 {
namespace {

constexpr std::uint16_t kEthertypeArp = 0x0806;
constexpr std::uint16_t kRequest = 1, kReply = 2;
constexpr std::size_t kArp = 14;  // the ARP packet in the frame; offsets below are from its begin
constexpr std::size_t kOpcode = 6, kSenderMac = 8, kSender = 14, kTargetMac = 18, kTarget = 24;
constexpr MacAddress kAll{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
constexpr std::uint32_t kEthernetIpv4Lengths = 0x0800'0604;  // protocol type, then both address lengths

ArpFrame frame(std::uint16_t opcode, const MacAddress& to, const MacAddress& sender_mac, Ipv4Address sender,
               const MacAddress& target_mac, Ipv4Address target) {
  ArpFrame out{};
  std::ranges::copy(to.bytes, out.begin());
  std::ranges::copy(sender_mac.bytes, out.begin() + 6);
  store_be16(&out[12], kEthertypeArp);
  store_be16(&out[kArp], 1);  // Ethernet
  store_be32(&out[kArp + 2], kEthernetIpv4Lengths);
  store_be16(&out[kArp + kOpcode], opcode);
  std::ranges::copy(sender_mac.bytes, out.begin() + kArp + kSenderMac);
  sender.store(&out[kArp + kSender]);
  std::ranges::copy(target_mac.bytes, out.begin() + kArp + kTargetMac);
  target.store(&out[kArp + kTarget]);
  return out;
}

}  // namespace

std::optional<ArpRequest> parse_arp_request(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kArpFrame || load_be16(&bytes[12]) != kEthertypeArp) return std::nullopt;
  const auto arp = bytes.subspan(kArp);
  if (load_be16(arp.data()) != 1 || load_be32(&arp[2]) != kEthernetIpv4Lengths) return std::nullopt;
  if (load_be16(&arp[kOpcode]) != kRequest) return std::nullopt;
  ArpRequest request;
  std::ranges::copy(arp.subspan(kSenderMac, 6), request.sender_mac.bytes.begin());
  request.sender = Ipv4Address::load(&arp[kSender]);
  request.target = Ipv4Address::load(&arp[kTarget]);
  return request;
}

ArpFrame arp_reply(const ArpRequest& request, Ipv4Address address, const MacAddress& mac) {
  return frame(kReply, request.sender_mac, mac, address, request.sender_mac, request.sender);
}

ArpFrame arp_announcement(Ipv4Address address, const MacAddress& mac) {
  return frame(kRequest, kAll, mac, address, MacAddress{}, address);
}

}  // namespace isthmus::nat64
