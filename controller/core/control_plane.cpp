// SPDX-License-Identifier: Apache-2.0
#include "controller/core/control_plane.hpp"

#include <algorithm>
#include <utility>

namespace isthmus::controller {
namespace {

using std::chrono::seconds;

constexpr Duration kRivalMemory = std::chrono::seconds{10};
constexpr std::size_t kMaxRivals = 16;
constexpr Duration kTellAwaitedEvery = std::chrono::minutes{1};
constexpr std::size_t kAwaitedNamed = 20;                     // in one line
constexpr std::uint64_t kSaneEpoch = std::uint64_t{1} << 62;  // a service cannot push us into overflow

std::string list(const std::vector<Ipv4Address>& addresses) {
  std::string text;
  for (const auto address : addresses) text += (text.empty() ? "" : " ") + address.to_string();
  return text;
}

std::string list(const std::set<Holder>& holders) {
  std::string text;
  std::size_t named = 0;
  for (const auto& [node_id, machine] : holders) {
    if (named++ == kAwaitedNamed)
      return text + " and " + std::to_string(holders.size() - kAwaitedNamed) + " more";
    text += (text.empty() ? "" : ", ") + node_id + " (machine " + machine + ")";
  }
  return text;
}

bool has_capability(const Hello& hello, std::string_view capability) {
  return std::ranges::find(hello.capabilities, capability) != hello.capabilities.end();
}

}  // namespace

ControlPlane::ControlPlane(Settings settings, Memory memory, TimePoint start)
    : settings_(settings),
      epoch_(memory.epoch),
      epoch_at_start_(memory.epoch),
      start_(start),
      settling_(memory.settling),
      policy_(settings.waves, memory.epoch),
      admission_(settings.hellos_per_second) {
  for (const auto& drain : memory.drains) drains_.emplace(drain.node_id, drain);
  for (const auto& lease : memory.leases) leases_.restore(lease, start, settling_);
  for (auto& [holder, node] : memory.nodes) {
    awaited_.insert(holder);
    known_nodes_.emplace(std::move(holder), std::move(node));
  }
  if (!settling_) leases_.trust();
}

void ControlPlane::note(EventKind kind, const std::string& node_id, std::string text) {
  out_.events.push_back({kind, node_id, std::move(text)});
}

Outcome ControlPlane::take() {
  out_.changed_leases = leases_.take_changes();
  out_.changed_nodes = std::exchange(changed_nodes_, {});
  return std::exchange(out_, {});
}

void ControlPlane::set_policy(std::shared_ptr<const Policy> policy, TimePoint now) {
  set_policy(PolicySteps{.target = {std::move(policy), nullptr}, .bridge = {}, .interim = {}, .retired = {}},
             now);
}

void ControlPlane::set_policy(PolicySteps steps, TimePoint now) {
  policy_.begin(std::move(steps), now);
  policy_begins(now);
}

void ControlPlane::resume_policy(PolicyRollout rollout, TimePoint now) {
  policy_ = std::move(rollout);
  policy_begins(now);
}

void ControlPlane::policy_begins(TimePoint now) {
  stopped_noted_ = false;
  // A controller that has just begun knows nodes that are not back yet: it must not go on without them.
  if (services_.empty() && !known_nodes_.empty()) rollout_from_ = start_ + settings_.adopt_grace;
  use_pools_and_prefixes(now);
  note(EventKind::kPolicy, "",
       "policy " + policy_.target_version().to_string() + " goes out" +
           (policy_.phase() == RolloutPhase::kDone ? "" : " in waves"));
}

void ControlPlane::fence(const Holder& holder, TimePoint now) {
  const auto freed = leases_.fence(holder, now);
  if (known_nodes_.contains(holder)) forget_node(holder);
  note(EventKind::kFenced, holder.node_id,
       "machine " + holder.machine + (freed.empty() ? " held nothing" : ": rest now: " + list(freed)));
  const auto it = services_.find({ServiceKind::kNat64, holder.node_id});
  if (it == services_.end() || it->second.holder() != holder) return;
  it->second.left = true;
  if (!it->second.connected()) return;
  out_.actions.emplace_back(
      EndSession{it->second.session, "this machine was fenced by an operator", seconds{5}});
  disconnect(it->second);
}

// --- what services say ---

ServiceRecord* ControlPlane::heard(SessionId session, TimePoint now) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return nullptr;  // superseded or refused: nothing it says counts
  ServiceRecord& service = services_.at(it->second);
  service.last_heard = now;
  if (const auto known = known_nodes_.find(service.holder());
      known != known_nodes_.end() && service.hello.kind == ServiceKind::kNat64)
    known->second.last_heard = now;
  return &service;
}

bool ControlPlane::refuse_rival(SessionId session, const Hello& hello, ServiceRecord& known, TimePoint now) {
  if (!known.connected() || known.holder() == holder_of(hello)) return false;
  if (known.rivals.size() < kMaxRivals) known.rivals[hello.incarnation] = now;
  out_.actions.emplace_back(EndSession{session,
                                       "node_id " + hello.node_id + " is in use by another machine at " +
                                           known.hello.peer + ": give each machine a node_id of its own",
                                       std::chrono::seconds{5}});
  note(EventKind::kDuplicateNode, hello.node_id,
       "second machine with this node_id at " + hello.peer + " refused; the first is at " + known.hello.peer);
  return true;
}

void ControlPlane::raise_epoch(const Hello& hello) {
  std::uint64_t seen = 0;
  for (const auto& version : hello.running) seen = std::max(seen, version.epoch);
  if (seen <= epoch_ || seen >= kSaneEpoch) return;
  epoch_ = seen + 1;
  policy_.raise_epoch(epoch_);
  if (health_version_.counter > 0) health_version_.epoch = epoch_;
}

void ControlPlane::remember(const ServiceRecord& service, TimePoint now) {
  if (has_capability(service.hello, kNodeModeCapability)) return;  // holds no leases
  const auto holder = service.holder();
  awaited_.erase(holder);
  auto& known = known_nodes_[holder];
  known.last_heard = now;
  if (known.incarnation == service.hello.incarnation) return;
  known.boot_id = service.hello.boot_id;
  known.incarnation = service.hello.incarnation;
  changed_nodes_.insert(holder);
}

void ControlPlane::forget_node(const Holder& holder) {
  known_nodes_.erase(holder);
  awaited_.erase(holder);
  leases_.forget(holder);
  changed_nodes_.insert(holder);
}

bool ControlPlane::refuse(SessionId session, const Hello& hello, TimePoint now) {
  const auto known = services_.find({hello.kind, hello.node_id});
  if (known == services_.end() && services_.size() >= settings_.max_services) {
    out_.actions.emplace_back(
        EndSession{session, "this controller serves as many services as it may", seconds{30}});
    return true;
  }
  if (known != services_.end()) {
    // Its hello was long on the way: what it says is of the past.
    if (session < known->second.newest) {
      out_.actions.emplace_back(EndSession{session, "a newer stream of this node came before", {}});
      return true;
    }
    if (refuse_rival(session, hello, known->second, now)) return true;
  }
  const auto wait = admission_.wait(now);
  if (!wait) return false;
  out_.actions.emplace_back(EndSession{session, "many services connect at once: come again", *wait});
  ++turned_away_;
  return true;
}

// A machine that takes over the node_id of one that holds nothing and that nobody waits for.
void ControlPlane::forget_former(const ServiceRecord& known, const Hello& hello) {
  const auto former = known.holder();
  if (known.hello.kind == ServiceKind::kNat64 && former != holder_of(hello) && !known_nodes_.contains(former))
    leases_.forget(former);
}

void ControlPlane::on_hello(SessionId session, const Hello& hello, TimePoint now) {
  if (session == kNoSession || sessions_.contains(session)) return;  // one hello per stream
  if (refuse(session, hello, now)) return;
  raise_epoch(hello);

  const Key key{hello.kind, hello.node_id};
  ServiceRecord& service = services_[key];
  if (service.connected()) {  // the same machine again: the older stream is dead or will be
    out_.actions.emplace_back(EndSession{service.session, "replaced by a newer stream of this node", {}});
    disconnect(service);
  }
  if (service.hello.incarnation != hello.incarnation) service.report = {};
  forget_former(service, hello);
  service.hello = hello;
  service.session = service.newest = session;
  service.last_heard = service.connected_since = service.busy_at = now;
  service.left = false;
  service.acked_allocation = 0;
  sessions_[session] = key;
  for (std::size_t i = 0; i < service.rollout.size(); ++i) service.rollout[i].connected(hello.running[i]);
  if (hello.kind == ServiceKind::kNat64) {
    remember(service, now);
    reconcile_leases(service, now);
  }
  replan_ = true;
  note(EventKind::kConnected, hello.node_id,
       std::string(kServiceKindNames[hello.kind]) + " " + hello.build + " from " + hello.peer);
}

void ControlPlane::reconcile_leases(ServiceRecord& service, TimePoint now) {
  const auto holder = service.holder();
  const auto result = leases_.on_hello(holder, service.hello.leases_held, now);
  if (!result.adopted.empty())
    note(EventKind::kGranted, holder.node_id, "already holds " + list(result.adopted));
  if (!result.conflicts.empty()) {
    lease_conflicts_ += result.conflicts.size();
    note(EventKind::kLeaseConflict, holder.node_id,
         "claims addresses of others and is told to stop: " + list(result.conflicts));
    leases_.touch(holder);
  }
  if (leases_.revision_of(holder) == 0) leases_.touch(holder);
  const Version running = service.hello.running[index_of(Resource::kAllocation)];
  if (running == Version{epoch_, leases_.revision_of(holder)}) {
    service.acked_allocation = running.counter;
    leases_.on_ack(holder, running.counter, now);
  }
}

void ControlPlane::on_ack(SessionId session, Resource resource, std::uint64_t nonce, Version running,
                          TimePoint now) {
  ServiceRecord* service = heard(session, now);
  if (service == nullptr) return;
  Rollout& rollout = service->rollout[index_of(resource)];
  if (!rollout.on_ack(nonce, running)) return;
  if (resource == Resource::kAllocation && rollout.last_sent().epoch == epoch_) {
    service->acked_allocation = std::max(service->acked_allocation, rollout.last_sent().counter);
    leases_.on_ack(service->holder(), service->acked_allocation, now);
  }
  note(EventKind::kApplied, service->hello.node_id,
       std::string(kResourceNames[resource]) + " " + running.to_string() + " runs");
}

void ControlPlane::on_nack(SessionId session, Resource resource, std::uint64_t nonce, Version running,
                           std::vector<Violation> violations, TimePoint now) {
  ServiceRecord* service = heard(session, now);
  if (service == nullptr) return;
  std::string why = violations.empty() ? "no reason given" : "";
  for (const auto& v : violations) why += (why.empty() ? "" : "; ") + v.path + ": " + v.message;
  if (!service->rollout[index_of(resource)].on_nack(nonce, running, std::move(violations))) return;
  note(EventKind::kRejected, service->hello.node_id,
       std::string(kResourceNames[resource]) + " refused, " + running.to_string() + " keeps running: " + why);
}

void ControlPlane::on_renewal(SessionId session, std::uint64_t sequence,
                              const std::vector<Ipv4Address>& addresses, TimePoint now) {
  ServiceRecord* service = heard(session, now);
  if (service == nullptr) return;
  out_.actions.emplace_back(
      SendRenewed{session, sequence, leases_.on_renewal(service->holder(), addresses, now)});
}

void ControlPlane::on_report(SessionId session, const NodeReport& report, TimePoint now) {
  ServiceRecord* service = heard(session, now);
  if (service == nullptr) return;
  service->report = report;
  service->use = report.blocks_total == 0
                     ? 0
                     : static_cast<double>(report.blocks_used) / static_cast<double>(report.blocks_total);
  if (service->use > kLittleUse) service->busy_at = now;
  const auto freed = leases_.on_released(service->holder(), report.released, service->acked_allocation, now);
  if (!freed.empty()) note(EventKind::kReleased, service->hello.node_id, list(freed));
}

void ControlPlane::on_goodbye(SessionId session, const std::vector<Ipv4Address>& released, TimePoint now) {
  ServiceRecord* service = heard(session, now);
  if (service == nullptr) return;
  const auto freed = leases_.on_goodbye(service->holder(), released, now);
  service->left = true;
  service->report.serving = false;
  note(EventKind::kGoodbye, service->hello.node_id, freed.empty() ? "left" : "left; released " + list(freed));
  disconnect(*service);
}

void ControlPlane::on_closed(SessionId session, TimePoint now) {
  ServiceRecord* service = heard(session, now);
  if (service == nullptr) return;
  note(EventKind::kClosed, service->hello.node_id, "the stream ended");
  disconnect(*service);
}

void ControlPlane::disconnect(ServiceRecord& service) {
  sessions_.erase(service.session);
  service.session = kNoSession;
  service.use = 0;
  replan_ = true;
}

// --- what follows ---

void ControlPlane::settle(TimePoint now) {
  expire(now);
  advance_policy(now);
  advance_drains(now);
  if (settling_) settle_down(now);
  if (!settling_) plan(now);
  // A controller that has just begun does not take the nodes that did not come back yet for dead: they try
  // again every five seconds at the latest.
  if (awaited_.empty() || now >= all_could_come() + settings_.liveness + seconds{2}) publish_health();
  for (auto& [key, service] : services_) {
    if (service.connected()) update(service);
  }
}

// When is it safe to grant although the store may not know who holds what? Nodes that live have told within
// the grace. One that is cut off may hold an address, for ever if it got it under HOLD: it is waited for
// until it tells or is fenced.
void ControlPlane::settle_down(TimePoint now) {
  if (now < all_could_come() + settings_.adopt_grace) return;
  if (!awaited_.empty()) return tell_awaited(now);
  settling_ = false;
  leases_.trust();
  replan_ = true;
  note(EventKind::kSettled, "", "who holds what is known: addresses are granted");
}

void ControlPlane::tell_awaited(TimePoint now) {
  if (now < tell_awaited_at_) return;
  tell_awaited_at_ = now + kTellAwaitedEvery;
  note(EventKind::kAwaited, "",
       "no address is granted until these have told what they hold, or are fenced: " + list(awaited_));
}

void ControlPlane::expire(TimePoint now) {
  for (const auto& lease : leases_.tick(now)) {
    note(EventKind::kExpired, lease.holder.node_id, lease.address.to_string() + " was not renewed");
  }
  for (auto it = services_.begin(); it != services_.end();) {
    ServiceRecord& service = it->second;
    std::erase_if(service.rivals, [&](const auto& rival) { return now - rival.second > kRivalMemory; });
    if (service.connected() && now - service.last_heard > settings_.liveness) {
      note(EventKind::kSilent, service.hello.node_id, "nothing heard; it serves on with what it has");
      out_.actions.emplace_back(EndSession{service.session, "nothing heard from you", {}});
      disconnect(service);
    }
    const bool forget = !service.connected() && now - service.last_heard > settings_.forget_after &&
                        leases_.held_by(service.holder()).empty();
    if (forget) {
      prefixes_.forget(service.hello.node_id);
      if (it->first.first == ServiceKind::kNat64) leases_.forget(service.holder());
    }
    it = forget ? services_.erase(it) : std::next(it);
  }
  if (settling_) return;  // it may hold what a restored store does not know
  std::vector<Holder> gone;
  for (const auto& [holder, node] : known_nodes_) {
    if (now - node.last_heard > settings_.forget_after && leases_.held_by(holder).empty())
      gone.push_back(holder);
  }
  for (const auto& holder : gone) forget_node(holder);
}

// What is leased and which parents are cut up follow the policy once every node runs it, and the parents from
// the moment that the first may.
void ControlPlane::use_pools_and_prefixes(TimePoint now) {
  std::vector<const Policy*> policies;
  for (const auto kind : {ServiceKind::kNat64, ServiceKind::kDns64}) {
    for (const auto* text : {&policy_.base(kind), &policy_.next(kind)}) {
      if (!text->empty()) policies.push_back(text->policy.get());
    }
  }
  prefixes_.set_policies(policies);
  if (const auto& reached = policy_.nat64_runs().policy; reached != nullptr && reached != pools_of_) {
    pools_of_ = reached;
    leases_.set_pools(pools_of_->pools, now);
  }
  for (const auto& [key, service] : services_) {
    if (key.first == ServiceKind::kNat64) leases_.touch(service.holder());  // prefixes may have changed
  }
  replan_ = true;
}

void ControlPlane::advance_policy(TimePoint now) {
  while (policy_.phase() != RolloutPhase::kDone && now >= rollout_from_) {
    std::vector<Waves::Member> members;
    for (const auto& [key, service] : services_) {
      if (service.left) continue;
      const Rollout& rollout = service.rollout[index_of(Resource::kPolicy)];
      const Version next = policy_.next_version(key.first);
      const bool refused = rollout.state() == RolloutState::kRejected && rollout.wanted() == next;
      members.push_back({key, !service.connected()        ? Waves::State::kLost
                              : rollout.running() == next ? Waves::State::kApplied
                              : refused                   ? Waves::State::kRejected
                                                          : Waves::State::kWaits});
    }
    const bool moved = policy_.step(members, now);
    const auto* waves = policy_.waves();
    const bool stopped = waves != nullptr && !waves->stopped_by().empty();
    if (stopped && !std::exchange(stopped_noted_, true)) {
      const auto& [key, state] = *waves->stopped_by().begin();
      note(EventKind::kRolloutStopped, key.second,
           "policy " + policy_.target_version().to_string() + " goes no further: this service " +
               (state == Waves::State::kRejected ? "refused it" : "was lost after it was sent"));
    }
    if (!stopped) stopped_noted_ = false;
    if (!moved) return;
    note(EventKind::kRollout, "",
         "policy " + policy_.target_version().to_string() + ": " +
             std::string(kRolloutPhaseNames[policy_.phase()]));
    use_pools_and_prefixes(now);
  }
}

const Drain* ControlPlane::drain_of(const std::string& node_id) const {
  const auto it = drains_.find(node_id);
  return it == drains_.end() ? nullptr : &it->second;
}

void ControlPlane::drain(Drain drain, TimePoint now) {
  drain.stage = DrainStage::kLeavingAnswers;
  drain.since = now;
  const auto node_id = drain.node_id;
  if (!drains_.emplace(node_id, std::move(drain)).second) return;
  out_.changed_drains.insert(node_id);
  replan_ = true;
  note(EventKind::kDrain, node_id, "begins: no new DNS answers name it");
}

void ControlPlane::undrain(const std::string& node_id, TimePoint now) {
  if (drains_.erase(node_id) == 0) return;
  out_.changed_drains.insert(node_id);
  const auto service = services_.find({ServiceKind::kNat64, node_id});
  if (service != services_.end()) {
    const auto holder = service->second.holder();
    const auto held = leases_.held_by(holder);
    for (const auto address : held) (void)leases_.resume(address, now);
    leases_.touch(holder);
  }
  replan_ = true;
  note(EventKind::kDrain, node_id, "ended: it is in service again");
}

Duration ControlPlane::answers_live() const {
  Duration longest{};
  const auto& text = policy_.base(ServiceKind::kDns64);
  if (text.empty()) return longest;
  const bool steered = std::ranges::any_of(text.policy->translation_prefixes, [](const auto& prefix) {
    return prefix.assignment == Assignment::kPerNode;
  });
  if (!steered) return longest;  // answers in a SHARED prefix name no node
  for (const auto& view : text.policy->dns64.views) longest = std::max(longest, view.steering_ttl);
  return longest;
}

// A service that is not connected may go on naming the node as long as it is cut off; nobody can wait for
// that.
bool ControlPlane::in_answers(const std::string& node_id) const {
  if (health_.published().contains(node_id)) return true;
  return std::ranges::any_of(services_, [&](const auto& entry) {
    const auto& [key, service] = entry;
    const Rollout& health = service.rollout[index_of(Resource::kHealth)];
    return key.first == ServiceKind::kDns64 && service.connected() &&
           (health.state() != RolloutState::kApplied || health.wanted() != health_version_);
  });
}

void ControlPlane::advance_drains(TimePoint now) {
  for (auto& [node_id, drain] : drains_) {
    const auto service = services_.find({ServiceKind::kNat64, node_id});
    const auto held =
        service == services_.end() ? std::set<Ipv4Address>{} : leases_.held_by(service->second.holder());
    const DrainFacts facts{in_answers(node_id), answers_live(), held.size()};
    const auto stage = next_stage(drain, facts, now);
    if (stage != drain.stage) {
      drain.stage = stage;
      drain.since = now;
      out_.changed_drains.insert(node_id);
      if (service != services_.end()) leases_.touch(service->second.holder());
      note(EventKind::kDrain, node_id, std::string(kDrainStageNames[stage]));
    }
    if (drain.stage != DrainStage::kReleasing) continue;
    for (const auto address : held) {
      if (leases_.withdraw(address, now)) note(EventKind::kWithdrawn, node_id, address.to_string());
    }
  }
}

void ControlPlane::plan(TimePoint now) {
  if (pools_of_ == nullptr) return;
  std::vector<LeaseCandidate> candidates;
  bool pressure = false;
  for (auto& [key, service] : services_) {
    if (key.first != ServiceKind::kNat64 || !service.connected() ||
        has_capability(service.hello, kNodeModeCapability) || drains_.contains(key.second))
      continue;
    pressure = pressure || service.use > 0;
    // A report counts for one plan: what was granted must show in the next before more is given.
    candidates.push_back({.holder = service.holder(),
                          .use = std::exchange(service.use, 0.0),
                          .idle = now - service.busy_at >= settings_.idle_after});
  }
  if (!replan_ && !pressure && leases_.generation() == planned_generation_) return;
  const auto wishes = plan_leases(leases_, *pools_of_, candidates);
  for (const auto& [address, holder] : wishes.grants) {
    if (leases_.grant(address, holder, now)) note(EventKind::kGranted, holder.node_id, address.to_string());
  }
  const auto withdraw = [&](Ipv4Address address, const char* why) {
    if (leases_.withdraw(address, now))
      note(EventKind::kWithdrawn, leases_.find(address)->holder.node_id, address.to_string() + why);
  };
  for (const auto address : wishes.withdrawals) withdraw(address, " for a node without one");
  for (const auto address : wishes.from_idle)
    withdraw(address, " for a node that runs short: it has little use here");
  planned_generation_ = leases_.generation();
  replan_ = false;
}

bool ControlPlane::able(const ServiceRecord& service) const {
  return service.connected() && service.report.serving && service.report.fit &&
         service.rollout[index_of(Resource::kPolicy)].running() != Version{};
}

void ControlPlane::publish_health() {
  std::set<std::string> good;
  std::set<std::string> left;
  for (const auto& [key, service] : services_) {
    if (key.first != ServiceKind::kNat64) continue;
    const bool leaves = service.left || drains_.contains(key.second);
    if (able(service) && !leaves) good.insert(key.second);
    if (leaves) left.insert(key.second);
  }
  const bool was_held = health_.held();
  HealthySet next;
  for (const auto& node : health_.judge(good, left)) next.nodes.push_back({node, prefixes_in_answers(node)});
  if (policy_.nat64_reached()) next.retired_prefixes = policy_.retired();
  if (health_.held() != was_held) {
    note(health_.held() ? EventKind::kHealthHeld : EventKind::kHealthNormal, "",
         health_.held() ? "more than half of the NAT64 nodes failed at once: DNS answers go on as before"
                        : "the healthy set follows the nodes again");
  }
  if (healthy_set_ != nullptr && *healthy_set_ == next) return;
  healthy_set_ = std::make_shared<const HealthySet>(std::move(next));
  health_version_ = {epoch_, health_version_.counter + 1};
}

// By the names of every policy that a DNS64 service may run now.
std::vector<NodePrefix> ControlPlane::prefixes_in_answers(const std::string& node_id) {
  std::vector<NodePrefix> prefixes;
  for (const auto* text : {&policy_.base(ServiceKind::kDns64), &policy_.next(ServiceKind::kDns64)}) {
    if (text->empty()) continue;
    for (auto& prefix : prefixes_.of(node_id, *text->policy)) {
      if (std::ranges::find(prefixes, prefix) == prefixes.end()) prefixes.push_back(std::move(prefix));
    }
  }
  return prefixes;
}

Allocation ControlPlane::allocation_of(const ServiceRecord& service) {
  Allocation allocation;
  const Drain* drain = drain_of(service.hello.node_id);
  allocation.draining = drain != nullptr && drain->stage >= DrainStage::kReleasing;
  for (const auto address : leases_.held_by(service.holder())) {
    const Lease& lease = *leases_.find(address);
    LeasedAddress leased{.address = address,
                         .pool = lease.pool,
                         .on_expiry = lease.offered.on_expiry,
                         .term = lease.offered.term,
                         .withdrawn = lease.state == LeaseState::kWithdrawing,
                         .withdraw_within = std::nullopt};
    if (leased.withdrawn) leased.withdraw_within = settings_.withdraw_within;
    allocation.addresses.push_back(std::move(leased));
  }
  const auto& text = policy_.next(ServiceKind::kNat64);
  const bool gone = drain != nullptr && drain->stage == DrainStage::kDrained;
  if (!gone && !text.empty()) allocation.node_prefixes = prefixes_.of(service.hello.node_id, *text.policy);
  return allocation;
}

void ControlPlane::update(ServiceRecord& service) {
  const auto* edition = policy_.wanted({service.hello.kind, service.hello.node_id});
  if (edition == nullptr) return;
  service.rollout[index_of(Resource::kPolicy)].want(edition->version);
  if (service.hello.kind == ServiceKind::kNat64) {
    service.rollout[index_of(Resource::kAllocation)].want({epoch_, leases_.revision_of(service.holder())});
  } else {
    if (healthy_set_ != nullptr) service.rollout[index_of(Resource::kHealth)].want(health_version_);
  }
  for (const auto resource : {Resource::kPolicy, Resource::kAllocation, Resource::kHealth}) {
    if (service.rollout[index_of(resource)].due()) send(service, resource);
  }
}

void ControlPlane::send(ServiceRecord& service, Resource resource) {
  Rollout& rollout = service.rollout[index_of(resource)];
  const std::uint64_t nonce = ++service.nonce;
  switch (resource) {
    case Resource::kPolicy:
      out_.actions.emplace_back(
          SendPolicy{service.session, nonce, rollout.wanted(),
                     policy_.wanted({service.hello.kind, service.hello.node_id})->text.wire});
      break;
    case Resource::kAllocation:
      out_.actions.emplace_back(
          SendAllocation{service.session, nonce, rollout.wanted(), allocation_of(service)});
      break;
    case Resource::kHealth:
      out_.actions.emplace_back(SendHealth{service.session, nonce, rollout.wanted(), healthy_set_});
      break;
    case Resource::kCount:
      return;
  }
  rollout.sent(nonce);
}

}  // namespace isthmus::controller
