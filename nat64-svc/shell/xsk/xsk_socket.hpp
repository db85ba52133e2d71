// SPDX-License-Identifier: Apache-2.0
// One AF_XDP socket: one queue of one interface. Few verbs; each says who owns a frame afterwards.
//
//   refill()   pool -> kernel       empty frames for packets to come
//   receive()  kernel -> caller     packets
//   stage()    caller -> socket     a packet to send; flush() hands all staged ones to the kernel
//   reap()     kernel -> pool       frames of packets that were sent
//
// One thread uses a socket after bind(). statistics() may be called from any thread.
#pragma once

#include <linux/if_xdp.h>
#include <xdp/xsk.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "common/base/result.hpp"
#include "nat64-svc/shell/xsk/umem.hpp"

namespace isthmus::nat64 {

struct XskOptions {
  std::string interface;
  std::uint32_t queue = 0;
  bool copy_only = false;       // false: zero copy when the driver has it, else copy
  std::uint32_t busy_poll = 0;  // packets per busy poll; 0: sleep in poll()
};

struct BindFailure {
  int number = 0;    // errno
  std::string text;  // a sentence with the remedy
};

struct Received {
  FrameAddress address = 0;  // of the first byte of the Ethernet header
  std::uint32_t length = 0;
};

class XskSocket {
 public:
  // Retries for about a second while the queue is still held by a process that has just ended. `umem` must
  // outlive the socket.
  [[nodiscard]] static Result<std::unique_ptr<XskSocket>, BindFailure> bind(Umem& umem,
                                                                            const XskOptions& options);
  ~XskSocket();
  XskSocket(const XskSocket&) = delete;
  XskSocket& operator=(const XskSocket&) = delete;

  // Up to out.size() packets, oldest first.
  [[nodiscard]] std::size_t receive(std::span<Received> out) {
    std::uint32_t index = 0;
    const auto n = xsk_ring_cons__peek(&rx_, static_cast<std::uint32_t>(out.size()), &index);
    for (std::uint32_t i = 0; i < n; ++i) {
      const auto* descriptor = xsk_ring_cons__rx_desc(&rx_, index + i);
      out[i] = {descriptor->addr, descriptor->len};
    }
    if (n > 0) xsk_ring_cons__release(&rx_, n);
    return n;
  }

  // False when the transmit ring is full: the frame stays the caller's.
  [[nodiscard]] bool stage(FrameAddress address, std::uint32_t length) {
    std::uint32_t index = 0;
    if (xsk_ring_prod__reserve(&tx_, 1, &index) != 1) return false;
    *xsk_ring_prod__tx_desc(&tx_, index) = {.addr = address, .len = length, .options = 0};
    ++staged_;
    return true;
  }
  // After stage() had no room: sends and reaps. False when that was in vain, without trying again before the
  // next reap() of the caller's: a device that takes no more must not cost a system call a packet.
  [[nodiscard]] bool make_room();
  // Between two bursts of a loop: where many queues send by one socket its ring would not last for all.
  void flush_early() {
    if (staged_ < umem_.ring_size() / 2) return;
    reap();
    flush();
  }
  void flush();
  void reap() {
    congested_ = false;
    take_back();
  }
  void refill();
  // Lets the kernel poll the queue on our CPU time.
  void busy_poll();

  [[nodiscard]] int fd() const { return xsk_socket__fd(socket_); }
  [[nodiscard]] bool zero_copy() const { return zero_copy_; }
  [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }
  [[nodiscard]] xdp_statistics statistics() const;

 private:
  explicit XskSocket(Umem& umem) : umem_(umem) {}
  void configure(const XskOptions& options);
  void take_back();

  Umem& umem_;
  xsk_socket* socket_ = nullptr;
  xsk_ring_cons rx_{};
  xsk_ring_prod tx_{};
  xsk_ring_prod fill_{};
  xsk_ring_cons completion_{};
  std::uint32_t staged_ = 0;     // in the ring, not yet shown to the kernel
  std::uint32_t in_flight_ = 0;  // shown to the kernel, not yet reaped
  bool zero_copy_ = false;
  bool busy_poll_ = false;
  bool congested_ = false;
  std::uint32_t flushes_in_vain_ = 0;  // since packets were last sent
};

}  // namespace isthmus::nat64
