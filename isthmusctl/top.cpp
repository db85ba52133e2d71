// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/top.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>
#include <vector>

#include "isthmusctl/table.hpp"

namespace isthmus {
namespace {

// 1234567 -> "1.23M"
std::string short_number(double value) {
  constexpr std::array<const char*, 5> kUnits{"", "k", "M", "G", "T"};
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  std::array<char, 32> text{};
  const int digits = unit == 0 ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0;
  std::snprintf(text.data(), text.size(), "%.*f%s", digits, value, kUnits[unit]);
  return text.data();
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  return std::to_string(
             static_cast<int>(std::lround(100.0 * static_cast<double>(part) / static_cast<double>(whole)))) +
         "%";
}

struct Row {
  double load = -1;  // per second, for the order
  std::vector<std::string> cells;
};

// nothing: the counter went back, or there is nothing to compare with
std::optional<double> rate(std::optional<std::uint64_t> before, std::uint64_t now, double seconds) {
  if (!before || now < *before || seconds <= 0) return std::nullopt;
  return static_cast<double>(now - *before) / seconds;
}

std::string cell(const std::optional<double>& rate) {
  return rate ? short_number(*rate) : "-";
}

const v1::Node* find(const v1::ListNodesResponse& nodes, const v1::Node& wanted) {
  for (const auto& node : nodes.nodes()) {
    if (node.node_id() == wanted.node_id() && node.kind() == wanted.kind() &&
        node.incarnation() == wanted.incarnation()) {
      return &node;
    }
  }
  return nullptr;
}

Row row_of(const v1::Node& node, const v1::Node* before, double seconds) {
  const auto past = [&](auto field) -> std::optional<std::uint64_t> {
    return before == nullptr ? std::nullopt : std::optional<std::uint64_t>{field(before->report())};
  };
  const char* state = !node.connected() ? "LOST" : node.report().serving() ? "Serving" : "NotServing";
  if (node.kind() == v1::NAT64) {
    const auto& now = node.report().nat64();
    const auto packets = rate(past([](const auto& r) { return r.nat64().packets_translated(); }),
                              now.packets_translated(), seconds);
    const auto drops =
        rate(past([](const auto& r) { return r.nat64().packets_dropped(); }), now.packets_dropped(), seconds);
    return {packets.value_or(-1),
            {node.node_id(), "nat64", state, cell(packets), cell(drops),
             short_number(static_cast<double>(now.sessions())),
             percent(now.blocks_used(), now.blocks_total()), std::to_string(node.addresses_leased_size())}};
  }
  const auto& now = node.report().dns64();
  const auto queries = rate(past([](const auto& r) { return r.dns64().queries(); }), now.queries(), seconds);
  const auto failures =
      rate(past([](const auto& r) { return r.dns64().failures(); }), now.failures(), seconds);
  return {queries.value_or(-1),
          {node.node_id(), "dns64", state, cell(queries), cell(failures), "-", "-", "-"}};
}

}  // namespace

std::string show_top(const v1::ListNodesResponse& before, const v1::ListNodesResponse& now, double seconds) {
  std::vector<Row> rows;
  for (const auto& node : now.nodes()) rows.push_back(row_of(node, find(before, node), seconds));
  std::ranges::stable_sort(rows, std::greater{}, &Row::load);
  Table table{{"NODE", "KIND", "STATE", "PER_SECOND", "LOST_PER_SECOND", "SESSIONS", "BLOCKS", "ADDRESSES"}};
  for (auto& row : rows) table.add(std::move(row.cells));
  return table.text();
}

}  // namespace isthmus
