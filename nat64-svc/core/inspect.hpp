// SPDX-License-Identifier: Apache-2.0
// Looking into a worker's tables: pages of mappings and sessions that a filter lets through. Each call visits
// a bounded number of records, so that the worker can answer between two bursts; what changes between two
// pages may be missed or seen twice.
#pragma once

#include <optional>
#include <vector>

#include "common/net/prefix.hpp"
#include "nat64-svc/core/worker_state.hpp"

namespace isthmus::nat64 {

// Every field that is set must match. Ports are identifiers for ICMP.
struct Filter {
  std::optional<Protocol> protocol;
  std::optional<Ipv6Prefix> client6;
  std::optional<std::uint16_t> port6;
  std::optional<Ipv4Prefix> public4;
  std::optional<std::uint16_t> port4;
  std::optional<Ipv4Prefix> server4;  // sessions only
  std::optional<std::uint16_t> server_port;
};

struct MappingView {
  Protocol protocol = Protocol::kTcp;
  TransportAddress6 client6;
  TransportAddress4 public4;
  bool is_static = false;
  std::uint32_t sessions = 0;
};

struct SessionView {
  Tuple6 six;
  Tuple4 four;
  TcpState state = TcpState::kV6Init;  // TCP only
  bool hairpin = false;
  Duration expires_in{};  // if no packet comes
};

template <class View>
struct Page {
  std::vector<View> items;
  std::optional<std::uint32_t> next;  // where to go on; none: this was the last
};

// From record `from` on: at most `visit` records looked at, at most `most` taken.
[[nodiscard]] Page<MappingView> list_mappings(const WorkerState& state, const Filter& filter,
                                              std::uint32_t from, std::uint32_t visit, std::uint32_t most);
[[nodiscard]] Page<SessionView> list_sessions(const WorkerState& state, const Filter& filter,
                                              std::uint32_t from, std::uint32_t visit, std::uint32_t most,
                                              TimePoint now);

// By index, not by search.
[[nodiscard]] std::optional<MappingView> find_mapping(const WorkerState& state, Protocol protocol,
                                                      const TransportAddress4& public4);
[[nodiscard]] std::optional<MappingView> find_mapping(const WorkerState& state, Protocol protocol,
                                                      const TransportAddress6& client6);

// Who holds the block of ports that a public address and port lie in, mapped or not.
struct BlockView {
  Ipv6Prefix subscriber;
  TransportAddress4 first;
  std::uint16_t last_port = 0;
};
[[nodiscard]] std::optional<BlockView> find_block(const WorkerState& state, const TransportAddress4& public4);

}  // namespace isthmus::nat64
