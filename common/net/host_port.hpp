// SPDX-License-Identifier: Apache-2.0
// "host:port" as operators write it: "127.0.0.1:9464", "[2001:db8::1]:9464", "controller.example:7443".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace isthmus {

struct HostPort {
  std::string host;        // without brackets
  std::uint16_t port = 0;  // host order
  bool operator==(const HostPort&) const = default;
};

// An IPv6 host must be in brackets; the host is not empty; the port is decimal, 0-65535. Whether the host is
// an address or a name is the caller's matter.
[[nodiscard]] std::optional<HostPort> parse_host_port(std::string_view text);

}  // namespace isthmus
