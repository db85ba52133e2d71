// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/node/sysctls.hpp"

#include <algorithm>
#include <fstream>

namespace isthmus::nat64 {
namespace {

std::string path_of(std::string name) {
  std::ranges::replace(name, '.', '/');
  return "/proc/sys/" + name;
}

}  // namespace

std::vector<std::string> wrong_sysctls(const std::vector<Sysctl>& needed,
                                       const std::function<std::optional<std::string>(std::string)>& read) {
  std::vector<std::string> wrong;
  for (const auto& setting : needed) {
    const auto present = read(setting.name);
    if (present == setting.value) continue;
    wrong.push_back(setting.name + " is " + present.value_or("unknown to this kernel") + " and must be " +
                    setting.value + " (" + setting.why + "): sysctl -w " + setting.name + "=" +
                    setting.value);
  }
  return wrong;
}

std::vector<Sysctl> node_mode_sysctls() {
  return {{"net.ipv4.ip_forward", "1", "the node forwards translated packets"},
          {"net.ipv6.conf.all.forwarding", "1", "the node forwards its pods' packets"},
          {"net.ipv6.conf.all.disable_ipv6", "0", "pods speak IPv6"},
          {"net.ipv6.conf.default.disable_ipv6", "0", "isth0 must have IPv6"}};
}

std::optional<std::string> read_sysctl(const std::string& name) {
  std::ifstream file(path_of(name));
  std::string value;
  if (!std::getline(file, value)) return std::nullopt;
  return value;
}

bool write_sysctl(const std::string& name, const std::string& value) {
  std::ofstream file(path_of(name));
  file << value << std::flush;
  return file.good();
}

}  // namespace isthmus::nat64
