// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/answer.hpp"

#include <algorithm>

#include "common/rfc6052/embed.hpp"
#include "dns64-svc/core/reverse.hpp"
#include "dns64-svc/core/wire/rdata.hpp"

namespace isthmus::dns64 {
namespace {

using State = Query::Slot::State;

constexpr std::uint32_t kAnyTtl = 3600;

// RFC 8482 §4.2 with the CPU field it suggests and an empty OS.
constexpr std::uint8_t kAnyHinfo[] = {7, 'R', 'F', 'C', '8', '4', '8', '2', 0};

// Transfers and the types of TSIG, TKEY and EDNS are no questions to a resolver.
bool is_meta(std::uint16_t type) {
  return type == rr::kOpt || (type >= rr::kTkey && type <= rr::kMaila);
}

}  // namespace

Step Answerer::run() {
  Step step = answer();
  if (context_.trace != nullptr) note_what_is_known();
  if (view_ != nullptr) step.view = static_cast<std::uint16_t>(context_.runtime.view_index(*view_));
  step.prefix = first_prefix_;
  if (step.kind == Step::Kind::kReply) {
    for (const auto& refresh : std::span{refreshes_}.first(refresh_count_)) {
      const auto& fact = query_.slots_[refresh.slot % std::size(query_.slots_)].fact;
      if (fact && fact->claim_refresh(to_seconds(context_.now))) step.asks[step.ask_count++] = refresh;
    }
  }
  return step;
}

Step Answerer::answer() {
  if (request_.verdict == Outcome::kNotImp) return refuse(Outcome::kNotImp, rcode::kNotImp);
  if (request_.verdict == Outcome::kFormErr) return refuse(Outcome::kFormErr, rcode::kFormErr);
  // RFC 7828 §3.2.1: a client gives no value; §3.3: over UDP the option is ignored.
  if (request_.edns.keepalive_has_value && query_.client().transport != Transport::kUdp)
    return refuse(Outcome::kFormErr, rcode::kFormErr);
  if (request_.verdict == Outcome::kBadVers) return refuse(Outcome::kBadVers, rcode::kBadVers);
  view_ = context_.runtime.view_for(query_.subject(), query_.subject_known());
  if (view_ == nullptr) {
    note("policy", "no view lists this client: REFUSED");
    return refuse(Outcome::kNoView, rcode::kRefused, ede::kProhibited);
  }
  note("policy: view", view_->name);
  if (request_.verdict == Outcome::kCookieOnly) return answer_cookie_only();
  if (request_.klass != kClassIn) return refuse(Outcome::kOtherClass, rcode::kNotImp, ede::kNotSupported);
  if (request_.type == rr::kAny) return answer_any();
  if (is_meta(request_.type)) return refuse(Outcome::kNotImp, rcode::kNotImp, ede::kNotSupported);
  if (const auto local = local_name(request_.name.view()); is_ours(local)) return answer_local(local);
  if (request_.type == rr::kAaaa) return answer_aaaa();
  if (request_.type == rr::kPtr && !client_validates()) {
    if (const auto address = address_of_ip6_arpa(request_.name.view()))
      if (const auto embedded = context_.runtime.embedded_ipv4(*address)) return answer_ptr(*embedded);
  }
  if ((request_.type == rr::kHttps || request_.type == rr::kSvcb) && view_->synthesize_https_hints)
    return answer_service_binding();
  return pass(Outcome::kPassed);
}

// RFC 7873 §5.4: a client that asks whether its server cookie is good, or for one.
Step Answerer::answer_cookie_only() {
  const auto& edns = request_.edns;
  const auto cookie = std::span{edns.cookie}.first(edns.cookie_size);
  const bool dead = cookie.size() > 8 && context_.cookies != nullptr &&
                    context_.cookies->check(cookie, query_.client().address, context_.wall_seconds) !=
                        CookieVerdict::kValid;
  return dead ? refuse(Outcome::kBadCookie, rcode::kBadCookie)
              : refuse(Outcome::kCookieOnly, rcode::kNoError);
}

// RFC 6147 §5.1, in its order.
Step Answerer::answer_aaaa() {
  const auto own_rule = context_.runtime.domain_rule(request_.name.view());
  const bool may_synthesize = !client_validates() && own_rule != DomainRule::kNeverSynthesize && has_prefix();
  auto& aaaa = look(0, request_.name, rr::kAaaa);
  if (aaaa.state == State::kAsked) {
    // §5.1.8: both at once.
    const bool enough = may_synthesize && is_enough_without_aaaa(look(1, request_.name, rr::kA));
    if (!enough) return pending();
    fail(aaaa, ResolveFailure::kTimeout, context_.now);
  }
  if (client_validates()) {
    note("RFC 6147 §5.5", "DO and CD are set: the client validates, nothing is synthesized");
    return filtered(aaaa, Outcome::kDnssecOk);
  }
  if (own_rule == DomainRule::kNeverSynthesize) {
    note("policy: never_synthesize", "the name is on the list: its own AAAA are the answer");
    return filtered(aaaa, Outcome::kNeverSynthesize);
  }
  if (!has_prefix()) {
    note("policy: prefixes", "no translation prefix of the view is for this client");
    return filtered(aaaa, Outcome::kNoPrefix);
  }

  if (aaaa.state == State::kFailed) {
    // §5.1.2 is about answers with an error. Nobody was asked, and real AAAA may well exist.
    if (aaaa.why == ResolveFailure::kBusy) return failed(aaaa, Outcome::kOverloaded);
    if (view_->aaaa_failure == AaaaFailure::kPassError) {
      note("policy: aaaa_failure", "the AAAA lookup failed and the view passes errors on");
      return failed(aaaa, Outcome::kAaaaFailed);
    }
    note("RFC 6147 §5.1.2, §5.1.3", "the AAAA lookup failed: treated as an empty answer");
    return answer_from_a(aaaa, false, false);
  }
  const Fact& fact = *aaaa.fact;
  // §5.5: data that fails validation is never a reason to synthesize. With CD it is given as it is, but for
  // what is withheld from this client anyway.
  if (fact.security() == Security::kBogus) return filtered(aaaa, Outcome::kBogus);
  if (fact.is_name_error()) {
    note("RFC 6147 §5.1.2", "the name does not exist: that is the answer");
    return resolved(aaaa, Outcome::kNxDomain);
  }
  const auto rule = rule_for(*aaaa.fact);
  if (rule == DomainRule::kNeverSynthesize) {
    note("policy: never_synthesize", "the end of the CNAME chain is on the list");
    return filtered(aaaa, Outcome::kNeverSynthesize);
  }
  const bool always = rule == DomainRule::kAlwaysSynthesize;
  const std::size_t excluded = withheld_count(fact);
  if (!always && excluded < fact.final_count()) {
    note("RFC 6147 §5.1.1", "there are real AAAA");
    return filtered(aaaa, Outcome::kRealAaaa);
  }
  note("RFC 6147 §5.1.4, §5.1.6", "no usable AAAA exists: A decides");
  return answer_from_a(aaaa, fact.final_count() != 0, always);
}

// §5.1.6. `aaaa` failed, is empty, or holds only what is to be ignored (then `ignored`).
Step Answerer::answer_from_a(const Query::Slot& aaaa, bool ignored, bool always) {
  auto& a = look(1, request_.name, rr::kA);
  if (a.state == State::kAsked) return pending();
  if (a.state == State::kFailed) {
    note("RFC 6147 §5.1.6", "the A lookup failed: that is the answer");
    return failed(a, Outcome::kAFailed);
  }
  const bool aaaa_failed = aaaa.state == State::kFailed;
  const Fact& fact = *a.fact;
  if (fact.security() == Security::kBogus) {
    // §5.5: bogus A must not become synthesized data, whatever CD says.
    return request_.checking_disabled() && !aaaa_failed && !ignored
               ? filtered(aaaa, Outcome::kBogus)
               : refuse(Outcome::kBogus, rcode::kServFail, ede::kDnssecBogus);
  }
  if (aaaa_failed && fact.is_name_error()) {
    note("RFC 6147 §5.1.2", "the name does not exist, says the answer for A: that is the answer");
    return resolved(a, Outcome::kNxDomain);
  }
  if (aaaa_failed && fact.is_nodata()) {
    // Departs from §5.1.6: that there is no A says nothing of AAAA, and a denial would be kept by clients of
    // a name that may well have them.
    note("policy: no denial without AAAA", "there is no A, and whether there are AAAA is not known");
    return failed(aaaa, Outcome::kAaaaFailed);
  }
  if (!fact.is_positive()) {
    note("RFC 6147 §5.1.6", "there is no A either");
    if (ignored) {
      // The AAAA are withheld, so the answer is empty; the SOA that says for how long is that of the A's
      // denial. Its proofs are not: an NSEC of the same name says that there are AAAA.
      return fact.is_nodata() ? resolved(a, Outcome::kNoA, Proofs::kNone) : filtered(aaaa, Outcome::kNoA);
    }
    return resolved(aaaa, Outcome::kNoA);
  }
  if (rule_for(*a.fact) == DomainRule::kNeverSynthesize)
    return aaaa_failed ? failed(aaaa, Outcome::kNeverSynthesize) : filtered(aaaa, Outcome::kNeverSynthesize);
  if (aaaa_failed) return synthesize(aaaa, a, Outcome::kSynthesizedAaaaFailed);
  if (always && ignored) return synthesize(aaaa, a, Outcome::kSynthesizedAlways);
  return synthesize(aaaa, a, ignored ? Outcome::kSynthesizedExcludedAaaa : Outcome::kSynthesized);
}

// §5.1.7 and §5.4: the chain as it is, then for every A an AAAA in every prefix that serves it. Nothing else
// of the A answer: its signatures and proofs say nothing about these AAAA.
Step Answerer::synthesize(const Query::Slot& aaaa, const Query::Slot& a, Outcome outcome) {
  const Fact& fact = *a.fact;
  const auto& prefixes = context_.runtime.prefixes();
  const auto& client = query_.subject();
  auto cap = synthesis_ttl_cap(aaaa);

  ReplyBuilder reply{request_, query_.client(), buffer_};
  const auto& fields = fact.fields();
  bool fits = reply.copy(fact, fact.question_end(), fields.final_at, fields.chain_count, Section::kAnswer,
                         ttl_rule(a));
  cap = std::min(cap, reply.least_ttl());

  // One RRset has one TTL (RFC 2181 §5.2): find the smallest first.
  StoredRecord record;
  RecordWalk first{fact, Fact::kAnswer};
  while (first.next(record)) {
    const auto server4 = record.type == rr::kA ? read_a(record.rdata) : std::nullopt;
    if (!server4) continue;
    for (const auto index : view_->prefixes) {
      if (!usable(*server4, prefixes[index])) continue;
      if (first_prefix_ == 0xffff) first_prefix_ = static_cast<std::uint16_t>(index);
      cap = std::min(cap, ttl_rule(a)(record.ttl));
      if (prefixes[index].per_node) cap = std::min(cap, view_->steering_ttl);
    }
  }
  if (first_prefix_ == 0xffff) {
    note("RFC 6052 §3.1 and policy", "no A may be represented in a prefix of this client");
    return aaaa.state == State::kFailed ? failed(aaaa, Outcome::kNoUsableA)
                                        : filtered(aaaa, Outcome::kNoUsableA);
  }
  for (RecordWalk walk{fact, Fact::kAnswer}; fits && walk.next(record);) {
    const auto server4 = record.type == rr::kA ? read_a(record.rdata) : std::nullopt;
    if (!server4) continue;
    for (const auto index : view_->prefixes) {
      if (!fits || !usable(*server4, prefixes[index])) continue;
      const auto address = embed(prefixes[index].choose(client), *server4);
      fits = reply.record_like(fact, record, rr::kAaaa, cap, address.bytes(), Section::kAnswer);
    }
  }
  // §5.3.2: the additional section passes unchanged; it may be left out when there is no room.
  if (fits) add_additional(reply, fact, ttl_rule(a));
  if (!fits) reply.truncate();
  const bool stale = aaaa.stale || a.stale;
  const bool secure = !stale && aaaa.state == State::kFact && aaaa.fact->security() == Security::kSecure &&
                      fact.security() == Security::kSecure;
  note("RFC 6147 §5.1.7", "AAAA synthesized from A");
  return done(reply, outcome,
              {.rcode = rcode::kNoError,
               .authenticated = secure && request_.wants_ad(),
               .ede = stale ? ede::kStaleAnswer : ede::kSynthesized,
               .cookie = {}});
}

// §5.3.1.2: a CNAME into in-addr.arpa where a PTR exists there.
Step Answerer::answer_ptr(Ipv4Address embedded) {
  const Name target = in_addr_arpa_name(embedded);
  if (local_name(target.view()) == LocalName::kReverse) {
    ReplyBuilder reply{request_, query_.client(), buffer_};
    const bool fits =
        reply.record(rr::kCname, local_ttl(), target.view()) &&
        reply.record(target.view(), rr::kPtr, local_ttl(), ipv4only_arpa_name(), Section::kAnswer);
    if (!fits) reply.truncate();
    return done(reply, Outcome::kPtrSynthesized, {});
  }
  auto& ptr = look(0, target, rr::kPtr);
  if (ptr.state == State::kAsked) return pending();
  if (ptr.state == State::kFailed) return failed(ptr, Outcome::kPtrUnavailable);
  const Fact& fact = *ptr.fact;
  // §5.5: bogus data must not become synthesized data, whatever CD says.
  if (fact.security() == Security::kBogus)
    return refuse(Outcome::kBogus, rcode::kServFail, ede::kDnssecBogus);
  const auto rule = ttl_rule(ptr);
  ReplyBuilder reply{request_, query_.client(), buffer_};
  if (!fact.is_positive()) {
    note("RFC 6147 §5.3.1", "under a prefix of the site, but the IPv4 address has no PTR");
    // RFC 2308 §3: that clients may keep it. The SOA of in-addr.arpa's denial would not do, for the
    // question's name is not in that zone: one of a zone just above it, which denies no other name.
    const auto ttl = std::min(rule(fact.fields().ttl), local_ttl());
    if (!reply.record(parent_of(request_.name.view()), rr::kSoa, ttl, ipv4only_arpa_soa(),
                      Section::kAuthority))
      reply.truncate();
    return done(reply, Outcome::kPtrUnavailable, {.rcode = fact.rcode()});
  }
  note("RFC 6147 §5.3.1", "CNAME into in-addr.arpa");
  StoredRecord record;
  bool fits = reply.record(rr::kCname, rule(fact.fields().ttl), target.view());
  for (RecordWalk walk{fact, Fact::kAnswer}; fits && walk.next(record);) {
    // Their stored pointers lead to another question's name: written out in full here.
    const Name owner = stored_name(fact, record.owner_at);
    if (record.type != rr::kCname && record.type != rr::kPtr && record.type != rr::kDname) continue;
    const Name value = stored_name(fact, record.rdata_at);
    fits = reply.record(owner.view(), record.type, rule(record.ttl), value.view(), Section::kAnswer);
  }
  if (!fits) reply.truncate();
  return done(reply, Outcome::kPtrSynthesized, {.ede = ptr.stale ? ede::kStaleAnswer : ede::kSynthesized});
}

// RFC 7050 §8.1, RFC 8880 §7.1: these names are special to a DNS64 and never asked upstream. But for DS at
// the top of such a zone, which belongs to the parent (RFC 4035 §3.1.4.1): a validator behind us needs the
// parent's signed denial to see that the delegation is insecure.
bool Answerer::is_ours(LocalName local) const {
  if (local == LocalName::kNone) return false;
  return request_.type != rr::kDs || local == LocalName::kBelowIpv4OnlyArpa;
}

Step Answerer::answer_local(LocalName local) {
  note("RFC 7050, RFC 8880", "a special-use name: answered here");
  ReplyBuilder reply{request_, query_.client(), buffer_};
  ReplyBuilder::Ending ending;
  bool fits = true;
  // Each of the reverse names is a zone of its own (RFC 8880 §7.2).
  const auto zone = local == LocalName::kReverse ? request_.name.view() : ipv4only_arpa_name();
  if (local == LocalName::kBelowIpv4OnlyArpa) {
    ending.rcode = rcode::kNxDomain;
  } else if (request_.type == rr::kSoa) {
    fits = reply.record(rr::kSoa, local_ttl(), ipv4only_arpa_soa());
  } else if (local == LocalName::kReverse) {
    if (request_.type == rr::kPtr) fits = reply.record(rr::kPtr, local_ttl(), ipv4only_arpa_name());
  } else if (request_.type == rr::kA || request_.type == rr::kAaaa) {
    const auto& prefixes = context_.runtime.prefixes();
    auto ttl = local_ttl();  // of all: one RRset has one TTL (RFC 2181 §5.2)
    for (const auto index : view_->prefixes)
      if (prefixes[index].per_node && serves_client(prefixes[index]))
        ttl = std::min(ttl, view_->steering_ttl);
    for (const auto server4 : {kIpv4OnlyFirst, kIpv4OnlySecond}) {
      std::array<std::uint8_t, 4> v4{};
      server4.store(v4.data());
      if (request_.type == rr::kA) fits = fits && reply.record(rr::kA, local_ttl(), v4);
      for (const auto index : view_->prefixes) {
        const auto& prefix = prefixes[index];
        if (request_.type != rr::kAaaa || !serves_client(prefix)) continue;
        first_prefix_ = std::min(first_prefix_, static_cast<std::uint16_t>(index));
        fits = fits && reply.record(rr::kAaaa, ttl, embed(prefix.choose(query_.subject()), server4).bytes());
      }
    }
  }
  // RFC 2308 §2: a negative answer carries the SOA of its zone.
  if (reply.count(Section::kAnswer) == 0)
    fits = reply.record(zone, rr::kSoa, local_ttl(), ipv4only_arpa_soa(), Section::kAuthority);
  if (!fits) reply.truncate();
  return done(reply, Outcome::kIpv4OnlyArpa, ending);
}

Step Answerer::answer_any() {
  note("RFC 8482 §4.2", "ANY gets a minimal answer");
  ReplyBuilder reply{request_, query_.client(), buffer_};
  if (!reply.record(rr::kHinfo, std::min(kAnyTtl, context_.runtime.limits().max_ttl_seconds), kAnyHinfo))
    reply.truncate();
  return done(reply, Outcome::kAnyRefused, {});
}

Step Answerer::pass(Outcome outcome) {
  auto& slot = look(0, request_.name, request_.type);
  if (slot.state == State::kAsked) return pending();
  return filtered(slot, outcome);
}

}  // namespace isthmus::dns64
