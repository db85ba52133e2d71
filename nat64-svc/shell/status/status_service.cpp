// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/status/status_service.hpp"

#include <limits>

#include "common/config/to_proto.hpp"
#include "common/config/wire.hpp"
#include "common/net/host_port.hpp"
#include "nat64-svc/core/explain.hpp"
#include "nat64-svc/core/inspect.hpp"
#include "nat64-svc/shell/status/described_packet.hpp"
#include "nat64-svc/shell/status/read_request.hpp"

namespace isthmus::nat64 {
namespace {

// What a worker does for one page: a few tens of microseconds.
constexpr std::uint32_t kVisit = 2048;
constexpr std::uint32_t kPage = 256;

grpc::Status invalid(const std::string& why) {
  return {grpc::StatusCode::INVALID_ARGUMENT, why};
}
grpc::Status no_answer(const Worker& worker) {
  return {grpc::StatusCode::UNAVAILABLE,
          "worker " + std::to_string(worker.index()) + " does not answer: is nat64-svc stopping?"};
}

v1::Mapping to_proto(const MappingView& m, std::uint16_t worker) {
  v1::Mapping out;
  out.set_protocol(flow_protocol(m.protocol));
  out.set_client6(m.client6.address.to_string());
  out.set_port6(m.client6.port);
  out.set_public4(m.public4.address.to_string());
  out.set_port4(m.public4.port);
  out.set_is_static(m.is_static);
  out.set_sessions(m.sessions);
  out.set_worker(worker);
  return out;
}

v1::FlowSession to_proto(const SessionView& s, std::uint16_t worker) {
  v1::FlowSession out;
  out.set_protocol(flow_protocol(s.six.protocol));
  out.set_client6(s.six.client6.address.to_string());
  out.set_port6(s.six.client6.port);
  out.set_server6(s.six.server6.address.to_string());
  out.set_public4(s.four.public4.address.to_string());
  out.set_port4(s.four.public4.port);
  out.set_server4(s.four.server4.address.to_string());
  out.set_server_port(s.four.server4.port);
  if (s.six.protocol == Protocol::kTcp) out.set_tcp_state(std::string(kTcpStateNames[s.state]));
  out.set_expires_in(std::chrono::duration<double>(s.expires_in).count());
  out.set_hairpin(s.hairpin);
  out.set_worker(worker);
  return out;
}

// All pages of all workers to `writer`, until the limit, the end, or the caller's leave.
// page(const WorkerState&, from, most, now) asks one worker; add(chunk, item) fills a message.
template <class Chunk, class View, class AskPage, class Add>
grpc::Status stream_pages(Gateway& gateway, grpc::ServerContext& context, std::uint32_t limit,
                          grpc::ServerWriter<Chunk>& writer, AskPage&& ask_page, Add&& add) {
  std::uint32_t left = limit == 0 ? std::numeric_limits<std::uint32_t>::max() : limit;
  for (const auto& worker : gateway.workers()) {
    std::optional<std::uint32_t> at = 0;
    while (at && left > 0) {
      if (context.IsCancelled()) return grpc::Status::CANCELLED;
      Page<View> page;
      const bool answered = worker->look([&](const Translator& t, TimePoint now) {
        page = ask_page(t.state(), *at, std::min(kPage, left), now);
      });
      if (!answered) return no_answer(*worker);
      at = page.next;
      if (page.items.empty()) continue;
      left -= static_cast<std::uint32_t>(page.items.size());
      Chunk chunk;
      for (const auto& item : page.items) add(chunk, to_proto(item, worker->index()));
      if (!writer.Write(chunk)) return grpc::Status::CANCELLED;
    }
  }
  return grpc::Status::OK;
}

v1::Nat64WorkerStatus status_of(const Worker& worker) {
  const auto& c = worker.counters();
  v1::Nat64WorkerStatus out;
  out.set_worker(worker.index());
  for (std::size_t p = 0; p < kProtocols; ++p) {
    out.set_sessions(out.sessions() + c.sessions[p].get());
    out.set_mappings(out.mappings() + c.bib_entries[p].get());
  }
  out.set_sessions_max(c.sessions_max.get());
  out.set_subscribers(c.subscribers.get());
  out.set_blocks_used(c.blocks_used.get());
  out.set_blocks(c.blocks_total.get());
  return out;
}

}  // namespace

grpc::Status StatusService::GetStatus(grpc::ServerContext* /*context*/,
                                      const v1::GetNat64StatusRequest* /*request*/,
                                      v1::GetNat64StatusResponse* response) {
  const auto feed = feed_();
  response->set_node_id(node_id_);
  response->set_build(ISTHMUS_VERSION);
  response->set_not_ready_because(gateway_.not_ready_because());
  *response->mutable_policy_version() = isthmus::to_proto(feed.policy_version);
  *response->mutable_allocation_version() = isthmus::to_proto(feed.allocation_version);
  response->set_feed_connected(feed.connected);
  response->set_feed_error(feed.last_error);
  *response->mutable_allocation() = isthmus::to_proto(gateway_.allocation());
  response->set_workers(static_cast<std::uint32_t>(gateway_.workers().size()));
  for (const auto& worker : gateway_.workers()) *response->add_worker() = status_of(*worker);
  if (const auto policy = gateway_.policy()) {
    for (const auto& prefix : policy->translation_prefixes)
      response->add_translation_prefixes(prefix.prefix.to_string());
    for (const auto& excluded : policy->exclusions.ipv4_destinations)
      response->add_excluded_ipv4(excluded.to_string());
  }
  return grpc::Status::OK;
}

grpc::Status StatusService::GetRunningPolicy(grpc::ServerContext* /*context*/,
                                             const v1::GetRunningPolicyRequest* /*request*/,
                                             v1::RunningPolicy* response) {
  const auto policy = gateway_.policy();
  if (!policy) return {grpc::StatusCode::NOT_FOUND, "no policy runs yet: status says what it waits for"};
  *response->mutable_version() = isthmus::to_proto(feed_().policy_version);
  *response->mutable_policy() = isthmus::to_proto(*policy);
  return grpc::Status::OK;
}

grpc::Status StatusService::ListMappings(grpc::ServerContext* context, const v1::ListTablesRequest* request,
                                         grpc::ServerWriter<v1::MappingChunk>* writer) {
  const auto filter = read_filter(*request);
  if (!filter) return invalid(filter.error());
  return stream_pages<v1::MappingChunk, MappingView>(
      gateway_, *context, request->limit(), *writer,
      [&](const WorkerState& state, std::uint32_t from, std::uint32_t most, TimePoint) {
        return list_mappings(state, *filter, from, kVisit, most);
      },
      [](v1::MappingChunk& chunk, v1::Mapping item) { *chunk.add_mappings() = std::move(item); });
}

grpc::Status StatusService::ListSessions(grpc::ServerContext* context, const v1::ListTablesRequest* request,
                                         grpc::ServerWriter<v1::SessionChunk>* writer) {
  const auto filter = read_filter(*request);
  if (!filter) return invalid(filter.error());
  return stream_pages<v1::SessionChunk, SessionView>(
      gateway_, *context, request->limit(), *writer,
      [&](const WorkerState& state, std::uint32_t from, std::uint32_t most, TimePoint now) {
        return list_sessions(state, *filter, from, kVisit, most, now);
      },
      [](v1::SessionChunk& chunk, v1::FlowSession item) { *chunk.add_sessions() = std::move(item); });
}

grpc::Status StatusService::Find(grpc::ServerContext* /*context*/, const v1::FindRequest* request,
                                 v1::FindResponse* response) {
  const auto endpoint = parse_host_port(request->endpoint());
  const auto public4 = endpoint ? Ipv4Address::parse(endpoint->host) : std::nullopt;
  const auto client6 = endpoint ? Ipv6Address::parse(endpoint->host) : std::nullopt;
  if (!public4 && !client6)
    return invalid(
        "endpoint: \"" + request->endpoint() +
        "\" is neither 203.0.113.5:40001 nor [2001:db8::5]:40000; for all of a client use the list of "
        "mappings");
  for (const auto& worker : gateway_.workers()) {
    const bool answered = worker->look([&](const Translator& t, TimePoint) {
      for (const auto protocol : {Protocol::kTcp, Protocol::kUdp, Protocol::kIcmp}) {
        const auto found =
            public4 ? find_mapping(t.state(), protocol, TransportAddress4{*public4, endpoint->port})
                    : find_mapping(t.state(), protocol, TransportAddress6{*client6, endpoint->port});
        if (found) *response->add_mappings() = to_proto(*found, worker->index());
      }
      const auto block =
          public4 ? find_block(t.state(), {*public4, endpoint->port}) : std::optional<BlockView>{};
      if (!block) return;
      response->set_block_subscriber(block->subscriber.to_string());
      response->set_block_address(block->first.address.to_string());
      response->set_block_first_port(block->first.port);
      response->set_block_last_port(block->last_port);
    });
    if (!answered) return no_answer(*worker);
  }
  return grpc::Status::OK;
}

grpc::Status StatusService::ExplainPacket(grpc::ServerContext* /*context*/,
                                          const v1::ExplainPacketRequest* request,
                                          v1::ExplainPacketResponse* response) {
  std::vector<std::uint8_t> packet(request->packet().begin(), request->packet().end());
  if (packet.empty()) {
    auto described = described_packet(request->description());
    if (!described) return invalid(described.error());
    packet = std::move(*described);
  }
  if (packet.size() > 65535) return invalid("packet: at most 65535 bytes");
  const auto side = packet[0] >> 4 == 4 ? Side::kV4 : Side::kV6;
  // A worker that says "not mine" names the one that owns the packet; that one knows.
  // A fragment may first go to where its packet's fragments meet.
  std::size_t index = 0;
  FragmentNote note;
  for (int hops = 0; hops < 3 && index < gateway_.workers().size(); ++hops) {
    const auto& worker = gateway_.workers()[index];
    Explanation told;
    if (!worker->look([&](const Translator& t, TimePoint now) { told = t.explain(side, packet, now, note); }))
      return no_answer(*worker);
    response->clear_steps();
    for (const auto& step : told.steps) {
      auto& out = *response->add_steps();
      out.set_section(std::string(step.section));
      out.set_name(std::string(step.name));
      out.set_passed(step.passed);
      out.set_outcome(step.outcome);
      out.set_worker(worker->index());
    }
    response->set_verdict(std::string(kVerdictNames[told.verdict.action]));
    response->set_reason(told.verdict.action == Verdict::Action::kDrop ||
                                 told.verdict.action == Verdict::Action::kReply
                             ? std::string(kDropReasonNames[told.verdict.reason])
                             : "");
    if (told.answer) {
      response->set_icmp_type(told.answer->type);
      response->set_icmp_code(told.answer->code);
    }
    response->set_packet(std::string(told.packet.begin(), told.packet.end()));
    if (told.verdict.action != Verdict::Action::kHandOver) break;
    index = told.verdict.owner;
    note = told.verdict.note;
  }
  return grpc::Status::OK;
}

}  // namespace isthmus::nat64
