// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/busy_poll_settings.hpp"

#include <fstream>

namespace isthmus::nat64 {
namespace {

std::optional<std::uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

}  // namespace

std::optional<InterfaceFiles> interface_files(const std::string& interface, int index) {
  const std::string directory = "/sys/class/net/" + interface + "/";
  if (read_number(directory + "ifindex") != static_cast<std::uint64_t>(index)) return std::nullopt;
  return InterfaceFiles{[directory](const std::string& name) { return read_number(directory + name); },
                        [directory](const std::string& name, const std::string& value) {
                          std::ofstream file(directory + name);
                          file << value << std::flush;
                          return file.good();
                        }};
}

std::vector<std::string> prepare_busy_poll(const std::string& interface,
                                           const std::optional<InterfaceFiles>& files) {
  std::vector<std::string> wrong;
  for (const auto& setting : kBusyPollSettings) {
    const auto value = files ? files->read(setting.name) : std::nullopt;
    if (value && *value >= setting.least) continue;
    if (value && files->write(setting.name, setting.start)) continue;
    wrong.push_back(std::string(setting.name) + " of " + interface + " is " +
                    (value ? std::to_string(*value) : "not to be seen here") +
                    ", too little for busy polling: echo " + setting.start + " > /sys/class/net/" +
                    interface + "/" + setting.name);
  }
  return wrong;
}

}  // namespace isthmus::nat64
