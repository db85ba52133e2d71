// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/xsk/umem.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace isthmus::nat64 {

std::uint32_t ring_size_for(std::size_t sockets) {
  constexpr std::size_t kEntriesInAll = 16384;
  const auto share = static_cast<std::uint32_t>(kEntriesInAll / std::max<std::size_t>(sockets, 1));
  return std::clamp(std::bit_floor(share), kSmallestRing, kLargestRing);
}

std::optional<std::uint32_t> frame_size_for_mtu(std::uint32_t mtu) {
  if (mtu > kLargestMtu) return std::nullopt;
  // Translation adds at most 28 bytes; they come out of the headroom.
  return kXdpHeadroom + kFrameHeadroom + kLinkHeader + mtu <= 2048 ? 2048 : 4096;
}

Result<std::unique_ptr<Umem>, std::string> Umem::create(std::uint32_t frames, std::uint32_t frame_size,
                                                        std::uint32_t ring_size) {
  const auto bytes = std::size_t{frames} * frame_size;
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) {
    return failure("cannot map " + std::to_string(bytes >> 20) + " MiB of packet memory: " +
                   std::strerror(errno) + ": give the machine or the container more memory");
  }
  std::unique_ptr<Umem> umem(new Umem({static_cast<std::uint8_t*>(memory), bytes}, frame_size, ring_size));
  const xsk_umem_config config{.fill_size = ring_size,
                               .comp_size = ring_size,
                               .frame_size = frame_size,
                               .frame_headroom = kFrameHeadroom,
                               .flags = 0};
  const int error =
      xsk_umem__create(&umem->umem_, memory, bytes, &umem->first_fill_, &umem->first_completion_, &config);
  if (error != 0) {
    const bool limit = error == -ENOBUFS || error == -EPERM;
    return failure(
        std::string("cannot register packet memory for AF_XDP: ") + std::strerror(-error) +
        (limit ? ": grant CAP_IPC_LOCK and CAP_NET_RAW, or raise the limit of locked memory (ulimit -l)"
               : ": the kernel must have CONFIG_XDP_SOCKETS"));
  }
  umem->free_.reserve(frames);
  for (std::uint32_t i = 0; i < frames; ++i) umem->free_.push_back(FrameAddress{i} * frame_size);
  return umem;
}

Umem::~Umem() {
  if (umem_ != nullptr) xsk_umem__delete(umem_);
  munmap(memory_.data(), memory_.size());
}

}  // namespace isthmus::nat64
