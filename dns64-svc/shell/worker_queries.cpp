// SPDX-License-Identifier: Apache-2.0
// The worker's other half: a request and its reply, and what lies between them.
#include <algorithm>
#include <ctime>

#include "common/net/big_endian.hpp"
#include "dns64-svc/shell/worker_pending.hpp"

namespace isthmus::dns64 {

namespace {

// Who is counted as one: those whose address is proven apart from whoever sends in their name.
std::uint64_t client_key(const Query& query) {
  const auto& client = query.client().address;
  const auto* v6 = std::get_if<Ipv6Address>(&client);
  const std::uint64_t key = v6 != nullptr ? v6->high() : std::get<Ipv4Address>(client).value();
  return query.is_proven() ? ~key : key;
}

// The name of a request's question, if it is plainly there with type and class behind it.
NameView question_name(std::span<const std::uint8_t> request) {
  if (request.size() <= kHeaderSize) return {};
  const auto name = plain_name(request.subspan(kHeaderSize));
  return kHeaderSize + name.size() + 4 <= request.size() ? name : NameView{};
}

}  // namespace

Context Worker::context(Trace* trace) const {
  return {.runtime = *runtime_,
          .cache = cache_,
          .now = loop_->now(),
          .cookies = cookies_.get(),
          .forwarders = options_.forwarders.empty() ? nullptr : &options_.forwarders,
          .wall_seconds = static_cast<std::uint32_t>(std::time(nullptr)),
          .trace = trace};
}

// Replies whose client may be forged are limited; when much is waiting such a client cannot make more wait,
// but is told how to prove its address: by a cookie, where it speaks them, or over TCP.
void Worker::limit(Query& query, Step& step, std::span<std::uint8_t> reply) {
  if (query.is_proven()) return;
  if (step.kind == Step::Kind::kAsk && pending_.size() > options_.waiting.unproven) {
    step = query.slip(context(), reply);
    return;
  }
  if (step.kind != Step::Kind::kReply) return;
  const auto verdict = limits_.judge(query, step, loop_->now());
  if (verdict == ResponseVerdict::kSend) return;
  ask(step, 0);  // what the reply was to refresh: nobody else does for a while
  if (verdict == ResponseVerdict::kSlip) {
    step = query.slip(context(), reply);
    return;
  }
  step = {};
  step.drop = DropReason::kResponseRateLimited;
}

// The facts of a batch lie all over the memory: waiting for each in turn would cost more than all the rest.
void Worker::expect(std::span<const std::uint8_t> request, const ClientInfo& client) {
  if (runtime_ == nullptr || expected_count_ + 2 > expected_.size()) return;
  const auto name = question_name(request);
  if (name.empty()) return;
  const auto* view = runtime_->view_for(client.address);
  if (view == nullptr) return;
  const auto type = load_be16(&request[kHeaderSize + name.size()]);
  std::array<std::uint8_t, kMaxNameSize> lower;
  fold_case(name, lower.data());
  const NameView folded{lower.data(), name.size()};
  expected_[expected_count_++] = cache_.expect(folded, type, view->resolver_group);
  if (type == rr::kAaaa) expected_[expected_count_++] = cache_.expect(folded, rr::kA, view->resolver_group);
}

// A listed forwarder's clients are others than itself.
bool Worker::serves(const ClientAddress& client) const {
  return runtime_ != nullptr &&
         (runtime_->view_for(client) != nullptr || options_.forwarders.contains(client));
}

void Worker::expected_all() {
  for (std::size_t i = 0; i < expected_count_; ++i) cache_.expect_fact(expected_[i]);
  expected_count_ = 0;
}

std::size_t Worker::handle(std::span<const std::uint8_t> request, const ClientInfo& client, Channel& channel,
                           const ReplyPath& path, std::span<std::uint8_t> reply) {
  if (runtime_ == nullptr) {
    count_drop(DropReason::kNotReady, client.transport);
    channel.abandon(path, DropReason::kNotReady);
    return 0;
  }
  if (!limits_.allows(client, loop_->now())) {
    count_drop(DropReason::kRateLimited, client.transport);
    channel.abandon(path, DropReason::kRateLimited);
    return 0;
  }
  for (auto& tap : taps_) tap->on_request(request, client);
  Query query;
  auto step = query.start(request, client, context(), reply);
  limit(query, step, reply);
  switch (step.kind) {
    case Step::Kind::kReply: {
      const auto took = boot_now() - loop_->now();
      stats_.hits.add(took);
      count(step, query, reply.first(step.size), took);
      ask(step, 0);  // refreshes
      return step.size;
    }
    case Step::Kind::kDrop:
      count_drop(step.drop, client.transport);
      channel.abandon(path, step.drop);
      return 0;
    case Step::Kind::kAsk:
    case Step::Kind::kWait:
      break;
  }
  const auto id = next_query_++;
  const auto entry =
      add_pending(std::unique_ptr<Pending>{new Pending{.query = std::move(query),
                                                       .channel = &channel,
                                                       .path = path,
                                                       .since = loop_->now(),
                                                       .aaaa = {*this, id, Deadline::kAaaa},
                                                       .client = {*this, id, Deadline::kClient}}},
                  id);
  const auto& waiting = options_.waiting;
  if (pending_.size() > waiting.queries ||
      pending_of_client_[client_key(entry->second->query)] > waiting.of_one_client) {
    proceed(id, entry->second->query.on_refusal(context(), scratch_));
    return 0;
  }
  loop_->arm(entry->second->aaaa, kAaaaDeadline);
  loop_->arm(entry->second->client, kClientDeadline);
  ask(step, id);
  return 0;
}

Worker::PendingMap::iterator Worker::add_pending(std::unique_ptr<Pending> pending, std::uint64_t id) {
  ++pending_of_client_[client_key(pending->query)];
  const auto added = pending_.emplace(id, std::move(pending)).first;
  stats_.pending.set(pending_.size());
  return added;
}

void Worker::end_pending(PendingMap::iterator pending) {
  const auto client = pending_of_client_.find(client_key(pending->second->query));
  if (--client->second == 0) pending_of_client_.erase(client);
  pending_.erase(pending);
  stats_.pending.set(pending_.size());
}

Worker& Worker::owner_of(const Name& name) const {
  // A refresh or another type of the same name goes to the same context.
  return *peers_[(cache_.name_hash(name.view()) >> 32) % peers_.size()];
}

void Worker::ask(const Step& step, std::uint64_t query) {
  for (const auto& ask : step.to_resolve()) {
    owner_of(ask.name).resolve(ask, {.worker = index_, .query = query, .slot = ask.slot});
    if (query != 0 && !pending_.contains(query)) return;  // refused at once, and answered so
  }
}

void Worker::resolve(const Ask& ask, const Waiter& waiter) {
  if (waiter.worker == index_)
    lookups_.resolve(ask, waiter);
  else
    loop_->post([this, ask, waiter] { lookups_.resolve(ask, waiter); });
}

void Worker::deliver(const Waiter& waiter, const LookupResult& result) {
  loop_->post([this, waiter, result] { on_result(waiter, result); });
}

void Worker::on_result(const Waiter& waiter, const LookupResult& result) {
  const auto found = pending_.find(waiter.query);
  if (found == pending_.end()) return;  // answered already, by its deadline
  auto& query = found->second->query;
  const auto now = context(found->second->new_trace());
  proceed(waiter.query, result.fact ? query.on_fact(waiter.slot, result.fact, now, scratch_)
                                    : query.on_failure(waiter.slot, result.why, now, scratch_));
}

void Worker::on_deadline(std::uint64_t query, Deadline deadline) {
  const auto found = pending_.find(query);
  if (found == pending_.end()) return;
  auto& pending = *found->second;
  proceed(query, pending.query.on_deadline(deadline, context(pending.new_trace()), scratch_));
}

void Worker::proceed(std::uint64_t id, Step step) {
  const auto found = pending_.find(id);
  auto& pending = *found->second;
  if (step.kind == Step::Kind::kReply && pending.explaining == nullptr) limit(pending.query, step, scratch_);
  if (step.kind == Step::Kind::kWait) return;
  if (step.kind == Step::Kind::kAsk) return ask(step, id);
  if (pending.explaining != nullptr) {
    const auto explaining = std::move(pending.explaining);
    end_pending(found);
    if (step.kind == Step::Kind::kReply) ask(step, 0);
    explaining->done({.step = step,
                      .trace = std::move(explaining->trace),
                      .reply = {scratch_.begin(), scratch_.begin() + static_cast<std::ptrdiff_t>(step.size)},
                      .runtime = runtime_});
    return;
  }
  const auto transport = pending.query.client().transport;
  if (step.kind == Step::Kind::kReply) {
    const auto took = loop_->now() - pending.since;
    stats_.misses.add(took);
    count(step, pending.query, std::span{scratch_}.first(step.size), took);
    pending.channel->send(pending.path, std::span{scratch_}.first(step.size));
  } else {
    count_drop(step.drop, transport);
    pending.channel->abandon(pending.path, step.drop);
  }
  // What was sent may have led to other queries: the iterator is not good any more.
  end_pending(pending_.find(id));
  if (step.kind == Step::Kind::kReply) ask(step, 0);
}

void Worker::explain(const Request& request, const ClientInfo& client, OnExplained done) {
  loop_->post([this, request, client, done = std::move(done)]() mutable {
    start_explaining(request, client, std::move(done));
  });
}

void Worker::start_explaining(const Request& request, const ClientInfo& client, OnExplained done) {
  if (runtime_ == nullptr) return done({});
  auto explaining = std::make_unique<Pending::Explaining>();
  explaining->done = std::move(done);
  Query query;
  const auto step = query.start(request, client, context(&explaining->trace), scratch_);
  const auto id = next_query_++;
  const auto entry =
      add_pending(std::unique_ptr<Pending>{new Pending{.query = std::move(query),
                                                       .channel = nullptr,
                                                       .path = {},
                                                       .since = loop_->now(),
                                                       .aaaa = {*this, id, Deadline::kAaaa},
                                                       .client = {*this, id, Deadline::kClient},
                                                       .explaining = std::move(explaining)}},
                  id);
  loop_->arm(entry->second->aaaa, kAaaaDeadline);
  loop_->arm(entry->second->client, kClientDeadline);
  proceed(id, step);
}

}  // namespace isthmus::dns64
