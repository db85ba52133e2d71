// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/admin_service.hpp"

#include <algorithm>

#include "common/config/from_proto.hpp"
#include "common/config/wire.hpp"
#include "common/config/yaml.hpp"
#include "controller/shell/convert.hpp"

namespace isthmus::controller {
namespace {

v1::ResourceState::State to_proto(RolloutState state) {
  switch (state) {
    case RolloutState::kPending:
      return v1::ResourceState::PENDING;
    case RolloutState::kSent:
      return v1::ResourceState::SENT;
    case RolloutState::kApplied:
      return v1::ResourceState::APPLIED;
    case RolloutState::kRejected:
      return v1::ResourceState::REJECTED;
    case RolloutState::kNone:
    case RolloutState::kCount:
      break;
  }
  return v1::ResourceState::STATE_UNSPECIFIED;
}

v1::LeaseEntry::State to_proto(LeaseState state) {
  switch (state) {
    case LeaseState::kFree:
      return v1::LeaseEntry::FREE;
    case LeaseState::kGranted:
      return v1::LeaseEntry::GRANTED;
    case LeaseState::kWithdrawing:
      return v1::LeaseEntry::WITHDRAWING;
    case LeaseState::kQuarantined:
      return v1::LeaseEntry::QUARANTINED;
    case LeaseState::kCount:
      break;
  }
  return v1::LeaseEntry::STATE_UNSPECIFIED;
}

// What keeps a drain in its stage.
std::string waits_for(const Drain& drain, const ServiceRecord& service, const Hub::View& view) {
  switch (drain.stage) {
    case DrainStage::kLeavingAnswers:
      return "DNS64 services to run a healthy set without it";
    case DrainStage::kAccepting: {
      const auto left = view.core.answers_until(drain) - view.now;
      return "answers that name it to age: " +
             std::to_string(std::max<std::int64_t>(0, left / std::chrono::seconds{1})) + " s more";
    }
    case DrainStage::kReleasing:
      return "the sessions over " + std::to_string(view.core.leases().held_by(service.holder()).size()) +
             " addresses to end";
    case DrainStage::kDrained:
    case DrainStage::kCount:
      break;
  }
  return "nothing: it may be stopped, or taken back by undrain";
}

void fill_nat64(v1::Node& node, const ServiceRecord& service, const Hub::View& view) {
  node.set_healthy(view.core.health().published().contains(service.hello.node_id));
  const Drain* drain = view.core.drain_of(service.hello.node_id);
  if (drain == nullptr) return;
  auto& out = *node.mutable_drain();
  out.set_stage(std::string(kDrainStageNames[drain->stage]));
  set_time(*out.mutable_began(), drain->began);
  set_time(*out.mutable_since(), on_the_wall(drain->since, view.now));
  out.set_author(drain->author);
  out.set_comment(drain->comment);
  out.set_waits_for(waits_for(*drain, service, view));
}

void fill(v1::Node& node, const ServiceRecord& service, const Hub::View& view) {
  node.set_node_id(service.hello.node_id);
  node.set_kind(to_proto(service.hello.kind));
  node.set_incarnation(service.hello.incarnation);
  node.set_build(service.hello.build);
  node.set_peer(service.hello.peer);
  node.set_connected(service.connected());
  set_time(*node.mutable_last_heard(), on_the_wall(service.last_heard, view.now));
  for (std::size_t i = 0; i < service.rollout.size(); ++i) {
    const Rollout& rollout = service.rollout[i];
    if (rollout.state() == RolloutState::kNone) continue;
    auto* resource = node.add_resources();
    resource->set_resource(to_proto(static_cast<Resource>(i)));
    resource->set_state(to_proto(rollout.state()));
    *resource->mutable_wanted() = isthmus::to_proto(rollout.wanted());
    *resource->mutable_running() = isthmus::to_proto(rollout.running());
    fill_violations(rollout.violations(), *resource->mutable_violations());
  }
  for (const auto address : view.core.leases().held_by(service.holder())) {
    node.add_addresses_leased(address.to_string());
  }
  node.set_incarnations_alive(
      static_cast<std::uint32_t>((service.connected() ? 1 : 0) + service.rivals.size()));
  node.set_machine(service.holder().machine);
  if (service.hello.kind == ServiceKind::kNat64) fill_nat64(node, service, view);
}

// A machine that the store knows and that has not come back: it may hold addresses, and may be fenced.
void fill_awaited(v1::Node& node, const Holder& holder, const Hub::View& view) {
  node.set_node_id(holder.node_id);
  node.set_machine(holder.machine);
  node.set_kind(v1::NAT64);
  node.set_incarnation(view.core.known_nodes().at(holder).incarnation);
  node.set_awaited(true);
  for (const auto address : view.core.leases().held_by(holder))
    node.add_addresses_leased(address.to_string());
}

void fill(v1::RolloutStatus& out, const Hub::View& view) {
  const auto& rollout = view.core.rollout();
  out.set_phase(std::string(kRolloutPhaseNames[rollout.phase()]));
  if (rollout.phase() == RolloutPhase::kAnswers) {
    set_time(*out.mutable_next(), on_the_wall(rollout.answers_until(), view.now));
  }
  const auto* waves = rollout.waves();
  if (waves == nullptr) return;
  out.set_admitted(static_cast<std::uint32_t>(waves->admitted_count()));
  for (const auto& [key, state] : waves->stopped_by()) {
    out.add_stopped_by(key.second + (state == Waves::State::kRejected
                                         ? ": refused it (isthmusctl describe node " + key.second + ")"
                                         : ": was lost after it was sent; fence it if it is gone for good"));
  }
  if (waves->soaks_until() != TimePoint{})
    set_time(*out.mutable_next(), on_the_wall(waves->soaks_until(), view.now));
}

void fill(v1::ControllerEvent& out, const LoggedEvent& logged) {
  out.set_seq(logged.number);
  set_time(*out.mutable_time(), logged.time);
  out.set_kind(std::string(kEventKindNames[logged.event.kind]));
  out.set_node_id(logged.event.node_id);
  out.set_text(logged.event.text);
  out.set_odd(is_odd(logged.event.kind));
}

grpc::ServerUnaryReactor* done(grpc::CallbackServerContext* context) {
  auto* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::Validate(grpc::CallbackServerContext* context,
                                                 const v1::ValidateRequest* request,
                                                 v1::ValidateResponse* response) {
  if (const auto policy = load_policy(request->yaml()); !policy) {
    fill_violations(policy.error(), *response->mutable_violations());
  }
  return done(context);
}

grpc::ServerUnaryReactor* AdminService::GetPolicy(grpc::CallbackServerContext* context,
                                                  const v1::GetPolicyRequest*,
                                                  v1::GetPolicyResponse* response) {
  hub_.read([&](const Hub::View& view) {
    *response->mutable_version() = isthmus::to_proto(view.core.policy_version());
    response->set_source(view.desk.desired().origin_name());
    if (const auto* newest = view.desk.desired().newest()) {
      *response->mutable_policy() = *newest->text.wire;
      set_time(*response->mutable_loaded_at(), newest->time);
      response->set_number(newest->number);
    }
    fill(*response->mutable_rollout(), view);
    fill_violations(view.policy.rejected, *response->mutable_rejected());
  });
  return done(context);
}

grpc::ServerUnaryReactor* AdminService::ListNodes(grpc::CallbackServerContext* context,
                                                  const v1::ListNodesRequest*,
                                                  v1::ListNodesResponse* response) {
  hub_.read([&](const Hub::View& view) {
    for (const auto& [key, service] : view.core.services()) {
      auto* node = response->add_nodes();
      fill(*node, service, view);
      if (const auto report = view.reports.find(key); report != view.reports.end()) {
        *node->mutable_report() = report->second;
      }
    }
    for (const auto& holder : view.core.awaited()) fill_awaited(*response->add_nodes(), holder, view);
  });
  return done(context);
}

grpc::ServerUnaryReactor* AdminService::ListLeases(grpc::CallbackServerContext* context,
                                                   const v1::ListLeasesRequest*,
                                                   v1::ListLeasesResponse* response) {
  hub_.read([&](const Hub::View& view) {
    for (const auto& [address, lease] : view.core.leases().leases()) {
      auto* entry = response->add_leases();
      entry->set_address(address.to_string());
      entry->set_pool(lease.pool);
      entry->set_state(to_proto(lease.state));
      entry->set_node_id(lease.holder.node_id);
      entry->set_machine(lease.holder.machine);
      if (lease.since != TimePoint{}) set_time(*entry->mutable_since(), on_the_wall(lease.since, view.now));
      const bool ends = lease.state == LeaseState::kQuarantined ||
                        (lease.held() && lease.in_force.on_expiry == OnExpiry::kStop);
      if (ends) set_time(*entry->mutable_until(), on_the_wall(lease.until, view.now));
    }
    response->set_settling(view.core.settling());
    for (const auto& [node_id, machine] : view.core.awaited()) {
      auto* awaited = response->add_awaited();
      awaited->set_node_id(node_id);
      awaited->set_machine(machine);
    }
  });
  return done(context);
}

grpc::ServerUnaryReactor* AdminService::ListEvents(grpc::CallbackServerContext* context,
                                                   const v1::ListEventsRequest* request,
                                                   v1::ListEventsResponse* response) {
  hub_.read([&](const Hub::View& view) {
    const auto& events = view.log.events();
    const bool same = request->epoch() == view.core.epoch_at_start();
    const std::uint64_t after = same ? request->after() : 0;
    response->set_epoch(view.core.epoch_at_start());
    response->set_last(view.log.last());
    response->set_missed(same ? after > 0 && view.log.missed(after) : request->epoch() != 0);
    const std::size_t limit = request->limit() == 0 ? events.size() : request->limit();
    const std::size_t first = view.log.first_after(after);
    for (std::size_t i = first; i < events.size() && i - first < limit; ++i)
      fill(*response->add_events(), events[i]);
  });
  return done(context);
}

}  // namespace isthmus::controller
