// SPDX-License-Identifier: Apache-2.0
// One worker's counters and gauges. The worker is the only writer; any thread may read at any time without a
// lock: each value is right, values beside each other may be a packet apart. docs/counters.md draws where
// each is counted.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/config/policy.hpp"
#include "nat64-svc/core/drop_reason.hpp"
#include "nat64-svc/core/verdict.hpp"

namespace isthmus::nat64 {

// A number with one writer. add() is a plain load and store, not a locked instruction.
class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.store(get() + n, std::memory_order_relaxed); }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

inline constexpr std::size_t kProtocols = 3;  // indexed by isthmus::Protocol
inline constexpr std::array<std::string_view, kProtocols> kProtocolNames{"tcp", "udp", "icmp"};

// What the headers of a packet that is not translated name, looked at without trust: kOther also when they
// are cut short, or when extension headers other than a fragment header stand before the transport.
enum class ProtocolSeen : std::uint8_t { kTcp, kUdp, kIcmp, kOther, kCount };
inline constexpr EnumNames<ProtocolSeen> kProtocolSeenNames{{"tcp", "udp", "icmp", "other"}};

[[nodiscard]] ProtocolSeen protocol_seen(std::span<const std::uint8_t> packet);
[[nodiscard]] ProtocolSeen protocol_seen(std::uint8_t number);

enum class Event : std::uint8_t {
  kSessionCreated,
  kSessionExpired,
  kSessionEnded,  // by exclusion, withdrawal or a policy that no longer allows it
  kBibCreated,
  kBibRemoved,
  kBlockTaken,
  kBlockTakenEarly,  // less than two minutes after it was freed: pool4.hpp, `rested` (RFC 6888 REQ-8)
  kBlockFreed,
  kSynHeld,
  kSynReleased,  // a held SYN went on because its client opened the same connection
  kProbeSent,    // RFC 6146 §3.5.2.2: probe at the end of an established session
  kFragmentHeld,
  kFragmentReleased,
  kFragmentsMade,
  kIcmpErrorTranslated,
  kIcmpErrorLimited,    // an ICMP error of ours that the rate limit kept back
  kIcmpErrorForbidden,  // RFC 1122 §3.2.2 or RFC 4443 §2.4 (e) forbid to answer
  kHairpinned,
  kMssClamped,
  kRecordsLost,  // event records that did not fit into the queue
  kCount
};
inline constexpr EnumNames<Event> kEventNames{{
    "session_created",    "session_expired",      "session_ended",
    "bib_created",        "bib_removed",          "block_taken",
    "block_taken_early",  "block_freed",          "syn_held",
    "syn_released",       "probe_sent",           "fragment_held",
    "fragment_released",  "fragments_made",       "icmp_error_translated",
    "icmp_error_limited", "icmp_error_forbidden", "hairpinned",
    "mss_clamped",        "records_lost",
}};

struct Counters {
  // Indexed by the side the packet came from.
  struct PerSide {
    std::array<std::array<Counter, kEnumSize<DropReason>>, kEnumSize<ProtocolSeen>> dropped;
    std::array<std::array<Counter, kEnumSize<DropReason>>, kEnumSize<ProtocolSeen>>
        replied;  // with ICMP of ours

    [[nodiscard]] Counter& drop(ProtocolSeen p, DropReason r) { return at(dropped, p, r); }
    [[nodiscard]] Counter& reply(ProtocolSeen p, DropReason r) { return at(replied, p, r); }
    // Of all protocols.
    [[nodiscard]] std::uint64_t drops(DropReason reason) const {
      std::uint64_t sum = 0;
      for (const auto& of_protocol : dropped) sum += of_protocol[static_cast<std::size_t>(reason)].get();
      return sum;
    }

    Counter received_packets;
    Counter received_bytes;
    std::array<Counter, kProtocols> translated_packets;
    std::array<Counter, kProtocols> translated_bytes;  // as received
    Counter held_packets;
    Counter handed_over_packets;

   private:
    template <class Table>
    [[nodiscard]] static Counter& at(Table& table, ProtocolSeen p, DropReason r) {
      return table[static_cast<std::size_t>(p)][static_cast<std::size_t>(r)];
    }
  };
  std::array<PerSide, 2> side;
  std::array<Counter, kEnumSize<Event>> events;

  // Gauges.
  std::array<Counter, kProtocols> sessions;
  std::array<Counter, kProtocols> bib_entries;
  Counter sessions_max;  // the smaller of the table's size and the policy's limit
  Counter bib_entries_max;
  Counter subscribers;
  Counter subscribers_max;
  Counter blocks_used;
  Counter blocks_total;  // its even share; blocks are claimed from all that are free
  Counter held_syns;
  Counter held_syns_max;
  Counter held_fragments;
  Counter held_fragments_max;  // of both sides together, as held_fragments
  Counter addresses;

  [[nodiscard]] PerSide& of(Side s) { return side[static_cast<std::size_t>(s)]; }
  [[nodiscard]] const PerSide& of(Side s) const { return side[static_cast<std::size_t>(s)]; }
  [[nodiscard]] Counter& of(Event e) { return events[static_cast<std::size_t>(e)]; }
  [[nodiscard]] const Counter& of(Event e) const { return events[static_cast<std::size_t>(e)]; }
};

}  // namespace isthmus::nat64
