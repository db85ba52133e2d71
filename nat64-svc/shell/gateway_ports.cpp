// SPDX-License-Identifier: Apache-2.0
// Which devices bring the traffic of the two sides. A VLAN's frames are taken from its parent, with their
// tag, where the parent has native XDP; else the VLAN's own interface, whose tags are the kernel's work,
// serves in generic mode like any interface without native XDP.
#include <net/if.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "nat64-svc/shell/busy_poll_settings.hpp"
#include "nat64-svc/shell/ethtool.hpp"
#include "nat64-svc/shell/gateway.hpp"
#include "nat64-svc/shell/lower_devices.hpp"
#include "nat64-svc/shell/xsk/steer_maps.h"

namespace isthmus::nat64 {
namespace {

// XDP of a bond runs at its members, whose frames are in no queue of the bond. Frames of a large MTU do not
// fit, also where those of the VLAN's own would.
bool may_be_parent(const Interface* interface) {
  return interface != nullptr && interface->kind != "bond" && interface->kind != "team" &&
         frame_size_for_mtu(interface->mtu).has_value();
}

void warn_of_hidden_tags(const WorkerPort& port, const Interface& parent) {
  if (!takes_vlan_tags_off(port.device)) return;
  if (parent.kind == "veth") {
    spdlog::warn(
        "the peer of {0} sends VLAN tags beside the packets, where XDP does not see them, unless it is told: "
        "ethtool -K PEER txvlan off; and to end this warning: ethtool -K {0} rxvlan off",
        port.device);
  } else {
    spdlog::warn(
        "{0} takes VLAN tags off before XDP sees them, so nothing of {1} will be translated: ethtool -K {0} "
        "rxvlan off",
        port.device, port.interface);
  }
}

// Of an interface without a VLAN: frames of others come to XDP as if they had none.
void warn_of_vlans_taken_in(const WorkerPort& port, const NetworkView& view) {
  const auto* device = view.interface(port.device_index);
  if (device == nullptr || !takes_vlan_tags_off(port.device)) return;
  const auto remedy = device->kind == "veth"
                          ? "ethtool -K PEER txvlan off; and to end this warning: ethtool -K "
                          : "ethtool -K ";
  for (const auto& [index, interface] : view.interfaces()) {
    if (interface.vlan == 0 || interface.lower != port.device_index) continue;
    spdlog::warn(
        "{0} hides VLAN tags from XDP, so packets for NAT64 that come by its VLAN {1} are translated as if "
        "they "
        "came by {0} itself: {2}{0} rxvlan off",
        port.device, interface.vlan, remedy);
  }
}

// Empty: there is none.
std::string name_of(int index) {
  std::array<char, IF_NAMESIZE> name{};
  return if_indextoname(static_cast<unsigned>(index), name.data()) == nullptr ? "" : name.data();
}

void warn_of_merged_segments(const std::string& device, const NetworkView& view) {
  const auto merges = [](int index) { return merges_segments(name_of(index)); };
  const auto index = static_cast<int>(if_nametoindex(device.c_str()));
  for (const auto lower : merging_below(index, view.interfaces(), merges)) {
    spdlog::warn(
        "{0}, below {1}, merges TCP segments before XDP sees them at {1}, and those that are then too long "
        "for a frame are lost: ethtool -K {0} gro off rx-gro-hw off lro off",
        name_of(lower), device);
  }
  // The kernel has tried to switch that off; it cannot where it is a virtual machine's host that merges.
  if (merges_by_itself(device)) {
    spdlog::warn(
        "{0} merges TCP segments before XDP sees them, which cannot be switched off here, and those that are "
        "then too long for a frame are lost: have the host of this virtual machine offer its card without "
        "guest offloads (guest_tso4, guest_tso6, guest_csum) or with control of them (ctrl_guest_offloads)",
        device);
  }
}

}  // namespace

Result<WorkerPort, std::string> Gateway::find_port(const std::string& name, XdpMode wanted) const {
  const int index = static_cast<int>(if_nametoindex(name.c_str()));
  const auto view = watcher_->view().get();
  const auto* interface = view->interface(index);
  if (index == 0 || interface == nullptr) {
    return failure("there is no interface " + name + ": ip link shows those that are");
  }
  if (!interface->up) return failure("interface " + name + " is down: ip link set " + name + " up");
  if (interface->mac == MacAddress{}) {
    return failure("interface " + name + " is no Ethernet: NAT64 needs an interface with a link address");
  }
  if (interface->kind == "bond") {
    return failure(name +
                   " is a bond, whose queues have no packets of their own: name a VLAN on it, which works " +
                   "in generic mode (ip link add link " + name + " name " + name +
                   ".10 type vlan id 10), or use routed links with several gateways");
  }
  if (!frame_size_for_mtu(interface->mtu)) {
    return failure("the MTU of " + name + " is " + std::to_string(interface->mtu) +
                   ": AF_XDP takes at most " + std::to_string(kLargestMtu) + "; ip link set " + name +
                   " mtu " + std::to_string(kLargestMtu));
  }
  WorkerPort port{name, index, name, index, 0, {}};
  const auto parent = name_of(interface->lower);
  if (interface->vlan == 0 || wanted == XdpMode::kGeneric ||
      !may_be_parent(view->interface(interface->lower)) || parent.empty())
    return port;
  port.device = parent;
  port.device_index = interface->lower;
  port.vlan = interface->vlan;
  return port;
}

Result<void, std::string> Gateway::open_ports(const StartupConfig& config) {
  std::vector<std::string> names{config.interface6};
  if (!config.one_interface()) names.push_back(config.interface4);
  for (const auto& name : names) {
    auto port = find_port(name, config.xdp_mode);
    if (!port) return failure(port.error());
    worker_ports_.push_back(std::move(*port));
    ports_.push_back({name, config.xdp_mode});
  }
  for (std::size_t port = 0; port < names.size(); ++port) {
    if (auto done = open_device(port); !done) return done;
  }
  const auto view = watcher_->view().get();
  for (std::size_t number = 0; number < names.size(); ++number) {
    const auto& port = worker_ports_[number];
    if (port.vlan != 0)
      warn_of_hidden_tags(port, *view->interface(port.device_index));
    else
      warn_of_vlans_taken_in(port, *view);
    if (auto done = steer(number, view->interface(port.interface_index)->mac); !done) return done;
  }
  return {};
}

// The program and the queues of the port's device; the second port of one device needs no more.
Result<void, std::string> Gateway::open_device(std::size_t number) {
  auto& port = worker_ports_[number];
  if (number > 0 && port.device_index == worker_ports_[0].device_index) {
    ports_[number].mode = ports_[0].mode;
    return {};
  }
  if (auto done = attach(number); !done) return done;
  if (ports_[number].mode == XdpMode::kGeneric) warn_of_merged_segments(port.device, *watcher_->view().get());
  const auto queues = queue_count(port.device);
  if (queues > STEER_MAX_QUEUES) {
    return failure(port.device + " has " + std::to_string(queues) + " queues, at most " +
                   std::to_string(STEER_MAX_QUEUES) + " can be used: ethtool -L " + port.device +
                   " combined " + std::to_string(STEER_MAX_QUEUES));
  }
  if (busy_poll_) {
    for (const auto& wrong : prepare_busy_poll(port.device, interface_files(port.device, port.device_index)))
      spdlog::warn("{}", wrong);
  }
  for (std::uint32_t queue = 0; queue < queues; ++queue) port.queues.push_back(queue);
  return {};
}

Result<void, std::string> Gateway::attach(std::size_t number) {
  const auto device = worker_ports_[number].device_index;
  const auto here = [&](const WorkerPort& port) { return port.device_index == device; };
  const auto tagged = [&](const WorkerPort& port) { return here(port) && port.vlan != 0; };
  const auto take = std::ranges::all_of(worker_ports_, here) ? Take::kBoth
                    : number == 0                            ? Take::kV6
                                                             : Take::kV4;
  const bool native_only = std::ranges::any_of(worker_ports_, tagged);
  auto mode = steering_->attach(static_cast<std::uint32_t>(number), device, worker_ports_[number].device,
                                take, native_only ? XdpMode::kNative : ports_[number].mode);
  if (mode) {
    ports_[number].mode = *mode;
    return {};
  }
  if (!native_only || ports_[number].mode == XdpMode::kNative) return failure(mode.error());
  for (std::size_t other = 0; other < worker_ports_.size(); ++other) {
    auto& port = worker_ports_[other];
    if (!tagged(port)) continue;
    spdlog::warn("{} itself serves, in generic mode, which costs about twice the time, for native mode {}",
                 port.interface, mode.error());
    port.device = port.interface;
    port.device_index = port.interface_index;
    port.vlan = 0;
    ports_[other].mode = XdpMode::kGeneric;
  }
  return attach(number);
}

// What frames of the port must bear; a port alone serves both sides.
Result<void, std::string> Gateway::steer(std::size_t number, const MacAddress& mac) {
  const bool first = number == 0, last = number + 1 == worker_ports_.size();
  const auto vlan = worker_ports_[number].vlan;
  if (first) {
    if (auto done = steering_->set_side(STEER_SIDE6, mac, vlan); !done) return done;
  }
  return last ? steering_->set_side(STEER_SIDE4, mac, vlan) : Result<void, std::string>{};
}

}  // namespace isthmus::nat64
