// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/worker.hpp"

#include <algorithm>
#include <ctime>

#include "common/net/big_endian.hpp"

namespace isthmus::dns64 {

namespace {

// Until a resolver has answered its upstream is asked this often.
constexpr Duration kPrimeEvery = std::chrono::seconds{2};
// Queries that may wait at a time. Beyond it a miss is refused at once: hits go on.
constexpr std::size_t kMaxPending = 32768;
// From here on a client that speaks cookies has to prove its address before it may wait (RFC 7873 §5.2.3).
constexpr std::size_t kManyPending = kMaxPending / 2;
// Of one client (an IPv6 /64, an IPv4 address): a forwarder with many clients behind it looks like one.
constexpr std::size_t kMaxPendingOfClient = kMaxPending / 4;

std::uint64_t client_key(const ClientAddress& client) {
  if (const auto* v6 = std::get_if<Ipv6Address>(&client)) return v6->high();
  return std::get<Ipv4Address>(client).value();
}

// The name of a request's question in lower case, if it is plainly there; its size, or 0.
std::size_t question_name(std::span<const std::uint8_t> request, std::span<std::uint8_t, kMaxNameSize> out) {
  std::size_t at = kHeaderSize;
  while (at < request.size() && request[at] != 0 && request[at] < 64) at += request[at] + 1U;
  const std::size_t size = at + 1 - kHeaderSize;
  if (at + 5 > request.size() || request[at] != 0 || size > out.size()) return 0;
  fold_case(request.subspan(kHeaderSize, size), out.data());
  return size;
}

class CallingTimer final : public Timer {
 public:
  explicit CallingTimer(std::function<void()> call) : call_(std::move(call)) {}

 private:
  void on_timer() override { call_(); }
  std::function<void()> call_;
};

}  // namespace

class Worker::DeadlineTimer final : public Timer {
 public:
  DeadlineTimer(Worker& worker, std::uint64_t query, Deadline deadline)
      : worker_(worker), query_(query), deadline_(deadline) {}

 private:
  void on_timer() override { worker_.on_deadline(query_, deadline_); }  // may destroy this
  Worker& worker_;
  std::uint64_t query_;
  Deadline deadline_;
};

// A query that waits for lookups.
struct Worker::Pending {
  Query query;
  Channel* channel;  // none: explained
  ReplyPath path;
  TimePoint since;
  DeadlineTimer aaaa;
  DeadlineTimer client;
  struct Explaining {
    Trace trace;
    OnExplained done;
  };
  std::unique_ptr<Explaining> explaining = nullptr;

  // Each event decides afresh: the last trace is the whole story.
  [[nodiscard]] Trace* new_trace() const {
    if (explaining == nullptr) return nullptr;
    explaining->trace.clear();
    return &explaining->trace;
  }
};

Worker::Worker(unsigned index, FactCache& cache, const std::vector<std::unique_ptr<Worker>>& peers,
               std::atomic<bool>& resolver_answered, std::unique_ptr<EventLoop> loop,
               const WorkerOptions& options)
    : index_(index),
      cache_(cache),
      peers_(peers),
      resolver_answered_(resolver_answered),
      loop_(std::move(loop)),
      environment_(*loop_, *this, stats_.streams, options.proxies, options.streams),
      event_base_(*loop_),
      lookups_(
          *loop_, event_base_, cache,
          [this](const Waiter& waiter, const LookupResult& result) {
            if (waiter.query == 0) return;  // a refresh: the cache has it
            if (waiter.worker == index_)
              on_result(waiter, result);
            else
              peers_[waiter.worker]->deliver(waiter, result);
          },
          options.state_dir.empty() ? std::string{}
                                    : options.state_dir + "/root-anchor-" + std::to_string(index) + "-"),
      options_(options),
      limits_(options.workers, options.responses_per_second, options.limit_key),
      scratch_(65535) {
  loop_->set_turn_end([this] { end_turn(); });
  priming_ = std::make_unique<CallingTimer>([this] {
    if (lookups_.has_answered()) return;
    lookups_.prime();
    loop_->arm(*priming_, kPrimeEvery);
  });
}

Worker::~Worker() {
  stop();
}

Result<void, std::string> Worker::listen_udp(const SocketAddress& address) {
  auto udp = UdpListener::open(address, *loop_, *this, options_.proxies);
  if (!udp) return failure(udp.error());
  udp_.push_back(std::move(*udp));
  return {};
}

Result<void, std::string> Worker::listen_stream(const SocketAddress& address, StreamProtocol protocol) {
  auto stream = StreamListener::open(address, protocol, environment_);
  if (!stream) return failure(stream.error());
  streams_.push_back(std::move(*stream));
  return {};
}

void Worker::start() {
  thread_ = std::thread{[this] { loop_->run(); }};
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  loop_->stop();
  thread_.join();
}

void Worker::use_tls(std::shared_ptr<const TlsContexts> contexts) {
  if (!thread_.joinable())  // before start(): the very first client needs it
    environment_.tls = std::move(contexts);
  else
    loop_->post([this, contexts = std::move(contexts)] { environment_.tls = contexts; });
}

void Worker::use_cookies(std::shared_ptr<const CookieJar> jar) {
  if (!thread_.joinable())
    cookies_ = std::move(jar);
  else
    loop_->post([this, jar = std::move(jar)] { cookies_ = jar; });
}

std::future<void> Worker::drain() {
  auto done = std::make_shared<std::promise<void>>();
  auto future = done->get_future();
  loop_->post([this, done] {
    for (auto& udp : udp_) udp->drain();
    for (auto& stream : streams_) stream->drain();
    done->set_value();
  });
  return future;
}

bool Worker::idle() const {
  std::uint64_t open = 0;
  for (const auto& transport : stats_.streams.open) open += transport.get();
  return open == 0 && stats_.pending.get() == 0;
}

std::future<Result<void, std::string>> Worker::prepare(std::shared_ptr<const Orders> orders) {
  auto done = std::make_shared<std::promise<Result<void, std::string>>>();
  auto future = done->get_future();
  loop_->post([this, done, orders = std::move(orders)] {
    done->set_value(lookups_.prepare(orders->groups, orders->runtime->limits()));
  });
  return future;
}

std::future<void> Worker::run(std::shared_ptr<const Orders> orders) {
  auto done = std::make_shared<std::promise<void>>();
  auto future = done->get_future();
  loop_->post([this, done, orders = std::move(orders)] {
    runtime_ = orders->runtime;
    name_counters();
    limits_.limit_clients(runtime_->limits().client_queries_per_second);
    lookups_.use(orders->groups, runtime_->limits(), runtime_->fact_limits());
    if (!lookups_.has_answered()) loop_->arm(*priming_, kPrimeEvery);
    done->set_value();
  });
  return future;
}

void Worker::name_counters() {
  view_stats_.clear();
  for (const auto& view : runtime_->views()) view_stats_.push_back(&stats_.views.of(view.name));
  prefix_stats_.clear();
  for (const auto& prefix : runtime_->prefixes()) prefix_stats_.push_back(&stats_.prefixes.of(prefix.name));
}

Context Worker::context(Trace* trace) const {
  return {.runtime = *runtime_,
          .cache = cache_,
          .now = loop_->now(),
          .cookies = cookies_.get(),
          .forwarders = options_.forwarders.empty() ? nullptr : &options_.forwarders,
          .wall_seconds = static_cast<std::uint32_t>(std::time(nullptr)),
          .trace = trace};
}

// Replies whose client may be forged are limited; when much is waiting such a client cannot make more wait.
Step Worker::limited(Query& query, const Step& step, std::span<std::uint8_t> reply) {
  if (query.is_proven()) return step;
  if (step.kind == Step::Kind::kAsk && pending_.size() > kManyPending && query.speaks_cookies())
    return query.slip(context(), reply);
  if (step.kind != Step::Kind::kReply) return step;
  const auto verdict = limits_.judge(query, step, loop_->now());
  if (verdict == ResponseVerdict::kSend) return step;
  if (verdict == ResponseVerdict::kSlip) return query.slip(context(), reply);
  Step dropped;
  dropped.drop = DropReason::kResponseRateLimited;
  return dropped;
}

// --- a request and its reply ---

// The facts of a batch lie all over the memory: waiting for each in turn would cost more than all the rest.
void Worker::expect(std::span<const std::uint8_t> request, const ClientInfo& client) {
  if (runtime_ == nullptr || expected_count_ + 2 > expected_.size()) return;
  std::array<std::uint8_t, kMaxNameSize> name;
  const auto size = question_name(request, name);
  if (size == 0) return;
  const auto* view = runtime_->view_for(client.address);
  if (view == nullptr) return;
  const auto type = load_be16(&request[kHeaderSize + size]);
  const NameView folded{name.data(), size};
  expected_[expected_count_++] = cache_.expect(folded, type, view->resolver_group);
  if (type == rr::kAaaa) expected_[expected_count_++] = cache_.expect(folded, rr::kA, view->resolver_group);
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
  if (!limits_.allows(client.address, loop_->now())) {
    count_drop(DropReason::kRateLimited, client.transport);
    channel.abandon(path, DropReason::kRateLimited);
    return 0;
  }
  for (auto& tap : taps_) tap->on_request(request, client);
  Query query;
  const auto step = limited(query, query.start(request, client, context(), reply), reply);
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
  if (pending_.size() > kMaxPending || pending_of_client_[client_key(client.address)] > kMaxPendingOfClient) {
    proceed(id, entry->second->query.on_refusal(context(), scratch_));
    return 0;
  }
  loop_->arm(entry->second->aaaa, kAaaaDeadline);
  loop_->arm(entry->second->client, kClientDeadline);
  ask(step, id);
  return 0;
}

Worker::PendingMap::iterator Worker::add_pending(std::unique_ptr<Pending> pending, std::uint64_t id) {
  ++pending_of_client_[client_key(pending->query.client().address)];
  const auto added = pending_.emplace(id, std::move(pending)).first;
  stats_.pending.set(pending_.size());
  return added;
}

void Worker::end_pending(PendingMap::iterator pending) {
  const auto client = pending_of_client_.find(client_key(pending->second->query.client().address));
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

void Worker::proceed(std::uint64_t id, const Step& made) {
  const auto found = pending_.find(id);
  auto& pending = *found->second;
  const bool may_be_limited = made.kind == Step::Kind::kReply && pending.explaining == nullptr;
  const auto step = may_be_limited ? limited(pending.query, made, scratch_) : made;
  if (step.kind == Step::Kind::kWait) return;
  if (step.kind == Step::Kind::kAsk) return ask(step, id);
  if (pending.explaining != nullptr) {
    const auto explaining = std::move(pending.explaining);
    end_pending(found);
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

std::future<void> Worker::renew_resolvers(const GroupConfigs& groups, const Dns64Limits& limits) {
  auto done = std::make_shared<std::promise<void>>();
  auto future = done->get_future();
  auto fresh = std::make_shared<Lookups::Contexts>(lookups_.make_contexts(groups, limits));
  loop_->post([this, done, fresh] {
    lookups_.renew(std::move(*fresh));
    done->set_value();
  });
  return future;
}

void Worker::count(const Step& step, const Query& query, std::span<const std::uint8_t> reply, Duration took) {
  const auto t = static_cast<std::size_t>(query.client().transport);
  stats_.outcomes[t][static_cast<std::size_t>(step.outcome)].add();
  stats_.rcodes[t][std::min<std::size_t>(step.rcode, WorkerStats::kRcodes - 1)].add();
  if (step.view < view_stats_.size())
    view_stats_[step.view]->outcomes[static_cast<std::size_t>(step.outcome)].add();
  if (step.prefix < prefix_stats_.size()) prefix_stats_[step.prefix]->synthesized.add();
  for (auto& tap : taps_)
    tap->on_reply({.request = query.request(),
                   .client = query.client(),
                   .step = step,
                   .reply = reply,
                   .took = took,
                   .runtime = runtime_});
}

void Worker::count_drop(DropReason reason, Transport transport) {
  stats_.drops[static_cast<std::size_t>(transport)][static_cast<std::size_t>(reason)].add();
}

void Worker::end_turn() {
  lookups_.settle();
  if (lookups_.has_answered()) resolver_answered_.store(true, std::memory_order_relaxed);
  for (std::size_t i = 0; i < kEnumSize<ResolveFailure>; ++i)
    stats_.lookup_failures[i].set(lookups_.failures(static_cast<ResolveFailure>(i)));
  stats_.lookups.set(lookups_.outstanding());
  stats_.refreshes.set(lookups_.refreshes());
  std::uint64_t send_failures = 0;
  std::uint64_t proxy_errors = 0;
  for (auto& udp : udp_) {
    udp->flush();
    send_failures += udp->send_failures();
    proxy_errors += udp->proxy_errors();
  }
  for (auto& stream : streams_) stream->sweep();
  stats_.udp_send_failures.set(send_failures);
  stats_.udp_proxy_errors.set(proxy_errors);
}

}  // namespace isthmus::dns64
