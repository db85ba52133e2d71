// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/worker.hpp"

#include <algorithm>
#include <ctime>

namespace isthmus::dns64 {

namespace {

// Until a resolver has answered its upstream is asked this often.
constexpr Duration kPrimeEvery = std::chrono::seconds{2};
// Queries that may wait at a time. Beyond it a miss is refused at once: hits go on.
constexpr std::size_t kMaxPending = 32768;
// From here on a client that speaks cookies has to prove its address before it may wait (RFC 7873 §5.2.3).
constexpr std::size_t kManyPending = kMaxPending / 2;
// REFUSED per second to one network over UDP: enough for a person who looks for the mistake, no use as a
// reflector.
constexpr std::uint32_t kRefusalsPerSecond = 20;

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
  Channel& channel;
  ReplyPath path;
  TimePoint since;
  DeadlineTimer aaaa;
  DeadlineTimer client;
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
      lookups_(*loop_, event_base_, cache,
               [this](const Waiter& waiter, const LookupResult& result) {
                 if (waiter.query == 0) return;  // a refresh: the cache has it
                 if (waiter.worker == index_)
                   on_result(waiter, result);
                 else
                   peers_[waiter.worker]->deliver(waiter, result);
               }),
      options_(options),
      client_limit_(0, options.limit_key),
      response_limit_(0, options.limit_key),  // start() knows how many workers share it
      refusal_limit_(kRefusalsPerSecond, options.limit_key, 12),
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
  response_limit_ = ResponseRateLimit{share_of(options_.responses_per_second), options_.limit_key};
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
    limit_clients(runtime_->limits().client_queries_per_second);
    lookups_.use(orders->groups, runtime_->limits(), runtime_->fact_limits());
    if (!lookups_.has_answered()) loop_->arm(*priming_, kPrimeEvery);
    done->set_value();
  });
  return future;
}

// A client's queries spread over the workers by the kernel's hash of its ports: each has its part.
std::uint32_t Worker::share_of(std::uint32_t rate) const {
  const auto workers = static_cast<std::uint32_t>(peers_.size());
  return rate / workers + (rate % workers != 0 ? 1 : 0);
}

void Worker::limit_clients(std::uint32_t queries_per_second) {
  const auto rate = share_of(queries_per_second);
  if (rate == client_rate_) return;  // what clients have used up stays used
  client_rate_ = rate;
  client_limit_ = ClientRateLimit{rate, options_.limit_key};
}

Context Worker::context() const {
  return {.runtime = *runtime_,
          .cache = cache_,
          .now = loop_->now(),
          .cookies = cookies_.get(),
          .forwarders = options_.forwarders.empty() ? nullptr : &options_.forwarders,
          .wall_seconds = static_cast<std::uint32_t>(std::time(nullptr))};
}

// Replies whose client may be forged are limited; when much is waiting such a client cannot make more wait.
Step Worker::limited(Query& query, const Step& step, std::span<std::uint8_t> reply) {
  if (query.is_proven()) return step;
  if (step.kind == Step::Kind::kAsk && pending_.size() > kManyPending && query.speaks_cookies())
    return query.slip(context(), reply);
  if (step.kind != Step::Kind::kReply) return step;
  const bool refused = step.outcome == Outcome::kNoView;
  auto& limit = refused ? refusal_limit_ : response_limit_;
  // Errors and names that do not exist have one bucket: random names must not have one each.
  const bool named = step.rcode == rcode::kNoError;
  const auto name = named ? query.request().name.view() : NameView{};
  const auto verdict = limit.judge(query.client().address, name, step.rcode, loop_->now());
  if (verdict == ResponseVerdict::kSend) return step;
  if (verdict == ResponseVerdict::kSlip && !refused) return query.slip(context(), reply);
  Step dropped;
  dropped.drop = DropReason::kResponseRateLimited;
  return dropped;
}

// --- a request and its reply ---

std::size_t Worker::handle(std::span<const std::uint8_t> request, const ClientInfo& client, Channel& channel,
                           const ReplyPath& path, std::span<std::uint8_t> reply) {
  if (runtime_ == nullptr) {
    channel.abandon(path);
    return 0;
  }
  if (!client_limit_.allows(client.address, loop_->now())) {
    count_drop(DropReason::kRateLimited, client.transport);
    channel.abandon(path);
    return 0;
  }
  Query query;
  const auto step = limited(query, query.start(request, client, context(), reply), reply);
  switch (step.kind) {
    case Step::Kind::kReply:
      count(step, client.transport);
      stats_.hits.add(boot_now() - loop_->now());
      ask(step, 0);  // refreshes
      return step.size;
    case Step::Kind::kDrop:
      count_drop(step.drop, client.transport);
      channel.abandon(path);
      return 0;
    case Step::Kind::kAsk:
    case Step::Kind::kWait:
      break;
  }
  const auto id = next_query_++;
  auto [entry, made] =
      pending_.emplace(id, std::unique_ptr<Pending>{new Pending{.query = std::move(query),
                                                                .channel = channel,
                                                                .path = path,
                                                                .since = loop_->now(),
                                                                .aaaa = {*this, id, Deadline::kAaaa},
                                                                .client = {*this, id, Deadline::kClient}}});
  stats_.pending.set(pending_.size());
  if (pending_.size() > kMaxPending) {
    on_deadline(id, Deadline::kClient);  // a stale answer, or SERVFAIL
    return 0;
  }
  loop_->arm(entry->second->aaaa, kAaaaDeadline);
  loop_->arm(entry->second->client, kClientDeadline);
  ask(step, id);
  return 0;
}

Worker& Worker::owner_of(const Name& name) const {
  // A refresh or another type of the same name goes to the same context.
  return *peers_[(cache_.name_hash(name.view()) >> 32) % peers_.size()];
}

void Worker::ask(const Step& step, std::uint64_t query) {
  for (const auto& ask : step.to_resolve())
    owner_of(ask.name).resolve(ask, {.worker = index_, .query = query, .slot = ask.slot});
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
  proceed(waiter.query, result.fact ? query.on_fact(waiter.slot, result.fact, context(), scratch_)
                                    : query.on_failure(waiter.slot, result.why, context(), scratch_));
}

void Worker::on_deadline(std::uint64_t query, Deadline deadline) {
  const auto found = pending_.find(query);
  if (found == pending_.end()) return;
  proceed(query, found->second->query.on_deadline(deadline, context(), scratch_));
}

void Worker::proceed(std::uint64_t id, const Step& made) {
  const auto found = pending_.find(id);
  auto& pending = *found->second;
  const auto step = made.kind == Step::Kind::kReply ? limited(pending.query, made, scratch_) : made;
  if (step.kind == Step::Kind::kWait) return;
  if (step.kind == Step::Kind::kAsk) return ask(step, id);
  const auto transport = pending.query.client().transport;
  if (step.kind == Step::Kind::kReply) {
    count(step, transport);
    stats_.misses.add(loop_->now() - pending.since);
    pending.channel.send(pending.path, std::span{scratch_}.first(step.size));
  } else {
    count_drop(step.drop, transport);
    pending.channel.abandon(pending.path);
  }
  // What was sent may have led to other queries: the iterator is not good any more.
  pending_.erase(id);
  stats_.pending.set(pending_.size());
  if (step.kind == Step::Kind::kReply) ask(step, 0);
}

void Worker::count(const Step& step, Transport transport) {
  const auto t = static_cast<std::size_t>(transport);
  stats_.outcomes[t][static_cast<std::size_t>(step.outcome)].add();
  stats_.rcodes[t][std::min<std::size_t>(step.rcode, WorkerStats::kRcodes - 1)].add();
}

void Worker::count_drop(DropReason reason, Transport transport) {
  stats_.drops[static_cast<std::size_t>(transport)][static_cast<std::size_t>(reason)].add();
}

void Worker::end_turn() {
  lookups_.settle();
  if (lookups_.has_answered()) resolver_answered_.store(true, std::memory_order_relaxed);
  std::uint64_t failures = 0;
  for (std::size_t i = 0; i < kEnumSize<ResolveFailure>; ++i)
    failures += lookups_.failures(static_cast<ResolveFailure>(i));
  stats_.lookup_failures.set(failures);
  stats_.lookups.set(lookups_.outstanding());
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
