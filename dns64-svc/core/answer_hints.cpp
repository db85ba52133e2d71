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

constexpr std::uint16_t kIpv4Hint = 4;
constexpr std::uint16_t kIpv6Hint = 6;
constexpr std::size_t kMaxRdata = 2048;  // larger records stay as they are

// What we need of an RDATA: RFC 9460 §2.2. Nothing when it is malformed, AliasMode, without ipv4hint, or has
// an ipv6hint already.
struct Binding {
  NameView target;
  std::span<const std::uint8_t> ipv4_hints;
  std::size_t insert_at = 0;  // where the ipv6hint goes: keys stand in ascending order
};

std::optional<Binding> read_binding(std::span<const std::uint8_t> rdata) {
  if (rdata.size() < 3 || load_be16(rdata.data()) == 0) return std::nullopt;
  std::size_t at = 2;
  const auto target = Name::read(rdata, at);
  if (!target || at != 2 + target->size()) return std::nullopt;  // must not be compressed
  Binding binding;
  binding.target = rdata.subspan(2, target->size());
  binding.insert_at = rdata.size();
  while (at < rdata.size()) {
    if (rdata.size() - at < 4) return std::nullopt;
    const auto key = load_be16(&rdata[at]);
    const std::size_t length = load_be16(&rdata[at + 2]);
    if (rdata.size() - at - 4 < length || key == kIpv6Hint) return std::nullopt;
    if (key == kIpv4Hint) binding.ipv4_hints = rdata.subspan(at + 4, length);
    if (key > kIpv6Hint) binding.insert_at = std::min(binding.insert_at, at);
    at += 4 + length;
  }
  if (binding.ipv4_hints.empty() || binding.ipv4_hints.size() % 4 != 0) return std::nullopt;
  return binding;
}

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
    if (aaaa.state == State::kFact && aaaa.fact->is_nodata() && aaaa.fact->security() != Security::kBogus)
      return with_hints(slot, target);
    break;
  }
  return pass(Outcome::kPassed);
}

Step Answerer::with_hints(const Query::Slot& slot, const Name& target) {
  const Fact& fact = *slot.fact;
  const auto& fields = fact.fields();
  const auto& prefixes = context_.runtime.prefixes();
  auto ttl = ttl_rule(slot);
  ttl.cap = synthesis_ttl_cap(query_.slots_[1]);
  ReplyBuilder reply{request_, query_.client(), buffer_};
  bool fits =
      reply.copy(fact, fact.question_end(), fields.final_at, fields.chain_count, Section::kAnswer, ttl);
  for (const auto index : view_->prefixes)  // one RRset has one TTL
    if (prefixes[index].per_node) ttl.cap = std::min(ttl.cap, view_->steering_ttl);
  StoredRecord record;
  bool added = false;
  for (RecordWalk walk{fact, Fact::kAnswer}; fits && walk.next(record);) {
    if (record.type != request_.type) continue;
    std::array<std::uint8_t, kMaxRdata> rdata;
    std::size_t size = 0;
    const auto append = [&](std::span<const std::uint8_t> bytes) {
      if (size + bytes.size() > rdata.size()) return false;
      std::copy(bytes.begin(), bytes.end(), rdata.begin() + static_cast<std::ptrdiff_t>(size));
      size += bytes.size();
      return true;
    };
    const auto binding = read_binding(record.rdata);
    std::size_t hints = 0;
    bool whole = binding && equal_names(target_of(fact, record, *binding).view(), target.view()) &&
                 append(record.rdata.first(binding->insert_at));
    const std::size_t length_at = size + 2;
    constexpr std::uint8_t kHintHeader[4] = {0, kIpv6Hint, 0, 0};
    whole = whole && append(kHintHeader);
    for (std::size_t i = 0; whole && i < binding->ipv4_hints.size(); i += 4) {
      const auto server4 = Ipv4Address::load(&binding->ipv4_hints[i]);
      for (const auto index : view_->prefixes) {
        if (!usable(server4, prefixes[index])) continue;
        if (first_prefix_ == 0xffff) first_prefix_ = static_cast<std::uint16_t>(index);
        whole = whole && append(embed(prefixes[index].choose(query_.subject()), server4).bytes());
        ++hints;
      }
    }
    if (whole && hints != 0) store_be16(&rdata[length_at], static_cast<std::uint16_t>(16 * hints));
    whole = whole && hints != 0 && append(record.rdata.subspan(binding->insert_at));
    added = added || whole;
    fits = reply.record_like(fact, record, record.type, ttl(record.ttl),
                             whole ? std::span<const std::uint8_t>{rdata.data(), size} : record.rdata,
                             Section::kAnswer);
  }
  if (!added) return pass(Outcome::kPassed);
  if (fits) (void)reply.copy(fact, Fact::kAdditional, Section::kAdditional, ttl);
  if (!fits) reply.truncate();
  note("departs from RFC 6147 §5.3.3", "ipv6hint synthesized from ipv4hint");
  return done(reply, Outcome::kHintsAdded, {.ede = slot.stale ? ede::kStaleAnswer : ede::kSynthesized});
}

}  // namespace isthmus::dns64
