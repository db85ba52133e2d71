// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/lookups.hpp"

#include <algorithm>
#include <cstring>

#include "common/net/keyed_hash.hpp"
#include "dns64-svc/core/lookup_zone.hpp"
#include "dns64-svc/shell/event_loop.hpp"

namespace isthmus::dns64 {

namespace {

std::string key_of(const Ask& ask) {
  const auto name = ask.name.view();
  std::string key(4 + name.size(), '\0');
  std::memcpy(key.data(), &ask.type, 2);
  std::memcpy(key.data() + 2, &ask.group, 2);
  std::memcpy(key.data() + 4, name.data(), name.size());
  return key;
}

std::uint64_t zone_hash(const Ask& ask) {
  return keyed_hash(HashKey{}, lookup_zone(ask.name.view())) ^ ask.group;
}

// Of deliveries in one turn: what they lead to may be answered by libunbound at once, again and again.
constexpr int kRounds = 4;
constexpr std::size_t kReplacedOfOneGroup = 2;  // contexts that still have questions after a flush

}  // namespace

Lookups::~Lookups() {
  deliver_ = [](const Waiter&, const LookupResult&) {};  // nobody is left to hear of it
  groups_.clear();
  replaced_.clear();
}

Result<std::unique_ptr<ResolverContext>, std::string> Lookups::make_context(std::uint16_t id,
                                                                            const Resolver& config,
                                                                            const Dns64Limits& limits) {
  return ResolverContext::create(
      base_, config, limits, [this, id](ResolverReply&& reply) { on_reply(id, std::move(reply)); },
      root_anchor_);
}

GroupConfigs Lookups::keep(const GroupConfigs& groups) {
  GroupConfigs missing;
  for (const auto& [id, config] : groups) {
    const auto found = groups_.find(id);
    if (found == groups_.end())
      missing.emplace(id, config);
    else if (found->second.state != Group::State::kUsed)
      found->second.state = Group::State::kPrepared;  // else settle() might let it go before use() is called
  }
  return missing;
}

Result<Lookups::Contexts, std::string> Lookups::make_all_contexts(const GroupConfigs& groups,
                                                                  const Dns64Limits& limits) {
  Contexts made;
  for (const auto& [id, config] : groups) {
    auto context = make_context(id, config, limits);
    if (!context) return failure(context.error());
    made.emplace(id, std::move(*context));
  }
  return made;
}

void Lookups::adopt(const GroupConfigs& groups, Contexts&& fresh) {
  for (auto& [id, context] : fresh) {
    if (groups_.contains(id)) continue;
    context->prime();
    Group group;
    group.context = std::move(context);
    group.probe = std::make_unique<UpstreamProbe>(loop_, groups.at(id));
    groups_.emplace(id, std::move(group));
  }
  fresh.clear();
}

void Lookups::use(const GroupConfigs& groups, const Dns64Limits& limits, const FactLimits& fact_limits) {
  limits_ = limits;
  fact_limits_ = fact_limits;
  for (auto& [id, group] : groups_)
    group.state = groups.contains(id) ? Group::State::kUsed : Group::State::kRetired;
}

void Lookups::let_go() {
  for (auto& [id, group] : groups_) {
    if (group.state == Group::State::kRetired) group.state = Group::State::kLeaving;
  }
}

Lookups::Contexts Lookups::make_contexts(const GroupConfigs& groups, const Dns64Limits& limits) {
  Contexts made;
  for (const auto& [id, config] : groups) {
    auto context = make_context(id, config, limits);
    if (context) made.emplace(id, std::move(*context));
  }
  return made;
}

void Lookups::renew(Contexts&& fresh) {
  for (auto& [id, context] : fresh) {
    const auto group = groups_.find(id);
    if (group == groups_.end()) continue;
    context->prime();
    std::swap(group->second.context, context);
    replaced_.push_back(std::move(context));
  }
  fresh.clear();
  // Each has ports and memory of its own, and while upstreams are dead none ends by itself.
  while (replaced_.size() > kReplacedOfOneGroup * groups_.size()) {
    const auto oldest = std::move(replaced_.front());
    replaced_.erase(replaced_.begin());
  }
  for (auto& [ticket, lookup] : in_flight_) lookup.keep = false;
  ticket_of_key_.clear();
}

void Lookups::refuse(const Waiter& waiter, ResolveFailure why) {
  ++failures_[static_cast<std::size_t>(why)];
  deliver_(waiter, {.fact = {}, .why = why});
}

void Lookups::resolve(const Ask& ask, const Waiter& waiter) {
  auto key = key_of(ask);
  if (const auto found = ticket_of_key_.find(key); found != ticket_of_key_.end()) {
    if (waiter.query == 0) return;  // nobody waits for a refresh
    auto& waiters = in_flight_.at(found->second).waiters;
    if (waiters.size() >= max_waiters_) return refuse(waiter, ResolveFailure::kBusy);
    waiters.push_back(waiter);
    return;
  }
  const auto zone = zone_hash(ask);
  const auto of_zone = in_flight_of_zone_.find(zone);
  const std::size_t zone_limit = std::max<std::size_t>(limits_.max_outstanding / 4, 1);
  if (in_flight_.size() >= limits_.max_outstanding ||
      (of_zone != in_flight_of_zone_.end() && of_zone->second >= zone_limit))
    return refuse(waiter, ResolveFailure::kBusy);
  const auto group = groups_.find(ask.group);
  // Not asked, which says nothing of the name: no reason to take A for the answer (RFC 6147 §5.1.2).
  if (group == groups_.end()) return refuse(waiter, ResolveFailure::kBusy);
  const auto ticket = next_ticket_++;
  ticket_of_key_.emplace(key, ticket);
  ++in_flight_of_zone_[zone];
  const auto made = in_flight_.emplace(
      ticket, Lookup{.ask = ask, .key = std::move(key), .zone = zone, .waiters = {waiter}});
  if (group->second.context->ask(ask.name, ask.type, ticket, ask.refresh_ttl)) {
    if (waiter.query == 0) ++refreshes_;
    return;
  }
  forget(made.first);
  refuse(waiter, ResolveFailure::kInternal);
}

void Lookups::forget(std::unordered_map<std::uint64_t, Lookup>::iterator lookup) {
  const auto zone = in_flight_of_zone_.find(lookup->second.zone);
  if (--zone->second == 0) in_flight_of_zone_.erase(zone);
  if (lookup->second.keep) ticket_of_key_.erase(lookup->second.key);
  in_flight_.erase(lookup);
}

LookupResult Lookups::fact_of(const Lookup& lookup, const ResolverReply& reply) {
  const auto& ask = lookup.ask;
  const FactOrigin origin{.group = ask.group,
                          .security = reply.security,
                          .ede = reply.security == Security::kBogus ? ede::kDnssecBogus : ede::kNone,
                          .now = loop_.now()};
  if (reply.rcode != rcode::kNoError) {
    if (lookup.keep) cache_.insert(failure_fact(ask.name.view(), ask.type, origin, reply.rcode), loop_.now());
    return {.fact = {},
            .why = reply.rcode == rcode::kRefused ? ResolveFailure::kRefused : ResolveFailure::kServFail};
  }
  auto fact = fact_from_response(reply.wire, origin, fact_limits_);
  if (!fact) {
    // RFC 9520 §3.2: else every client's question would fetch it again.
    if (lookup.keep) cache_.insert(failure_fact(ask.name.view(), ask.type, origin), loop_.now());
    return {.fact = {}, .why = ResolveFailure::kInternal};
  }
  if (lookup.keep) cache_.insert(*fact, loop_.now());
  return {.fact = std::move(*fact)};
}

void Lookups::on_reply(std::uint16_t /*group*/, ResolverReply&& reply) {
  const auto found = in_flight_.find(reply.ticket);
  if (found == in_flight_.end()) return;
  const Lookup lookup = found->second;
  forget(found);
  const auto result = fact_of(lookup, reply);
  const bool bogus = result.fact && result.fact->security() == Security::kBogus;
  if (!result.fact || bogus)
    ++failures_[static_cast<std::size_t>(bogus ? ResolveFailure::kBogus : result.why)];
  for (const auto& waiter : lookup.waiters) {
    deliver_(waiter, result);
    loop_.breathe();
  }
}

void Lookups::settle() {
  bool more = true;
  for (int round = 0; more && round < kRounds; ++round) {
    more = false;
    for (auto& [id, group] : groups_) more = group.context->deliver() || more;
    for (const auto& context : replaced_) more = context->deliver() || more;
  }
  if (more) loop_.arm(again_, Duration{0});  // the loop does not sleep
  std::erase_if(replaced_, [](const auto& context) { return context->outstanding() == 0; });
  // What is prepared stays although nobody asks it yet, for its policy comes a moment later; what is retired
  // because others still ask.
  std::erase_if(groups_, [](const auto& entry) {
    return entry.second.state == Group::State::kLeaving && entry.second.context->outstanding() == 0;
  });
}

void Lookups::prime() {
  for (auto& [id, group] : groups_) {
    group.context->prime();
    group.probe->ask();
  }
}

Duration Lookups::follow_root() {
  Duration next = std::chrono::hours{1};
  for (auto& [id, group] : groups_) next = std::min(next, group.context->follow_root());
  return next;
}

bool Lookups::has_answered() const {
  return std::any_of(groups_.begin(), groups_.end(), [](const auto& entry) {
    return entry.second.context->has_answered() || entry.second.probe->answered();
  });
}

}  // namespace isthmus::dns64
