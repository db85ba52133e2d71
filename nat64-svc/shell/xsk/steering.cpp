// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/xsk/steering.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include "nat64-svc/shell/xsk/quick_targets.hpp"
#include "nat64-svc/shell/xsk/steer_maps.h"
#include "steer.skel.h"

namespace isthmus::nat64 {
namespace {

steer_prefix6 key_of(const Ipv6Prefix& prefix) {
  steer_prefix6 key{.length = prefix.length(), .address = {}};
  prefix.address().store(key.address);
  return key;
}

steer_prefix4 key_of(const Ipv4Prefix& prefix) {
  steer_prefix4 key{.length = prefix.length(), .address = {}};
  prefix.address().store(key.address);
  return key;
}

template <class Prefix>
Result<void, std::string> add(bpf_map* map, std::set<Prefix>& present, const std::set<Prefix>& wanted) {
  const std::uint32_t value = 1;
  for (const auto& prefix : wanted) {
    const auto key = key_of(prefix);
    if (bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY) != 0) {
      return failure("cannot steer " + prefix.to_string() + " to this process: " + std::strerror(errno) +
                     ": use fewer prefixes or addresses");
    }
    present.insert(prefix);
  }
  return {};
}

template <class Prefix>
Result<void, std::string> keep_only(bpf_map* map, std::set<Prefix>& present, const std::set<Prefix>& wanted) {
  for (auto it = present.begin(); it != present.end();) {
    if (wanted.contains(*it)) {
      ++it;
      continue;
    }
    const auto key = key_of(*it);
    if (bpf_map_delete_elem(bpf_map__fd(map), &key) != 0 && errno != ENOENT) {
      return failure("cannot stop steering " + it->to_string() + ": " + std::strerror(errno) +
                     ": restart this program");
    }
    it = present.erase(it);
  }
  return {};
}

int quiet_unless_debug(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG || !spdlog::should_log(spdlog::level::debug)) return 0;
  char line[512];
  const int length = vsnprintf(line, sizeof line, format, arguments);
  spdlog::debug("libbpf: {}", line);
  return length;
}

}  // namespace

Result<std::unique_ptr<Steering>, std::string> Steering::load() {
  libbpf_set_print(quiet_unless_debug);
  steer_bpf* object = steer_bpf__open_and_load();
  if (object == nullptr) {
    const int error = errno;
    return failure(
        std::string("the kernel refuses the steering program: ") + std::strerror(error) +
        (error == EPERM || error == EACCES
             ? ": grant CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"
             : ": Linux 5.15 or newer with CONFIG_XDP_SOCKETS is needed; --log-level debug tells more"));
  }
  // Memory of zeros would match every IPv6 packet: nothing is taken before there is a policy.
  object->bss->quick[0] = object->bss->quick[1] = quick_targets({}, {});
  return std::unique_ptr<Steering>(new Steering(object));
}

Steering::~Steering() {
  steer_bpf__destroy(object_);
}

Result<XdpMode, std::string> Steering::attach(std::uint32_t port, int interface_index,
                                              const std::string& interface, Take take, XdpMode wanted) {
  const bpf_program* program = take == Take::kV6   ? object_->progs.steer6
                               : take == Take::kV4 ? object_->progs.steer4
                                                   : object_->progs.steer_both;
  const auto attempt = [&](std::uint32_t flags) {
    DECLARE_LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
    links_[port].reset(bpf_link_create(bpf_program__fd(program), interface_index, BPF_XDP, &options));
    return links_[port].valid() ? 0 : errno;
  };
  int error = 0;
  if (wanted != XdpMode::kGeneric) {
    error = attempt(XDP_FLAGS_DRV_MODE);
    if (error == 0) return XdpMode::kNative;
    if (wanted == XdpMode::kAuto && error != EBUSY) {
      spdlog::warn(
          "native XDP is not possible on {} ({}); generic mode is used, which costs about twice the time",
          interface, std::strerror(error));
    }
  }
  if (wanted != XdpMode::kNative && error != EBUSY) {
    error = attempt(XDP_FLAGS_SKB_MODE);
    if (error == 0) return XdpMode::kGeneric;
  }
  std::string text = "cannot attach the XDP program to " + interface + ": " + std::strerror(error);
  if (error == EBUSY || error == EEXIST) {
    text += ": another XDP program is there; see it with bpftool net, remove it with ip link set dev " +
            interface + " xdp off";
  } else if (error == ENOSPC) {
    text +=
        ": a veth needs as many receive queues as its peer has transmit queues (numrxqueues, numtxqueues)";
  } else if (error == ERANGE) {
    text += ": lower the MTU of the interface and, for a veth, of its peer to 3498 or less";
  } else {
    text += ": use --xdp-mode generic where the driver has no native XDP";
  }
  return failure(text);
}

Result<void, std::string> Steering::set_socket(std::uint32_t port, std::uint32_t queue, int fd) {
  const std::uint32_t key = port * STEER_MAX_QUEUES + queue;
  if (bpf_map_update_elem(bpf_map__fd(object_->maps.sockets), &key, &fd, BPF_ANY) != 0) {
    return failure(std::string("cannot enter an AF_XDP socket into the map: ") + std::strerror(errno) +
                   ": Linux 5.15 or newer is needed");
  }
  return {};
}

Result<void, std::string> Steering::set_side(std::uint32_t side, const MacAddress& mac, std::uint16_t vlan) {
  steer_side value{.mac = {}, .vlan = vlan};
  std::memcpy(value.mac, mac.bytes.data(), mac.bytes.size());
  if (bpf_map_update_elem(bpf_map__fd(object_->maps.sides), &side, &value, BPF_ANY) != 0) {
    return failure(std::string("cannot tell the steering program a link address: ") + std::strerror(errno) +
                   ": restart this program");
  }
  return {};
}

Result<void, std::string> Steering::set_targets(const std::set<Ipv6Prefix>& prefixes,
                                                const std::set<Ipv4Prefix>& addresses) {
  auto* six = object_->maps.prefixes6;
  auto* four = object_->maps.prefixes4;
  if (auto done = add(six, prefixes_, prefixes); !done) return done;
  if (auto done = add(four, addresses_, addresses); !done) return done;
  auto& memory = *object_->bss;
  const __u32 idle = memory.quick_now ^ 1U;
  memory.quick[idle] = quick_targets(prefixes, addresses);
  std::atomic_ref(memory.quick_now).store(idle, std::memory_order_release);
  if (auto done = keep_only(six, prefixes_, prefixes); !done) return done;
  return keep_only(four, addresses_, addresses);
}

std::uint64_t Steering::no_socket_drops() const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return 0;
  std::vector<std::uint64_t> values(static_cast<std::size_t>(cpus));
  const std::uint32_t key = STEER_NO_SOCKET;
  if (bpf_map_lookup_elem(bpf_map__fd(object_->maps.counters), &key, values.data()) != 0) return 0;
  std::uint64_t sum = 0;
  for (const auto value : values) sum += value;
  return sum;
}

}  // namespace isthmus::nat64
