// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/ethtool.hpp"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "common/base/unique_fd.hpp"

namespace isthmus::nat64 {
namespace {

// By ioctl, not from /sys: a mounted /sys may show another network namespace's interfaces. `question` begins
// with its command; the answer is written into it.
bool ask(const std::string& interface, void* question) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::memcpy(request.ifr_name, interface.data(), std::min(interface.size(), sizeof request.ifr_name - 1));
  request.ifr_data = static_cast<char*>(question);
  return fd.valid() && ioctl(fd.get(), SIOCETHTOOL, &request) == 0;
}

}  // namespace

std::optional<std::uint32_t> known_queue_count(const std::string& interface) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (!ask(interface, &channels)) return std::nullopt;
  return std::max(1U, channels.combined_count + channels.rx_count);
}

std::uint32_t queue_count(const std::string& interface) {
  return known_queue_count(interface).value_or(1);
}

bool takes_vlan_tags_off(const std::string& interface) {
  ethtool_value flags{};
  flags.cmd = ETHTOOL_GFLAGS;
  return ask(interface, &flags) && (flags.data & ETH_FLAG_RXVLAN) != 0;
}

bool merges_segments(const std::string& interface) {
  ethtool_value on{};
  on.cmd = ETHTOOL_GGRO;
  return ask(interface, &on) && on.data != 0;
}

}  // namespace isthmus::nat64
