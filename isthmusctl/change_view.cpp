// SPDX-License-Identifier: Apache-2.0
// Views of changes and of one node.
#include <algorithm>

#include "isthmusctl/table.hpp"
#include "isthmusctl/view.hpp"

namespace isthmus {
namespace {

std::string since(const google::protobuf::Timestamp& then, std::int64_t now) {
  return then.seconds() == 0 ? "-" : ago(std::max<std::int64_t>(0, now - then.seconds())) + " ago";
}

std::string version_text(const v1::Version& v) {
  return v.counter() == 0 ? "nothing" : std::to_string(v.epoch()) + "." + std::to_string(v.counter());
}

const char* resource_name(v1::Resource resource) {
  return resource == v1::POLICY ? "policy" : resource == v1::ALLOCATION ? "allocation" : "health";
}

std::string resource_line(const v1::ResourceState& state) {
  const auto runs = version_text(state.running());
  const auto wanted = version_text(state.wanted());
  if (state.state() == v1::ResourceState::APPLIED) return "Applied " + runs;
  if (state.state() == v1::ResourceState::SENT) return "Sent " + wanted + ", not answered; runs " + runs;
  if (state.state() == v1::ResourceState::REJECTED) return "REJECTED " + wanted + "; runs " + runs;
  return "Pending " + wanted + "; runs " + runs;
}

}  // namespace

std::string show(const google::protobuf::RepeatedPtrField<v1::FieldChange>& changes) {
  std::string out;
  for (const auto& change : changes) {
    if (change.before().empty()) {
      out += "+ " + change.path() + ": " + change.after() + "\n";
    } else if (change.after().empty()) {
      out += "- " + change.path() + ": " + change.before() + "\n";
    } else {
      out += "~ " + change.path() + ": " + change.before() + " -> " + change.after() + "\n";
    }
  }
  return out;
}

std::string show(const v1::DiffResponse& answer, Format format) {
  if (format == Format::kJson || format == Format::kYaml) return to_json(answer);
  if (answer.changes().empty()) return "no difference to version " + std::to_string(answer.from()) + "\n";
  return show(answer.changes());
}

std::string show(const v1::HistoryResponse& answer, Format format, std::int64_t now) {
  if (format == Format::kJson || format == Format::kYaml) return to_json(answer);
  Table table{{"VERSION", "WHEN", "AUTHOR", "CHANGES", "REVISION", "COMMENT"}};
  for (const auto& version : answer.versions()) {
    table.add({std::to_string(version.version()), since(version.time(), now), version.author(),
               std::to_string(version.changes()),
               version.revision() == 0 ? "-" : std::to_string(version.revision()),
               version.comment().empty() ? "-" : version.comment()});
  }
  return table.text();
}

std::string rollout_text(const v1::RolloutStatus& rollout, std::int64_t now) {
  if (rollout.phase().empty() || rollout.phase() == "done") return "";
  std::string out = rollout.phase() == "nat64"     ? "on its way to NAT64 nodes"
                    : rollout.phase() == "dns64"   ? "on its way to DNS64 services"
                    : rollout.phase() == "answers" ? "old answers age before old prefixes go"
                                                   : "old prefixes leave the NAT64 nodes";
  if (rollout.admitted() > 0) out += " (" + std::to_string(rollout.admitted()) + " so far)";
  if (rollout.stopped_by_size() > 0) {
    out += "; STOPPED by";
    for (const auto& who : rollout.stopped_by()) out += " " + who;
    return out + "; mend it, roll back, or apply another version";
  }
  if (rollout.has_next()) {
    out += "; goes on in " + ago(std::max<std::int64_t>(0, rollout.next().seconds() - now));
  }
  return out;
}

std::string describe(const v1::Node& node, std::int64_t now) {
  const auto line = [](const std::string& name, const std::string& value) {
    return name + ":" + std::string(name.size() < 14 ? 14 - name.size() : 1, ' ') +
           (value.empty() ? "-" : value) + "\n";
  };
  const bool nat64 = node.kind() == v1::NAT64;
  const auto& report = node.report();
  std::string out =
      line("Node", node.node_id()) + line("Kind", nat64 ? "nat64" : "dns64") +
      line("Connected", node.connected() ? "yes, from " + node.peer()
                        : node.awaited() ? "NO: not heard since the controller began; if this machine is "
                                           "gone for good, fence it"
                                         : "NO: nothing heard, it serves on with what it has") +
      line("Heard", since(node.last_heard(), now)) + line("Serving", report.serving() ? "yes" : "no") +
      line("Build", node.build()) + line("Incarnation", node.incarnation()) + line("Machine", node.machine());
  if (node.incarnations_alive() > 1) {
    out += line("DUPLICATE",
                std::to_string(node.incarnations_alive()) + " machines use this node_id: give each its own");
  }
  for (const auto& state : node.resources()) {
    out += line(resource_name(state.resource()), resource_line(state));
    for (const auto& v : state.violations()) out += line("  refused", v.path() + ": " + v.message());
  }
  if (nat64) {
    out += line("In answers", node.healthy() ? "yes" : "no");
    std::string addresses;
    for (const auto& address : node.addresses_leased()) addresses += (addresses.empty() ? "" : " ") + address;
    out += line("Addresses", addresses);
    out += line("Sessions", std::to_string(report.nat64().sessions()));
    out += line("Port blocks", std::to_string(report.nat64().blocks_used()) + " of " +
                                   std::to_string(report.nat64().blocks_total()));
    out += line("Uplinks", std::string("IPv6 ") + (report.nat64().uplink6() ? "up" : "DOWN") + ", IPv4 " +
                               (report.nat64().uplink4() ? "up" : "DOWN"));
  }
  if (node.has_drain()) {
    out += line("Drain", node.drain().stage() + ", began " + since(node.drain().began(), now) + " by " +
                             node.drain().author() +
                             (node.drain().comment().empty() ? "" : ": " + node.drain().comment()));
    out += line("  waits for", node.drain().waits_for());
  }
  for (const auto& problem : report.problems()) out += line("Problem", problem);
  return out;
}

}  // namespace isthmus
