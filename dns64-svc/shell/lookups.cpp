// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/lookups.hpp"

#include <algorithm>
#include <cstring>

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

// A waiter list that grows for ever would be a peer's to grow; beyond this, queries end by their deadline.
constexpr std::size_t kMaxWaiters = 1024;

}  // namespace

Lookups::~Lookups() {
  deliver_ = [](const Waiter&, const LookupResult&) {};  // nobody is left to hear of it
  groups_.clear();
}

Result<void, std::string> Lookups::prepare(const GroupConfigs& groups, const Dns64Limits& limits) {
  for (const auto& [id, config] : groups) {
    if (groups_.contains(id)) continue;
    auto context = ResolverContext::create(base_, config, limits, [this, group = id](ResolverReply&& reply) {
      on_reply(group, std::move(reply));
    });
    if (!context) {
      std::erase_if(groups_, [](const auto& entry) { return entry.second.state == Group::State::kPrepared; });
      return failure(context.error());
    }
    groups_[id].context = std::move(*context);
    groups_[id].probe = std::make_unique<UpstreamProbe>(loop_, config);
  }
  return {};
}

void Lookups::use(const GroupConfigs& groups, const Dns64Limits& limits, const FactLimits& fact_limits) {
  max_outstanding_ = limits.max_outstanding;
  fact_limits_ = fact_limits;
  for (auto& [id, group] : groups_)
    group.state = groups.contains(id) ? Group::State::kUsed : Group::State::kRetired;
}

void Lookups::refuse(const Waiter& waiter, ResolveFailure why) {
  ++failures_[static_cast<std::size_t>(why)];
  deliver_(waiter, {.fact = {}, .why = why});
}

void Lookups::resolve(const Ask& ask, const Waiter& waiter) {
  auto key = key_of(ask);
  if (const auto found = ticket_of_key_.find(key); found != ticket_of_key_.end()) {
    auto& waiters = in_flight_.at(found->second).waiters;
    if (waiters.size() >= kMaxWaiters) return refuse(waiter, ResolveFailure::kBusy);
    waiters.push_back(waiter);
    return;
  }
  if (in_flight_.size() >= max_outstanding_) return refuse(waiter, ResolveFailure::kBusy);
  const auto group = groups_.find(ask.group);
  if (group == groups_.end()) return refuse(waiter, ResolveFailure::kInternal);
  const auto ticket = next_ticket_++;
  ticket_of_key_.emplace(key, ticket);
  in_flight_.emplace(ticket, Lookup{.ask = ask, .key = std::move(key), .waiters = {waiter}});
  if (group->second.context->ask(ask.name, ask.type, ticket)) return;
  ticket_of_key_.erase(in_flight_.at(ticket).key);
  in_flight_.erase(ticket);
  refuse(waiter, ResolveFailure::kInternal);
}

LookupResult Lookups::fact_of(const Ask& ask, const ResolverReply& reply) {
  const FactOrigin origin{.group = ask.group,
                          .security = reply.security,
                          .ede = reply.security == Security::kBogus ? ede::kDnssecBogus : ede::kNone,
                          .now = loop_.now()};
  if (reply.rcode != rcode::kNoError) {
    cache_.insert(failure_fact(ask.name.view(), ask.type, origin, reply.rcode), loop_.now());
    return {.fact = {},
            .why = reply.rcode == rcode::kRefused ? ResolveFailure::kRefused : ResolveFailure::kServFail};
  }
  auto fact = fact_from_response(reply.wire, origin, fact_limits_);
  if (!fact) return {.fact = {}, .why = ResolveFailure::kInternal};
  cache_.insert(*fact, loop_.now());
  return {.fact = std::move(*fact)};
}

void Lookups::on_reply(std::uint16_t /*group*/, ResolverReply&& reply) {
  const auto found = in_flight_.find(reply.ticket);
  if (found == in_flight_.end()) return;
  const Lookup lookup = std::move(found->second);
  in_flight_.erase(found);
  ticket_of_key_.erase(lookup.key);
  const auto result = fact_of(lookup.ask, reply);
  if (!result.fact) ++failures_[static_cast<std::size_t>(result.why)];
  for (const auto& waiter : lookup.waiters) deliver_(waiter, result);
}

void Lookups::settle() {
  for (bool more = true; more;) {
    more = false;
    for (auto& [id, group] : groups_) {
      if (group.context->deliver()) {
        more = true;
        break;  // the map may have changed
      }
    }
  }
  // What is prepared stays although nobody asks it yet: its policy comes a moment later.
  std::erase_if(groups_, [](const auto& entry) {
    return entry.second.state == Group::State::kRetired && entry.second.context->outstanding() == 0;
  });
}

void Lookups::prime() {
  for (auto& [id, group] : groups_) {
    group.context->prime();
    group.probe->ask();
  }
}

bool Lookups::has_answered() const {
  return std::any_of(groups_.begin(), groups_.end(), [](const auto& entry) {
    return entry.second.context->has_answered() || entry.second.probe->answered();
  });
}

}  // namespace isthmus::dns64
