// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/node/nft_rules.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace isthmus::nat64 {
namespace {

using nlohmann::json;

// The members of {"nftables": [{kind: {...}}, ...]} of one kind. Nothing from text that is no JSON.
std::vector<json> objects(const std::string& text, const char* kind) {
  std::vector<json> found;
  const auto document = json::parse(text, nullptr, false);
  if (!document.is_object() || !document.contains("nftables")) return found;
  for (const auto& entry : document["nftables"]) {
    if (entry.contains(kind) && entry[kind].is_object()) found.push_back(entry[kind]);
  }
  return found;
}

bool is_ours(const NftChain& chain) {
  return chain.table == kNftTable;
}

}  // namespace

std::string own_table(const std::vector<Ipv4Prefix>& pools, std::string_view kernel_end,
                      std::string_view our_end) {
  std::string sources;
  for (const auto& pool : pools) sources += (sources.empty() ? "" : ", ") + pool.to_string();
  const auto masquerade =
      sources.empty()
          ? std::string()
          : fmt::format("ip saddr {{ {} }} oifname != \"{}\" masquerade fully-random", sources, kernel_end);
  return fmt::format(R"({}
table inet {} {{
  chain dead_end {{
    type filter hook prerouting priority raw; policy accept;
    iifname "{}" meta pkttype != host drop
    iifname "{}" reject with icmpx no-route
  }}
  chain hide_pool {{
    type nat hook postrouting priority srcnat; policy accept;
    {}
  }}
}}
)",
                     without_own_table(), kNftTable, our_end, our_end, masquerade);
}

// Adding a table that exists is no error, deleting one that does not is.
std::string without_own_table() {
  return fmt::format("add table inet {0}\ndelete table inet {0}", kNftTable);
}

std::vector<NftChain> forward_chains(const std::string& text, Which which) {
  std::vector<NftChain> chains;
  for (const auto& chain : objects(text, "chain")) {
    if (chain.value("hook", "") != "forward") continue;
    if (which == Which::kDropping && chain.value("policy", "") != "drop") continue;
    const NftChain found{chain.value("family", ""), chain.value("table", ""), chain.value("name", "")};
    const bool routed = found.family == "ip" || found.family == "ip6" || found.family == "inet";
    if (routed && !is_ours(found)) chains.push_back(found);
  }
  return chains;
}

NftOwnRules own_rules(const std::string& text) {
  NftOwnRules rules;
  for (const auto& rule : objects(text, "rule")) {
    if (rule.value("comment", "") != kNftComment) continue;
    rules.handles.push_back(std::to_string(rule.value("handle", 0)));
  }
  rules.complete = rules.handles.size() == 2;
  return rules;
}

std::string accepting_rules(const NftChain& chain, std::string_view kernel_end) {
  std::string commands;
  for (const auto* direction : {"iifname", "oifname"}) {
    commands += fmt::format("insert rule {} {} \"{}\" accept comment \"{}\"\n", chain.to_string(), direction,
                            kernel_end, kNftComment);
  }
  return commands;
}

std::string without_rules(const NftChain& chain, const std::vector<std::string>& handles) {
  std::string commands;
  for (const auto& handle : handles) {
    commands += fmt::format("delete rule {} handle {}\n", chain.to_string(), handle);
  }
  return commands;
}

}  // namespace isthmus::nat64
