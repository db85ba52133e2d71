// SPDX-License-Identifier: Apache-2.0
// The Answerer's other half: what is known so far, and the replies that decisions end in.
#include <algorithm>

#include "common/net/special_ranges.hpp"
#include "dns64-svc/core/answer.hpp"
#include "dns64-svc/core/wire/rdata.hpp"

namespace isthmus::dns64 {
namespace {

using State = Query::Slot::State;

constexpr std::uint32_t kNoSoaCap = 600;        // RFC 6147 §5.1.7
constexpr std::uint32_t kRefreshMinHits = 3;    // popular: answered this often since it was resolved
constexpr std::uint32_t kRefreshFraction = 10;  // refreshed in the last tenth of its life
constexpr std::string_view kBusyText = "this server is at its limit of lookups";
constexpr std::string_view kUnusableText = "it could not be asked, or its answer cannot be used";

}  // namespace

// ---- what is known

Query::Slot& Answerer::look(std::uint8_t index, const Name& name, std::uint16_t type) {
  auto& slot = query_.slots_[index];
  const bool own_name = &name == &request_.name;
  const auto hash = own_name ? 0 : context_.cache.name_hash(name.view());
  const bool used = slot.state != State::kEmpty;
  if (used && slot.type == type && slot.own_name == own_name && slot.name_hash == hash) return slot;
  const auto ask = static_cast<std::uint8_t>(used ? slot.ask + std::size(query_.slots_) : index);
  slot = {};
  slot.own_name = own_name;
  slot.name_hash = hash;
  slot.ask = ask;
  slot.type = type;
  const auto group = view_->resolver_group;
  auto found = context_.cache.lookup(name.view(), type, group, context_.now);
  const auto now = to_seconds(context_.now);
  if (found.freshness == Freshness::kFresh && found.fact->age(now) < longest_life(*found.fact)) {
    const Fact& fact = *found.fact;
    if (fact.hits() >= kRefreshMinHits && fact.remaining(now) * kRefreshFraction <= fact.fields().ttl &&
        !fact.is_failure())
      refreshes_[refresh_count_++] = {ask, type, group, name, fact.fields().ttl};
    settle(slot, std::move(found.fact), request_.checking_disabled(), context_.now);
    if (slot.state == State::kFailed && slot.ede == ede::kNone) slot.ede = ede::kCachedError;
    return slot;
  }
  slot.state = State::kAsked;
  slot.fact = std::move(found.fact);  // stale, in case nothing better comes (RFC 8767)
  if (slot.fact && slot.fact->is_held(now)) {
    slot.stale = true;
    slot.state = State::kFact;
  } else if (query_.given_up_) {
    fail(slot, *query_.given_up_, context_.now);
  } else {
    asks_[ask_count_++] = {ask, type, group, name};
  }
  return slot;
}

void Answerer::settle(Query::Slot& slot, FactPtr fact, bool checking_disabled, TimePoint now) {
  if (slot.state != State::kEmpty && slot.state != State::kAsked) return;  // came after its deadline
  if (fact->is_failure()) {
    slot.ede = fact->fields().ede;
    fail(slot, fact->rcode() == rcode::kRefused ? ResolveFailure::kRefused : ResolveFailure::kServFail, now);
    return;
  }
  // Data that fails validation is a failed refresh (RFC 8767 §4 leaves open what is one), and what was known
  // before serves for its stale time, as if the servers were dead: whoever can spoil answers could suppress
  // them as well. The spoiled data itself goes to clients that set CD, nowhere else.
  if (fact->security() == Security::kBogus && slot.fact && !checking_disabled)
    return fail(slot, ResolveFailure::kBogus, now);
  slot.fact = std::move(fact);
  slot.state = State::kFact;
}

void Answerer::fail(Query::Slot& slot, ResolveFailure why, TimePoint now) {
  if (slot.state != State::kEmpty && slot.state != State::kAsked) return;
  slot.why = why;
  slot.stale = static_cast<bool>(slot.fact);
  // RFC 8767 §5 lets a failure of the upstream rest for a while, for all clients. A refusal of our own is no
  // such failure: the next query may find room.
  if (slot.stale && why != ResolveFailure::kBusy) slot.fact->hold_after_failure(to_seconds(now));
  slot.state = slot.stale ? State::kFact : State::kFailed;
}

void Answerer::note_what_is_known() const {
  Trace known;
  for (const auto& slot : query_.slots_) {
    if (slot.state == State::kEmpty) continue;
    std::string text = slot.type == rr::kAaaa ? "AAAA: " : slot.type == rr::kA ? "A: " : "";
    if (slot.state == State::kAsked) {
      text += "not known yet";
    } else if (slot.state == State::kFailed) {
      text += "lookup failed (" + std::string{kResolveFailureNames[slot.why]} + ")";
    } else {
      const Fact& fact = *slot.fact;
      constexpr std::string_view kSecurity[] = {"insecure", "bogus", "secure"};
      text += fact.is_name_error() ? std::string{"the name does not exist"}
              : fact.is_positive() ? std::to_string(fact.final_count()) + " records"
                                   : std::string{"no records"};
      if (fact.fields().chain_count != 0)
        text += " behind " + std::to_string(fact.fields().chain_count) + " CNAME or DNAME";
      text += ", " + std::string{kSecurity[static_cast<std::size_t>(fact.security())]};
      text += slot.stale ? ", stale (RFC 8767)"
                         : ", " + std::to_string(fact.remaining(to_seconds(context_.now))) + " s left";
    }
    known.push_back({"known", std::move(text)});
  }
  context_.trace->insert(context_.trace->begin(), known.begin(), known.end());
}

Step Answerer::pending() {
  Step step;
  step.kind = ask_count_ != 0 ? Step::Kind::kAsk : Step::Kind::kWait;
  step.asks = asks_;
  step.ask_count = ask_count_;
  return step;
}

bool Answerer::has_prefix() const {
  return std::any_of(view_->prefixes.begin(), view_->prefixes.end(),
                     [&](std::uint32_t index) { return serves_client(context_.runtime.prefixes()[index]); });
}

// The rule of the name that was looked up, or else that of the end of its CNAME chain.
DomainRule Answerer::rule_for(const Fact& fact) const {
  const auto own = context_.runtime.domain_rule(fact.name());
  if (own != DomainRule::kNone || fact.fields().chain_count == 0) return own;
  Name end = final_owner(fact);
  end.fold();
  return context_.runtime.domain_rule(end.view());
}

// Rebinding: a public name that leads into the site. Names of the site's own zones may.
bool Answerer::guards_rebinding() const {
  return view_->rebinding_protection &&
         std::none_of(view_->local_zones.begin(), view_->local_zones.end(),
                      [&](const Name& zone) { return is_at_or_below(request_.name.view(), zone.view()); });
}

bool Answerer::is_private(const ClientAddress& address) const {
  if (const auto* v4 = std::get_if<Ipv4Address>(&address)) return is_non_global(*v4);
  const auto* v6 = std::get_if<Ipv6Address>(&address);
  const bool unique_local = (v6->bytes()[0] & 0xfe) == 0xfc;  // RFC 4193
  if (unique_local || v6->is_link_local() || v6->is_loopback() || v6->is_unspecified()) return true;
  if (v6->high() == 0 && v6->low() >> 32 == 0xffff)  // RFC 4291 §2.5.5.2: IPv4-mapped
    return is_non_global(Ipv4Address{static_cast<std::uint32_t>(v6->low())});
  const auto embedded = context_.runtime.embedded_ipv4(*v6);
  return embedded && is_non_global(*embedded);
}

// Hints count as addresses: clients may connect to them before they have asked for any (RFC 9460 §7.3).
Answerer::Given Answerer::without_private(const StoredRecord& record, BindingRoom& room) const {
  if (!guards_rebinding()) return record.rdata;
  if (is_service_binding(record.type))
    return without_hints(record.rdata, [this](const ClientAddress& hint) { return is_private(hint); }, room);
  const auto v4 = record.type == rr::kA ? read_a(record.rdata) : std::nullopt;
  const auto v6 = record.type == rr::kAaaa ? read_aaaa(record.rdata) : std::nullopt;
  if ((v4 && is_private(*v4)) || (v6 && is_private(*v6))) return std::nullopt;
  return record.rdata;
}

// RFC 6147 §5.1.4; a client that validates gets what was signed (§5.5).
bool Answerer::is_excluded(const StoredRecord& record) const {
  const auto v6 = record.type == rr::kAaaa ? read_aaaa(record.rdata) : std::nullopt;
  return v6 && !client_validates() && context_.runtime.is_excluded_answer(*v6);
}

std::size_t Answerer::withheld_count(const Fact& fact) const {
  const bool may_be_private = fact.type() == rr::kA || is_service_binding(fact.type());
  if (fact.type() != rr::kAaaa && !(may_be_private && view_->rebinding_protection)) return 0;
  std::size_t count = 0;
  StoredRecord record;
  BindingRoom room;
  for (RecordWalk walk{fact, Fact::kAnswer}; walk.next(record);)
    if (is_excluded(record) || !is_whole(record, without_private(record, room))) ++count;
  return count;
}

bool Answerer::usable(Ipv4Address server4, const RuntimePrefix& prefix) const {
  return serves_client(prefix) && prefix.serves(server4) &&
         !context_.runtime.is_excluded_destination(server4) &&
         !(prefix.allow_non_global && is_non_global(server4) && guards_rebinding());
}

// RFC 6147 §5.1.2, §5.1.3: after its deadline an AAAA is given up for A that can stand in for it, or when A
// tells that the name does not exist. Otherwise it may still come before the client's deadline.
bool Answerer::is_enough_without_aaaa(const Query::Slot& a) const {
  if (!query_.aaaa_is_overdue_ || view_->aaaa_failure != AaaaFailure::kSynthesize) return false;
  if (a.state != State::kFact || a.fact->security() == Security::kBogus) return false;
  if (a.fact->is_name_error()) return true;
  if (rule_for(*a.fact) == DomainRule::kNeverSynthesize) return false;
  StoredRecord record;
  for (RecordWalk walk{*a.fact, Fact::kAnswer}; walk.next(record);) {
    const auto server4 = record.type == rr::kA ? read_a(record.rdata) : std::nullopt;
    if (server4 && std::any_of(view_->prefixes.begin(), view_->prefixes.end(), [&](std::uint32_t index) {
          return usable(*server4, context_.runtime.prefixes()[index]);
        }))
      return true;
  }
  return false;
}

TtlRule Answerer::ttl_rule(const Query::Slot& slot) const {
  auto rule = slot.stale ? TtlRule::stale() : TtlRule::fresh(slot.fact->age(to_seconds(context_.now)));
  const auto& aaaa = query_.slots_[0];
  rule.cap = longest_ttl(*slot.fact);
  if (request_.type == rr::kAaaa && (aaaa.state == State::kFailed || aaaa.stale))
    rule.cap = std::min(rule.cap, kFailedAaaaCap);
  return rule;
}

std::uint32_t Answerer::longest_life(const Fact& fact) const {
  // Short of themselves (RFC 9520 §3.2), and never stale.
  if (fact.is_failure() || fact.security() == Security::kBogus) return 0xffffffff;
  return longest_ttl(fact);
}

std::uint32_t Answerer::longest_ttl(const Fact& fact) const {
  const auto& limits = context_.runtime.limits();
  return fact.is_positive() ? limits.max_ttl_seconds
                            : std::min(limits.max_ttl_seconds, limits.max_negative_ttl_seconds);
}

// The controller takes a prefix from NAT64 when the policy's longest TTL has passed: no answer lives longer.
std::uint32_t Answerer::local_ttl() const {
  return std::min(kIpv4OnlyTtl, context_.runtime.limits().max_ttl_seconds);
}

// RFC 6147 §5.1.7: no longer than the absence of AAAA may be believed.
std::uint32_t Answerer::synthesis_ttl_cap(const Query::Slot& aaaa) const {
  if (aaaa.state == State::kFailed) return kFailedAaaaCap;
  const Fact& fact = *aaaa.fact;
  if (aaaa.stale) return kFailedAaaaCap;
  const auto left = std::min(fact.remaining(to_seconds(context_.now)), longest_ttl(fact));
  if (fact.fields().has_soa) return left;
  return std::min(kNoSoaCap, fact.is_positive() ? left : longest_ttl(fact));
}

// ---- replies

Step Answerer::resolved(const Query::Slot& slot, Outcome outcome, Proofs which) {
  if (slot.state == State::kFailed)
    return failed(slot, outcome == Outcome::kPassed ? Outcome::kFailed : outcome);
  const Fact& fact = *slot.fact;
  if (fact.security() == Security::kBogus && !request_.checking_disabled()) {
    note("RFC 4035 §5.5", "the data fails validation: SERVFAIL");
    return refuse(Outcome::kBogus, rcode::kServFail, ede::kDnssecBogus);
  }
  const bool proofs = which == Proofs::kAsStored && request_.edns.dnssec_ok;
  const bool secure = which == Proofs::kAsStored && fact.security() == Security::kSecure && !slot.stale;
  const auto ttl = ttl_rule(slot);
  ReplyBuilder reply{request_, query_.client(), buffer_};
  const bool fits = reply.copy(fact, Fact::kAnswer, Section::kAnswer, ttl) &&
                    (!proofs || reply.copy(fact, Fact::kAnswerDnssec, Section::kAnswer, ttl)) &&
                    reply.copy(fact, Fact::kAuthority, Section::kAuthority, ttl) &&
                    (!proofs || reply.copy(fact, Fact::kAuthorityDnssec, Section::kAuthority, ttl));
  if (!fits)
    reply.truncate();
  else
    add_additional(reply, fact, ttl);
  const auto stale_code = fact.rcode() == rcode::kNxDomain ? ede::kStaleNxdomain : ede::kStaleAnswer;
  return done(reply, slot.stale ? Outcome::kStale : outcome,
              {.rcode = fact.rcode(),
               .authenticated = secure && request_.wants_ad(),
               .ede = slot.stale ? stale_code : fact.fields().ede,
               .cookie = {}});
}

// Without the addresses that are withheld. With all AAAA ignored by policy (always_synthesize) none is given.
Step Answerer::filtered(const Query::Slot& slot, Outcome outcome) {
  if (slot.state == State::kFailed) return resolved(slot, outcome);
  const Fact& fact = *slot.fact;
  const bool all = fact.type() == rr::kAaaa && !client_validates() && has_prefix() &&
                   rule_for(fact) == DomainRule::kAlwaysSynthesize;
  if (!all && withheld_count(fact) == 0) return resolved(slot, outcome);
  if (fact.security() == Security::kBogus && !request_.checking_disabled()) return resolved(slot, outcome);
  const auto ttl = ttl_rule(slot);
  const auto& fields = fact.fields();
  ReplyBuilder reply{request_, query_.client(), buffer_};
  bool fits =
      reply.copy(fact, fact.question_end(), fields.final_at, fields.chain_count, Section::kAnswer, ttl);
  bool rebinding = false;
  StoredRecord record;
  for (RecordWalk walk{fact, Fact::kAnswer}; fits && walk.next(record);) {
    if (record.type != fact.type()) continue;  // the chain
    BindingRoom room;
    const auto given = without_private(record, room);
    rebinding = rebinding || (!all && !is_whole(record, given));
    if (all || !given || is_excluded(record)) continue;
    fits = reply.record_like(fact, record, record.type, ttl(record.ttl), *given, Section::kAnswer);
  }
  if (rebinding) note("policy: rebinding_protection", "addresses inside the site are withheld");
  if (fits) fits = reply.copy(fact, Fact::kAuthority, Section::kAuthority, ttl);
  if (!fits) reply.truncate();
  // The RRset is not what was signed: neither its RRSIG nor AD may stand.
  return done(reply, rebinding ? Outcome::kRebinding : outcome,
              {.rcode = fact.rcode(),
               .ede = rebinding ? ede::kBlocked : (slot.stale ? ede::kStaleAnswer : ede::kNone)});
}

// It may be left out where there is no room (RFC 2181 §9), and is where it would lead into the site: those
// who ask for SVCB look for addresses there (RFC 9460 §4.2).
void Answerer::add_additional(ReplyBuilder& reply, const Fact& fact, const TtlRule& ttl) const {
  StoredRecord record;
  BindingRoom room;
  for (RecordWalk walk{fact, Fact::kAdditional}; view_->rebinding_protection && walk.next(record);)
    if (!is_whole(record, without_private(record, room))) return;
  (void)reply.copy(fact, Fact::kAdditional, Section::kAdditional, ttl);
}

Step Answerer::failed(const Query::Slot& slot, Outcome outcome) {
  if (slot.why == ResolveFailure::kBusy) {
    // RFC 8914 has no code for it: 22 and 23 speak of authorities that nobody has asked, 14 of a server that
    // is not up yet. So "other" (§4.1), with the text that it should have.
    note("limits of this server", "too much waits here: not looked up");
    return refuse(Outcome::kOverloaded, rcode::kServFail, ede::kOther, kBusyText);
  }
  if (slot.ede != ede::kNone) return refuse(outcome, rcode::kServFail, slot.ede);
  if (slot.why == ResolveFailure::kInternal)
    return refuse(outcome, rcode::kServFail, ede::kOther, kUnusableText);
  // RFC 8914 §4.23: no authority could be reached, "or they potentially refused to reply". libunbound and
  // forwarders say no more than that they gave up.
  return refuse(outcome, rcode::kServFail, ede::kNoReachableAuthority);
}

Step Answerer::refuse(Outcome outcome, std::uint16_t code, std::uint16_t error, std::string_view text) {
  ReplyBuilder reply{request_, query_.client(), buffer_};
  return done(reply, outcome,
              {.rcode = code, .authenticated = false, .ede = error, .ede_text = text, .cookie = {}});
}

Step Answerer::slip() {
  if (context_.cookies != nullptr && query_.speaks_cookies())
    return refuse(Outcome::kBadCookie, rcode::kBadCookie);
  ReplyBuilder reply{request_, query_.client(), buffer_};
  reply.truncate();
  return done(reply, Outcome::kSlipped, {});
}

Step Answerer::done(ReplyBuilder& reply, Outcome outcome, ReplyBuilder::Ending ending) {
  std::array<std::uint8_t, 24> cookie;
  if (context_.cookies != nullptr && request_.edns.cookie_size != 0) {
    cookie = context_.cookies->bake(std::span{request_.edns.cookie}.first(8), query_.client().address,
                                    context_.wall_seconds);
    ending.cookie = cookie;
  }
  if (query_.answers_for_subnet()) ending.subnet = &*request_.edns.subnet;
  Step step;
  step.size = reply.finish(ending);
  if (step.size == 0) return step;  // dropped: no room
  step.kind = Step::Kind::kReply;
  step.outcome = outcome;
  step.rcode = ending.rcode;
  step.is_nodata =
      ending.rcode == rcode::kNoError && reply.count(Section::kAnswer) == 0 && !reply.is_truncated();
  step.ede = request_.edns.present ? ending.ede : ede::kNone;
  step.ttl = reply.least_ttl() == 0xffffffff ? 0 : reply.least_ttl();
  return step;
}

}  // namespace isthmus::dns64
