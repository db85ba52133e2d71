// SPDX-License-Identifier: Apache-2.0
// A whole query with any request and any upstream answers. Whatever comes: a reply parses, belongs to its
// request, fits its transport, hands out no excluded AAAA, leads nobody into a site that is protected, and is
// not synthesized where that is forbidden.
// Input: flags, then three chunks with a 16-bit length each: request, answer for slot 0, answer for slot 1.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "common/net/special_ranges.hpp"
#include "dns64-svc/core/query.hpp"
#include "dns64-svc/core/service_binding.hpp"
#include "dns64-svc/core/wire/message_view.hpp"
#include "dns64-svc/core/wire/rdata.hpp"

using namespace isthmus;
using namespace isthmus::dns64;

namespace {

constexpr TimePoint kNow{std::chrono::seconds{1000}};

std::shared_ptr<const Dns64Runtime> make_runtime(bool extras) {
  Policy policy;
  TranslationPrefix prefix;
  prefix.name = "p";
  prefix.prefix = Ipv6Prefix::parse("64:ff9b::/96").value();
  prefix.ipv4_ranges = {Ipv4Prefix{}};
  policy.translation_prefixes = {prefix};
  policy.exclusions.ipv6_answers = {Ipv6Prefix::parse("::ffff:0:0/96").value()};
  policy.exclusions.always_synthesize = {"always."};
  policy.exclusions.never_synthesize = {"never."};
  policy.dns64.resolvers.emplace_back().name = "r";
  View view;
  view.name = "v";
  view.clients = {IpPrefix{Ipv6Prefix{}}};
  view.prefixes = {"p"};
  view.resolver = "r";
  view.synthesize_https_hints = extras;
  view.rebinding_protection = extras;
  policy.dns64.views = {view};
  ResolverGroups groups;
  return Dns64Runtime::compile(policy, {}, groups).value();
}

std::span<const std::uint8_t> take_chunk(std::span<const std::uint8_t>& rest) {
  if (rest.size() < 2) return {};
  const std::size_t length = std::min<std::size_t>(load_be16(rest.data()), rest.size() - 2);
  const auto chunk = rest.subspan(2, length);
  rest = rest.subspan(2 + length);
  return chunk;
}

void require(bool holds) {
  if (!holds) std::abort();
}

// 10.0.0.0/8 and the like, fd00::/8 and the like.
bool is_inside(const ClientAddress& address) {
  if (const auto* v4 = std::get_if<Ipv4Address>(&address)) return is_non_global(*v4);
  return (std::get<Ipv6Address>(address).bytes()[0] & 0xfe) == 0xfc;
}

bool leads_inside(const RecordView& record) {
  if (is_service_binding(record.type)) {
    BindingRoom room;
    const auto rest = without_hints(record.rdata, is_inside, room);
    return !rest || rest->data() != record.rdata.data();
  }
  const auto v4 = record.type == rr::kA ? read_a(record.rdata) : std::nullopt;
  const auto v6 = record.type == rr::kAaaa ? read_aaaa(record.rdata) : std::nullopt;
  return (v4 && is_inside(*v4)) || (v6 && is_inside(*v6));
}

void check_reply(const Query& query, const Step& step, std::span<const std::uint8_t> reply,
                 std::span<const std::uint8_t> request, const Dns64Runtime& runtime) {
  const auto& asked = query.request();
  require(reply.size() <= kMaxMessageSize);
  if (query.client().transport == Transport::kUdp) require(reply.size() <= kDefaultUdpSize);
  if (query.client().transport == Transport::kUdp && !asked.edns.present)
    require(reply.size() <= kMinUdpSize);
  const auto header = read_header(reply).value();
  require(header.is_response() && header.id == load_be16(request.data()));
  if (header.questions == 0) return;
  const auto message = MessageView::parse(reply);
  require(message.has_value());
  const auto question_bytes = reply.subspan(kHeaderSize, asked.asked.size());
  require(
      std::equal(question_bytes.begin(), question_bytes.end(), asked.asked.view().begin()));  // case as well
  require(message->question_type() == asked.type && message->question_class() == asked.klass);
  auto cursor = message->records();
  bool synthesized = false;
  while (const auto record = cursor.next()) {
    std::size_t at = record->owner_at;
    require(Name::read(reply, at).has_value());
    if (step.view != 0xffff && runtime.views()[step.view].rebinding_protection &&
        step.outcome != Outcome::kIpv4OnlyArpa)
      require(!leads_inside(*record));
    if (record->type != rr::kAaaa || record->section != Section::kAnswer) continue;
    const auto address = read_aaaa(record->rdata);
    require(address.has_value());
    const bool validating = asked.edns.dnssec_ok && asked.checking_disabled();
    if (!validating) require(!runtime.is_excluded_answer(*address));
    synthesized |= step.outcome == Outcome::kSynthesized || step.outcome == Outcome::kSynthesizedAlways ||
                   step.outcome == Outcome::kSynthesizedExcludedAaaa ||
                   step.outcome == Outcome::kSynthesizedAaaaFailed;
  }
  require(!cursor.error() && cursor.position() == reply.size());
  if (synthesized) {
    require(!(asked.edns.dnssec_ok && asked.checking_disabled()));
    require(runtime.domain_rule(asked.name.view()) != DomainRule::kNeverSynthesize);
    require(asked.type == rr::kAaaa && step.rcode == rcode::kNoError);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::shared_ptr<const Dns64Runtime> runtimes[2] = {make_runtime(false), make_runtime(true)};
  static std::vector<std::uint8_t> room(kMaxMessageSize);
  if (size < 1) return 0;
  const std::uint8_t flags = data[0];
  const auto& runtime = runtimes[flags >> 6 & 1];
  std::span<const std::uint8_t> rest{data + 1, size - 1};
  const auto request = take_chunk(rest);
  const std::span<const std::uint8_t> answers[2] = {take_chunk(rest), take_chunk(rest)};

  FactCache cache{{.max_bytes = 1 << 16, .stale_seconds = 100}, HashKey{}, 0};
  const Context context{.runtime = *runtime, .cache = cache, .now = kNow};
  ClientInfo client;
  client.address = Ipv6Address::from_halves(0x20010db800000000, 1);
  client.transport = (flags & 1) != 0 ? Transport::kUdp : Transport::kTls;
  Query query;
  auto step = query.start(request, client, context, room);
  for (int events = 0; step.kind == Step::Kind::kAsk || step.kind == Step::Kind::kWait; ++events) {
    require(events < 8);
    const std::uint8_t slot = events % 2 == ((flags >> 1) & 1) ? 0 : 1;
    if (events >= 2) {
      step = query.on_deadline(Deadline::kClient, context, room);
      continue;
    }
    const auto security = static_cast<Security>(((flags >> (2 + 2 * slot)) & 3) % 3);
    const auto fact =
        fact_from_response(answers[slot], {.security = security, .now = kNow}, {.max_records = 64});
    step = fact ? query.on_fact(slot, *fact, context, room)
                : query.on_failure(slot, ResolveFailure::kInternal, context, room);
  }
  if (step.kind == Step::Kind::kReply)
    check_reply(query, step, std::span{room}.first(step.size), request, *runtime);
  return 0;
}
