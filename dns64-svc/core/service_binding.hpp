// SPDX-License-Identifier: Apache-2.0
// The RDATA of SVCB and HTTPS (RFC 9460 §2.2): its address hints, and the same RDATA with more or less of
// them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "dns64-svc/core/client_info.hpp"
#include "dns64-svc/core/wire/name.hpp"

namespace isthmus::dns64 {

namespace svc_param {
inline constexpr std::uint16_t kMandatory = 0, kIpv4Hint = 4, kIpv6Hint = 6;
}  // namespace svc_param

[[nodiscard]] constexpr bool is_service_binding(std::uint16_t type) {
  return type == rr::kSvcb || type == rr::kHttps;
}

// Room for an RDATA that is changed; larger ones are not.
using BindingRoom = std::array<std::uint8_t, 2048>;

struct Binding {
  NameView target;
  std::span<const std::uint8_t> ipv4_hints;
  std::size_t insert_at = 0;  // where an ipv6hint goes: keys stand in ascending order
};

// Nothing when the RDATA is malformed, AliasMode, without ipv4hint, or has an ipv6hint already.
[[nodiscard]] std::optional<Binding> read_binding(std::span<const std::uint8_t> rdata);

// The same with an ipv6hint of these addresses, 16 bytes each, in `room`. Nothing: there is none, or no room.
[[nodiscard]] std::optional<std::span<const std::uint8_t>> with_ipv6_hints(
    std::span<const std::uint8_t> rdata, const Binding& binding, std::span<const std::uint8_t> hints,
    BindingRoom& room);

// `rdata` itself when no hint is unwanted. Else a copy in `room` without those that are, and without a
// parameter that has none left. Nothing when that makes no good record: the parameter is mandatory (§8),
// there is no room, or the RDATA cannot be read, so nobody knows what a client may find in it.
[[nodiscard]] std::optional<std::span<const std::uint8_t>> without_hints(
    std::span<const std::uint8_t> rdata, const std::function<bool(const ClientAddress&)>& is_unwanted,
    BindingRoom& room);

}  // namespace isthmus::dns64
