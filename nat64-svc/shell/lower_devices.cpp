// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/lower_devices.hpp"

#include <net/if.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "nat64-svc/shell/ethtool.hpp"

namespace isthmus::nat64 {
namespace {

std::vector<std::string> links_below(const std::string& device) {
  constexpr std::string_view kLower = "lower_";
  const auto directory = std::filesystem::path("/sys/class/net") / device;
  unsigned index = 0;
  if (!(std::ifstream(directory / "ifindex") >> index) || index != if_nametoindex(device.c_str())) return {};
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    const auto name = at->path().filename().string();
    if (name.starts_with(kLower)) names.push_back(name.substr(kLower.size()));
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

DeviceQuestions ask_kernel() {
  return {links_below, merges_segments};
}

std::vector<std::string> merging_below(const std::string& device, const DeviceQuestions& ask) {
  std::vector<std::string> seen{device};
  std::vector<std::string> merging;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    for (auto& name : ask.right_below(seen[i])) {
      if (std::ranges::find(seen, name) != seen.end()) continue;
      if (ask.merges(name)) merging.push_back(name);
      seen.push_back(std::move(name));
    }
  }
  return merging;
}

}  // namespace isthmus::nat64
