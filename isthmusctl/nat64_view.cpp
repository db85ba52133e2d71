// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/nat64_view.hpp"

#include <algorithm>

#include "common/config/yaml.hpp"
#include "isthmusctl/table.hpp"

namespace isthmus {
namespace {

std::string protocol_text(v1::TransportProtocol protocol) {
  return protocol == v1::TCP_FLOW    ? "tcp"
         : protocol == v1::UDP_FLOW  ? "udp"
         : protocol == v1::ICMP_FLOW ? "icmp"
                                     : "-";
}
std::string at6(const std::string& address, std::uint32_t port) {
  return "[" + address + "]:" + std::to_string(port);
}
std::string at4(const std::string& address, std::uint32_t port) {
  return address + ":" + std::to_string(port);
}
std::string version_text(const v1::Version& v) {
  return v.epoch() == 0 && v.counter() == 0 ? "none"
                                            : std::to_string(v.epoch()) + "." + std::to_string(v.counter());
}
std::string joined(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out.empty() ? "none" : out;
}

Table mapping_table(const google::protobuf::RepeatedPtrField<v1::Mapping>& mappings) {
  Table table{{"PROTOCOL", "CLIENT", "PUBLIC", "KIND", "SESSIONS", "WORKER"}};
  for (const auto& m : mappings) {
    table.add({protocol_text(m.protocol()), at6(m.client6(), m.port6()), at4(m.public4(), m.port4()),
               m.is_static() ? "static" : "dynamic", std::to_string(m.sessions()),
               std::to_string(m.worker())});
  }
  return table;
}

bool is_json(Format format) {
  return format == Format::kJson || format == Format::kYaml;  // YAML is a superset of JSON
}

}  // namespace

std::string show(const v1::GetNat64StatusResponse& answer, Format format) {
  if (is_json(format)) return to_json(answer);
  std::string out =
      answer.node_id() + ", nat64-svc " + answer.build() + ": " +
      (answer.not_ready_because().empty() ? "translates" : "NOT READY: " + answer.not_ready_because()) + "\n";
  out += "policy " + version_text(answer.policy_version()) + ", allocation " +
         version_text(answer.allocation_version()) + ", " +
         (answer.feed_connected() ? "feed connected" : "feed NOT connected: " + answer.feed_error()) + "\n";
  out += "prefixes " + joined(answer.translation_prefixes()) + "; excluded " +
         joined(answer.excluded_ipv4()) + "\n";
  std::string addresses;
  for (const auto& a : answer.allocation().addresses())
    addresses += (addresses.empty() ? "" : ", ") + a.address() + " (" + a.pool() + ")";
  out += "addresses " + (addresses.empty() ? std::string("none") : addresses) + "\n\n";
  Table table{{"WORKER", "SESSIONS", "OF", "MAPPINGS", "SUBSCRIBERS", "BLOCKS", "OF"}};
  for (const auto& w : answer.worker()) {
    table.add({std::to_string(w.worker()), std::to_string(w.sessions()), std::to_string(w.sessions_max()),
               std::to_string(w.mappings()), std::to_string(w.subscribers()), std::to_string(w.blocks_used()),
               std::to_string(w.blocks())});
  }
  return out + table.text();
}

std::string show(const v1::RunningPolicy& answer, Format format) {
  if (format == Format::kJson) return to_json(answer);
  return "# version " + version_text(answer.version()) + ", as it runs: every default written out\n" +
         to_yaml(answer.policy());
}

std::string show(const v1::MappingChunk& all, Format format) {
  return is_json(format) ? to_json(all) : mapping_table(all.mappings()).text();
}

std::string show(const v1::SessionChunk& all, Format format) {
  if (is_json(format)) return to_json(all);
  Table table{{"PROTOCOL", "CLIENT", "PUBLIC", "SERVER", "STATE", "EXPIRES", "WORKER"}};
  for (const auto& s : all.sessions()) {
    table.add({protocol_text(s.protocol()), at6(s.client6(), s.port6()), at4(s.public4(), s.port4()),
               at4(s.server4(), s.server_port()),
               (s.tcp_state().empty() ? "-" : s.tcp_state()) + (s.hairpin() ? " hairpin" : ""),
               "in " + ago(static_cast<std::int64_t>(s.expires_in())), std::to_string(s.worker())});
  }
  return table.text();
}

std::string show(const v1::FindResponse& answer, const std::string& endpoint, Format format) {
  if (is_json(format)) return to_json(answer);
  std::string out;
  if (!answer.block_subscriber().empty()) {
    out += "ports " + std::to_string(answer.block_first_port()) + "-" +
           std::to_string(answer.block_last_port()) + " of " + answer.block_address() +
           " belong to subscriber " + answer.block_subscriber() + "\n";
  }
  if (answer.mappings().empty()) return out + endpoint + ": no mapping now\n";
  return out + mapping_table(answer.mappings()).text();
}

std::string show(const v1::ExplainPacketResponse& answer, Format format) {
  if (is_json(format)) return to_json(answer);
  Table table{{"", "SECTION", "STEP", "OUTCOME"}};
  for (const auto& s : answer.steps())
    table.add({s.passed() ? "ok" : "NO", s.section(), s.name(), s.outcome()});
  std::string out = table.text() + "\nverdict: " + answer.verdict();
  if (!answer.reason().empty()) out += ", " + answer.reason();
  if (answer.verdict() == "reply")
    out += ", answered with ICMP type " + std::to_string(answer.icmp_type()) + " code " +
           std::to_string(answer.icmp_code());
  return out + "\n";
}

}  // namespace isthmus
