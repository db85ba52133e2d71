// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/node/node_mode.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <fstream>

#include "nat64-svc/shell/node/node_policy.hpp"
#include "nat64-svc/shell/node/sysctls.hpp"

namespace isthmus::nat64 {
namespace {

constexpr std::uint32_t kHeaderDifference = 20;  // an IPv6 header less an IPv4 one

// nftables does not show the old iptables' chains.
void warn_of_legacy_iptables() {
  std::ifstream tables("/proc/net/ip_tables_names");
  for (std::string table; std::getline(tables, table);) {
    if (table != "filter") continue;
    spdlog::warn(
        "legacy iptables has a filter table here; if its FORWARD chain drops by default: "
        "iptables-legacy -I FORWARD -i {0} -j ACCEPT; iptables-legacy -I FORWARD -o {0} -j ACCEPT",
        kKernelEnd);
  }
}

}  // namespace

std::uint32_t uplink4_mtu(const NetworkView& view) {
  const auto* route = view.uplink_route4();
  const auto* interface = route != nullptr ? view.interface(route->interface) : nullptr;
  if (interface == nullptr) return 1500;
  return route->mtu != 0 ? std::min(route->mtu, interface->mtu) : interface->mtu;
}

Result<std::unique_ptr<NodeMode>, std::string> NodeMode::open(std::uint32_t queues, const NetworkView& view) {
  if (const auto wrong = wrong_sysctls(node_mode_sysctls(), read_sysctl); !wrong.empty()) {
    std::string all = "this node's kernel settings do not allow node mode: ";
    for (const auto& one : wrong) all += (&one == &wrong.front() ? "" : "; ") + one;
    return failure(std::move(all));
  }
  std::unique_ptr<NodeMode> self(new NodeMode);
  auto nft = Nft::open();
  if (!nft) return failure(nft.error());
  self->nft_ = std::move(*nft);
  auto link = NodeLink::create(queues, node_link_mtu(uplink4_mtu(view)));
  if (!link) return failure(link.error());
  self->link_ = std::move(*link);
  warn_of_legacy_iptables();
  return self;
}

std::string NodeMode::refusal(const Policy& policy, const NetworkView& view) const {
  if (policy.pools.empty())
    return "node mode needs a pool of its own: add {name: node, kind: NODE_LOCAL} to pools";
  return pool_conflict(view, pool_prefixes(policy), link_->kernel_end());
}

void NodeMode::fill(RuntimeOptions& options, const Policy& policy, const NetworkView& view) const {
  options.mtu6 = std::max<std::uint32_t>(link_->mtu(), 1280);
  options.mtu4 = std::max<std::uint32_t>(std::min(uplink4_mtu(view), link_->mtu()), 68);
  set_own_addresses(options, policy);
}

Result<void, std::string> NodeMode::filter(const std::set<Ipv4Prefix>& pools) {
  if (pools != filtered_) {
    filtered_ = pools;
    if (auto done = install_table(); !done) {
      filtered_.clear();
      return done;
    }
  }
  accept_in_forward();
  return {};
}

Result<void, std::string> NodeMode::install_table() {
  const auto done = nft_->run(own_table({filtered_.begin(), filtered_.end()}, kKernelEnd, kOurEnd));
  if (done) return {};
  return failure("nftables refuses the masquerading table: " + done.error() +
                 ": Linux needs nf_tables with nat, masq and reject (modprobe nft_masq nft_reject_inet)");
}

void NodeMode::mend(const NetworkView& view) {
  if (filtered_.empty()) return;
  if (!nft_->run(fmt::format("list table inet {}", kNftTable))) {
    spdlog::warn("somebody removed the nftables table {}; it is made again", kNftTable);
    if (auto done = install_table(); !done) spdlog::error("{}", done.error());
  }
  accept_in_forward();
  const auto restored = link_->restore();
  if (!restored) spdlog::error("{}", restored.error());
  const bool was_down = restored && *restored;
  const auto lost = [&](const auto& prefix) {
    const auto* route = view.exact_route(prefix);
    return route == nullptr || route->interface != link_->kernel_end();
  };
  if (!was_down && !std::ranges::any_of(prefixes_, lost) && !std::ranges::any_of(pools_, lost)) return;
  if (was_down)
    spdlog::warn("somebody set {} down or took its address; it is as before again", kKernelEnd);
  else
    spdlog::warn("somebody removed routes by {}; they are made again", kKernelEnd);
  link_->forget_routes();
  if (auto done = route(prefixes_, pools_, view); !done) spdlog::error("{}", done.error());
}

std::vector<NftChain> NodeMode::chains(Which which) {
  const auto listed = nft_->ask("list chains");
  return listed ? forward_chains(*listed, which) : std::vector<NftChain>{};
}

NftOwnRules NodeMode::rules_in(const NftChain& chain) {
  const auto listed = nft_->ask("list chain " + chain.to_string());
  return listed ? own_rules(*listed) : NftOwnRules{};
}

void NodeMode::accept_in_forward() {
  for (const auto& chain : chains(Which::kDropping)) {
    const auto rules = rules_in(chain);
    if (rules.complete) continue;
    const auto done = nft_->run(without_rules(chain, rules.handles) + accepting_rules(chain, kKernelEnd));
    if (done) {
      spdlog::info("chain {} drops by default: it now accepts {}", chain.to_string(), kKernelEnd);
    } else {
      spdlog::error("chain {} drops by default and {} cannot be accepted in it: {}", chain.to_string(),
                    kKernelEnd, done.error());
    }
  }
}

Result<void, std::string> NodeMode::route(const std::set<Ipv6Prefix>& prefixes,
                                          const std::set<Ipv4Prefix>& pools, const NetworkView& view) {
  prefixes_ = prefixes;
  pools_ = pools;
  return link_->route(prefixes, pools, std::min(link_->mtu(), uplink4_mtu(view) + kHeaderDifference));
}

void NodeMode::remove() {
  link_->remove();
  for (const auto& chain : chains(Which::kAll)) {
    const auto rules = rules_in(chain);
    if (rules.handles.empty()) continue;
    if (const auto done = nft_->run(without_rules(chain, rules.handles)); !done)
      spdlog::warn("the rules in chain {} stay: {}", chain.to_string(), done.error());
  }
  if (const auto done = nft_->run(without_own_table()); !done)
    spdlog::warn("the nftables table {} stays: {}", kNftTable, done.error());
}

}  // namespace isthmus::nat64
