// SPDX-License-Identifier: Apache-2.0
// A worker's end of a capture: copies of packets before and after translation in a bounded ring. The worker
// is the only writer, the thread that streams the only reader; a packet that finds no room is lost and
// counted. A worker without a tap pays one branch.
#pragma once

#include <array>
#include <atomic>
#include <vector>

#include "common/base/clock.hpp"
#include "nat64-svc/core/counters.hpp"
#include "nat64-svc/core/verdict.hpp"
#include "nat64-svc/shell/capture/capture_filter.hpp"

namespace isthmus::nat64 {

enum class CaptureStage : std::uint8_t { kBefore, kAfter, kMade, kCount };  // kMade: beside a verdict, by us

struct CapturedPacket {
  TimePoint at;
  CaptureStage stage = CaptureStage::kBefore;
  Side side = Side::kV6;  // of the bytes
  Verdict verdict;
  std::uint32_t length = 0;  // on the wire
  std::vector<std::uint8_t> bytes;
};

class CaptureTap {
 public:
  static constexpr std::size_t kSlots = 64;  // packets between before() and after()

  // `snap`: bytes kept of each packet. All memory is taken here.
  CaptureTap(CaptureFilter filter, std::uint32_t snap, std::size_t capacity = 4096);

  // The worker: the packet as it came, by its place in the burst; then what became of it. `packet` is what
  // the buffer holds when the verdict sends, else nothing.
  void before(std::size_t slot, Side from, std::span<const std::uint8_t> packet);
  void after(std::size_t slot, const Verdict& verdict, std::span<const std::uint8_t> packet, TimePoint now);
  void made(std::span<const std::uint8_t> packet, TimePoint now);

  // The reader: the oldest packet, if there is one. `into` is used again.
  [[nodiscard]] bool take(CapturedPacket& into);
  [[nodiscard]] std::uint64_t lost() const { return lost_.get(); }

 private:
  struct Seen {
    Side from = Side::kV6;
    std::uint32_t length = 0;
    Sides sides;
    std::vector<std::uint8_t> bytes;
  };
  void put(CaptureStage stage, Side side, const Verdict& verdict, std::uint32_t length,
           std::span<const std::uint8_t> bytes, TimePoint now);

  CaptureFilter filter_;
  std::uint32_t snap_;
  std::array<Seen, kSlots> seen_;
  std::vector<CapturedPacket> ring_;
  std::atomic<std::size_t> write_{0};
  std::atomic<std::size_t> read_{0};
  Counter lost_;
};

}  // namespace isthmus::nat64
