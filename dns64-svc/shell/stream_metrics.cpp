// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/stream_metrics.hpp"

namespace isthmus::dns64 {

namespace {

double sum(const Server& server, const auto& read) {
  std::uint64_t total = 0;
  for (const auto& worker : server.workers()) total += read(worker->stats());
  return static_cast<double>(total);
}

void add_transport(MetricsPage& page, const Server& server, Transport transport) {
  const auto t = static_cast<std::size_t>(transport);
  const auto name = kTransportNames[transport];
  page.gauge("isthmus_dns64_connections", "Open connections of clients", {{"transport", name}},
             sum(server, [&](const WorkerStats& s) { return s.streams.open[t].get(); }));
  for (std::size_t why = 0; why < kEnumSize<StreamEnd>; ++why) {
    page.counter("isthmus_dns64_connections_ended_total", "Connections that ended, by why",
                 {{"transport", name}, {"reason", kStreamEndNames[static_cast<StreamEnd>(why)]}},
                 sum(server, [&](const WorkerStats& s) { return s.streams.ends[t][why].get(); }));
  }
  if (transport == Transport::kTcp) return;
  page.counter("isthmus_dns64_tls_handshakes_total", "TLS handshakes completed",
               {{"transport", name}, {"resumed", "yes"}},
               sum(server, [&](const WorkerStats& s) { return s.streams.resumed[t].get(); }));
  page.counter("isthmus_dns64_tls_handshakes_total", "TLS handshakes completed",
               {{"transport", name}, {"resumed", "no"}}, sum(server, [&](const WorkerStats& s) {
                 return s.streams.handshakes[t].get() - s.streams.resumed[t].get();
               }));
}

}  // namespace

void add_stream_metrics(MetricsPage& page, const Server& server) {
  for (const auto transport : {Transport::kTcp, Transport::kTls, Transport::kHttps})
    add_transport(page, server, transport);
  page.counter("isthmus_dns64_proxied_connections_total", "Connections whose client a PROXY header named", {},
               sum(server, [](const WorkerStats& s) { return s.streams.proxied.get(); }));
  page.counter("isthmus_dns64_udp_proxy_errors_total",
               "Datagrams of listed balancers without a good PROXY header", {},
               sum(server, [](const WorkerStats& s) { return s.udp_proxy_errors.get(); }));
  const auto secrets = server.secrets_status();
  page.counter("isthmus_dns64_reload_failures_total", "Changed files that could not be used",
               {{"file", "certificate"}}, static_cast<double>(secrets.certificate_failures));
  page.counter("isthmus_dns64_reload_failures_total", "Changed files that could not be used",
               {{"file", "cookie_secrets"}}, static_cast<double>(secrets.cookie_failures));
  if (secrets.certificate_not_after != 0)
    page.gauge("isthmus_dns64_certificate_expiry_timestamp_seconds",
               "When the certificate for clients expires", {},
               static_cast<double>(secrets.certificate_not_after));
}

}  // namespace isthmus::dns64
