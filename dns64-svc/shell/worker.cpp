// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/worker.hpp"

#include <algorithm>

#include "dns64-svc/shell/worker_pending.hpp"

namespace isthmus::dns64 {

namespace {

// Until a resolver has answered its upstream is asked this often.
constexpr Duration kPrimeEvery = std::chrono::seconds{2};

class CallingTimer final : public Timer {
 public:
  explicit CallingTimer(std::function<void()> call) : call_(std::move(call)) {}

 private:
  void on_timer() override { call_(); }
  std::function<void()> call_;
};

}  // namespace

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
          options.root_anchor, options.waiting.for_one_lookup),
      options_(options),
      limits_(options.workers, options.responses_per_second, options.limit_key),
      scratch_(65535) {
  // Answers from the cache do not wait for hundreds of lookups whose server is slow, dead or under attack.
  loop_->set_between([this] {
    for (auto& udp : udp_) udp->glance();
  });
  loop_->set_turn_end([this] { end_turn(); });
  priming_ = std::make_unique<CallingTimer>([this] {
    if (lookups_.has_answered()) return;
    lookups_.prime();
    loop_->arm(*priming_, kPrimeEvery);
  });
  following_ = std::make_unique<CallingTimer>([this] { loop_->arm(*following_, lookups_.follow_root()); });
}

Worker::~Worker() {
  stop();
  loop_->set_between({});  // the listeners go before the lookups, which breathe as they end
  loop_->forget_posted();  // resolvers' contexts among it: they need the event base, which goes before the
                           // loop
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

std::future<GroupConfigs> Worker::keep_resolvers(std::shared_ptr<const Orders> orders) {
  auto done = std::make_shared<std::promise<GroupConfigs>>();
  auto future = done->get_future();
  loop_->post([this, done, orders = std::move(orders)] { done->set_value(lookups_.keep(orders->groups)); });
  return future;
}

Result<void, std::string> Worker::prepare(const std::shared_ptr<const Orders>& orders,
                                          const GroupConfigs& missing) {
  if (missing.empty()) return {};
  auto made = lookups_.make_all_contexts(missing, orders->runtime->limits());
  if (!made) return failure(made.error());
  auto fresh = std::make_shared<Lookups::Contexts>(std::move(*made));
  loop_->post([this, orders, fresh] { lookups_.adopt(orders->groups, std::move(*fresh)); });
  return {};
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
    loop_->arm(*following_, Duration{0});
    done->set_value();
  });
  return future;
}

void Worker::let_go_of_resolvers() {
  loop_->post([this] { lookups_.let_go(); });
}

void Worker::name_counters() {
  view_stats_.clear();
  for (const auto& view : runtime_->views()) view_stats_.push_back(&stats_.views.of(view.name));
  prefix_stats_.clear();
  for (const auto& prefix : runtime_->prefixes()) prefix_stats_.push_back(&stats_.prefixes.of(prefix.name));
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
