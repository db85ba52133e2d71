// SPDX-License-Identifier: Apache-2.0
// A stateful NAT64 (RFC 6146) as a value: packets and `now` in, verdicts out. One per worker, used by its
// thread alone; nothing here blocks, allocates per packet, or reads a clock.
#pragma once

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <span>
#include <utility>
#include <vector>

#include "common/base/clock.hpp"
#include "common/net/keyed_hash.hpp"
#include "nat64-svc/core/counters.hpp"
#include "nat64-svc/core/event_record.hpp"
#include "nat64-svc/core/extra_queue.hpp"
#include "nat64-svc/core/packet_buffer.hpp"
#include "nat64-svc/core/runtime.hpp"
#include "nat64-svc/core/verdict.hpp"

namespace isthmus::nat64 {

// Sizes of the tables, fixed for the translator's life. The policy's limits apply below them.
struct TranslatorLimits {
  std::uint32_t max_sessions = 1U << 20;
  std::uint32_t max_subscribers = 1U << 16;
  std::uint32_t max_held_fragments = 1024;
  std::uint32_t max_held_syns = 1024;
  std::uint32_t extra_bytes = 1U << 20;    // room for packets made beside the verdicts, between two drains
  std::uint32_t event_records = 1U << 12;  // room for records between two drains
  std::pmr::memory_resource* memory = nullptr;  // for the large tables (huge pages); null: new and delete
};

class WorkerState;
struct Explanation;

// Why a packet cannot be sent on; kRoute, kProhibited: the route itself says so.
enum class Unreachable : std::uint8_t { kNoRoute, kRoute, kProhibited, kNeighbour };

// One packet of a burst, and what became of it.
struct BurstPacket {
  Side from = Side::kV6;
  PacketBuffer packet;
  Verdict verdict;
  FragmentNote note{};  // of a packet that another worker handed over: that of its verdict
};

class Translator {
 public:
  // `seed` feeds port choice and fragment identifiers (RFC 6056, RFC 7739): from getrandom().
  Translator(const TranslatorLimits& limits, HashKey key, std::uint64_t seed);
  ~Translator();
  Translator(const Translator&) = delete;
  Translator& operator=(const Translator&) = delete;

  // Live change: sessions that the new runtime excludes end (at their next packet at the latest), withdrawn
  // addresses drain, addresses that are gone end at once. Before the first call every packet is dropped.
  void set_runtime(std::shared_ptr<const Runtime> runtime, TimePoint now);

  // MTU of the way to a destination (4 or 16 bytes, network order) that leaves by `side`; 0: the side's MTU.
  // Asked only for packets longer than every MTU must be (1280, or 576 toward IPv4). `context` outlives the
  // translator.
  using RouteMtu = std::uint32_t (*)(void* context, Side side, std::span<const std::uint8_t> destination);
  void set_route_mtu(RouteMtu function, void* context);

  // Translates in place. Call drain_extra() after each burst.
  [[nodiscard]] Verdict from_v6(PacketBuffer& packet, TimePoint now);
  [[nodiscard]] Verdict from_v4(PacketBuffer& packet, TimePoint now);

  // The same for many packets, which do not wait for memory one by one: exactly what from_v6() and from_v4()
  // would do in this order.
  void translate(std::span<BurstPacket> burst, TimePoint now);

  // Timers; call once per burst and at least every 100 ms when idle. Bounded work per call; true: more is due
  // now, so do not sleep.
  bool expire(TimePoint now);

  // A translated packet (or one that drain_extra() gave) that cannot be sent: its sender is told, if that is
  // allowed, within the limit of ICMP errors. The answer is among the extra packets after the next expire().
  void unreachable(Side out, std::span<const std::uint8_t> packet, Unreachable why, TimePoint now);

  // Packets made beside the verdicts: fragments, released held packets, TCP probes, answers to held SYNs.
  // send(Side out, std::span<const std::uint8_t> packet); spans are valid during the call only.
  template <class Send>
  void drain_extra(Send&& send);
  // Fragments that waited here and belong to other workers: take(owner, from, note, span), likewise.
  template <class Take>
  void drain_hand_overs(Take&& take);
  // record(const EventRecord&)
  template <class Take>
  void drain_events(Take&& take);

  [[nodiscard]] const Counters& counters() const;

  // For looking only, by the thread that owns the translator: inspect.hpp lists what is in the tables,
  // explain() foretells a packet's fate and changes nothing.
  [[nodiscard]] const WorkerState& state() const;
  [[nodiscard]] Explanation explain(Side from, std::span<const std::uint8_t> packet, TimePoint now,
                                    const FragmentNote& told = {}) const;

 private:
  class Impl;
  [[nodiscard]] ExtraQueue& extra();
  [[nodiscard]] HandOverQueue& handed_over();
  [[nodiscard]] std::vector<EventRecord>& records();
  std::unique_ptr<Impl> impl_;
};

template <class Send>
void Translator::drain_extra(Send&& send) {
  if (!extra().empty()) extra().drain(std::forward<Send>(send));
}

template <class Take>
void Translator::drain_hand_overs(Take&& take) {
  if (!handed_over().empty()) handed_over().drain(std::forward<Take>(take));
}

template <class Take>
void Translator::drain_events(Take&& take) {
  for (const auto& event : records()) take(event);
  records().clear();
}

}  // namespace isthmus::nat64
