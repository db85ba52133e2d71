// SPDX-License-Identifier: Apache-2.0
// Any EDNS options in a good query: cookies (RFC 7873), client subnet (RFC 7871), keepalive and padding. The
// reply parses, fits its transport, and carries back no subnet but the client's own.
// Input: one byte (transport, trust), then the options. The same bytes as text are a file of cookie secrets.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "dns64-svc/core/cookie_secrets.hpp"
#include "dns64-svc/core/query.hpp"
#include "dns64-svc/core/wire/message_view.hpp"
#include "dns64-svc/core/wire/message_writer.hpp"

using namespace isthmus;
using namespace isthmus::dns64;

namespace {

std::shared_ptr<const Dns64Runtime> make_runtime() {
  Policy policy;
  policy.dns64.resolvers.emplace_back().name = "r";
  View view;
  view.name = "v";
  view.clients = {IpPrefix{Ipv6Prefix{}}, IpPrefix{Ipv4Prefix{}}};
  view.resolver = "r";
  policy.dns64.views = {view};
  ResolverGroups groups;
  return Dns64Runtime::compile(policy, {}, groups).value();
}

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const Query& query, const Step& step, std::span<const std::uint8_t> room) {
  if (step.kind != Step::Kind::kReply) return;
  const auto reply = room.first(step.size);
  if (query.client().transport == Transport::kUdp) require(reply.size() <= kDefaultUdpSize);
  const auto message = MessageView::parse(reply);
  require(message.has_value());
  auto cursor = message->records();
  while (const auto record = cursor.next()) {
  }
  require(!cursor.error() && cursor.position() == reply.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto runtime = make_runtime();
  static const auto everybody = AddressList::parse({"::/0"}).value();
  static const CookieJar jar{CookieSecret{1, 2, 3}};
  static std::vector<std::uint8_t> room(kMaxMessageSize);
  (void)parse_cookie_secrets({reinterpret_cast<const char*>(data), size});
  if (size < 1 || size > 2000) return 0;
  std::vector<std::uint8_t> request(4096);
  MessageWriter writer{request};
  writer.question(Name::parse("a.example.")->view(), rr::kAny, kClassIn);
  if (!writer.record(Section::kAdditional, Name{}.view(), rr::kOpt, 1232, 0, {data + 1, size - 1})) return 0;
  request.resize(writer.finish(7, flag::kRd));

  FactCache cache{{.max_bytes = 1 << 16, .stale_seconds = 100}, HashKey{}, 0};
  const bool trusted = (data[0] & 4) != 0;
  const Context context{.runtime = *runtime,
                        .cache = cache,
                        .now = TimePoint{std::chrono::seconds{1000}},
                        .cookies = &jar,
                        .forwarders = trusted ? &everybody : nullptr,
                        .wall_seconds = 1700000000};
  const ClientInfo client{
      .address = Ipv6Address{}, .transport = static_cast<Transport>(data[0] & 3), .idle_timeout = 100};
  Query query;
  const auto step = query.start(request, client, context, room);
  check(query, step, room);
  require(trusted || !query.answers_for_subnet());
  check(query, query.slip(context, room), room);
  return 0;
}
