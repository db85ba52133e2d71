// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/admin_service.hpp"

#include "common/config/from_proto.hpp"
#include "common/config/wire.hpp"
#include "common/config/yaml.hpp"
#include "controller/shell/convert.hpp"

namespace isthmus::controller {
namespace {

void set_time(google::protobuf::Timestamp& out, WallTime time) {
  const auto ms = time.time_since_epoch().count();
  out.set_seconds(ms / 1000);
  out.set_nanos(static_cast<std::int32_t>(ms % 1000 * 1000000));
}

// A boot-clock time as the wall clock shows it now.
WallTime on_the_wall(TimePoint time, TimePoint now) {
  return wall_now() - std::chrono::duration_cast<std::chrono::milliseconds>(now - time);
}

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
    if (view.policy.wire != nullptr) *response->mutable_policy() = *view.policy.wire;
    response->set_source(view.policy.source);
    set_time(*response->mutable_loaded_at(), view.policy.loaded_at);
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
      if (lease.since != TimePoint{}) set_time(*entry->mutable_since(), on_the_wall(lease.since, view.now));
      const bool ends = lease.state == LeaseState::kQuarantined ||
                        (lease.held() && lease.in_force.on_expiry == OnExpiry::kStop);
      if (ends) set_time(*entry->mutable_until(), on_the_wall(lease.until, view.now));
    }
  });
  return done(context);
}

}  // namespace isthmus::controller
