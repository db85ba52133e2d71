// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/status_service.hpp"

#include <algorithm>
#include <future>
#include <optional>

#include "common/control/tls_credentials.hpp"
#include "dns64-svc/core/wire/presentation.hpp"

namespace isthmus::dns64 {

namespace {

constexpr std::uint32_t kUsualDump = 1000;
constexpr std::uint32_t kLargestDump = 1'000'000;
constexpr auto kExplainPatience = std::chrono::seconds{4};  // a query ends within two

grpc::Status invalid(const std::string& what) {
  return {grpc::StatusCode::INVALID_ARGUMENT, what};
}

std::optional<ClientAddress> client_of(const std::string& text) {
  if (const auto v6 = Ipv6Address::parse(text)) return ClientAddress{*v6};
  if (const auto v4 = Ipv4Address::parse(text)) return ClientAddress{*v4};
  return std::nullopt;
}

// As a stub resolver would ask, over TCP so that size is no matter.
Request request_of(const v1::ExplainDnsRequest& asked, const Name& name, std::uint16_t type) {
  Request request;
  request.flags = flag::kRd;
  if (asked.checking_disabled()) request.flags |= flag::kCd;
  if (asked.authentic_data()) request.flags |= flag::kAd;
  request.type = type;
  request.klass = kClassIn;
  request.has_question = true;
  request.asked = request.name = name;
  request.name.fold();
  request.edns.present = true;
  request.edns.dnssec_ok = asked.dnssec_ok();
  return request;
}

void fill(v1::ExplainDnsResponse& out, const Explanation& explained) {
  const auto& step = explained.step;
  for (const auto& from : explained.trace) {
    auto* to = out.add_steps();
    to->set_section(std::string{from.section});
    to->set_text(from.text);
  }
  out.set_outcome(std::string{kOutcomeNames[step.outcome]});
  out.set_rcode(rcode_name(step.rcode));
  const auto& runtime = *explained.runtime;
  if (step.view < runtime.views().size()) out.set_view(runtime.views()[step.view].name);
  if (step.prefix < runtime.prefixes().size()) out.set_prefix(runtime.prefixes()[step.prefix].name);
  if (const auto header = read_header(explained.reply))
    out.set_authenticated((header->flags & flag::kAd) != 0);
  out.set_from_cache(step.from_cache);
  if (step.ede != ede::kNone) out.set_extended_error(step.ede);
  for (auto& line : answer_lines(explained.reply)) out.add_answer(std::move(line));
}

v1::CacheEntry entry_of(const Fact& fact, std::uint32_t now) {
  constexpr std::string_view kSecurity[] = {"insecure", "bogus", "secure"};
  v1::CacheEntry entry;
  entry.set_name(name_to_string(fact.name()));
  entry.set_type(type_name(fact.type()));
  entry.set_resolver_group(fact.fields().group);
  entry.set_kind(fact.is_failure()      ? "failure"
                 : fact.is_name_error() ? "nxdomain"
                 : fact.is_positive()   ? "answer"
                                        : "nodata");
  entry.set_security(std::string{kSecurity[static_cast<std::size_t>(fact.security())]});
  entry.set_age(fact.age(now));
  entry.set_ttl_left(std::int64_t{fact.fields().ttl} - fact.age(now));
  entry.set_hits(fact.hits());
  entry.set_bytes(static_cast<std::uint32_t>(fact.memory()));
  return entry;
}

}  // namespace

grpc::Status StatusService::Explain(grpc::ServerContext* /*context*/, const v1::ExplainDnsRequest* request,
                                    v1::ExplainDnsResponse* response) {
  const auto name = Name::parse(request->name());
  if (!name || request->name().empty()) return invalid("name: \"" + request->name() + "\" is no domain name");
  const auto type = request->type().empty() ? rr::kAaaa : type_of(request->type());
  if (!type) return invalid("type: \"" + request->type() + "\" is no record type; say AAAA, MX or TYPE123");
  const auto client = client_of(request->client());
  if (!client) return invalid("client: \"" + request->client() + "\" is no IPv6 or IPv4 address");

  auto promise = std::make_shared<std::promise<Explanation>>();
  auto future = promise->get_future();
  server_.explain(request_of(*request, *name, *type), {.address = *client, .transport = Transport::kTcp},
                  [promise](Explanation&& explained) { promise->set_value(std::move(explained)); });
  if (future.wait_for(kExplainPatience) != std::future_status::ready)
    return {grpc::StatusCode::DEADLINE_EXCEEDED, "the worker does not respond"};
  const auto explained = future.get();
  if (explained.runtime == nullptr) return {grpc::StatusCode::FAILED_PRECONDITION, "no policy runs yet"};
  fill(*response, explained);
  return grpc::Status::OK;
}

grpc::Status StatusService::DumpCache(grpc::ServerContext* context, const v1::DumpCacheRequest* request,
                                      grpc::ServerWriter<v1::CacheEntry>* writer) {
  auto under = Name::parse(request->under().empty() ? "." : request->under());
  if (!under) return invalid("under: \"" + request->under() + "\" is no domain name");
  under->fold();
  const auto limit = request->limit() == 0 ? kUsualDump : std::min(request->limit(), kLargestDump);
  // References only while the cache's locks are held; text after that.
  std::vector<FactPtr> facts;
  server_.cache().for_each([&](const Fact& fact) {
    if (speaks_of(fact, [&](NameView held) { return is_at_or_below(held, under->view()); }))
      facts.push_back(FactPtr::share(&fact));
    return facts.size() < limit;
  });
  const auto now = to_seconds(boot_now());
  for (const auto& fact : facts) {
    if (context->IsCancelled() || !writer->Write(entry_of(*fact, now))) break;
  }
  return grpc::Status::OK;
}

grpc::Status StatusService::FlushCache(grpc::ServerContext* /*context*/, const v1::FlushCacheRequest* request,
                                       v1::FlushCacheResponse* response) {
  if (request->what_case() == v1::FlushCacheRequest::kEverything && request->everything()) {
    response->set_flushed(server_.flush_all());
    return grpc::Status::OK;
  }
  const bool subtree = request->what_case() == v1::FlushCacheRequest::kSubtree;
  const auto& text = subtree ? request->subtree() : request->name();
  auto name = Name::parse(text);
  if (text.empty() || !name) return invalid("name or subtree: \"" + text + "\" is no domain name");
  name->fold();
  response->set_flushed(subtree ? server_.flush_subtree(name->view()) : server_.flush(name->view()));
  return grpc::Status::OK;
}

Result<std::unique_ptr<StatusPort>, std::string> StatusPort::open(const std::string& address,
                                                                  const TlsFiles& tls, Server& server) {
  auto credentials = grpc::InsecureServerCredentials();
  if (!tls.certificate.empty()) {
    auto mutual = server_credentials(tls);
    if (!mutual) return failure(mutual.error());
    credentials = *mutual;
  }
  std::unique_ptr<StatusPort> made{new StatusPort{server}};
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(address, credentials, &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.RegisterService(&made->service_);
  made->grpc_ = builder.BuildAndStart();
  if (made->grpc_ == nullptr || port == 0)
    return failure("cannot serve gRPC on " + address +
                   ": is it in use? Give another address to --grpc-listen, or \"\" for none");
  return made;
}

StatusPort::~StatusPort() {
  if (grpc_ != nullptr) grpc_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds{200});
}

}  // namespace isthmus::dns64
