// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/server.hpp"

#include <sys/random.h>
#include <sys/resource.h>

#include <thread>

namespace isthmus::dns64 {

namespace {

// Making contexts reads trust anchors and hints, from memory: far less than this on any machine.
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

Result<std::unique_ptr<Server>, std::string> Server::create(const ServerOptions& options) {
  raise_file_limit();
  HashKey key;
  HashKey limit_key;
  if (getrandom(&key, sizeof key, 0) != sizeof key ||
      getrandom(&limit_key, sizeof limit_key, 0) != sizeof limit_key)
    return failure(std::string{"no random numbers: getrandom failed"});
  std::unique_ptr<Server> server{new Server{key}};
  server->taps_ = options.taps;
  for (unsigned i = 0; i < options.workers; ++i) {
    auto loop = EventLoop::create();
    if (!loop) return failure(loop.error());
    server->workers_.push_back(std::make_unique<Worker>(i, server->cache_, server->workers_,
                                                        server->resolver_answered_, std::move(*loop),
                                                        limit_key, options.state_dir));
    for (const auto& taps : options.taps) server->workers_.back()->add_tap(taps->tap_of(i));
  }
  std::vector<SocketAddress> addresses;
  for (const auto& text : options.listen) {
    const auto address = SocketAddress::parse(text);
    if (!address) return failure(address.error());
    if (const auto claimed = claim(*address); !claimed) return failure(claimed.error());
    addresses.push_back(*address);
  }
  for (const auto& address : addresses) {
    for (auto& worker : server->workers_) {
      if (const auto listening = worker->listen(address); !listening) return failure(listening.error());
    }
  }
  for (auto& worker : server->workers_) worker->start();
  return server;
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
  for (const auto& view : (*runtime)->views())
    orders->groups.try_emplace(view.resolver_group, groups_.resolver(view.resolver_group));

  // First every worker makes what it lacks; only when all can does any of them change.
  std::vector<std::future<Result<void, std::string>>> prepared;
  for (auto& worker : workers_) prepared.push_back(worker->prepare(orders));
  for (auto& future : prepared) {
    if (future.wait_for(kApplyPatience) != std::future_status::ready)
      return failure(node_cannot("a worker does not respond: restart dns64-svc"));
    if (const auto made = future.get(); !made) return failure(node_cannot(made.error()));
  }
  const auto& limits = (*runtime)->limits();
  cache_.set_limits({.max_bytes = limits.cache_bytes, .stale_seconds = limits.stale_seconds});
  std::vector<std::future<void>> running;
  for (auto& worker : workers_) running.push_back(worker->run(orders));
  for (auto& future : running) {
    if (future.wait_for(kApplyPatience) != std::future_status::ready)
      return failure(node_cannot("a worker does not respond: restart dns64-svc"));
  }
  policy_ = std::move(policy);
  healthy_ = healthy;
  runtime_ = *runtime;
  has_views_.store(!runtime_->views().empty());
  has_policy_.store(true);
  return {};
}

std::string Server::not_ready_because() const {
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

std::size_t Server::flushed(std::size_t count) {
  for (auto& worker : workers_) worker->forget_servers();
  return count;
}

std::size_t Server::flush(NameView name) {
  return flushed(cache_.flush(name));
}

std::size_t Server::flush_subtree(NameView apex) {
  return flushed(cache_.flush_subtree(apex));
}

std::size_t Server::flush_all() {
  return flushed(cache_.flush_all());
}

void Server::stop(std::chrono::milliseconds patience) {
  if (stopped_) return;
  stopped_ = true;
  for (auto& worker : workers_) worker->drain();
  const auto deadline = std::chrono::steady_clock::now() + patience;
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
