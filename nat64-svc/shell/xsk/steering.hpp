// SPDX-License-Identifier: Apache-2.0
// The steering program in the kernel and its maps: which packets come to our sockets. Attached by bpf_link,
// so it goes with the process, however that ends. Not thread-safe, but for no_socket_drops().
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "common/base/enum_names.hpp"
#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "common/net/prefix.hpp"
#include "nat64-svc/shell/netlink/mac_address.hpp"

struct steer_bpf;

namespace isthmus::nat64 {

enum class XdpMode : std::uint8_t { kAuto, kNative, kGeneric, kCount };
inline constexpr EnumNames<XdpMode> kXdpModeNames{{"auto", "native", "generic"}};

enum class Take : std::uint8_t { kV6, kV4, kBoth };  // which traffic an interface brings us

class Steering {
 public:
  // Errors are sentences with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<Steering>, std::string> load();
  ~Steering();
  Steering(const Steering&) = delete;
  Steering& operator=(const Steering&) = delete;

  // `port` is 0 or 1; kAuto tries native and falls back to generic. Returns the mode that works.
  [[nodiscard]] Result<XdpMode, std::string> attach(std::uint32_t port, int interface_index,
                                                    const std::string& interface, Take take, XdpMode wanted);
  [[nodiscard]] Result<void, std::string> set_socket(std::uint32_t port, std::uint32_t queue, int fd);
  // What frames of a side (0: IPv6, 1: IPv4) must bear to be ours. `vlan` 0: no tag.
  [[nodiscard]] Result<void, std::string> set_side(std::uint32_t side, const MacAddress& mac,
                                                   std::uint16_t vlan);

  // Replaces what is taken: new entries first, then the old ones go, so nothing in both is ever missing.
  [[nodiscard]] Result<void, std::string> set_targets(const std::set<Ipv6Prefix>& prefixes,
                                                      const std::set<Ipv4Prefix>& addresses);

  // Packets that were ours but had no socket to go to. Any thread.
  [[nodiscard]] std::uint64_t no_socket_drops() const;

 private:
  explicit Steering(steer_bpf* object) : object_(object) {}
  steer_bpf* object_;
  std::array<UniqueFd, 2> links_;
  std::set<Ipv6Prefix> prefixes_;
  std::set<Ipv4Prefix> addresses_;
};

}  // namespace isthmus::nat64
