// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/capture/capture_tap.hpp"

#include <algorithm>

namespace isthmus::nat64 {
namespace {

Side side_of(std::span<const std::uint8_t> packet) {
  return !packet.empty() && packet[0] >> 4 == 4 ? Side::kV4 : Side::kV6;
}

}  // namespace

CaptureTap::CaptureTap(CaptureFilter filter, std::uint32_t snap, std::size_t capacity)
    : filter_(filter), snap_(snap), ring_(capacity) {
  for (auto& packet : ring_) packet.bytes.reserve(snap);
  for (auto& seen : seen_) seen.bytes.reserve(snap);
}

void CaptureTap::before(std::size_t slot, Side from, std::span<const std::uint8_t> packet) {
  auto& seen = seen_[slot % kSlots];
  seen.from = from;
  seen.length = static_cast<std::uint32_t>(packet.size());
  seen.sides.clear();
  seen.sides.look_at(packet, Heading::kToUs);
  const auto kept = packet.first(std::min<std::size_t>(packet.size(), snap_));
  seen.bytes.assign(kept.begin(), kept.end());
}

void CaptureTap::after(std::size_t slot, const Verdict& verdict, std::span<const std::uint8_t> packet,
                       TimePoint now) {
  if (verdict.action == Verdict::Action::kHandOver) return;  // its owner's tap sees it
  auto& seen = seen_[slot % kSlots];
  const bool forwarded = verdict.action == Verdict::Action::kForward;
  if (forwarded) seen.sides.look_at(packet, Heading::kAway);
  if (!matches(filter_, seen.sides)) return;
  put(CaptureStage::kBefore, seen.from, verdict, seen.length, seen.bytes, now);
  if (verdict.sends()) {
    const auto length = static_cast<std::uint32_t>(packet.size());
    put(CaptureStage::kAfter, side_of(packet), verdict, length, packet, now);
  }
}

void CaptureTap::made(std::span<const std::uint8_t> packet, TimePoint now) {
  Sides sides;
  sides.look_at(packet, Heading::kAway);
  const Side out = side_of(packet);
  if (!matches(filter_, sides)) return;
  put(CaptureStage::kMade, out, Verdict::forward(out), static_cast<std::uint32_t>(packet.size()), packet,
      now);
}

void CaptureTap::put(CaptureStage stage, Side side, const Verdict& verdict, std::uint32_t length,
                     std::span<const std::uint8_t> bytes, TimePoint now) {
  const auto write = write_.load(std::memory_order_relaxed);
  if (write - read_.load(std::memory_order_acquire) == ring_.size()) return lost_.add();
  auto& slot = ring_[write % ring_.size()];
  slot.at = now;
  slot.stage = stage;
  slot.side = side;
  slot.verdict = verdict;
  slot.length = length;
  const auto kept = bytes.first(std::min<std::size_t>(bytes.size(), snap_));
  slot.bytes.assign(kept.begin(), kept.end());  // room was reserved
  write_.store(write + 1, std::memory_order_release);
}

bool CaptureTap::take(CapturedPacket& into) {
  const auto read = read_.load(std::memory_order_relaxed);
  if (read == write_.load(std::memory_order_acquire)) return false;
  into = ring_[read % ring_.size()];  // a copy: the slot keeps its memory
  read_.store(read + 1, std::memory_order_release);
  return true;
}

}  // namespace isthmus::nat64
