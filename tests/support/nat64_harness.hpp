// SPDX-License-Identifier: Apache-2.0
// A translator with a policy and a clock, for tests: send(bytes) gives what comes out.
#pragma once

#include <memory>
#include <vector>

#include "nat64-svc/core/translator.hpp"
#include "tests/support/packet_builder.hpp"

namespace isthmus::test {

// 64:ff9b::/96 and 2001:db8:64::/48 (the latter with non-global addresses), clients 2001:db8:1::/48, pool
// 203.0.113.1 and .2.
inline Policy nat64_policy() {
  Policy policy;
  const auto client = Ipv6Prefix::parse("2001:db8:1::/48").value();
  policy.translation_prefixes.push_back({.name = "well-known",
                                         .prefix = Ipv6Prefix::parse("64:ff9b::/96").value(),
                                         .clients = {client},
                                         .ipv4_ranges = {Ipv4Prefix{}}});
  policy.translation_prefixes.push_back({.name = "lab",
                                         .prefix = Ipv6Prefix::parse("2001:db8:64::/48").value(),
                                         .clients = {client},
                                         .ipv4_ranges = {Ipv4Prefix{}},
                                         .allow_non_global = true});
  auto& pool = policy.pools.emplace_back();
  pool.name = "public";
  pool.addresses = {Ipv4Prefix::parse("203.0.113.0/28").value()};
  return policy;
}

inline Allocation nat64_allocation() {
  Allocation allocation;
  for (const auto last : {std::uint8_t{1}, std::uint8_t{2}}) {
    auto& lease = allocation.addresses.emplace_back();
    lease.address = Ipv4Address{203, 0, 113, last};
    lease.pool = "public";
  }
  return allocation;
}

struct HandedOver {
  std::uint16_t owner;
  nat64::Side from;
  nat64::FragmentNote note;
  Bytes packet;
};

struct Sent {
  nat64::Verdict verdict;
  Bytes packet;                         // when the verdict sends or hands over
  std::vector<Bytes> extra;             // made beside it
  std::vector<HandedOver> handed_over;  // beside it, to other workers
};

class Nat64Harness {
 public:
  explicit Nat64Harness(const Policy& policy = nat64_policy(),
                        const Allocation& allocation = nat64_allocation(),
                        nat64::TranslatorLimits limits = {.max_sessions = 4096, .max_subscribers = 256})
      : translator(limits, HashKey{}, 1) {
    apply(policy, allocation);
  }
  void apply(const Policy& policy, const Allocation& allocation, nat64::RuntimeOptions options = {}) {
    translator.set_runtime(nat64::make_runtime(policy, allocation, options).value(), now);
  }
  Sent from_v6(const Bytes& bytes) { return send(bytes, nat64::Side::kV6); }
  Sent from_v4(const Bytes& bytes) { return send(bytes, nat64::Side::kV4); }
  // As a worker gets it from another one.
  Sent from_worker(nat64::Side side, const Bytes& bytes, const nat64::FragmentNote& note) {
    return send(bytes, side, &note);
  }
  void advance(Duration by) {
    now += by;
    for (int i = 0; i < 64; ++i) translator.expire(now);
  }
  [[nodiscard]] std::uint64_t sessions() const {
    std::uint64_t sum = 0;
    for (const auto& g : translator.counters().sessions) sum += g.get();
    return sum;
  }
  [[nodiscard]] std::uint64_t bib_entries() const {
    std::uint64_t sum = 0;
    for (const auto& g : translator.counters().bib_entries) sum += g.get();
    return sum;
  }

  TimePoint now{std::chrono::hours{1}};
  nat64::Translator translator;

 private:
  Sent send(const Bytes& bytes, nat64::Side side, const nat64::FragmentNote* note = nullptr) {
    Bytes frame(nat64::kTranslationHeadroom + bytes.size() + 64);
    std::copy(bytes.begin(), bytes.end(), frame.begin() + nat64::kTranslationHeadroom);
    nat64::PacketBuffer buffer{frame, nat64::kTranslationHeadroom, bytes.size()};
    Sent sent;
    if (note != nullptr) {
      nat64::BurstPacket burst{side, buffer, {}, *note};
      translator.translate({&burst, 1}, now);
      sent.verdict = burst.verdict;
      buffer = burst.packet;
    } else {
      sent.verdict =
          side == nat64::Side::kV6 ? translator.from_v6(buffer, now) : translator.from_v4(buffer, now);
    }
    const bool handed = sent.verdict.action == nat64::Verdict::Action::kHandOver;
    if (sent.verdict.sends() || handed) sent.packet.assign(buffer.packet().begin(), buffer.packet().end());
    translator.drain_extra(
        [&](nat64::Side, std::span<const std::uint8_t> p) { sent.extra.emplace_back(p.begin(), p.end()); });
    translator.drain_hand_overs([&](std::uint16_t owner, nat64::Side from, const nat64::FragmentNote& known,
                                    std::span<const std::uint8_t> p) {
      sent.handed_over.push_back({owner, from, known, Bytes(p.begin(), p.end())});
    });
    return sent;
  }
};

}  // namespace isthmus::test
