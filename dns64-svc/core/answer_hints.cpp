// SPDX-License-Identifier: Apache-2.0
// HTTPS and SVCB (RFC 9460): a record that hints at IPv4 addresses only gets an ipv6hint made of them. This
// departs from RFC 6147 §5.3.3, which leaves other types alone: a browser that trusts the hints would
// otherwise try IPv4 and fail. Off unless the view asks for it, and only where the target has no AAAA of its
// own.
#include <algorithm>

#include "common/rfc6052/embed.hpp"
#include "dns64-svc/core/answer.hpp"

namespace isthmus::dns64 {
namespace {

using State = Query::Slot::State;

// RFC 9460 §2.5.2: "." stands for the owner.
Name target_of(const Fact& fact, const StoredRecord& record, const Binding& binding) {
  Name name = binding.target.size() == 1 ? stored_name(fact, record.owner_at) : Name{binding.target};
  name.fold();
  return name;
}

}  // namespace

Step Answerer::answer_service_binding() {
  auto& slot = look(0, request_.name, request_.type);
  if (slot.state == State::kAsked) return pending();
  const bool may = slot.state == State::kFact && slot.fact->is_positive() &&
                   slot.fact->security() != Security::kBogus && !client_validates() && has_prefix();
  StoredRecord record;
  if (!may) return pass(Outcome::kPassed);
  for (RecordWalk walk{*slot.fact, Fact::kAnswer}; walk.next(record);) {
    const auto binding = record.type == request_.type ? read_binding(record.rdata) : std::nullopt;
    if (!binding) continue;
    // One target is looked up; records that name others stay as they are.
    const Name target = target_of(*slot.fact, record, *binding);
    if (context_.runtime.domain_rule(target.view()) == DomainRule::kNeverSynthesize) break;
    const auto& aaaa = look(1, target, rr::kAaaa);
    if (aaaa.state == State::kAsked) return pending();
    if (aaaa.state == State::kFact && aaaa.fact->is_nodata() && aaaa.fact->security() != Security::kBogus &&
        rule_for(*aaaa.fact) != DomainRule::kNeverSynthesize)
      return with_hints(slot, target);
    break;
  }
  return pass(Outcome::kPassed);
}

// The IPv4 hints in every prefix of the client, as bytes; nothing when they do not fit.
std::span<const std::uint8_t> Answerer::hints_from(const Binding& binding, BindingRoom& hints) {
  const auto& prefixes = context_.runtime.prefixes();
  std::size_t size = 0;
  for (std::size_t i = 0; i < binding.ipv4_hints.size(); i += 4) {
    const auto server4 = Ipv4Address::load(&binding.ipv4_hints[i]);
    for (const auto index : view_->prefixes) {
      if (!usable(server4, prefixes[index])) continue;
      if (first_prefix_ == 0xffff) first_prefix_ = static_cast<std::uint16_t>(index);
      if (size + 16 > hints.size()) return {};
      embed(prefixes[index].choose(query_.subject()), server4).store(&hints[size]);
      size += 16;
    }
  }
  return std::span{hints}.first(size);
}

Step Answerer::with_hints(const Query::Slot& slot, const Name& target) {
  const Fact& fact = *slot.fact;
  const auto& fields = fact.fields();
  const auto& prefixes = context_.runtime.prefixes();
  auto ttl = ttl_rule(slot);
  ttl.cap = std::min(ttl.cap, synthesis_ttl_cap(query_.slots_[1]));
  ReplyBuilder reply{request_, query_.client(), buffer_};
  bool fits =
      reply.copy(fact, fact.question_end(), fields.final_at, fields.chain_count, Section::kAnswer, ttl);
  for (const auto index : view_->prefixes)  // one RRset has one TTL
    if (prefixes[index].per_node) ttl.cap = std::min(ttl.cap, view_->steering_ttl);
  StoredRecord record;
  bool added = false;
  bool rebinding = false;
  for (RecordWalk walk{fact, Fact::kAnswer}; fits && walk.next(record);) {
    if (record.type != request_.type) continue;
    BindingRoom kept;
    const auto given = without_private(record, kept);
    rebinding = rebinding || !is_whole(record, given);
    if (!given) continue;
    BindingRoom hints;
    BindingRoom rewritten;
    const auto binding = read_binding(*given);
    const bool is_target = binding && equal_names(target_of(fact, record, *binding).view(), target.view());
    const auto rdata =
        is_target ? with_ipv6_hints(*given, *binding, hints_from(*binding, hints), rewritten) : std::nullopt;
    added = added || rdata;
    fits = reply.record_like(fact, record, record.type, ttl(record.ttl), rdata ? *rdata : *given,
                             Section::kAnswer);
  }
  if (!added) return pass(Outcome::kPassed);
  if (fits) add_additional(reply, fact, ttl);
  if (!fits) reply.truncate();
  note("departs from RFC 6147 §5.3.3", "ipv6hint synthesized from ipv4hint");
  if (!rebinding)
    return done(reply, Outcome::kHintsAdded, {.ede = slot.stale ? ede::kStaleAnswer : ede::kSynthesized});
  note("policy: rebinding_protection", "hints inside the site are withheld");
  return done(reply, Outcome::kRebinding, {.ede = ede::kBlocked});
}

}  // namespace isthmus::dns64
