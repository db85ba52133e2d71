// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/ethtool.hpp"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <vector>

#include "common/base/unique_fd.hpp"

namespace isthmus::nat64 {
namespace {

// By ioctl rather than from /sys, which may show another network namespace's interfaces. `question` begins
// with its command; the answer is written into it.
bool ask(const std::string& interface, void* question) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::memcpy(request.ifr_name, interface.data(), std::min(interface.size(), sizeof request.ifr_name - 1));
  request.ifr_data = static_cast<char*>(question);
  return fd.valid() && ioctl(fd.get(), SIOCETHTOOL, &request) == 0;
}

// The features of ethtool -k, by the kernel's own names. The questions end in arrays, so they are words here:
// ethtool_sset_info, ethtool_gstrings, ethtool_gfeatures.
bool is_on(const std::string& interface, std::string_view feature) {
  std::array<std::uint32_t, 5> count{ETHTOOL_GSSET_INFO, 0, 1U << ETH_SS_FEATURES, 0, 0};
  if (!ask(interface, count.data())) return false;
  const std::size_t features = count[4];
  constexpr std::size_t kWordsOfAName = ETH_GSTRING_LEN / 4;
  std::vector<std::uint32_t> names(3 + features * kWordsOfAName);
  names[0] = ETHTOOL_GSTRINGS;
  names[1] = ETH_SS_FEATURES;
  names[2] = count[4];
  std::vector<std::uint32_t> states(2 + (features + 31) / 32 * 4);
  states[0] = ETHTOOL_GFEATURES;
  states[1] = static_cast<std::uint32_t>((features + 31) / 32);
  if (!ask(interface, names.data()) || !ask(interface, states.data())) return false;
  for (std::size_t i = 0; i < features; ++i) {
    std::array<char, ETH_GSTRING_LEN + 1> name{};
    std::memcpy(name.data(), &names[3 + i * kWordsOfAName], ETH_GSTRING_LEN);
    const auto active = states[2 + i / 32 * 4 + 2];
    if (feature == name.data()) return (active >> i % 32 & 1) != 0;
  }
  return false;
}

std::optional<ethtool_channels> channels_of(const std::string& interface) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  return ask(interface, &channels) ? std::optional{channels} : std::nullopt;
}

// Some drivers tell nobody but /sys (xen-netfront, tun). `kind`: "rx-" or "tx-".
std::optional<std::uint32_t> queues_in_sys(const std::string& interface, std::string_view kind) {
  const std::filesystem::path directory = "/sys/class/net/" + interface;
  unsigned index = 0;
  if (!(std::ifstream(directory / "ifindex") >> index) || index != if_nametoindex(interface.c_str()))
    return std::nullopt;
  std::uint32_t count = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory / "queues", error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().filename().string().starts_with(kind)) ++count;
  }
  return count > 0 ? std::optional{count} : std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> known_queue_count(const std::string& interface) {
  if (const auto channels = channels_of(interface))
    return std::max(1U, channels->combined_count + channels->rx_count);
  ethtool_rxnfc rings{};
  rings.cmd = ETHTOOL_GRXRINGS;
  if (ask(interface, &rings) && rings.data > 0) return static_cast<std::uint32_t>(rings.data);
  return queues_in_sys(interface, "rx-");
}

std::optional<std::uint32_t> known_transmit_queue_count(const std::string& interface) {
  if (const auto channels = channels_of(interface))
    return std::max(1U, channels->combined_count + channels->tx_count);
  return queues_in_sys(interface, "tx-");
}

std::uint32_t receive_ring_size(const std::string& interface) {
  ethtool_ringparam rings{};
  rings.cmd = ETHTOOL_GRINGPARAM;
  return ask(interface, &rings) ? rings.rx_pending : 0;
}

std::uint32_t queue_count(const std::string& interface) {
  return known_queue_count(interface).value_or(1);
}

bool takes_vlan_tags_off(const std::string& interface) {
  return is_on(interface, "rx-vlan-hw-parse");
}

bool merges_by_itself(const std::string& interface) {
  return is_on(interface, "rx-gro-hw") || is_on(interface, "rx-lro");
}

bool merges_segments(const std::string& interface) {
  return is_on(interface, "rx-gro") || merges_by_itself(interface);
}

}  // namespace isthmus::nat64
