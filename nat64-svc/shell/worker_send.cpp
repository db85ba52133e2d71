// SPDX-License-Identifier: Apache-2.0
// The way out of a worker: where a packet goes, waiting for a neighbour's link address, the frame.
#include <algorithm>
#include <cstring>

#include "nat64-svc/shell/link_header.hpp"
#include "nat64-svc/shell/worker.hpp"

namespace isthmus::nat64 {
namespace {

// Packets that wait for a link address: RFC 4861 §7.2.2 asks for at least one per neighbour; small, for
// anybody who sends to addresses that nobody has fills these.
constexpr std::size_t kHeldPerNeighbour = 3;
constexpr std::chrono::seconds kHoldTime{1};

// Why a packet stays here, and what its sender is told, as by any router (RFC 1812 §5.2.7.1, RFC 4443 §3.1).
struct Stop {
  IoDrop reason = IoDrop::kNoRoute;
  std::optional<Unreachable> told = Unreachable::kNoRoute;
};

Stop stop_of(Reach reach) {
  switch (reach) {
    case Reach::kUnreachable:
      return {IoDrop::kRouteRefused, Unreachable::kRoute};
    case Reach::kProhibited:
      return {IoDrop::kRouteRefused, Unreachable::kProhibited};
    case Reach::kBlackhole:
      return {IoDrop::kRouteRefused, std::nullopt};
    case Reach::kLocal:
      return {IoDrop::kLocalDestination, std::nullopt};
    case Reach::kUnresolved:
      return {IoDrop::kNeighbourUnknown, Unreachable::kNeighbour};
    case Reach::kReady:
    case Reach::kNoRoute:
      break;
  }
  return {};
}

// `packet` came from the translator: whole IP headers.
NextHop next_hop(const NetworkView& view, std::span<const std::uint8_t> packet) {
  if (packet.size() >= 40 && packet[0] >> 4 == 6) return view.next_hop(Ipv6Address::load(packet.data() + 24));
  if (packet.size() >= 20 && packet[0] >> 4 == 4) return view.next_hop(Ipv4Address::load(packet.data() + 16));
  return {};
}

// Node mode: by the pair, whose own end is its neighbour.
NextHop to_kernel(int pair, const MacAddress& kernel_end) {
  NextHop hop;
  hop.reach = Reach::kReady;
  hop.interface = pair;
  hop.mac = kernel_end;
  return hop;
}

}  // namespace

void Worker::send_copy(std::span<const std::uint8_t> packet, TimePoint now) {
  if (lease_over_) return io_.drop(IoDrop::kLeaseOver);
  if (tap_ != nullptr) [[unlikely]]
    tap_->made(packet, now);
  const auto frame = umem_->take();
  if (!frame) return io_.drop(IoDrop::kNoFrame);
  constexpr std::size_t kOffset = kXdpHeadroom + kFrameHeadroom;
  const auto room = umem_->frame(*frame).subspan(kOffset);
  if (packet.size() > room.size()) return drop(*frame, IoDrop::kExceedsMtu);
  std::memcpy(room.data(), packet.data(), packet.size());
  route(*frame + kOffset, static_cast<std::uint32_t>(packet.size()), now, true);
}

void Worker::route(FrameAddress address, std::uint32_t length, TimePoint now, bool may_hold) {
  const auto& view = *view_reader_.value();
  const auto offset = static_cast<std::size_t>(address - umem_->start_of(address));
  const auto packet = umem_->frame(address).subspan(offset, length);
  // Node mode: all to the kernel, whatever the destination.
  const auto destination = options_.kernel_end ? Ways::Destination{} : Ways::destination_of(packet);
  if (const auto* known = ways_.find(destination, view_reader_.generation()))
    return transmit(*known, address, length);
  const auto hop = options_.kernel_end
                       ? to_kernel(options_.ports.front().interface_index, *options_.kernel_end)
                       : next_hop(view, packet);
  if (hop.reach == Reach::kUnresolved || hop.reach == Reach::kReady) {
    std::size_t port = 0;
    while (port < options_.ports.size() && options_.ports[port].interface_index != hop.interface) ++port;
    if (port == options_.ports.size())
      return refuse(address, length, IoDrop::kOtherInterface, Unreachable::kNoRoute, now);
    if (hop.reach == Reach::kReady) {
      const auto ready = way(port, hop.mac);
      if (!ready) return drop(address, IoDrop::kExceedsMtu);
      if (!hop.stale) ways_.remember(destination, view_reader_.generation(), *ready);
      return transmit(*ready, address, length);
    }
    if (may_hold) return hold(hop, address, length, now);
  }
  const auto stop = stop_of(hop.reach);
  refuse(address, length, stop.reason, stop.told, now);
}

void Worker::refuse(FrameAddress address, std::uint32_t length, IoDrop reason,
                    std::optional<Unreachable> told, TimePoint now) {
  if (told) {
    const auto offset = static_cast<std::size_t>(address - umem_->start_of(address));
    const auto packet = umem_->frame(address).subspan(offset, length);
    const auto side = length > 0 && packet[0] >> 4 == 6 ? Side::kV6 : Side::kV4;
    translator_->unreachable(side, packet, *told, now);
  }
  drop(address, reason);
}

void Worker::hold(const NextHop& hop, FrameAddress address, std::uint32_t length, TimePoint now) {
  const NetworkView::NeighbourKey key{hop.interface, hop.neighbour};
  const auto waiting =
      std::count_if(held_.begin(), held_.end(), [&](const auto& h) { return h.neighbour == key; });
  if (held_.size() >= kHeldInAll || static_cast<std::size_t>(waiting) >= kHeldPerNeighbour) {
    return drop(address, IoDrop::kNeighbourQueue);
  }
  if (waiting == 0) watcher_.ask_for(hop.interface, hop.neighbour);
  held_.push_back({key, address, length, now + kHoldTime});
  io_.held_for_neighbour.set(held_.size());
}

// In order of arrival: those whose neighbour is known now are sent, those past their time are dropped, the
// rest stay.
void Worker::retry_held(TimePoint now) {
  std::size_t kept = 0;
  for (const auto& packet : held_) {
    const auto offset = static_cast<std::size_t>(packet.address - umem_->start_of(packet.address));
    const auto bytes = umem_->frame(packet.address).subspan(offset, packet.length);
    const bool waits = next_hop(*view_reader_.value(), bytes).reach == Reach::kUnresolved;
    if (lease_over_) {
      drop(packet.address, IoDrop::kLeaseOver);
    } else if (waits && packet.deadline > now) {
      held_[kept++] = packet;
    } else {
      route(packet.address, packet.length, now, false);  // never holds, so held_ stays as it is
    }
  }
  held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(kept), held_.end());
  io_.held_for_neighbour.set(held_.size());
}

std::optional<Way> Worker::way(std::size_t port, const MacAddress& to) const {
  const auto* interface = view_reader_.value()->interface(options_.ports[port].interface_index);
  if (interface == nullptr) return std::nullopt;
  return Way{port, interface->mtu, to, interface->mac, options_.ports[port].vlan};
}

void Worker::transmit(const Way& way, FrameAddress address, std::uint32_t length) {
  if (length > way.mtu) return drop(address, IoDrop::kExceedsMtu);
  const auto header = store_link_header(umem_->frame(address), address - umem_->start_of(address), way);
  auto& socket = *transmit_[way.port];
  if (!socket.stage(address - header, length + header)) {
    if (!socket.make_room() || !socket.stage(address - header, length + header))
      return drop(address, IoDrop::kTransmitRing);
  }
  io_.transmitted[way.port].add();
}

std::uint32_t Worker::route_mtu(void* self, Side /*side*/, std::span<const std::uint8_t> destination) {
  const auto& view = *static_cast<Worker*>(self)->view_reader_.value();
  NextHop hop;
  if (destination.size() == 4) hop = view.next_hop(Ipv4Address::load(destination.data()));
  if (destination.size() == 16) hop = view.next_hop(Ipv6Address::load(destination.data()));
  // Node mode: whatever the way beyond takes, the pair is before it.
  const auto& options = static_cast<Worker*>(self)->options_;
  const auto* pair = options.kernel_end ? view.interface(options.ports.front().interface_index) : nullptr;
  return pair != nullptr && hop.mtu != 0 ? std::min(hop.mtu, pair->mtu) : hop.mtu;
}

}  // namespace isthmus::nat64
