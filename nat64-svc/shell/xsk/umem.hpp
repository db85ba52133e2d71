// SPDX-License-Identifier: Apache-2.0
// The packet memory of one worker (AF_XDP: UMEM) and the frames in it that nobody uses. Every frame is owned
// by exactly one of: this pool, a fill ring, the worker (between receive and send), a list of held packets, a
// transmit ring. The sockets of one worker share the memory, so a packet moves from one interface to the
// other without a copy.
//
// One thread uses a Umem after create().
#pragma once

#include <xdp/xsk.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.hpp"

namespace isthmus::nat64 {

using FrameAddress = std::uint64_t;  // offset in the memory; any offset inside a frame names that frame

inline constexpr std::uint32_t kLargestRing = 4096;
inline constexpr std::uint32_t kSmallestRing = 512;
inline constexpr std::uint32_t kReservedFrames =
    256;  // no fill ring takes these: for what a worker makes itself
inline constexpr std::uint32_t kXdpHeadroom = 256;   // the kernel's own, before the packet
inline constexpr std::uint32_t kFrameHeadroom = 64;  // ours, for headers that grow
inline constexpr std::uint32_t kEthernetHeader = 14;
inline constexpr std::uint32_t kLinkHeader = kEthernetHeader + 4;  // with a VLAN's tag

// Entries of each of the four rings of each of a worker's sockets. The kernel keeps some 128 bytes for each
// frame of the memory and each socket that shares it, so many sockets get smaller rings.
[[nodiscard]] std::uint32_t ring_size_for(std::size_t sockets);

// Bytes of a frame for packets of `mtu` bytes (2048 or 4096), or nothing when even the largest cannot hold
// them.
[[nodiscard]] std::optional<std::uint32_t> frame_size_for_mtu(std::uint32_t mtu);

inline constexpr std::uint32_t kLargestFrame = 4096;  // a page
// What native XDP lets through in one page, and a veth pair takes; fits into a large frame with both
// headrooms.
inline constexpr std::uint32_t kLargestMtu = 3498;
static_assert(kXdpHeadroom + kFrameHeadroom + kLinkHeader + kLargestMtu <= kLargestFrame);

class Umem {
 public:
  // `frame_size` is 2048 or 4096; `ring_size` a power of two. The error is a sentence with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<Umem>, std::string> create(std::uint32_t frames,
                                                                         std::uint32_t frame_size,
                                                                         std::uint32_t ring_size);
  ~Umem();
  Umem(const Umem&) = delete;
  Umem& operator=(const Umem&) = delete;

  [[nodiscard]] std::optional<FrameAddress> take() {
    if (free_.empty()) return std::nullopt;
    const auto address = free_.back();
    free_.pop_back();
    return address;
  }
  void give_back(FrameAddress address) { free_.push_back(start_of(address)); }
  [[nodiscard]] std::size_t free_frames() const { return free_.size(); }

  // The whole frame that `address` lies in.
  [[nodiscard]] std::span<std::uint8_t> frame(FrameAddress address) const {
    return memory_.subspan(start_of(address), frame_size_);
  }
  // The link header and the IP header behind it; `address` as it came from a ring, not checked yet.
  void prefetch(FrameAddress address) const {
    if (address < memory_.size()) __builtin_prefetch(memory_.data() + address);
  }
  [[nodiscard]] FrameAddress start_of(FrameAddress address) const {
    return address & ~(FrameAddress{frame_size_} - 1);
  }
  [[nodiscard]] std::uint32_t frame_size() const { return frame_size_; }
  [[nodiscard]] std::uint32_t ring_size() const { return ring_size_; }
  [[nodiscard]] xsk_umem* handle() const { return umem_; }

  // libxdp makes the rings of the first socket with the memory itself. A socket that copies them must tell
  // libxdp of these, not of its copies: those it would unmap when bind() fails, and these again at the end.
  struct Rings {
    xsk_ring_prod* fill;
    xsk_ring_cons* completion;
  };
  [[nodiscard]] std::optional<Rings> first_rings() {
    return first_rings_taken_ ? std::nullopt : std::optional<Rings>{{&first_fill_, &first_completion_}};
  }
  void first_rings_taken() { first_rings_taken_ = true; }

 private:
  Umem(std::span<std::uint8_t> memory, std::uint32_t frame_size, std::uint32_t ring_size)
      : memory_(memory), frame_size_(frame_size), ring_size_(ring_size) {}
  std::span<std::uint8_t> memory_;
  std::uint32_t frame_size_;
  std::uint32_t ring_size_;
  xsk_umem* umem_ = nullptr;
  xsk_ring_prod first_fill_{};
  xsk_ring_cons first_completion_{};
  bool first_rings_taken_ = false;
  std::vector<FrameAddress> free_;
};

}  // namespace isthmus::nat64
