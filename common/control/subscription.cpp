// SPDX-License-Identifier: Apache-2.0
#include "common/control/subscription.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "common/config/domain_lists.hpp"
#include "common/config/from_proto.hpp"
#include "common/config/wire.hpp"

namespace isthmus {
namespace {

constexpr v1::Resource resource_of(const v1::PolicyUpdate&) {
  return v1::POLICY;
}
constexpr v1::Resource resource_of(const v1::AllocationUpdate&) {
  return v1::ALLOCATION;
}
constexpr v1::Resource resource_of(const v1::HealthUpdate&) {
  return v1::HEALTH;
}

const v1::Policy& body_of(const v1::PolicyUpdate& update) {
  return update.policy();
}
const v1::Allocation& body_of(const v1::AllocationUpdate& update) {
  return update.allocation();
}
const v1::HealthySet& body_of(const v1::HealthUpdate& update) {
  return update.health();
}

template <class Update>
Version version_of(const std::optional<Update>& update) {
  return update ? from_proto(update->version()) : Version{};
}

template <class Update>
bool same(const Update& a, const Update& b) {
  return from_proto(a.version()) == from_proto(b.version()) &&
         body_of(a).SerializeAsString() == body_of(b).SerializeAsString();
}

tl::unexpected<Rejection> invalid(std::vector<Violation> violations) {
  return failure(Rejection{Rejection::Kind::kInvalidConfig, std::move(violations)});
}

tl::unexpected<Rejection> cannot(std::string why) {
  return failure(Rejection{Rejection::Kind::kNodeCannot, {{"", std::move(why)}}});
}

// A handler that throws is a node that cannot, never a dead service.
template <class Handler, class... Args>
Applied call(const Handler& handler, Args&&... args) {
  if (!handler) return cannot("this service does not use this resource");
  try {
    return handler(std::forward<Args>(args)...);
  } catch (const std::exception& e) {
    return cannot(e.what());
  }
}

std::string describe(const Rejection& rejection) {
  if (rejection.violations.empty()) return "refused without a reason";
  const auto& first = rejection.violations.front();
  auto text = first.path.empty() ? first.message : first.path + ": " + first.message;
  if (const auto more = rejection.violations.size() - 1; more > 0) {
    text += " (and " + std::to_string(more) + " more)";
  }
  return text;
}

template <class Update>
v1::ServiceMessage make_ack(const Update& update) {
  v1::ServiceMessage message;
  auto& ack = *message.mutable_ack();
  ack.set_resource(resource_of(update));
  ack.set_nonce(update.nonce());
  *ack.mutable_running() = update.version();
  return message;
}

template <class Update>
v1::ServiceMessage make_nack(const Update& update, Version running, const Rejection& rejection) {
  v1::ServiceMessage message;
  auto& nack = *message.mutable_nack();
  nack.set_resource(resource_of(update));
  nack.set_nonce(update.nonce());
  *nack.mutable_running() = to_proto(running);
  nack.set_kind(rejection.kind == Rejection::Kind::kInvalidConfig ? v1::Nack::INVALID_CONFIG
                                                                  : v1::Nack::NODE_CANNOT);
  for (const auto& violation : rejection.violations) {
    auto& out = *nack.add_violations();
    out.set_path(violation.path);
    out.set_message(violation.message);
  }
  return message;
}

void drop_stop_leases(v1::Allocation& allocation) {
  auto& leases = *allocation.mutable_addresses();
  const auto kept = std::remove_if(leases.begin(), leases.end(), [](const v1::LeasedAddress& lease) {
    return lease.on_expiry() == v1::Lease::STOP;
  });
  leases.erase(kept, leases.end());
}

}  // namespace

Subscription::Subscription(ServiceIdentity identity, ServiceHandlers handlers, Duration report_every)
    : identity_(std::move(identity)), handlers_(std::move(handlers)), report_every_(report_every) {}

std::vector<std::string> Subscription::restore(GoodState saved, TimePoint now) {
  std::vector<std::string> problems;
  const auto use = [&](auto& update, auto& running, const char* name) {
    if (!update) return;
    if (const auto applied = apply(*update); !applied) {
      problems.push_back(std::string{"the saved "} + name + " is not used: " + describe(applied.error()));
    } else {
      running = std::move(update);
    }
  };
  good_.chunks = std::move(saved.chunks);
  use(saved.policy, good_.policy, "policy");
  forget_chunks();
  if (!good_.policy) return problems;  // the others refer to it by name
  if (saved.allocation) {
    // A version that was cut short must not pass for the whole one.
    const auto whole = saved.allocation->allocation().addresses_size();
    drop_stop_leases(*saved.allocation->mutable_allocation());
    if (saved.allocation->allocation().addresses_size() != whole) saved.allocation->clear_version();
  }
  use(saved.allocation, good_.allocation, "allocation");
  use(saved.health, good_.health, "health");
  if (renew_every()) next_renewal_ = now;
  return problems;
}

Subscription::Step Subscription::on_stream_opened(TimePoint now) {
  Step step;
  auto& hello = *step.send.emplace_back().mutable_hello();
  hello.set_node_id(identity_.node_id);
  hello.set_incarnation(identity_.incarnation);
  hello.set_boot_id(identity_.boot_id);
  hello.set_machine(identity_.machine);
  hello.set_kind(identity_.kind);
  hello.set_build(identity_.build);
  for (const auto& address : identity_.addresses) hello.add_addresses(address);
  for (const auto& capability : identity_.capabilities) hello.add_capabilities(capability);
  const auto add_running = [&](const auto& update) {
    if (!update) return;
    auto& running = *hello.add_running();
    running.set_resource(resource_of(*update));
    *running.mutable_version() = update->version();
  };
  add_running(good_.policy);
  add_running(good_.allocation);
  add_running(good_.health);
  for (const auto address : leases_held()) hello.add_leases_held(address.to_string());
  waiting_policy_.reset();
  asked_.clear();
  waiting_allocation_.reset();  // of the old stream: their nonces mean nothing now
  waiting_health_.reset();
  lease_clock_.forget_outstanding();
  next_report_ = now;
  if (renew_every()) next_renewal_ = now;
  return step;
}

Subscription::Step Subscription::on_message(const v1::ControllerMessage& message, TimePoint now) {
  Step step;
  last_heard_ = now;
  switch (message.body_case()) {
    case v1::ControllerMessage::kPolicy:
      receive_policy(message.policy(), step);
      break;
    case v1::ControllerMessage::kAllocation:
      if (!good_.policy) {
        waiting_allocation_ = message.allocation();
        break;
      }
      receive(message.allocation(), good_.allocation, step);
      break;
    case v1::ControllerMessage::kHealth:
      if (!good_.policy) {
        waiting_health_ = message.health();
        break;
      }
      receive(message.health(), good_.health, step);
      break;
    case v1::ControllerMessage::kRefusal:
      error_ = "the controller refused this service: " + message.refusal().reason();
      error_of_ = v1::RESOURCE_UNSPECIFIED;
      step.end_stream = true;
      if (message.refusal().has_retry_after()) {
        const auto& asked = message.refusal().retry_after();
        step.retry_after = std::chrono::seconds{std::clamp<std::int64_t>(asked.seconds(), 0, 60)} +
                           std::chrono::nanoseconds{std::clamp(asked.nanos(), 0, 999'999'999)};
      }
      break;
    case v1::ControllerMessage::kLeaseRenewed:
      on_lease_renewed(message.lease_renewed());
      break;
    case v1::ControllerMessage::kChunk:
      receive_chunk(message.chunk(), step);
      break;
    case v1::ControllerMessage::BODY_NOT_SET:
      break;
  }
  if (step.state_changed) {
    add_report(step, now);  // acks first, then what changed because of them
    if (renew_every()) {
      add_renewal(step, now);
    } else {
      next_renewal_.reset();
    }
  }
  return step;
}

// Only DNS64 looks at names.
void Subscription::receive_policy(const v1::PolicyUpdate& update, Step& step) {
  waiting_policy_.reset();
  asked_.clear();
  if (identity_.kind == v1::DNS64 &&
      !missing_chunks(update.policy(), [this](const auto& hash) { return chunk(hash); }).empty()) {
    waiting_policy_ = update;
    ask_for_chunks(step);
    return;
  }
  receive(update, good_.policy, step);
  forget_chunks();
  receive_waiting(step);
}

void Subscription::ask_for_chunks(Step& step) {
  auto missing = missing_chunks(waiting_policy_->policy(), [this](const auto& hash) { return chunk(hash); });
  missing.resize(std::min(missing.size(), std::size_t{kMaxChunksAtOnce}));
  auto& need = *step.send.emplace_back().mutable_need_chunks();
  for (auto& hash : missing) {
    need.add_hashes(hash);
    asked_.insert(std::move(hash));
  }
}

void Subscription::receive_chunk(const v1::Chunk& chunk, Step& step) {
  if (!waiting_policy_ || asked_.erase(chunk.hash()) == 0) return;
  if (chunk.missing() || content_hash(chunk.data()) != chunk.hash()) {
    const auto update = *std::exchange(waiting_policy_, {});
    asked_.clear();
    refuse(update, version_of(good_.policy),
           {Rejection::Kind::kNodeCannot,
            {{"exclusions", "the controller does not have a piece of a list (" + chunk.hash() +
                                "): apply the policy once more"}}},
           step);
    return;
  }
  good_.chunks[chunk.hash()] = std::make_shared<const std::string>(chunk.data());
  if (!asked_.empty()) return;
  receive_policy(v1::PolicyUpdate{*waiting_policy_}, step);  // or asks for the next ones
}

ListData Subscription::chunk(const std::string& hash) const {
  const auto it = good_.chunks.find(hash);
  return it == good_.chunks.end() ? nullptr : it->second;
}

void Subscription::forget_chunks() {
  std::set<std::string> named;
  if (good_.policy) {
    for (auto& hash : named_chunks(good_.policy->policy())) named.insert(std::move(hash));
  }
  std::erase_if(good_.chunks, [&](const auto& each) { return !named.contains(each.first); });
}

void Subscription::receive_waiting(Step& step) {
  if (!good_.policy) return;
  if (const auto update = std::exchange(waiting_allocation_, {})) receive(*update, good_.allocation, step);
  if (const auto update = std::exchange(waiting_health_, {})) receive(*update, good_.health, step);
}

template <class Update>
void Subscription::receive(const Update& update, std::optional<Update>& running, Step& step) {
  if (running && same(update, *running)) {
    running->set_nonce(update.nonce());
    step.send.push_back(make_ack(update));
    return;
  }
  decide(update, running, step);
}

template <class Update>
void Subscription::decide(const Update& update, std::optional<Update>& running, Step& step) {
  const auto applied = apply(update);
  if (!applied) return refuse(update, version_of(running), applied.error(), step);
  if (error_of_ == resource_of(update) || error_of_ == v1::RESOURCE_UNSPECIFIED) error_.clear();
  running = update;
  step.state_changed = true;
  step.send.push_back(make_ack(update));
}

template <class Update>
void Subscription::refuse(const Update& update, Version running, const Rejection& rejection, Step& step) {
  ++rejected_total_;
  error_ = describe(rejection);
  error_of_ = resource_of(update);
  step.send.push_back(make_nack(update, running, rejection));
}

Applied Subscription::apply(const v1::PolicyUpdate& update) {
  auto policy = from_proto(update.policy());
  if (!policy) return invalid(std::move(policy.error()));
  if (identity_.kind == v1::DNS64) {
    auto attached = attach_lists(*policy, [this](const auto& hash) { return chunk(hash); });
    if (!attached) return failure(Rejection{Rejection::Kind::kNodeCannot, std::move(attached.error())});
  }
  return call(handlers_.on_policy, std::make_shared<const Policy>(std::move(*policy)),
              from_proto(update.version()));
}

Applied Subscription::apply(const v1::AllocationUpdate& update) {
  auto allocation = from_proto(update.allocation());
  if (!allocation) return invalid(std::move(allocation.error()));
  auto applied = call(handlers_.on_allocation, *allocation, from_proto(update.version()));
  if (applied) {
    lease_clock_.set_leases(allocation->addresses);
    tell_deadlines();
  }
  return applied;
}

Applied Subscription::apply(const v1::HealthUpdate& update) {
  auto health = from_proto(update.health());
  if (!health) return invalid(std::move(health.error()));
  return call(handlers_.on_health, *health, from_proto(update.version()));
}

FeedStatus Subscription::status() const {
  FeedStatus status;
  status.policy_version = version_of(good_.policy);
  status.allocation_version = version_of(good_.allocation);
  status.health_version = version_of(good_.health);
  status.last_heard = last_heard_;
  status.rejected_total = rejected_total_;
  status.last_error = error_;
  status.earliest_lease_stop = lease_clock_.earliest_stop();
  return status;
}

}  // namespace isthmus
