// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/server.hpp"

#include <spdlog/spdlog.h>
#include <sys/random.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "dns64-svc/core/cookie_secrets.hpp"

namespace isthmus::dns64 {

namespace {

// For a worker to come round to a task: far less than this on any machine.
constexpr auto kApplyPatience = std::chrono::seconds{20};

Rejection node_cannot(std::string message) {
  return {.kind = Rejection::Kind::kNodeCannot,
          .violations = {{.path = "dns64", .message = std::move(message)}}};
}

// Every upstream question has a socket of its own: take what the system lets us have.
void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Server::Server(const HashKey& key, const ServerOptions& options, const HashKey& limit_key)
    : cache_({}, key),
      worker_options_{.workers = options.workers,
                      .proxies = options.proxies,
                      .forwarders = options.forwarders,
                      .streams = options.streams,
                      .responses_per_second = options.responses_per_second,
                      .limit_key = limit_key,
                      .root_anchor = options.root_anchor},
      certificate_(options.certificate),
      key_(options.key),
      cookie_secrets_(options.cookie_secrets),
      certificate_files_({options.certificate, options.key}),
      cookie_files_({options.cookie_secrets}) {
  auto& all = worker_options_.streams.max_connections;
  all = std::max<std::size_t>(1, all / std::max(1U, options.workers));
}

Result<std::unique_ptr<Server>, std::string> Server::create(const ServerOptions& options) {
  raise_file_limit();
  HashKey key;
  HashKey limit_key;
  if (getrandom(&key, sizeof key, 0) != sizeof key ||
      getrandom(&limit_key, sizeof limit_key, 0) != sizeof limit_key)
    return failure(std::string{"no random numbers: getrandom failed"});
  std::unique_ptr<Server> server{new Server{key, options, limit_key}};
  server->taps_ = options.taps;
  for (unsigned i = 0; i < options.workers; ++i) {
    auto loop = EventLoop::create();
    if (!loop) return failure(loop.error());
    server->workers_.push_back(std::make_unique<Worker>(i, server->cache_, server->workers_,
                                                        server->resolver_answered_, std::move(*loop),
                                                        server->worker_options_));
    for (const auto& taps : options.taps) server->workers_.back()->add_tap(taps->tap_of(i));
  }
  if (const auto loaded = server->load_secrets(options); !loaded) return failure(loaded.error());
  if (const auto opened = server->open_sockets(options); !opened) return failure(opened.error());
  for (auto& worker : server->workers_) worker->start();
  return server;
}

Result<void, std::string> Server::open_sockets(const ServerOptions& options) {
  const std::pair<const std::vector<std::string>*, StreamProtocol> lists[] = {
      {&options.listen, StreamProtocol::kDns},
      {&options.dot_listen, StreamProtocol::kDnsTls},
      {&options.doh_listen, StreamProtocol::kHttpsTls},
      {&options.doh_http_listen, StreamProtocol::kHttp}};
  struct Place {
    SocketAddress address;
    StreamProtocol protocol;
  };
  std::vector<Place> places;
  for (const auto& [list, protocol] : lists) {
    for (const auto& text : *list) {
      const auto address = SocketAddress::parse(text);
      if (!address) return failure(address.error());
      const auto taken = std::find_if(places.begin(), places.end(), [&](const Place& place) {
        return place.address.to_string() == address->to_string();
      });
      if (taken != places.end())
        return failure("two listeners want " + text + ": give each protocol an address or port of its own");
      if (const auto claimed = claim(*address, protocol == StreamProtocol::kDns); !claimed)
        return failure(claimed.error());
      places.push_back({*address, protocol});
    }
  }
  for (const auto& [address, protocol] : places) {
    for (auto& worker : workers_) {
      if (protocol == StreamProtocol::kDns) {
        if (const auto udp = worker->listen_udp(address); !udp) return failure(udp.error());
      }
      if (const auto stream = worker->listen_stream(address, protocol); !stream)
        return failure(stream.error());
    }
  }
  return {};
}

Result<void, std::string> Server::load_secrets(const ServerOptions& options) {
  if (!options.certificate.empty()) {
    if (auto loaded = load_certificate(boot_now()); !loaded) return loaded;
  }
  if (!options.cookie_secrets.empty()) return load_cookies();
  CookieSecret own{};
  if (getrandom(own.data(), own.size(), 0) != static_cast<ssize_t>(own.size()))
    return failure(std::string{"no random numbers: getrandom failed"});
  const auto jar = std::make_shared<const CookieJar>(own);
  for (auto& worker : workers_) worker->use_cookies(jar);
  return {};
}

Result<void, std::string> Server::load_certificate(TimePoint now) {
  auto loaded = TlsContexts::load(certificate_, key_, now, tls_.get());
  if (!loaded) return failure(loaded.error());
  tls_ = std::move(*loaded);
  certificate_not_after_.store(tls_->dns->not_after());
  for (auto& worker : workers_) worker->use_tls(tls_);
  return {};
}

Result<void, std::string> Server::load_cookies() {
  std::ifstream in{cookie_secrets_, std::ios::binary};
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || !text)
    return failure("cannot read " + cookie_secrets_ + ": check that it exists and may be read");
  const auto parsed = parse_cookie_secrets(text.str());
  if (!parsed) return failure("cookie secrets " + cookie_secrets_ + ": " + parsed.error());
  const auto jar = std::make_shared<const CookieJar>(*parsed);
  for (auto& worker : workers_) worker->use_cookies(jar);
  return {};
}

void Server::reload_changed_files(TimePoint now) {
  if (!certificate_.empty()) {
    const bool changed = certificate_files_.changed();
    const bool old_keys = tls_->dns->has_old_keys(now);
    if (changed || certificate_failed_ || old_keys) {
      const auto loaded = load_certificate(now);
      if (loaded && (changed || certificate_failed_))
        spdlog::info("the certificate {} has changed and is used for new connections", certificate_);
      // What cannot be used now may be in a second without another change that shows. It is told once.
      if (!loaded && (changed || !certificate_failed_)) {
        ++certificate_failures_;
        spdlog::error("{}; the certificate before goes on", loaded.error());
      }
      certificate_failed_ = !loaded;
    }
  }
  if (cookie_secrets_.empty()) return;
  const bool changed = cookie_files_.changed();
  if (!changed && !cookies_failed_) return;
  const auto loaded = load_cookies();
  if (loaded) {
    spdlog::info("the cookie secrets {} have changed and are used", cookie_secrets_);
  } else if (changed) {
    ++cookie_failures_;
    spdlog::error("{}; the secrets before go on", loaded.error());
  }
  cookies_failed_ = !loaded;
}

SecretsStatus Server::secrets_status() const {
  return {.certificate_failures = certificate_failures_.load(),
          .cookie_failures = cookie_failures_.load(),
          .certificate_not_after = certificate_not_after_.load()};
}

Server::~Server() {
  stop(std::chrono::milliseconds{0});
}

Applied Server::apply_policy(std::shared_ptr<const Policy> policy) {
  const std::lock_guard lock{applying_};
  return apply(std::move(policy), healthy_);
}

Applied Server::apply_health(const HealthySet& healthy) {
  const std::lock_guard lock{applying_};
  if (policy_ == nullptr) {  // kept for the first policy
    healthy_ = healthy;
    return {};
  }
  return apply(policy_, healthy);
}

Applied Server::apply(std::shared_ptr<const Policy> policy, const HealthySet& healthy) {
  auto runtime = Dns64Runtime::compile(*policy, healthy, groups_, runtime_.get());
  if (!runtime) return failure(node_cannot(runtime.error()));
  auto orders = std::make_shared<Orders>();
  orders->runtime = *runtime;
  orders->groups = groups_of(**runtime);

  // First each worker has what it lacks, made here so that its answers do not wait; only when all have does
  // any of them change.
  for (auto& worker : workers_) {
    auto missing = worker->keep_resolvers(orders);
    if (missing.wait_for(kApplyPatience) != std::future_status::ready)
      return failure(node_cannot("a worker does not respond: restart dns64-svc"));
    if (const auto made = worker->prepare(orders, missing.get()); !made)
      return failure(node_cannot(made.error()));
  }
  const auto& limits = (*runtime)->limits();
  cache_.set_limits({.max_bytes = limits.cache_bytes, .stale_seconds = limits.stale_seconds});
  std::vector<std::future<void>> running;
  running.reserve(workers_.size());
  for (auto& worker : workers_) running.push_back(worker->run(orders));
  for (auto& future : running) {
    if (future.wait_for(kApplyPatience) != std::future_status::ready)
      return failure(node_cannot("a worker does not respond: restart dns64-svc"));
  }
  // What a worker asked of another under the orders before was posted before this.
  for (auto& worker : workers_) worker->let_go_of_resolvers();
  // Contexts from before have the limits from before.
  GroupConfigs outdated;
  if (runtime_ != nullptr && !alike_in_config(runtime_->limits(), limits)) {
    outdated = groups_of(*runtime_);
    std::erase_if(outdated, [&](const auto& group) { return !orders->groups.contains(group.first); });
  }
  policy_ = std::move(policy);
  healthy_ = healthy;
  runtime_ = *runtime;
  if (!outdated.empty()) renew_resolvers(outdated);
  has_views_.store(!runtime_->views().empty());
  has_policy_.store(true);
  return {};
}

std::string Server::not_ready_because() const {
  if (stopping_.load()) return "the service stops: clients should go elsewhere";
  if (!has_policy_.load()) return "no policy runs yet: is the controller reachable, or --policy-file right?";
  if (!has_views_.load()) return "the policy has no dns64.views: nobody would be answered";
  if (!resolver_answered_.load())
    return "no upstream has answered yet: look at dns64.resolvers and the network";
  return {};
}

std::uint64_t Server::tap_records_lost() const {
  std::uint64_t lost = 0;
  for (const auto& taps : taps_) lost += taps->lost();
  return lost;
}

void Server::explain(const Request& request, const ClientInfo& client, OnExplained done) {
  workers_.front()->explain(request, client, std::move(done));
}

void Server::renew_resolvers(const GroupConfigs& groups) {
  std::vector<std::future<void>> renewed;
  renewed.reserve(workers_.size());
  for (auto& worker : workers_) renewed.push_back(worker->renew_resolvers(groups, runtime_->limits()));
  for (auto& future : renewed) (void)future.wait_for(kApplyPatience);
}

// Before facts are flushed, or what the resolvers have kept would come back into the cache.
void Server::forget_what_resolvers_learned() {
  const std::lock_guard lock{applying_};
  if (runtime_ != nullptr) renew_resolvers(groups_of(*runtime_));
}

GroupConfigs Server::groups_of(const Dns64Runtime& runtime) const {
  GroupConfigs groups;
  for (const auto& view : runtime.views())
    groups.try_emplace(view.resolver_group, groups_.resolver(view.resolver_group));
  return groups;
}

std::size_t Server::flush(NameView name) {
  forget_what_resolvers_learned();
  return cache_.flush(name);
}

std::size_t Server::flush_subtree(NameView apex) {
  forget_what_resolvers_learned();
  return cache_.flush_subtree(apex);
}

std::size_t Server::flush_all() {
  forget_what_resolvers_learned();
  return cache_.flush_all();
}

void Server::stop(std::chrono::milliseconds patience) {
  if (stopped_) return;
  stopped_ = true;
  announce_stop();
  const auto deadline = std::chrono::steady_clock::now() + patience;
  std::vector<std::future<void>> draining;
  draining.reserve(workers_.size());
  for (auto& worker : workers_) draining.push_back(worker->drain());
  for (auto& future : draining) (void)future.wait_until(deadline);
  const auto busy = [this] {
    for (const auto& worker : workers_) {
      if (!worker->idle()) return true;
    }
    return false;
  };
  while (busy() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  // All threads first: until then each may still hand something to another.
  for (auto& worker : workers_) worker->stop();
}

}  // namespace isthmus::dns64
