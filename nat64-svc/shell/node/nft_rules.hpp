// SPDX-License-Identifier: Apache-2.0
// Node mode's packet filter rules: our own table, and accepting rules where somebody else's forward chain
// drops by default (a drop is final in nftables, so accepting in a table of our own would not help).
//
// Text and JSON in, text out; Nft runs it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/net/prefix.hpp"

namespace isthmus::nat64 {

inline constexpr std::string_view kNftTable = "isthmus_nat64";
inline constexpr std::string_view kNftComment = "isthmus-nat64";

// Replaces our table in one transaction:
//  - what leaves by another interface than the kernel's end, from the pool, is masqueraded. fully-random:
//    ports cannot be guessed, and never clash with the node's own connections, which conntrack knows as well;
//  - what comes in on our own end of the pair is refused. While the program lives XDP takes such packets
//    before; when it is dead the kernel would forward them into the same route again, until the hop limit.
[[nodiscard]] std::string own_table(const std::vector<Ipv4Prefix>& pools, std::string_view kernel_end,
                                    std::string_view our_end);
[[nodiscard]] std::string without_own_table();

struct NftChain {
  std::string family, table, name;
  [[nodiscard]] std::string to_string() const { return family + " " + table + " " + name; }
  bool operator==(const NftChain&) const = default;
};

// From the JSON of "list chains": other people's forward chains; those that drop by default, or all.
enum class Which { kDropping, kAll };
[[nodiscard]] std::vector<NftChain> forward_chains(const std::string& json, Which which);

struct NftOwnRules {
  std::vector<std::string> handles;  // of the rules with our comment
  bool complete = false;             // both are there
};
// From the JSON of "list chain ...".
[[nodiscard]] NftOwnRules own_rules(const std::string& json);

[[nodiscard]] std::string accepting_rules(const NftChain& chain, std::string_view kernel_end);
[[nodiscard]] std::string without_rules(const NftChain& chain, const std::vector<std::string>& handles);

}  // namespace isthmus::nat64
