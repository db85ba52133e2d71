// SPDX-License-Identifier: Apache-2.0
// What an interface needs for busy polling: deferred interrupts, or the kernel polls beside us. With
// both settings at 0 packets wait for the next interrupt and pings are lost.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace isthmus::nat64 {

struct BusyPollSetting {
  const char* name;  // file in /sys/class/net/INTERFACE/
  std::uint64_t least;
  const char* start;  // a value to begin with
};
inline constexpr BusyPollSetting kBusyPollSettings[] = {{"napi_defer_hard_irqs", 1, "2"},
                                                        {"gro_flush_timeout", 1, "20000"}};

// Access to /sys/class/net/INTERFACE/*; a test brings its own.
struct InterfaceFiles {
  std::function<std::optional<std::uint64_t>(const std::string& name)> read;
  std::function<bool(const std::string& name, const std::string& value)> write;
};
// Refuses, as nothing, a /sys that shows the interfaces of another network namespace.
[[nodiscard]] std::optional<InterfaceFiles> interface_files(const std::string& interface, int index);

// Sets what is too small where that is permitted; for what stays wrong a sentence with the remedy.
[[nodiscard]] std::vector<std::string> prepare_busy_poll(const std::string& interface,
                                                         const std::optional<InterfaceFiles>& files);

}  // namespace isthmus::nat64
