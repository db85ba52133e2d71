// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/xsk/xsk_socket.hpp"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

// Newer than Debian 12's headers.
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET 70
#endif

namespace isthmus::nat64 {
namespace {

constexpr std::uint32_t kBatch = 64;
constexpr std::uint32_t kLeastTxBudget = 32;  // packets per sendto() in copy mode
constexpr int kTxBudget = kSmallestRing;      // the same where the kernel can be told
constexpr std::uint32_t kFlushesInVain = 16;

std::string explain(int error, const XskOptions& options) {
  const auto queue = "queue " + std::to_string(options.queue) + " of " + options.interface;
  std::string text = "cannot bind an AF_XDP socket to " + queue + ": " + std::strerror(error);
  if (error == EBUSY) return text + ": another program uses it; stop that program";
  if (error == EINVAL) return text + ": has the interface that queue? ethtool -l " + options.interface;
  if (error == ENOBUFS || error == EPERM) return text + ": grant CAP_NET_ADMIN, CAP_NET_RAW and CAP_IPC_LOCK";
  if (error == ENOMEM)
    return text +
           ": the kernel needs memory for each queue of a worker; raise --workers, or have fewer queues " +
           "(ethtool -L " + options.interface + " combined N)";
  if (error == ENETDOWN) return text + ": ip link set " + options.interface + " up";
  return text + ": see docs/nat64.md for what the interface must offer";
}

}  // namespace

Result<std::unique_ptr<XskSocket>, BindFailure> XskSocket::bind(Umem& umem, const XskOptions& options) {
  // Neither XDP_COPY nor XDP_ZEROCOPY: the kernel tries zero copy and falls back by itself.
  const auto flags = static_cast<std::uint16_t>(XDP_USE_NEED_WAKEUP | (options.copy_only ? XDP_COPY : 0));
  const xsk_socket_config config{.rx_size = umem.ring_size(),
                                 .tx_size = umem.ring_size(),
                                 .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
                                 .xdp_flags = 0,
                                 .bind_flags = flags};
  std::unique_ptr<XskSocket> self(new XskSocket(umem));
  const auto rings = umem.first_rings();
  auto* fill = rings ? rings->fill : &self->fill_;
  auto* completion = rings ? rings->completion : &self->completion_;
  int error = 0;
  for (int attempt = 0; attempt < 12; ++attempt) {
    error = xsk_socket__create_shared(&self->socket_, options.interface.c_str(), options.queue, umem.handle(),
                                      &self->rx_, &self->tx_, fill, completion, &config);
    if (error != -EBUSY) break;  // a socket closed a moment ago is released late
    if (attempt == 2) spdlog::info("queue {} of {} is still held: waiting", options.queue, options.interface);
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  if (error != 0) {
    self->socket_ = nullptr;
    return failure(BindFailure{-error, explain(-error, options)});
  }
  if (rings) {
    self->fill_ = *fill;
    self->completion_ = *completion;
    umem.first_rings_taken();
  }
  self->configure(options);
  for (std::uint32_t i = 0; i < umem.ring_size() / kBatch; ++i) self->refill();
  return self;
}

XskSocket::~XskSocket() {
  if (socket_ != nullptr) xsk_socket__delete(socket_);
}

void XskSocket::configure(const XskOptions& options) {
  xdp_options kernel{};
  socklen_t length = sizeof kernel;
  zero_copy_ = getsockopt(fd(), SOL_XDP, XDP_OPTIONS, &kernel, &length) == 0 &&
               (kernel.flags & XDP_OPTIONS_ZEROCOPY) != 0;
  if (setsockopt(fd(), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &kTxBudget, sizeof kTxBudget) != 0) {
    spdlog::debug("XDP_MAX_TX_SKB_BUDGET is unknown to this kernel; packets are sent 32 at a time");
  }
  // In copy mode what is in flight counts as unsent, and the usual limit is some 90 large packets.
  const int unsent = static_cast<int>(umem_.ring_size() * umem_.frame_size());
  if (setsockopt(fd(), SOL_SOCKET, SO_SNDBUFFORCE, &unsent, sizeof unsent) != 0) {
    spdlog::debug("SO_SNDBUFFORCE is not possible: few packets are in flight at once");
  }
  if (options.busy_poll == 0) return;
  busy_poll_ = true;
  const int on = 1;
  const int microseconds = 20;
  const int budget = static_cast<int>(options.busy_poll);
  if (setsockopt(fd(), SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof on) != 0 ||
      setsockopt(fd(), SOL_SOCKET, SO_BUSY_POLL, &microseconds, sizeof microseconds) != 0 ||
      setsockopt(fd(), SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof budget) != 0) {
    spdlog::warn("busy polling is not possible on {}: {}", options.interface, std::strerror(errno));
  }
}

bool XskSocket::make_room() {
  if (congested_) return false;
  take_back();  // the kernel sends no more than the completion ring has room for
  flush();
  take_back();
  congested_ = xsk_prod_nb_free(&tx_, 1) == 0;
  return !congested_;
}

void XskSocket::flush() {
  // Enough for what is new and some of what is left from before.
  const auto attempts = staged_ / kLeastTxBudget + 2;
  if (staged_ > 0) {
    xsk_ring_prod__submit(&tx_, staged_);
    in_flight_ += staged_;
    staged_ = 0;
  }
  if (in_flight_ == 0 || (zero_copy_ && xsk_ring_prod__needs_wakeup(&tx_) == 0)) return;
  // With zero copy and busy polling sendto() wakes no driver: the kernel takes it that polling the queue
  // sends, too. Some drivers (virtio_net) send in a poll of its own and need poll(), which wakes always;
  // others it would cost an interrupt each time.
  if (zero_copy_ && busy_poll_ && ++flushes_in_vain_ > kFlushesInVain) {
    flushes_in_vain_ = 0;
    pollfd wakes{fd(), POLLOUT, 0};
    poll(&wakes, 1, 0);
    return;
  }
  // In copy mode this call is what sends. EAGAIN: the budget of one call is used up and more is left, or the
  // device takes no more; which, is not to be seen. Any other error (ENOBUFS, EBUSY, ENETDOWN) is the
  // device's state. What is left waits for the next round.
  for (std::uint32_t attempt = 0; attempt < attempts; ++attempt) {
    if (sendto(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0 || errno != EAGAIN) return;
  }
}

void XskSocket::take_back() {
  std::uint32_t index = 0;
  const auto n = xsk_ring_cons__peek(&completion_, umem_.ring_size(), &index);
  if (n == 0) return;
  flushes_in_vain_ = 0;
  for (std::uint32_t i = 0; i < n; ++i) umem_.give_back(*xsk_ring_cons__comp_addr(&completion_, index + i));
  xsk_ring_cons__release(&completion_, n);
  in_flight_ -= n;
}

void XskSocket::refill() {
  const auto free = static_cast<std::uint32_t>(umem_.free_frames());
  const auto spare = free > kReservedFrames ? free - kReservedFrames : 0;
  const auto n = std::min({xsk_prod_nb_free(&fill_, kBatch), kBatch, spare});
  std::uint32_t index = 0;
  if (n > 0 && xsk_ring_prod__reserve(&fill_, n, &index) == n) {
    for (std::uint32_t i = 0; i < n; ++i) *xsk_ring_prod__fill_addr(&fill_, index + i) = *umem_.take();
    xsk_ring_prod__submit(&fill_, n);
  }
  // With zero copy a driver that found no frames, or no room for what it received, stands still until it is
  // told. A worker that sleeps tells it by poll(), one that is busy never would.
  if (zero_copy_ && !busy_poll_ && xsk_ring_prod__needs_wakeup(&fill_) != 0) busy_poll();
}

void XskSocket::busy_poll() {
  // A failure only means that nothing was there.
  [[maybe_unused]] const auto ignored = recvfrom(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
}

xdp_statistics XskSocket::statistics() const {
  xdp_statistics statistics{};
  socklen_t length = sizeof statistics;
  if (getsockopt(fd(), SOL_XDP, XDP_STATISTICS, &statistics, &length) != 0) return {};
  return statistics;
}

}  // namespace isthmus::nat64
