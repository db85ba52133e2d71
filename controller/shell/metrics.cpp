// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/metrics.hpp"

#include <array>

#include "common/control/tls_credentials.hpp"
#include "common/telemetry/metrics_page.hpp"

namespace isthmus::controller {
namespace {

double seconds(Duration d) {
  return std::chrono::duration<double>(d).count();
}

void add_policy(MetricsPage& page, const Hub::View& view) {
  const auto version = view.core.policy_version();
  page.gauge("isthmus_controller_policy_version", "Counter part of the version of the policy that goes out",
             {}, static_cast<double>(version.counter));
  page.gauge("isthmus_controller_policy_refused", "1 while the newest policy at the source is refused", {},
             view.policy.rejected.empty() ? 0 : 1);
  page.counter("isthmus_controller_policies_refused_total", "Policies refused at the source", {},
               static_cast<double>(view.policy.rejected_total));
}

void add_leases(MetricsPage& page, const Hub::View& view) {
  std::map<std::string, std::array<std::uint64_t, kEnumSize<LeaseState>>> pools;
  for (const auto& [address, lease] : view.core.leases().leases()) {
    ++pools[lease.pool][static_cast<std::size_t>(lease.state)];
  }
  for (const auto& [pool, counts] : pools) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      page.gauge("isthmus_controller_addresses", "Pool addresses by state",
                 {{"pool", pool}, {"state", kLeaseStateNames[static_cast<LeaseState>(i)]}},
                 static_cast<double>(counts[i]));
    }
  }
  page.counter("isthmus_controller_lease_conflicts_total",
               "Addresses claimed by a node while another holds them", {},
               static_cast<double>(view.core.lease_conflicts()));
  page.counter("isthmus_controller_services_turned_away_total",
               "Services that were told to come again, because too many came at once", {},
               static_cast<double>(view.core.turned_away()));
}

void add_service(MetricsPage& page, const ServiceRecord& service, const v1::Report* report,
                 const Hub::View& view) {
  const auto& node = service.hello.node_id;
  const auto kind = kServiceKindNames[service.hello.kind];
  page.gauge("isthmus_service_connected", "1 while the service has a live stream",
             {{"kind", kind}, {"node", node}}, service.connected() ? 1 : 0);
  page.gauge("isthmus_service_seconds_since_heard", "Since the service said anything",
             {{"kind", kind}, {"node", node}}, seconds(view.now - service.last_heard));
  page.gauge("isthmus_service_serving", "1 while the service says that it serves",
             {{"kind", kind}, {"node", node}}, service.connected() && service.report.serving ? 1 : 0);
  page.gauge("isthmus_service_rivals", "Other machines that use this node_id",
             {{"kind", kind}, {"node", node}}, static_cast<double>(service.rivals.size()));
  for (std::size_t i = 0; i < service.rollout.size(); ++i) {
    const auto state = service.rollout[i].state();
    if (state == RolloutState::kNone) continue;
    for (const auto each :
         {RolloutState::kPending, RolloutState::kSent, RolloutState::kApplied, RolloutState::kRejected}) {
      page.gauge("isthmus_service_rollout", "1 for the state in which the resource is",
                 {{"kind", kind},
                  {"node", node},
                  {"resource", kResourceNames[static_cast<Resource>(i)]},
                  {"state", kRolloutStateNames[each]}},
                 state == each ? 1 : 0);
    }
  }
  if (service.hello.kind != ServiceKind::kNat64) return;
  page.gauge("isthmus_service_addresses_leased", "Pool addresses this node holds", {{"node", node}},
             static_cast<double>(view.core.leases().held_by(service.holder()).size()));
  page.gauge("isthmus_service_healthy", "1 while the node may appear in new DNS answers", {{"node", node}},
             view.core.health().published().contains(node) ? 1 : 0);
  if (report != nullptr && report->has_nat64()) {
    page.gauge("isthmus_service_sessions", "NAT64 sessions, as the node reported", {{"node", node}},
               static_cast<double>(report->nat64().sessions()));
    page.gauge("isthmus_service_port_blocks_used", "Port blocks in use, as the node reported",
               {{"node", node}}, static_cast<double>(report->nat64().blocks_used()));
    page.gauge("isthmus_service_port_blocks", "Port blocks there are, as the node reported", {{"node", node}},
               static_cast<double>(report->nat64().blocks_total()));
  }
}

void add_rollout(MetricsPage& page, const Hub::View& view) {
  const auto& rollout = view.core.rollout();
  for (std::size_t i = 0; i < kEnumSize<RolloutPhase>; ++i) {
    const auto phase = static_cast<RolloutPhase>(i);
    page.gauge("isthmus_controller_rollout",
               "1 for the phase in which the policy is on its way to the services",
               {{"phase", kRolloutPhaseNames[phase]}}, rollout.phase() == phase ? 1 : 0);
  }
  const auto* waves = rollout.waves();
  page.gauge("isthmus_controller_rollout_stopped",
             "Services that stop the policy on its way: they refused it or were lost after it was sent", {},
             waves == nullptr ? 0 : static_cast<double>(waves->stopped_by().size()));
  for (const auto& [node_id, drain] : view.core.drains()) {
    for (std::size_t i = 0; i < kEnumSize<DrainStage>; ++i) {
      const auto stage = static_cast<DrainStage>(i);
      page.gauge("isthmus_service_drain", "1 for the stage in which the drain of the node is",
                 {{"node", node_id}, {"stage", kDrainStageNames[stage]}}, drain.stage == stage ? 1 : 0);
    }
  }
}

void add_store(MetricsPage& page, const Hub::View& view) {
  page.gauge("isthmus_controller_leads", "1 while this controller is the one that decides", {}, 1);
  page.counter("isthmus_controller_store_commits_total", "Batches of decisions that were made durable", {},
               static_cast<double>(view.store.commits));
  page.counter("isthmus_controller_store_failures_total", "Tries to make decisions durable that failed", {},
               static_cast<double>(view.store.failures));
  page.counter("isthmus_controller_store_seconds_total", "Time spent on making decisions durable", {},
               seconds(view.store.spent));
  page.gauge("isthmus_controller_store_stuck", "1 while decisions wait because they cannot be stored", {},
             view.store.problem.empty() ? 0 : 1);
  page.gauge("isthmus_controller_settling",
             "1 while no address is granted because the store may not know who holds what", {},
             view.core.settling() ? 1 : 0);
  page.gauge("isthmus_controller_awaited_nodes", "NAT64 nodes that were not heard since the controller began",
             {}, static_cast<double>(view.core.awaited().size()));
}

HttpReply metrics(const Hub& hub, const std::string& certificate) {
  MetricsPage page;
  if (const auto expiry = certificate_expiry(certificate)) {
    page.gauge("isthmus_tls_certificate_expiry_timestamp_seconds",
               "When the certificate that this program shows on the control protocol ends, Unix time", {},
               static_cast<double>(*expiry));
  }
  hub.read([&](const Hub::View& view) {
    add_policy(page, view);
    add_leases(page, view);
    add_store(page, view);
    add_rollout(page, view);
    page.gauge("isthmus_controller_healthy_nodes", "NAT64 nodes that may appear in new DNS answers", {},
               static_cast<double>(view.core.health().published().size()));
    page.gauge("isthmus_controller_health_held",
               "1 while too many nodes failed at once and the last set is kept", {},
               view.core.health().held() ? 1 : 0);
    for (std::size_t i = 0; i < kEnumSize<EventKind>; ++i) {
      const auto kind = static_cast<EventKind>(i);
      const auto it = view.events.find(kind);
      page.counter("isthmus_controller_events_total", "What happened, by kind",
                   {{"event", kEventKindNames[kind]}},
                   it == view.events.end() ? 0 : static_cast<double>(it->second));
    }
    for (const auto& [key, service] : view.core.services()) {
      const auto report = view.reports.find(key);
      add_service(page, service, report == view.reports.end() ? nullptr : &report->second, view);
    }
  });
  return page.reply();
}

HttpReply readyz(const Hub& hub) {
  bool has_policy = false;
  std::string problem;
  hub.read([&](const Hub::View& view) {
    has_policy = view.core.policy() != nullptr;
    problem = view.store.problem;
  });
  if (!problem.empty()) return {.status = 503, .body = "decisions cannot be stored: " + problem + "\n"};
  if (has_policy) return {.status = 200, .body = "ready\n"};
  return {.status = 503, .body = "no policy yet: isthmusctl apply brings one\n"};
}

}  // namespace

HttpRoutes management_routes(const Hub& hub, std::string certificate) {
  return {{"/metrics", [&hub, certificate = std::move(certificate)] { return metrics(hub, certificate); }},
          {"/healthz", [] { return HttpReply{.status = 200, .body = "alive\n"}; }},
          {"/readyz", [&hub] { return readyz(hub); }}};
}

}  // namespace isthmus::controller
