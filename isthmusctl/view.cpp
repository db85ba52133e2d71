// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/view.hpp"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/config/yaml.hpp"
#include "isthmusctl/table.hpp"

namespace isthmus {
namespace {

std::string version_text(const v1::Version& v) {
  return v.epoch() == 0 && v.counter() == 0 ? "-"
                                            : std::to_string(v.epoch()) + "." + std::to_string(v.counter());
}

std::string resource_text(const v1::Node& node, v1::Resource resource) {
  for (const auto& state : node.resources()) {
    if (state.resource() != resource) continue;
    const auto runs = version_text(state.running());
    if (state.state() == v1::ResourceState::APPLIED) return "Applied " + runs;
    if (state.state() == v1::ResourceState::REJECTED) return "REJECTED (runs " + runs + ")";
    return state.state() == v1::ResourceState::SENT ? "Sent" : "Pending";
  }
  return "-";
}

std::string age(const google::protobuf::Timestamp& then, std::int64_t now) {
  return then.seconds() == 0 ? "-" : ago(std::max<std::int64_t>(0, now - then.seconds()));
}

std::string join(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) out += (out.empty() ? "" : ",") + text;
  return out.empty() ? "-" : out;
}

// Why no address is granted now; empty: addresses are.
std::string settling_text(const v1::ListLeasesResponse& answer) {
  if (!answer.settling()) return {};
  std::string out = "no address is granted yet: the store is new or restored";
  if (answer.awaited().empty()) return out + ", and gateways have time to tell what they hold\n";
  out += "; awaited until they tell what they hold or are fenced:\n";
  for (const auto& node : answer.awaited())
    out += "  " + node.node_id() + " (machine " + node.machine() + ")\n";
  return out;
}

}  // namespace

std::string to_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string compact;
  const auto status = google::protobuf::util::MessageToJsonString(message, &compact, options);
  if (!status.ok()) return "{}\n";
  return nlohmann::ordered_json::parse(compact).dump(2) + "\n";
}

std::optional<Format> parse_format(std::string_view text) {
  if (text == "table") return Format::kTable;
  if (text == "wide") return Format::kWide;
  if (text == "json") return Format::kJson;
  if (text == "yaml") return Format::kYaml;
  return std::nullopt;
}

std::string show(const v1::GetPolicyResponse& answer, Format format, std::int64_t now) {
  if (format == Format::kJson) return to_json(answer);
  std::string out;
  if (format != Format::kYaml) {
    out += "# version " + std::to_string(answer.number()) + " (" + version_text(answer.version()) +
           ") from " + answer.source() + "\n";
    if (const auto rollout = rollout_text(answer.rollout(), now); !rollout.empty())
      out += "# " + rollout + "\n";
    for (const auto& v : answer.rejected()) {
      out += "# the newest text there is REFUSED: " + v.path() + ": " + v.message() + "\n";
    }
  }
  return out + to_yaml(answer.policy());
}

std::string show(const v1::ListNodesResponse& answer, Format format, std::int64_t now) {
  // YAML is a superset of JSON: what YAML readers are given here is JSON.
  if (format == Format::kJson || format == Format::kYaml) return to_json(answer);
  const bool wide = format == Format::kWide;
  std::vector<std::string> header{"NODE",       "KIND",   "STATE",     "HEARD",   "POLICY",
                                  "ALLOCATION", "HEALTH", "ADDRESSES", "SESSIONS"};
  if (wide) header.insert(header.end(), {"PEER", "BUILD", "INCARNATION", "PROBLEMS"});
  Table table{std::move(header)};
  for (const auto& node : answer.nodes()) {
    const bool nat64 = node.kind() == v1::NAT64;
    std::string state = !node.connected() ? "LOST" : node.report().serving() ? "Serving" : "NotServing";
    if (node.has_drain()) state = node.drain().stage() == "drained" ? "Drained" : "Draining";
    if (node.incarnations_alive() > 1) state = "DUPLICATE";
    if (node.awaited()) state = "AWAITED";
    std::vector<std::string> row{node.node_id(),
                                 nat64 ? "nat64" : "dns64",
                                 state,
                                 age(node.last_heard(), now),
                                 resource_text(node, v1::POLICY),
                                 resource_text(node, v1::ALLOCATION),
                                 resource_text(node, v1::HEALTH),
                                 join(node.addresses_leased()),
                                 nat64 ? std::to_string(node.report().nat64().sessions()) : "-"};
    if (wide)
      row.insert(row.end(), {node.peer(), node.build(), node.incarnation(), join(node.report().problems())});
    table.add(std::move(row));
  }
  std::string out = table.text();
  for (const auto& node : answer.nodes()) {
    if (node.awaited()) {
      out +=
          node.node_id() + " (machine " + node.machine() +
          ") is awaited: not heard since the controller began; if that machine is gone for good, fence it\n";
    }
    if (node.has_drain()) {
      out += node.node_id() + " drains (" + node.drain().stage() + "): waits for " +
             node.drain().waits_for() + "\n";
    }
    for (const auto& state : node.resources()) {
      for (const auto& v : state.violations())
        out += node.node_id() + " refused " + v.path() + ": " + v.message() + "\n";
    }
  }
  return out;
}

std::string show(const v1::ListLeasesResponse& answer, Format format, std::int64_t now) {
  if (format == Format::kJson || format == Format::kYaml) return to_json(answer);
  const bool wide = format == Format::kWide;
  std::vector<std::string> header{"ADDRESS", "POOL", "STATE", "NODE", "FOR", "UNTIL"};
  if (wide) header.emplace_back("MACHINE");
  Table table{std::move(header)};
  for (const auto& lease : answer.leases()) {
    const char* state = lease.state() == v1::LeaseEntry::GRANTED       ? "Granted"
                        : lease.state() == v1::LeaseEntry::WITHDRAWING ? "Withdrawing"
                        : lease.state() == v1::LeaseEntry::QUARANTINED ? "Quarantined"
                                                                       : "Free";
    const auto until = lease.until().seconds();
    std::vector<std::string> row{lease.address(),
                                 lease.pool(),
                                 state,
                                 lease.node_id().empty() ? "-" : lease.node_id(),
                                 age(lease.since(), now),
                                 until == 0 ? "-" : "in " + ago(std::max<std::int64_t>(0, until - now))};
    if (wide) row.push_back(lease.machine().empty() ? "-" : lease.machine());
    table.add(std::move(row));
  }
  return table.text() + settling_text(answer);
}

std::string show(const v1::ListEventsResponse& answer, Format format) {
  std::string out;
  if (format == Format::kJson || format == Format::kYaml) {  // one object a line, as it can be followed
    for (const auto& event : answer.events())
      out += nlohmann::ordered_json::parse(to_json(event)).dump() + "\n";
    return out;
  }
  if (answer.missed()) out += "--- events before these are not kept any more ---\n";
  for (const auto& event : answer.events()) {
    out += google::protobuf::util::TimeUtil::ToString(event.time()) + (event.odd() ? " ! " : "   ") +
           event.kind() + (event.node_id().empty() ? "" : " " + event.node_id()) + ": " + event.text() + "\n";
  }
  return out;
}

std::string show(const v1::LeaseHistoryResponse& answer, Format format) {
  if (format == Format::kJson || format == Format::kYaml) return to_json(answer);
  const auto time = [](const google::protobuf::Timestamp& t) {
    return google::protobuf::util::TimeUtil::ToString(t);
  };
  Table table{{"ADDRESS", "NODE", "MACHINE", "FROM", "TO"}};
  for (const auto& tenure : answer.tenures()) {
    table.add({tenure.address(), tenure.node_id(), tenure.machine(), time(tenure.from()),
               tenure.has_to() ? time(tenure.to()) : "now"});
  }
  return table.text();
}

std::string show(const std::vector<Violation>& violations) {
  std::string out;
  for (const auto& v : violations) out += (v.path.empty() ? "" : v.path + ": ") + v.message + "\n";
  return out;
}

std::string ago(std::int64_t seconds) {
  const auto text = [](std::int64_t n, const char* unit) {
    return n == 0 ? std::string{} : std::to_string(n) + unit;
  };
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3600) return text(seconds / 60, "m") + text(seconds % 60, "s");
  if (seconds < 86400) return text(seconds / 3600, "h") + text(seconds % 3600 / 60, "m");
  return text(seconds / 86400, "d") + text(seconds % 86400 / 3600, "h");
}

}  // namespace isthmus
