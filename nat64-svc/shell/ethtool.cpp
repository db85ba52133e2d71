// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/queue_count.hpp"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "common/base/unique_fd.hpp"

namespace isthmus::nat64 {

// By ioctl, not from /sys: a mounted /sys may show another network namespace's interfaces.
std::uint32_t queue_count(const std::string& interface) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  ifreq request{};
  std::memcpy(request.ifr_name, interface.data(), std::min(interface.size(), sizeof request.ifr_name - 1));
  void* data = &channels;
  request.ifr_data = static_cast<char*>(data);
  if (!fd.valid() || ioctl(fd.get(), SIOCETHTOOL, &request) != 0) return 1;
  return std::max(1U, channels.combined_count + channels.rx_count);
}

}  // namespace isthmus::nat64
