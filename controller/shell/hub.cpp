// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/hub.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/log.hpp"
#include "common/config/domain_lists.hpp"
#include "common/config/from_proto.hpp"
#include "common/config/wire.hpp"
#include "controller/shell/convert.hpp"

namespace isthmus::controller {
namespace {

constexpr auto kTick = std::chrono::milliseconds{250};
constexpr Duration kFirstRetry = std::chrono::milliseconds{100};  // of a commit that failed; doubles
constexpr Duration kLastRetry = std::chrono::seconds{5};
constexpr auto kKeepHistory =
    std::chrono::hours{24 * 400};  // what abuse desks ask for is younger than a year
constexpr Duration kPruneEvery = std::chrono::hours{6};
constexpr unsigned kLooksAtStrangers = 10;  // within Settings::hello_within

void log(const Event& event) {
  const auto name = kEventKindNames[event.kind];
  const auto level = is_odd(event.kind) ? spdlog::level::warn : spdlog::level::info;
  if (event.node_id.empty()) {
    spdlog::log(level, "{}: {}", name, event.text);
  } else {
    spdlog::log(level, "{} {}: {}", name, event.node_id, event.text);
  }
}

struct ToMessage {
  std::pair<SessionId, v1::ControllerMessage> operator()(const SendPolicy& send) const {
    v1::ControllerMessage message;
    auto* update = message.mutable_policy();
    *update->mutable_version() = to_proto(send.version);
    update->set_nonce(send.nonce);
    if (send.wire != nullptr) *update->mutable_policy() = *send.wire;
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

Hub::Hub(Settings settings, std::uint64_t epoch)
    : hello_within_(settings.hello_within),
      core_(settings, epoch, boot_now()),
      chunks_(settings.unnamed_lists_wait) {}

Hub::Hub(Settings settings, std::unique_ptr<Ledger> ledger)
    : hello_within_(settings.hello_within),
      ledger_(std::move(ledger)),
      core_(settings, ledger_->take_memory(), boot_now()),
      chunks_(settings.unnamed_lists_wait) {
  for (const auto& chunk : ledger_->take_chunks()) chunks_.put(chunk, boot_now());
}

Hub::~Hub() {
  stop();
}

void Hub::start(std::function<void()> lost) {
  lost_ = std::move(lost);
  thread_ = std::thread{[this] { run(); }};
}

void Hub::stop() {
  {
    const std::scoped_lock lock{queue_lock_};
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  let_go();
}

// Nothing is decided any more: who waits for a decision learns it by the end of what it posted.
void Hub::let_go() {
  std::vector<Item> dropped;  // destroyed without the lock: their ends may post
  const std::scoped_lock lock{queue_lock_};
  stopping_ = true;
  dropped.swap(queue_);
}

void Hub::post(Work work, std::function<void()> durable) {
  {
    const std::scoped_lock lock{queue_lock_};
    if (stopping_) return;
    queue_.push_back({std::move(work), std::move(durable)});
  }
  wake_.notify_one();
}

SessionId Hub::attach(std::shared_ptr<Outbound> stream) {
  const std::scoped_lock lock{queue_lock_};
  streams_.emplace(++next_session_, Attached{std::move(stream)});
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

Result<void, std::string> Hub::use_policy_from(PolicyOrigin origin, std::string name, bool revisions) {
  desk_ = PolicyDesk{origin, std::move(name), revisions};
  if (ledger_ == nullptr) return {};
  std::vector<PolicyEdit> edits;
  for (auto& stored : ledger_->take_policies()) {
    auto wire = std::make_shared<v1::Policy>();
    const bool read = wire->ParseFromString(stored.policy);
    auto policy = from_proto(*wire);
    if (!read || !policy) {
      spdlog::warn("policy version {} in the store is not valid for this build and is left out",
                   stored.number);
      continue;
    }
    edits.push_back({.number = stored.number,
                     .time = stored.time,
                     .author = std::move(stored.author),
                     .comment = std::move(stored.comment),
                     .text = {std::make_shared<const Policy>(std::move(*policy)), std::move(wire)}});
  }
  return desk_.restore(core_, std::move(edits), ledger_->marks(), boot_now());
}

void Hub::propose(Proposal proposal, Proposed done) {
  using Taken = Result<std::uint64_t, ProposalRefused>;
  auto outcome = std::make_shared<std::optional<Taken>>();
  auto work = [this, outcome, proposal = std::move(proposal)](ControlPlane& core, TimePoint now) mutable {
    const auto* before = desk_.desired().newest();
    const auto number = before == nullptr ? 0 : before->number;
    Policy with_lists{*proposal.text.policy};
    if (auto attached = attach_lists(with_lists, [this](const auto& hash) { return chunks_.find(hash); });
        !attached) {
      *outcome = failure(ProposalRefused{std::nullopt, std::move(attached.error())});
      return;
    }
    *outcome = desk_.propose(core, std::move(proposal), wall_now(), now);
    if (!**outcome) return;
    policy_.rejected.clear();
    const auto* newest = desk_.desired().newest();
    if (newest == nullptr || newest->number == number) return;
    keep_chunks(now);
    if (ledger_ == nullptr) return;
    ledger_->record_policy({.number = newest->number,
                            .time = newest->time,
                            .author = newest->author,
                            .comment = newest->comment,
                            .policy = newest->text.wire->SerializeAsString()},
                           desk_.desired().edits().front().number);
  };
  post(std::move(work), [outcome, done = std::move(done)] {
    if (done && *outcome) done(**outcome);
  });
}

// What kept versions of the policy name is stored with them, the newest first and in bounds; the rest goes. A
// rollback to a version whose lists went is refused, and says so.
void Hub::keep_chunks(TimePoint now) {
  std::vector<std::vector<std::string>> versions;
  const auto& edits = desk_.desired().edits();
  for (auto edit = edits.rbegin(); edit != edits.rend(); ++edit)
    versions.push_back(named_chunks(*edit->text.wire));
  const auto named = chunks_.within(ListChunks::kMaxKeptBytes, versions);
  const auto forgotten = chunks_.prune(named, now);
  if (ledger_ == nullptr) return;
  for (const auto& hash : named) {
    if (const auto data = chunks_.find(hash)) ledger_->record_chunk({hash, data});
  }
  for (const auto& hash : forgotten) ledger_->forget_chunk(hash);
}

// So that a controller that starts knows what it may build on.
void Hub::note_marks() {
  if (const auto* newest = desk_.desired().newest())
    ledger_->record_marks(core_.rollout().marks(newest->number, ledger_->marks()));
}

void Hub::reject_policy(std::vector<Violation> violations) {
  post([this, violations = std::move(violations)](ControlPlane&, TimePoint) mutable {
    policy_.rejected = std::move(violations);
    if (!policy_.rejected.empty()) ++policy_.rejected_total;
  });
}

void Hub::read(const std::function<void(const View&)>& reader) const {
  const std::scoped_lock lock{core_lock_};
  reader({core_, desk_, policy_, reports_, events_, store_, log_, boot_now()});
}

std::vector<Hub::Item> Hub::wait_for_work() {
  std::unique_lock lock{queue_lock_};
  wake_.wait_for(lock, kTick, [this] { return stopping_ || !queue_.empty(); });
  return std::exchange(queue_, {});
}

std::vector<Hub::Message> Hub::decide(std::vector<Item>& batch) {
  std::vector<Message> messages;
  Outcome outcome;
  {
    const std::scoped_lock lock{core_lock_};
    const auto now = boot_now();
    for (const auto& item : batch) item.work(core_, now);
    core_.settle(now);
    outcome = core_.take();
    if (chunks_.prune_due(now)) keep_chunks(now);
    if (ledger_ != nullptr) {
      ledger_->record(core_, outcome, {now, wall_now()});
      note_marks();
    }
    for (const auto& event : outcome.events) {
      ++events_[event.kind];
      log_.add(event, wall_now());
    }
    forget_reports();
    for (const auto& action : outcome.actions) messages.push_back(std::visit(ToMessage{}, action));
  }
  for (const auto& event : outcome.events) log(event);
  return messages;
}

void Hub::run() {
  while (true) {
    auto batch = wait_for_work();
    if (pause({})) return;
    auto messages = decide(batch);
    if (!make_durable() || !still_writer()) return let_go();
    for (const auto& item : batch) {
      if (item.durable) item.durable();
    }
    dispatch(messages);
    prune_history(boot_now());
    cut_off_strangers(boot_now());
  }
}

// True: the hub is to stop.
bool Hub::pause(Duration time) {
  std::unique_lock lock{queue_lock_};
  return wake_.wait_for(lock, time, [this] { return stopping_; });
}

// Stays here until what was decided is durable; false: it never will be, and nobody may be told.
bool Hub::make_durable() {
  if (ledger_ == nullptr || !ledger_->pending()) return true;
  LogLimit limit;
  for (Duration retry = kFirstRetry;; retry = std::min(kLastRetry, retry * 2)) {
    const auto begin = boot_now();
    const auto done = ledger_->commit();
    std::unique_lock lock{core_lock_};
    store_.spent += boot_now() - begin;
    if (done) {
      ++store_.commits;
      if (!store_.problem.empty()) spdlog::info("the store takes writes again: decisions go out");
      store_.problem.clear();
      return true;
    }
    ++store_.failures;
    store_.problem = done.error().message;
    if (done.error().kind == StoreFailure::kNotWriter) {
      spdlog::warn("another controller writes the store now: {}", done.error().message);
      if (lost_) lost_();
      return false;
    }
    if (limit.pass(begin)) {
      spdlog::error("decisions wait, because they cannot be stored; services go on with what they have: {}",
                    done.error().message);
    }
    lock.unlock();
    if (pause(retry)) return false;
  }
}

// Not everything that leaves was stored just now: answers to renewals, allocations of those who reconnect.
bool Hub::still_writer() {
  if (ledger_ == nullptr || ledger_->store().is_writer()) return true;
  spdlog::warn("this controller may no longer be the one that decides: it stops deciding");
  if (lost_) lost_();
  return false;
}

void Hub::prune_history(TimePoint now) {
  if (ledger_ == nullptr || now < prune_at_) return;
  const auto more = ledger_->prune_history(wall_now() - kKeepHistory);
  prune_at_ = now + (more && *more ? Duration{std::chrono::seconds{1}} : kPruneEvery);
}

// Looks are counted rather than time: while a commit hangs, a hello may wait in our own queue.
void Hub::cut_off_strangers(TimePoint now) {
  if (now < look_for_strangers_at_) return;
  look_for_strangers_at_ = now + hello_within_ / kLooksAtStrangers;
  std::vector<std::shared_ptr<Outbound>> strangers;
  {
    const std::scoped_lock lock{queue_lock_};
    for (auto& [session, attached] : streams_) {
      // The core is read without its lock: only this thread changes it.
      attached.strange = core_.serves(session) ? 0 : attached.strange + 1;
      if (attached.strange > kLooksAtStrangers) strangers.push_back(attached.stream);
    }
  }
  for (const auto& stream : strangers) stream->cut();
}

void Hub::forget_reports() {
  if (reports_.size() <= core_.services().size()) return;
  std::erase_if(reports_, [this](const auto& report) { return !core_.services().contains(report.first); });
}

void Hub::dispatch(std::vector<Message>& messages) {
  for (auto& [session, message] : messages) {
    std::shared_ptr<Outbound> stream;
    {
      const std::scoped_lock lock{queue_lock_};
      const auto it = streams_.find(session);
      if (it == streams_.end()) continue;  // it ended meanwhile
      stream = it->second.stream;
    }
    const bool ends = message.has_refusal();
    stream->send(std::move(message));
    if (ends) stream->end();
  }
}

}  // namespace isthmus::controller
