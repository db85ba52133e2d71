// SPDX-License-Identifier: Apache-2.0
// Every reason why a packet is not translated, once. The name is the counter's label, the log word and what a
// test asserts. A packet that we answer with an ICMP error carries its reason too.
#pragma once

#include <cstdint>

#include "common/base/enum_names.hpp"

namespace isthmus::nat64 {

enum class DropReason : std::uint8_t {
  kUnclassified,  // no branch gave a reason: a bug, asserted never to happen by tests and fuzzers
  // Parsing, both sides.
  kTruncated,          // shorter than its headers say
  kBadVersion,         // not the IP version of the side it came from
  kBadHeader,          // a length or offset field that cannot be
  kBadIpChecksum,      // IPv4 header checksum
  kBadChecksum,        // TCP, UDP or ICMP checksum, where it is checked at all
  kTooManyExtensions,  // IPv6 extension headers beyond our limit
  kRoutingHeader,      // RFC 7915 §5.1: segments left is not zero
  kSourceRoute,        // RFC 7915 §4.1: unexpired IPv4 source route
  kBadAddress,         // multicast, loopback, unspecified or link-local where a unicast address must be
  kUnsupportedProtocol,
  kUnsupportedIcmp,  // types and codes that RFC 7915 drops
  // From IPv6.
  kNotInPrefix,        // destination under no translation prefix
  kBadEmbedding,       // RFC 6052 §2.2: bits 64-71 of the destination are not zero
  kSourceInPrefix,     // RFC 6146 §3.5: source inside a translation prefix, a hairpin loop
  kClientNotAllowed,   // source is no client of the prefix
  kOutsideIpv4Ranges,  // destination is not among the prefix's ipv4_ranges
  kNonGlobal,          // RFC 6052 §3.1
  kExcluded,           // exclusions.ipv4_destinations
  kHopLimit,           // hop limit or TTL used up
  kTooBig,             // does not fit and must not be fragmented
  kUdpZeroChecksum,    // RFC 7915 §4.5
  // Resources.
  kNoPoolAddress,       // no address leased, or all of them drain
  kPoolExhausted,       // no free port block
  kBlockLimit,          // subscriber has max_blocks and all ports are in use
  kSubscriberLimit,     // too many subscribers in one /64, or in all
  kSubscriberSessions,  // max_sessions of the subscriber
  kSubscriberRate,      // new_sessions_per_second of the subscriber
  kSessionLimit,        // max_sessions of the worker
  // From IPv4.
  kNotOurAddress,    // destination is no pool address
  kNoMapping,        // RFC 6146 §3.5.1.2: no BIB entry
  kFiltered,         // address-dependent filtering
  kNoPrefixForPeer,  // no translation prefix can represent the IPv4 peer for this client
  // TCP, RFC 6146 §3.5.2.
  kTcpNotSyn,       // no session, and the segment does not open one
  kSynUnanswered,   // held SYN timed out; answered with ICMP
  kSynQueueFull,    // no room to hold an unsolicited SYN
  kSynUnsolicited,  // held SYN that was given up otherwise
  // Fragments.
  kFragmentTable,    // no room to hold or remember a fragment
  kFragmentTimeout,  // the first fragment did not come in time
  kTinyFragment,     // the first fragment lacks the ports
  kFragmentedIcmp,   // a fragmented ICMP error, or a fragment of ICMP inside one
  // ICMP errors.
  kIcmpErrorBadInner,   // the packet inside cannot be translated
  kIcmpErrorNoSession,  // the packet inside belongs to no session
  // Hairpinning, RFC 6146 §3.8.
  kHairpinDisabled,
  kHairpinLoop,
  // Machinery.
  kWrongWorker,  // belongs to another worker and could not be handed over
  kNoRoom,       // frame lacks head- or tailroom, or the extra queue is full
  kNotReady,     // no policy yet
  kDraining,     // withdrawn address past its deadline
  kCount
};

inline constexpr EnumNames<DropReason> kDropReasonNames{{
    "unclassified",
    "truncated",
    "bad_version",
    "bad_header",
    "bad_ip_checksum",
    "bad_checksum",
    "too_many_extensions",
    "routing_header",
    "source_route",
    "bad_address",
    "unsupported_protocol",
    "unsupported_icmp",
    "not_in_prefix",
    "bad_embedding",
    "source_in_prefix",
    "client_not_allowed",
    "outside_ipv4_ranges",
    "non_global",
    "excluded",
    "hop_limit",
    "too_big",
    "udp_zero_checksum",
    "no_pool_address",
    "pool_exhausted",
    "block_limit",
    "subscriber_limit",
    "subscriber_sessions",
    "subscriber_rate",
    "session_limit",
    "not_our_address",
    "no_mapping",
    "filtered",
    "no_prefix_for_peer",
    "tcp_not_syn",
    "syn_unanswered",
    "syn_queue_full",
    "syn_unsolicited",
    "fragment_table",
    "fragment_timeout",
    "tiny_fragment",
    "fragmented_icmp",
    "icmp_error_bad_inner",
    "icmp_error_no_session",
    "hairpin_disabled",
    "hairpin_loop",
    "wrong_worker",
    "no_room",
    "not_ready",
    "draining",
}};

}  // namespace isthmus::nat64
