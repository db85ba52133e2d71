// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/port_health.hpp"

#include "nat64-svc/shell/xsk/umem.hpp"

namespace isthmus::nat64 {

std::string port_problem(const std::string& name, const Interface* interface, std::uint32_t frame_size) {
  if (interface == nullptr) return "interface " + name + " is gone";
  if (!interface->up) return "interface " + name + " is down";
  if (!interface->running) return "interface " + name + " has no carrier";
  if (frame_size_for_mtu(interface->mtu).value_or(UINT32_MAX) > frame_size) {
    return "the MTU of " + name + " has become " + std::to_string(interface->mtu) +
           ", and what is longer than the frames of this process is lost: restart nat64-svc";
  }
  return {};
}

std::string queues_problem(const WorkerPort& port, std::optional<std::uint32_t> now) {
  // Without queues: the port before has the same device.
  if (!now || port.queues.empty() || *now == port.queues.size()) return {};
  return port.device + " has " + std::to_string(*now) + " queues now and had " +
         std::to_string(port.queues.size()) +
         " when this process started, and what comes by one without a socket is lost: restart nat64-svc";
}

}  // namespace isthmus::nat64
