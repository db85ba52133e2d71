// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/path_probe.hpp"

#include "nat64-svc/core/owners.hpp"
#include "nat64-svc/core/packet/write.hpp"
#include "nat64-svc/core/refusal.hpp"
#include "nat64-svc/core/steps/admit.hpp"

namespace isthmus::nat64 {
namespace {

constexpr std::uint16_t kIdentifier = 0x6464;

}  // namespace

void PathProbe::configure(const Runtime& runtime, TimePoint now) {
  auto wanted = runtime.nat64.probe;
  if (wanted && client_owner(runtime, wanted->client6) != runtime.options.worker) wanted.reset();
  // Without a way to represent the target nothing can be asked: silence, which makes the node unfit.
  const auto server6 =
      wanted ? represent(runtime, wanted->client6, wanted->target4).value_or(Ipv6Address{}) : Ipv6Address{};
  if (wanted == policy_ && server6 == server6_) return;
  policy_ = wanted;
  server6_ = server6;
  state_ = policy_ ? State::kWaiting : State::kOff;
  unanswered_ = 0;
  next_ = now;
}

std::optional<std::array<std::uint8_t, PathProbe::kLength>> PathProbe::ask(TimePoint now) {
  if (!policy_ || now < next_) return std::nullopt;
  if (unanswered_ >= kPatience)
    state_ = State::kUnanswered;
  else
    ++unanswered_;
  next_ = now + policy_->interval;
  asked_ = now;
  ++sequence_;
  std::array<std::uint8_t, kLength> out{};
  write_ipv6(out.data(), {0, kIcmpHeader, kProtoIcmp6, 64, policy_->client6, server6_});
  std::uint8_t* icmp = &out[kIpv6Header];
  icmp[0] = icmp6::kEchoRequest;
  store_be16(icmp + 4, kIdentifier);
  store_be16(icmp + 6, sequence_);
  store_be16(icmp + 2, finish(sum_bytes(std::span{out}.subspan(kIpv6Header)) +
                              pseudo_header(policy_->client6, server6_, kProtoIcmp6, kIcmpHeader)));
  return out;
}

bool PathProbe::takes(std::span<const std::uint8_t> packet, TimePoint now) {
  if (!policy_ || packet.size() < kIpv6Header || packet[0] >> 4 != 6 ||
      Ipv6Address::load(&packet[24]) != policy_->client6)
    return false;
  const bool answer = packet.size() >= kLength && Ipv6Address::load(&packet[8]) == server6_ &&
                      packet[6] == kProtoIcmp6 && packet[kIpv6Header] == icmp6::kEchoReply &&
                      load_be16(&packet[kIpv6Header + 4]) == kIdentifier &&
                      load_be16(&packet[kIpv6Header + 6]) == sequence_;
  if (answer) {
    unanswered_ = 0;
    state_ = State::kAnswered;
    round_trip_ = now - asked_;
  }
  return true;
}

}  // namespace isthmus::nat64
