// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/hub.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "common/config/wire.hpp"
#include "controller/shell/convert.hpp"

namespace isthmus::controller {
namespace {

constexpr auto kTick = std::chrono::milliseconds{250};

void log(const Event& event) {
  const auto name = kEventKindNames[event.kind];
  const bool odd = event.kind == EventKind::kDuplicateNode || event.kind == EventKind::kRejected ||
                   event.kind == EventKind::kLeaseConflict || event.kind == EventKind::kSilent ||
                   event.kind == EventKind::kHealthHeld || event.kind == EventKind::kExpired;
  const auto level = odd ? spdlog::level::warn : spdlog::level::info;
  if (event.node_id.empty()) {
    spdlog::log(level, "{}: {}", name, event.text);
  } else {
    spdlog::log(level, "{} {}: {}", name, event.node_id, event.text);
  }
}

struct ToMessage {
  const v1::Policy* policy;
  std::pair<SessionId, v1::ControllerMessage> operator()(const SendPolicy& send) const {
    v1::ControllerMessage message;
    auto* update = message.mutable_policy();
    *update->mutable_version() = to_proto(send.version);
    update->set_nonce(send.nonce);
    if (policy != nullptr) *update->mutable_policy() = *policy;
    return {send.session, std::move(message)};
  }
  std::pair<SessionId, v1::ControllerMessage> operator()(const SendAllocation& send) const {
    v1::ControllerMessage message;
    auto* update = message.mutable_allocation();
    *update->mutable_version() = to_proto(send.version);
    update->set_nonce(send.nonce);
    *update->mutable_allocation() = to_proto(send.allocation);
    return {send.session, std::move(message)};
  }
  std::pair<SessionId, v1::ControllerMessage> operator()(const SendHealth& send) const {
    v1::ControllerMessage message;
    auto* update = message.mutable_health();
    *update->mutable_version() = to_proto(send.version);
    update->set_nonce(send.nonce);
    if (send.health != nullptr) *update->mutable_health() = to_proto(*send.health);
    return {send.session, std::move(message)};
  }
  std::pair<SessionId, v1::ControllerMessage> operator()(const SendRenewed& send) const {
    v1::ControllerMessage message;
    auto* renewed = message.mutable_lease_renewed();
    renewed->set_sequence(send.sequence);
    for (const auto address : send.addresses) renewed->add_addresses(address.to_string());
    return {send.session, std::move(message)};
  }
  std::pair<SessionId, v1::ControllerMessage> operator()(const EndSession& end) const {
    v1::ControllerMessage message;
    message.mutable_refusal()->set_reason(end.reason);
    *message.mutable_refusal()->mutable_retry_after() = to_proto(end.retry_after);
    return {end.session, std::move(message)};
  }
};

}  // namespace

Hub::Hub(Settings settings, std::uint64_t epoch) : core_(settings, epoch, boot_now()) {}

Hub::~Hub() {
  stop();
}

void Hub::start() {
  thread_ = std::thread{[this] { run(); }};
}

void Hub::stop() {
  {
    const std::scoped_lock lock{queue_lock_};
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Hub::post(Work work) {
  {
    const std::scoped_lock lock{queue_lock_};
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
}

SessionId Hub::attach(std::shared_ptr<Outbound> stream) {
  const std::scoped_lock lock{queue_lock_};
  streams_.emplace(++next_session_, std::move(stream));
  return next_session_;
}

void Hub::detach(SessionId session) {
  {
    const std::scoped_lock lock{queue_lock_};
    streams_.erase(session);
  }
  post([session](ControlPlane& core, TimePoint now) { core.on_closed(session, now); });
}

void Hub::keep_report(const ControlPlane::Key& key, v1::Report report) {
  reports_[key] = std::move(report);
}

void Hub::set_policy(std::shared_ptr<const Policy> policy, std::shared_ptr<const v1::Policy> wire,
                     std::string source) {
  post([this, policy = std::move(policy), wire = std::move(wire), source = std::move(source)](
           ControlPlane& core, TimePoint now) mutable {
    policy_.wire = std::move(wire);
    policy_.source = std::move(source);
    policy_.loaded_at = wall_now();
    policy_.rejected.clear();
    core.set_policy(std::move(policy), now);
  });
}

void Hub::reject_policy(std::vector<Violation> violations) {
  post([this, violations = std::move(violations)](ControlPlane&, TimePoint) mutable {
    policy_.rejected = std::move(violations);
    if (!policy_.rejected.empty()) ++policy_.rejected_total;
  });
}

void Hub::read(const std::function<void(const View&)>& reader) const {
  const std::scoped_lock lock{core_lock_};
  reader({core_, policy_, reports_, events_, boot_now()});
}

void Hub::run() {
  while (true) {
    std::vector<Work> batch;
    {
      std::unique_lock lock{queue_lock_};
      wake_.wait_for(lock, kTick, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      batch.swap(queue_);
    }
    Outcome outcome;
    {
      const std::scoped_lock lock{core_lock_};
      const auto now = boot_now();
      for (const auto& work : batch) work(core_, now);
      core_.settle(now);
      outcome = core_.take();
      for (const auto& event : outcome.events) ++events_[event.kind];
      forget_reports();
      dispatch(outcome.actions);
    }
    for (const auto& event : outcome.events) log(event);
  }
}

void Hub::forget_reports() {
  if (reports_.size() <= core_.services().size()) return;
  std::erase_if(reports_, [this](const auto& report) { return !core_.services().contains(report.first); });
}

void Hub::dispatch(std::vector<Action>& actions) {
  for (const auto& action : actions) {
    auto [session, message] = std::visit(ToMessage{policy_.wire.get()}, action);
    std::shared_ptr<Outbound> stream;
    {
      const std::scoped_lock lock{queue_lock_};
      const auto it = streams_.find(session);
      if (it == streams_.end()) continue;  // it ended meanwhile
      stream = it->second;
    }
    const bool ends = message.has_refusal();
    stream->send(std::move(message));
    if (ends) stream->end();
  }
}

}  // namespace isthmus::controller
