// SPDX-License-Identifier: Apache-2.0
// RFC 6146 §3.4: fragments that come without what the translation needs are held until another tells it.
#include <algorithm>
#include <array>
#include <utility>

#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/rfc7915/fragmented_udp.hpp"
#include "nat64-svc/core/steps/determine_incoming_tuple.hpp"
#include "nat64-svc/core/translation.hpp"

namespace isthmus::nat64 {
namespace {

template <class P>
void complete(P& packet, const FragmentNote& note) {
  if (packet.has_l4_header()) {
    if (packet.protocol == Protocol::kIcmp) packet.l4_claimed = note.length;
    return;
  }
  packet.kind = Kind::kTransport;
  packet.source_port = note.source_port;
  packet.destination_port = note.destination_port;
}

}  // namespace

// §3.4: a later fragment needs the ports that the first one has; the first one of an echo needs the length
// that the last one has, for the ICMPv6 checksum covers it; that of UDP without a checksum needs all others.
// Held until then; nothing: it goes on, complete.
template <class P>
std::optional<Outcome> Translation::wait_for_others(Side side, const PacketBuffer& buffer, P& packet,
                                                    TimePoint now) {
  const auto key = key_of(packet);
  const bool first = packet.has_l4_header();
  const bool echo = packet.protocol == Protocol::kIcmp;
  if (echo && !packet.more_fragments) {
    const auto length = static_cast<std::uint16_t>(packet.fragment_offset + packet.l4_length);
    remember_fragments(side, key, now);
    fragments(side).learn_length(key, length,
                                 [&](std::span<const std::uint8_t> bytes) { release(side, bytes, now); });
  }
  const auto note = fragments(side).note(key);
  const bool lacks = !first ? !note.has_ports
                     : echo ? note.length == 0
                            : lacks_checksum(buffer.packet(), packet, state_.runtime->nat64);
  if (!lacks) {
    complete(packet, note);
    return std::nullopt;
  }
  auto held = hold(side, buffer, key, first, now);
  if (held && side == Side::kV4 && packet.protocol == Protocol::kUdp) complete_checksum(key, now);
  return held;
}

template std::optional<Outcome> Translation::wait_for_others(Side, const PacketBuffer&, Parsed6&, TimePoint);
template std::optional<Outcome> Translation::wait_for_others(Side, const PacketBuffer&, Parsed4&, TimePoint);

// §3.4: a datagram without a checksum gets one when the last missing fragment has come. Then its first
// fragment goes the way of any other, and the rest follows it.
void Translation::complete_checksum(const FragmentKey& key, TimePoint now) {
  auto& table = fragments(Side::kV4);
  const auto first = table.held_first(key);
  if (first.empty()) return;
  std::array<DatagramPiece, kMostPieces> pieces;
  std::size_t count = 0;
  table.visit_held(key, [&](std::span<const std::uint8_t> bytes) {
    if (count++ >= pieces.size()) return;
    if (const auto piece = parse_ipv4(bytes); piece)
      pieces[count - 1] = {piece->fragment_offset, !piece->more_fragments,
                           bytes.subspan(piece->l4_offset, piece->l4_length)};
  });
  if (count > pieces.size()) return;  // no resources for that many
  const auto head = parse_ipv4(first);
  if (!head) return;
  const auto checksum = checksum_of_pieces(head->source, head->destination, std::span{pieces}.first(count));
  if (!checksum) return;
  store_be16(&first[head->l4_offset + 6U], *checksum);
  table.release_first(key, [&](std::span<const std::uint8_t> bytes) { release(Side::kV4, bytes, now); });
  table.forget_ports(key);  // the next datagram of this identification must be held whole as well
}

void Translation::remember_fragments(Side side, const FragmentKey& key, TimePoint now) {
  fragments(side).enter(key, now + state_.runtime->nat64.timeouts.fragment, given_up(side));
}

Outcome Translation::hold(Side side, const PacketBuffer& buffer, const FragmentKey& key, bool first,
                          TimePoint now) {
  // One that was let go is not held again: of two first fragments only one has a checksum, and the other's
  // never comes.
  if (letting_go_[static_cast<std::size_t>(side)]) return failure(Refusal{DropReason::kFragmentTable});
  remember_fragments(side, key, now);
  if (!fragments(side).hold(key, first, buffer.packet(), state_.runtime->nat64.max_held_fragments,
                            given_up(side)))
    return failure(Refusal{DropReason::kFragmentTable});
  state_.counters.of(Event::kFragmentHeld).add();
  state_.counters.of(side).held_packets.add();
  return Verdict::held();
}

template <class P>
void Translation::release_held_behind(Side side, const P& packet, TimePoint now) {
  if constexpr (std::is_same_v<P, Parsed4>) {
    if (!is_me(owner_of_fragment(packet))) return;  // they wait elsewhere
  }
  const FragmentNote note{true, packet.source_port, packet.destination_port, 0};
  const auto key = key_of(packet);
  remember_fragments(side, key, now);
  fragments(side).learn_ports(key, note,
                              [&](std::span<const std::uint8_t> bytes) { release(side, bytes, now); });
}

template void Translation::release_held_behind(Side, const Parsed6&, TimePoint);
template void Translation::release_held_behind(Side, const Parsed4&, TimePoint);

template <class P>
Outcome Translation::released(PacketBuffer& buffer, Result<P, Refusal> packet, TimePoint now) {
  if (!packet) return failure(packet.error());
  if constexpr (std::is_same_v<P, Parsed6>)
    return packet_from_v6(buffer, *packet, now);
  else
    return packet_from_v4(buffer, *packet, now);
}

// A fragment that was held: it goes where it would have gone, beside the verdict of the one that freed it.
void Translation::release(Side side, std::span<const std::uint8_t> bytes, TimePoint now) {
  std::array<std::uint8_t, kTranslationHeadroom + FragmentTable::kMaxHeld> frame;
  std::ranges::copy(bytes, frame.begin() + kTranslationHeadroom);
  PacketBuffer buffer{frame, kTranslationHeadroom, bytes.size()};
  auto& letting_go = letting_go_[static_cast<std::size_t>(side)];
  const bool before = std::exchange(letting_go, true);
  const Outcome verdict = side == Side::kV6 ? released<Parsed6>(buffer, parse_ipv6(bytes), now)
                                            : released<Parsed4>(buffer, parse_ipv4(bytes), now);
  letting_go = before;
  if (send_beside(side, bytes, verdict, buffer)) state_.counters.of(Event::kFragmentReleased).add();
}

// True: it goes, beside the verdict of another packet.
bool Translation::send_beside(Side side, std::span<const std::uint8_t> bytes, const Outcome& outcome,
                              const PacketBuffer& buffer) {
  if (!outcome) {
    drop(side, bytes, outcome.error().reason);
    return false;
  }
  const bool hands_over = outcome->action == Verdict::Action::kHandOver;
  if (!outcome->sends() && !hands_over) return false;  // held, after a hairpin
  const bool room = hands_over
                        ? state_.handed_over.add(outcome->owner, outcome->out, outcome->note, buffer.packet())
                        : state_.extra.add(outcome->out, buffer.packet());
  if (!room) drop(side, bytes, DropReason::kNoRoom);
  return room;
}

// The fragments of one packet meet at one worker. Once the ports are known, each goes to their owner, who
// is told what is known.
Outcome Translation::fragment_from_v4(PacketBuffer& buffer, Parsed4& packet, TimePoint now,
                                      const FragmentNote& told) {
  if (told.has_ports) {
    complete(packet, told);
  } else {
    if (const auto meeting = owner_of_fragment(packet); !is_me(meeting)) return hand_over(Side::kV4, meeting);
    if (auto waits = wait_for_others(Side::kV4, buffer, packet, now)) return *waits;
  }
  const Tuple4 tuple = incoming_tuple(packet);
  if (const auto owner = public4_owner(*state_.runtime, tuple.protocol, tuple.public4);
      !told.has_ports && !is_me(owner)) {
    Verdict verdict = hand_over(Side::kV4, owner);
    verdict.note = {true, packet.source_port, packet.destination_port, packet.l4_claimed};
    release_those_behind(Side::kV4, packet, now);
    return verdict;
  }
  const auto session = find_session(state_, tuple, now);
  if (session != kNone)
    return send_as_ipv6(buffer, packet, touch(state_, session, Side::kV4, packet.tcp_flags, now), now);
  return open_from_v4(buffer, packet, tuple, now);
}

}  // namespace isthmus::nat64
