// SPDX-License-Identifier: Apache-2.0
#include "common/config/wire.hpp"

#include "common/config/checker.hpp"
#include "common/config/durations.hpp"

namespace isthmus {
namespace {

using NodePrefixes = google::protobuf::RepeatedPtrField<v1::NodePrefix>;

std::vector<NodePrefix> read_node_prefixes(const NodePrefixes& in, const std::string& path, Checker& check) {
  std::vector<NodePrefix> out;
  for (int i = 0; i < in.size(); ++i) {
    const auto prefix = Pref64::parse(in[i].prefix());
    if (prefix && prefix->length() == 96)
      out.push_back({in[i].translation_prefix(), *prefix, in[i].node_id()});
    else
      check.refuse(at(path, i) + ".prefix", "must be a /96");
  }
  return out;
}

// What a service makes of a prefix of which it has the text alone.
unsigned assumed_embed_length(const Ipv6Prefix& prefix) {
  return Pref64::make(prefix) ? prefix.length() : 96U;
}

std::vector<RetiredPrefix> read_retired(const v1::HealthySet& in, Checker& check) {
  std::vector<RetiredPrefix> out;
  for (int i = 0; i < in.retired_size(); ++i) {
    const auto& from = in.retired(i);
    const auto path = at("retired", i);
    const auto prefix = Ipv6Prefix::parse(from.prefix());
    if (!prefix) {
      check.refuse(path + ".prefix", "must be an IPv6 prefix");
    } else if (from.embed_length() < prefix->length() || from.embed_length() > 96 ||
               !Pref64::make(Ipv6Prefix{prefix->address(), from.embed_length()})) {
      check.refuse(path + ".embed_length", "must be a length of RFC 6052, and not shorter than the prefix");
    } else {
      out.push_back({*prefix, from.embed_length()});
    }
  }
  if (in.retired_size() == 0) {  // from a controller that knows the text alone
    for (const auto& prefix : check.ipv6_prefixes(in.retired_prefixes(), "retired_prefixes"))
      out.push_back({prefix, assumed_embed_length(prefix)});
  }
  return out;
}

void write_node_prefix(const NodePrefix& in, v1::NodePrefix& out) {
  out.set_translation_prefix(in.translation_prefix);
  out.set_prefix(in.prefix.to_string());
  out.set_node_id(in.node_id);
}

}  // namespace

Version from_proto(const v1::Version& version) {
  return {version.epoch(), version.counter()};
}

v1::Version to_proto(Version version) {
  v1::Version out;
  out.set_epoch(version.epoch);
  out.set_counter(version.counter);
  return out;
}

Result<Allocation, std::vector<Violation>> from_proto(const v1::Allocation& in) {
  Checker check;
  Allocation out;
  out.draining = in.state() == v1::Allocation::DRAINING;
  for (int i = 0; i < in.addresses_size(); ++i) {
    const auto& from = in.addresses(i);
    const auto path = at("addresses", i);
    const auto address = Ipv4Address::parse(from.address());
    if (!address) {
      check.refuse(path + ".address", "must be an IPv4 address");
      continue;
    }
    LeasedAddress lease;
    lease.address = *address;
    lease.pool = from.pool();
    lease.on_expiry = from.on_expiry() == v1::Lease::STOP ? OnExpiry::kStop : OnExpiry::kHold;
    if (from.has_term()) lease.term = duration_from_proto(from.term());
    if (lease.term <= Duration{0}) check.refuse(path + ".term", "must be more than nothing");
    lease.withdrawn = from.withdrawn();
    if (from.has_withdraw_within()) lease.withdraw_within = duration_from_proto(from.withdraw_within());
    out.addresses.push_back(std::move(lease));
  }
  out.node_prefixes = read_node_prefixes(in.node_prefixes(), "node_prefixes", check);
  if (!check.clean()) return failure(check.take());
  return out;
}

v1::Allocation to_proto(const Allocation& in) {
  v1::Allocation out;
  out.set_state(in.draining ? v1::Allocation::DRAINING : v1::Allocation::ACTIVE);
  for (const auto& lease : in.addresses) {
    auto& to = *out.add_addresses();
    to.set_address(lease.address.to_string());
    to.set_pool(lease.pool);
    to.set_on_expiry(lease.on_expiry == OnExpiry::kStop ? v1::Lease::STOP : v1::Lease::HOLD);
    *to.mutable_term() = duration_to_proto(lease.term);
    to.set_withdrawn(lease.withdrawn);
    if (lease.withdraw_within) *to.mutable_withdraw_within() = duration_to_proto(*lease.withdraw_within);
  }
  for (const auto& prefix : in.node_prefixes) write_node_prefix(prefix, *out.add_node_prefixes());
  return out;
}

Result<HealthySet, std::vector<Violation>> from_proto(const v1::HealthySet& in) {
  Checker check;
  HealthySet out;
  for (int i = 0; i < in.nodes_size(); ++i) {
    out.nodes.push_back({in.nodes(i).node_id(),
                         read_node_prefixes(in.nodes(i).prefixes(), at("nodes", i) + ".prefixes", check)});
  }
  out.retired_prefixes = read_retired(in, check);
  if (!check.clean()) return failure(check.take());
  return out;
}

v1::HealthySet to_proto(const HealthySet& in) {
  v1::HealthySet out;
  for (const auto& node : in.nodes) {
    auto& to = *out.add_nodes();
    to.set_node_id(node.node_id);
    for (const auto& prefix : node.prefixes) write_node_prefix(prefix, *to.add_prefixes());
  }
  for (const auto& [prefix, embed_length] : in.retired_prefixes) {
    auto& to = *out.add_retired();
    to.set_prefix(prefix.to_string());
    to.set_embed_length(embed_length);
    if (embed_length == assumed_embed_length(prefix)) out.add_retired_prefixes(prefix.to_string());
  }
  return out;
}

}  // namespace isthmus
