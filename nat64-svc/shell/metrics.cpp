// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/metrics.hpp"

#include <chrono>
#include <string>

#include "common/base/clock.hpp"

namespace isthmus::nat64 {
namespace {

double number(const Counter& counter) {
  return static_cast<double>(counter.get());
}

void add_reasons(MetricsPage& page, const std::string& worker, std::string_view from,
                 const Counters::PerSide& c) {
  for (std::size_t p = 0; p < kEnumSize<ProtocolSeen>; ++p) {
    const auto protocol = kProtocolSeenNames[static_cast<ProtocolSeen>(p)];
    for (std::size_t r = 0; r < kEnumSize<DropReason>; ++r) {
      const auto reason = kDropReasonNames[static_cast<DropReason>(r)];
      page.counter("isthmus_nat64_dropped_packets_total", "Packets dropped, by reason",
                   {{"worker", worker}, {"from", from}, {"protocol", protocol}, {"reason", reason}},
                   number(c.dropped[p][r]));
      page.counter("isthmus_nat64_answered_packets_total",
                   "Packets answered with an ICMP error of ours, by reason",
                   {{"worker", worker}, {"from", from}, {"protocol", protocol}, {"reason", reason}},
                   number(c.replied[p][r]));
    }
  }
}

void add_side(MetricsPage& page, const std::string& worker, Side side, const Counters::PerSide& c) {
  const auto from = kSideNames[side];
  page.counter("isthmus_nat64_received_packets_total", "Packets given to the translator",
               {{"worker", worker}, {"from", from}}, number(c.received_packets));
  page.counter("isthmus_nat64_received_bytes_total", "Their bytes", {{"worker", worker}, {"from", from}},
               number(c.received_bytes));
  page.counter("isthmus_nat64_handed_over_packets_total", "Packets given to the worker that owns them",
               {{"worker", worker}, {"from", from}}, number(c.handed_over_packets));
  page.counter("isthmus_nat64_held_packets_total", "Fragments and SYNs held back",
               {{"worker", worker}, {"from", from}}, number(c.held_packets));
  for (std::size_t p = 0; p < kProtocols; ++p) {
    page.counter("isthmus_nat64_translated_packets_total", "Packets translated",
                 {{"worker", worker}, {"from", from}, {"protocol", kProtocolNames[p]}},
                 number(c.translated_packets[p]));
    page.counter("isthmus_nat64_translated_bytes_total", "Bytes translated, as received",
                 {{"worker", worker}, {"from", from}, {"protocol", kProtocolNames[p]}},
                 number(c.translated_bytes[p]));
  }
  add_reasons(page, worker, from, c);
}

void add_core(MetricsPage& page, const std::string& worker, const Counters& c) {
  add_side(page, worker, Side::kV6, c.of(Side::kV6));
  add_side(page, worker, Side::kV4, c.of(Side::kV4));
  for (std::size_t e = 0; e < kEnumSize<Event>; ++e) {
    page.counter("isthmus_nat64_events_total", "What happened inside the translator",
                 {{"worker", worker}, {"event", kEventNames[static_cast<Event>(e)]}}, number(c.events[e]));
  }
  for (std::size_t p = 0; p < kProtocols; ++p) {
    page.gauge("isthmus_nat64_sessions", "Sessions now",
               {{"worker", worker}, {"protocol", kProtocolNames[p]}}, number(c.sessions[p]));
    page.gauge("isthmus_nat64_bib_entries", "BIB entries now",
               {{"worker", worker}, {"protocol", kProtocolNames[p]}}, number(c.bib_entries[p]));
  }
  const std::pair<const char*, const Counter*> gauges[] = {
      {"isthmus_nat64_sessions_max", &c.sessions_max},
      {"isthmus_nat64_bib_entries_max", &c.bib_entries_max},
      {"isthmus_nat64_subscribers", &c.subscribers},
      {"isthmus_nat64_subscribers_max", &c.subscribers_max},
      {"isthmus_nat64_port_blocks_used", &c.blocks_used},
      {"isthmus_nat64_port_blocks", &c.blocks_total},
      {"isthmus_nat64_held_syns", &c.held_syns},
      {"isthmus_nat64_held_syns_max", &c.held_syns_max},
      {"isthmus_nat64_held_fragments", &c.held_fragments},
      {"isthmus_nat64_held_fragments_max", &c.held_fragments_max},
      {"isthmus_nat64_pool_addresses", &c.addresses}};
  for (const auto& [name, counter] : gauges)
    page.gauge(name, "Of this worker, now", {{"worker", worker}}, number(*counter));
}

void add_io(MetricsPage& page, const Worker& worker, const Gateway& gateway) {
  const auto id = std::to_string(worker.index());
  const auto& io = worker.io();
  for (std::size_t r = 0; r < kEnumSize<IoDrop>; ++r) {
    page.counter("isthmus_nat64_io_dropped_packets_total", "Packets dropped around the translator, by reason",
                 {{"worker", id}, {"reason", kIoDropNames[static_cast<IoDrop>(r)]}}, number(io.dropped[r]));
  }
  page.gauge("isthmus_nat64_held_for_neighbour", "Packets that wait for a link address", {{"worker", id}},
             number(io.held_for_neighbour));
  page.gauge("isthmus_nat64_free_frames", "Packet memory that nobody uses, in frames", {{"worker", id}},
             number(io.free_frames));
  if (const auto state = static_cast<PathProbe::State>(io.probe_state.get());
      state != PathProbe::State::kOff) {
    page.gauge("isthmus_nat64_probe_answered", "1 while the probe through the translation is answered",
               {{"worker", id}}, state == PathProbe::State::kAnswered ? 1 : 0);
    page.gauge("isthmus_nat64_probe_round_trip_seconds", "Of the last probe that was answered",
               {{"worker", id}}, number(io.probe_round_trip) * 1e-9);
  }
  for (std::size_t port = 0; port < gateway.ports().size(); ++port) {
    const auto& interface = gateway.ports()[port].interface;
    page.counter("isthmus_nat64_interface_received_packets_total", "Frames taken from an interface",
                 {{"worker", id}, {"interface", interface}}, number(io.received[port]));
    page.counter("isthmus_nat64_interface_transmitted_packets_total", "Frames given to an interface",
                 {{"worker", id}, {"interface", interface}}, number(io.transmitted[port]));
  }
  for (const auto& bound : worker.sockets()) {
    const auto& interface = gateway.ports()[bound.port].interface;
    const auto queue = std::to_string(bound.queue);
    const auto s = bound.socket->statistics();
    const std::pair<const char*, std::uint64_t> losses[] = {{"rx_dropped", s.rx_dropped},
                                                            {"rx_invalid", s.rx_invalid_descs},
                                                            {"tx_invalid", s.tx_invalid_descs},
                                                            {"rx_ring_full", s.rx_ring_full},
                                                            {"fill_ring_empty", s.rx_fill_ring_empty_descs}};
    for (const auto& [kind, value] : losses) {
      page.counter("isthmus_nat64_socket_events_total", "What the kernel counts of an AF_XDP socket",
                   {{"interface", interface}, {"queue", queue}, {"event", kind}}, static_cast<double>(value));
    }
  }
}

void add_events(MetricsPage& page, const Gateway& gateway) {
  const auto* events = gateway.events();
  if (events == nullptr) return;
  page.counter("isthmus_nat64_event_records_total", "Event records written", {},
               static_cast<double>(events->written()));
  page.counter("isthmus_nat64_event_records_lost_total", "Event records that could not be kept", {},
               static_cast<double>(events->lost()));
  if (const auto* syslog = events->syslog()) {
    page.counter("isthmus_nat64_event_syslog_sent_total",
                 "Event records given to the syslog collector; over TCP: acknowledged by its machine", {},
                 static_cast<double>(syslog->sent()));
    page.counter("isthmus_nat64_event_syslog_lost_total",
                 "Event records that found the queue to the syslog collector full", {},
                 static_cast<double>(syslog->lost()));
  }
}

void add_node(MetricsPage& page, const Gateway& gateway) {
  if (const auto node = gateway.node_status()) {
    page.gauge("isthmus_nat64_node_ipv4_uplink", "1 while this node has a way to the IPv4 internet", {},
               node->uplink4 ? 1 : 0);
    page.gauge("isthmus_nat64_node_sources_masqueraded",
               "1 while every packet comes from an address of the node itself", {},
               node->masqueraded ? 1 : 0);
  }
  for (const auto& [heard, ours] : gateway.announced_pref64s()) {
    page.gauge("isthmus_nat64_announced_pref64",
               "1 for each translation prefix that a router announces to clients (RFC 8781)",
               {{"prefix", heard.prefix.to_string()},
                {"router", heard.router.to_string()},
                {"ours", ours ? "yes" : "no"}},
               1);
  }
}

void add_kernel(MetricsPage& page, const Gateway& gateway) {
  for (const auto& [what, name] : {std::pair{Reading::kAll, "all"}, {Reading::kNeighbours, "neighbours"}}) {
    const auto readings = gateway.network_readings(what);
    page.counter("isthmus_nat64_network_reads_total", "How often the kernel's tables were read",
                 {{"what", name}}, static_cast<double>(readings.count));
    page.gauge("isthmus_nat64_network_read_seconds", "How long the last such reading took", {{"what", name}},
               std::chrono::duration<double>(readings.last).count());
  }
  const auto [missing, unexpected] = gateway.mended_routes();
  page.counter("isthmus_nat64_routes_mended_total",
               "Routes of ours in the kernel that others had changed, and that were mended",
               {{"was", "missing"}}, static_cast<double>(missing));
  page.counter("isthmus_nat64_routes_mended_total",
               "Routes of ours in the kernel that others had changed, and that were mended",
               {{"was", "unexpected"}}, static_cast<double>(unexpected));
}

void add_feed(MetricsPage& page, const FeedStatus& feed) {
  page.gauge("isthmus_feed_connected", "1 while the controller's stream lives, or a policy file was read", {},
             feed.connected ? 1 : 0);
  page.gauge("isthmus_feed_policy_version", "Counter of the policy version that runs", {},
             static_cast<double>(feed.policy_version.counter));
  page.gauge("isthmus_feed_allocation_version", "Counter of the allocation version that runs", {},
             static_cast<double>(feed.allocation_version.counter));
  if (feed.earliest_lease_stop) {
    page.gauge("isthmus_feed_seconds_to_lease_expiry",
               "Until the first STOP lease ends, unless it is renewed", {},
               std::chrono::duration<double>(*feed.earliest_lease_stop - boot_now()).count());
  }
  page.counter("isthmus_feed_rejected_total", "Policies and allocations that this node refused", {},
               static_cast<double>(feed.rejected_total));
  if (feed.certificate_expiry) {
    page.gauge("isthmus_tls_certificate_expiry_timestamp_seconds",
               "When the certificate that this program shows on the control protocol ends, Unix time", {},
               static_cast<double>(*feed.certificate_expiry));
  }
}

}  // namespace

HttpReply metrics_reply(const Gateway& gateway, const FeedStatus& feed) {
  MetricsPage page;
  page.gauge("isthmus_build_info", "Version of the program",
             {{"program", "nat64-svc"}, {"version", ISTHMUS_VERSION}}, 1);
  for (const auto& worker : gateway.workers()) {
    add_core(page, std::to_string(worker->index()), worker->counters());
    add_io(page, *worker, gateway);
  }
  page.counter("isthmus_nat64_io_dropped_packets_total", "Packets dropped around the translator, by reason",
               {{"worker", "none"}, {"reason", "no_socket"}},
               static_cast<double>(gateway.steering().no_socket_drops()));
  for (const auto& port : gateway.ports()) {
    page.gauge("isthmus_nat64_xdp_mode", "1 for the mode in use",
               {{"interface", port.interface}, {"mode", kXdpModeNames[port.mode]}}, 1);
  }
  add_events(page, gateway);
  add_node(page, gateway);
  add_kernel(page, gateway);
  const auto problem = gateway.not_ready_because();
  page.gauge("isthmus_nat64_ready", "1 when new clients may be led to this node", {},
             problem.empty() ? 1 : 0);
  page.gauge("isthmus_nat64_leased_addresses", "IPv4 addresses allocated to this node", {},
             static_cast<double>(gateway.leases().size()));
  add_feed(page, feed);
  return page.reply();
}

}  // namespace isthmus::nat64
