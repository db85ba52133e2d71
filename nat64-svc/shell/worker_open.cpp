// SPDX-License-Identifier: Apache-2.0
// What a worker needs before its loop: packet memory, sockets, a translator.
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include <cerrno>

#include "nat64-svc/shell/ethtool.hpp"
#include "nat64-svc/shell/huge_pages.hpp"
#include "nat64-svc/shell/worker.hpp"

namespace isthmus::nat64 {

Worker::Worker(WorkerOptions options, NetlinkWatcher& watcher)
    : options_(std::move(options)),
      watcher_(watcher),
      view_reader_(watcher.view()),
      ways_(options_.key),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  held_.reserve(kHeldInAll);
}

Result<std::unique_ptr<Worker>, std::string> Worker::create(WorkerOptions options, NetlinkWatcher& watcher) {
  std::unique_ptr<Worker> self(new Worker(std::move(options), watcher));
  const auto& o = self->options_;
  auto opened = self->open_sockets(false);
  // All share one packet memory, so zero copy is for all or for none: where the first socket has it the
  // kernel refuses one that has not.
  const bool zero_copy = !self->sockets_.empty() && self->sockets_.front().socket->zero_copy();
  if (opened && zero_copy) opened = self->open_sockets(true);
  if (!opened && opened.error().number != EBUSY && zero_copy) {
    spdlog::info("worker {} does without zero copy: {}", o.index, opened.error().text);
    self->options_.copy_only = true;
    opened = self->open_sockets(false);
  }
  if (!opened) return failure(opened.error().text);
  for (const auto& bound : self->sockets_) self->polled_.push_back({bound.socket->fd(), POLLIN, 0});
  self->polled_.push_back({self->wake_.get(), POLLIN, 0});
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
    return failure(std::string("the kernel gives no random bytes"));
  auto limits = o.limits;
  if (limits.memory == nullptr) limits.memory = HugePages::get();
  self->translator_ = std::make_unique<Translator>(limits, o.key, seed);
  self->translator_->set_route_mtu(&Worker::route_mtu, self.get());
  self->view_reader_.refresh();
  return self;
}

// From the start, with packet memory of its own, whatever was open. With zero copy the cards write into it:
// some (82599, igb, igc) size what they write in whole KiB, of which a small frame has one beside its
// headrooms, and all keep frames for their own rings, too.
Result<void, BindFailure> Worker::open_sockets(bool zero_copy) {
  const auto& o = options_;
  sockets_.clear();
  umem_.reset();
  transmit_ = {};
  std::size_t count = 0;
  for (const auto& port : o.ports) count += port.queues.size();
  const auto ring = ring_size_for(count);
  // Enough for every ring to be full at once.
  auto frames = static_cast<std::uint32_t>(count) * 2 * ring + kReservedFrames;
  for (const auto& port : o.ports) {
    if (zero_copy) frames += static_cast<std::uint32_t>(port.queues.size()) * receive_ring_size(port.device);
  }
  auto umem = Umem::create(frames, zero_copy ? kLargestFrame : o.frame_size, ring);
  if (!umem) return failure(BindFailure{0, umem.error()});
  umem_ = std::move(*umem);
  for (std::size_t port = 0; port < o.ports.size(); ++port) {
    for (const auto queue : o.ports[port].queues) {
      auto socket = XskSocket::bind(*umem_, {o.ports[port].device, queue, o.copy_only, o.busy_poll});
      if (!socket) return failure(socket.error());
      if (transmit_[port] == nullptr) transmit_[port] = socket->get();
      sockets_.push_back({port, queue, std::move(*socket)});
    }
    if (transmit_[port] == nullptr) transmit_[port] = transmit_[0];
  }
  return {};
}

}  // namespace isthmus::nat64
