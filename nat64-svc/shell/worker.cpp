// SPDX-License-Identifier: Apache-2.0
// The loop of a worker: what comes in, through the translator, to worker_send.cpp.
#include "nat64-svc/shell/worker.hpp"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cstring>

#include "nat64-svc/core/tables/fragment_table.hpp"
#include "nat64-svc/shell/link_header.hpp"

namespace isthmus::nat64 {
namespace {

constexpr std::uint32_t kHandOverSlots = 512;  // per pair of workers
static_assert(kLargestMtu <= FragmentTable::kMaxHeld, "every fragment that comes can be held");
constexpr int kIdleMilliseconds = 50;  // timers run at least this often

}  // namespace

Worker::~Worker() {
  stop();
  sockets_.clear();
}

void Worker::connect(const std::vector<Worker*>& peers) {
  peers_ = peers;
  for (const auto* peer : peers) {
    inboxes_.push_back(peer == this ? nullptr
                                    : std::make_unique<HandOverRing>(kHandOverSlots, options_.frame_size));
  }
}

void Worker::start() {
  thread_ = std::thread([this] { run(); });
}

void Worker::wake() {
  eventfd_write(wake_.get(), 1);
}

void Worker::stop() {
  stop_.store(true);
  wake();
  if (thread_.joinable()) thread_.join();
}

std::uint64_t Worker::publish(std::shared_ptr<const Runtime> runtime) {
  const auto generation = runtime_.publish(std::move(runtime));
  wake();
  return generation;
}

bool Worker::look(const std::function<void(const Translator&, TimePoint)>& look) {
  return mailbox_.ask([&](TimePoint now) { look(*translator_, now); }, [this] { wake(); });
}

bool Worker::set_tap(std::shared_ptr<CaptureTap> tap) {
  // The old one is destroyed by the asker, not by the worker.
  return mailbox_.ask([&](TimePoint) { std::swap(tap_, tap); }, [this] { wake(); });
}

void Worker::run() {
  while (!stop_.load(std::memory_order_relaxed)) {
    const auto now = boot_now();
    lease_over_ = now.time_since_epoch().count() >= stop_at_.load(std::memory_order_acquire);
    refresh(now);
    mailbox_.answer(now);
    std::size_t received = 0;
    for (auto& bound : sockets_) {
      received += receive_from(bound, now);
      for (auto* out : transmit_) {
        if (out != nullptr) out->flush_early();
      }
    }
    received += receive_handed_over(now);
    probe(now);
    const bool more_to_expire = translator_->expire(now);
    translator_->drain_extra([&](Side, std::span<const std::uint8_t> packet) { send_copy(packet, now); });
    translator_->drain_hand_overs(
        [this](std::uint16_t owner, Side from, const FragmentNote& note,
               std::span<const std::uint8_t> packet) { hand_over(owner, from, note, packet); });
    publish_handed_over();
    translator_->drain_events([this](const EventRecord& record) {
      if (options_.events != nullptr) options_.events->put(record);
    });
    for (auto& bound : sockets_) {
      bound.socket->flush();
      bound.socket->reap();
      bound.socket->refill();
    }
    io_.free_frames.set(umem_->free_frames());
    if (received == 0 && !more_to_expire && options_.busy_poll == 0) sleep();
  }
}

// What was published since the last burst, and packets that waited too long.
void Worker::refresh(TimePoint now) {
  if (runtime_reader_.refresh()) {
    translator_->set_runtime(runtime_reader_.value(), now);
    probe_.configure(*runtime_reader_.value(), now);
    running_.store(runtime_reader_.generation(), std::memory_order_release);
  }
  const bool moved = view_reader_.refresh();
  if (!held_.empty() && (moved || held_.front().deadline <= now)) retry_held(now);
}

std::size_t Worker::receive_from(BoundSocket& bound, TimePoint now) {
  std::array<Received, kBurst> burst;
  if (options_.busy_poll > 0) bound.socket->busy_poll();
  const auto n = bound.socket->receive(burst);
  const bool shared = options_.ports.back().queues.empty();
  if (!shared) io_.received[bound.port].add(n);
  if (n > 0 && options_.kernel_end) sample_source(burst[0]);
  if (lease_over_) {
    for (std::size_t i = 0; i < n; ++i) drop(burst[i].address, IoDrop::kLeaseOver);
    return n;
  }
  // Where a device wrote the packets itself, none is in our cache yet.
  for (std::size_t i = 0; i < n; ++i) umem_->prefetch(burst[i].address);
  for (std::size_t i = 0; i < n; ++i) gather(burst[i]);
  if (shared) count_gathered();
  translate_burst(now);
  return n;
}

// Two ports of one device: the first brings IPv6, the second IPv4, as the steering program has it.
void Worker::count_gathered() {
  const auto came = std::span{burst_}.first(gathered_count_);
  const auto six = std::ranges::count_if(came, [](const auto& packet) { return packet.from == Side::kV6; });
  io_.received[0].add(static_cast<std::uint64_t>(six));
  io_.received[1].add(gathered_count_ - static_cast<std::uint64_t>(six));
}

// One packet of a burst. In node mode all packets from the node's own addresses mean that somebody hides the
// pods behind the node before they come to us.
void Worker::sample_source(const Received& received) {
  const auto offset = static_cast<std::size_t>(received.address - umem_->start_of(received.address));
  const auto frame = umem_->frame(received.address);
  if (received.length < kEthernetHeader + 40 || offset + received.length > frame.size()) return;
  const auto packet = frame.subspan(offset + kEthernetHeader);
  if (packet[0] >> 4 != 6) return;
  io_.sampled_sources.add();
  if (view_reader_.value()->is_own(Ipv6Address::load(packet.data() + 8))) io_.sampled_own_sources.add();
}

void Worker::gather(const Received& received) {
  const auto start = umem_->start_of(received.address);
  const auto frame = umem_->frame(received.address);
  const auto offset = static_cast<std::size_t>(received.address - start);
  if (received.length < kEthernetHeader || offset + received.length > frame.size()) {
    return drop(received.address, IoDrop::kShortFrame);
  }
  const auto header = parse_link_header(frame.subspan(offset, received.length));
  const auto packet = received.address + header.length;
  const auto length = received.length - header.length;
  if (header.ethertype == kEthertypeIpv6) return gather(Side::kV6, packet, length);
  if (header.ethertype == kEthertypeIpv4) return gather(Side::kV4, packet, length);
  drop(received.address, IoDrop::kOtherEthertype);
}

// At most kBurst between two translate_burst().
void Worker::gather(Side from, FrameAddress address, std::size_t length, const FragmentNote& note) {
  // The translator may write the frame but for its first bytes, which stay free for a link header.
  const auto frame = umem_->frame(address).subspan(kLinkHeader);
  const auto offset = static_cast<std::size_t>(address - umem_->start_of(address)) - kLinkHeader;
  if (tap_ != nullptr) [[unlikely]]
    tap_->before(gathered_count_, from, frame.subspan(offset, length));
  gathered_[gathered_count_] = address;
  burst_[gathered_count_++] = {from, PacketBuffer(frame, offset, length), {}, note};
}

void Worker::translate_burst(TimePoint now) {
  translator_->translate(std::span{burst_}.first(gathered_count_), now);
  for (std::size_t i = 0; i < gathered_count_; ++i) {
    if (tap_ != nullptr) [[unlikely]]
      tap_->after(i, burst_[i].verdict, burst_[i].packet.packet(), now);
    dispatch(gathered_[i], burst_[i], now);
  }
  gathered_count_ = 0;
}

void Worker::dispatch(FrameAddress address, const BurstPacket& done, TimePoint now) {
  const auto& packet = done.packet;
  const auto& verdict = done.verdict;
  if (verdict.sends()) {
    if (probe_.on() && verdict.out == Side::kV6 && probe_.takes(packet.packet(), now)) [[unlikely]]
      return umem_->give_back(address);
    const auto start = umem_->start_of(address);
    return route(start + kLinkHeader + packet.offset(), static_cast<std::uint32_t>(packet.length()), now,
                 true);
  }
  if (verdict.action == Verdict::Action::kHandOver)
    hand_over(verdict.owner, verdict.out, verdict.note, packet.packet());
  umem_->give_back(address);  // dropped or held: the core has counted it; handed over: a copy travels
}

// Staged; publish_handed_over() shows a whole burst.
void Worker::hand_over(std::uint16_t owner, Side from, const FragmentNote& note,
                       std::span<const std::uint8_t> packet) {
  if (owner >= peers_.size() || peers_[owner] == this ||
      !peers_[owner]->inboxes_[options_.index]->stage(from, note, packet))
    io_.drop(IoDrop::kHandOverRing);
}

std::size_t Worker::receive_handed_over(TimePoint now) {
  std::size_t n = 0;
  for (const auto& inbox : inboxes_) {
    if (inbox == nullptr) continue;
    n += inbox->drain(kBurst, [&](Side from, const FragmentNote& note, std::span<const std::uint8_t> packet) {
      if (lease_over_) return io_.drop(IoDrop::kLeaseOver);
      const auto frame = umem_->take();
      if (!frame) return io_.drop(IoDrop::kNoFrame);
      constexpr std::size_t kOffset = kXdpHeadroom + kFrameHeadroom + kEthernetHeader;
      const auto room = umem_->frame(*frame).subspan(kOffset);
      if (packet.size() > room.size()) return drop(*frame, IoDrop::kExceedsMtu);
      std::memcpy(room.data(), packet.data(), packet.size());
      gather(from, *frame + kOffset, packet.size(), note);
    });
    translate_burst(now);
  }
  return n;
}

// The question goes the way of a client's packet from the first byte on.
void Worker::probe(TimePoint now) {
  io_.probe_state.set(static_cast<std::uint64_t>(probe_.state()));
  io_.probe_round_trip.set(static_cast<std::uint64_t>(probe_.round_trip().count()));
  const auto packet = probe_.ask(now);
  if (!packet) return;
  if (lease_over_) return io_.drop(IoDrop::kLeaseOver);
  const auto frame = umem_->take();
  if (!frame) return io_.drop(IoDrop::kNoFrame);
  constexpr std::size_t kOffset = kXdpHeadroom + kFrameHeadroom + kEthernetHeader;
  std::memcpy(umem_->frame(*frame).subspan(kOffset).data(), packet->data(), packet->size());
  gather(Side::kV6, *frame + kOffset, packet->size());
  translate_burst(now);
}

void Worker::publish_handed_over() {
  for (auto* peer : peers_) {
    if (peer == this || !peer->inboxes_[options_.index]->publish()) continue;
    if (peer->sleeping_.load(std::memory_order_seq_cst)) peer->wake();
  }
}

void Worker::drop(FrameAddress address, IoDrop reason) {
  io_.drop(reason);
  umem_->give_back(address);
}

void Worker::sleep() {
  int timeout = kIdleMilliseconds;
  for (const auto& bound : sockets_) {
    if (bound.socket->in_flight() > 0) timeout = 1;  // the device was busy: try again soon
  }
  // A peer publishes, then looks whether we sleep; we say that we sleep, then look whether something was
  // published. One of the two sees the other.
  sleeping_.store(true, std::memory_order_seq_cst);
  for (const auto& inbox : inboxes_) {
    if (inbox != nullptr && !inbox->empty()) timeout = 0;
  }
  poll(polled_.data(), polled_.size(), timeout);
  sleeping_.store(false, std::memory_order_relaxed);
  eventfd_t ignored = 0;
  if ((polled_.back().revents & POLLIN) != 0) eventfd_read(wake_.get(), &ignored);
}

}  // namespace isthmus::nat64
