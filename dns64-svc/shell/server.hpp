// SPDX-License-Identifier: Apache-2.0
// The service as a whole: the workers, the cache they share, and the policy they run. apply_*() are the
// handlers of a feed (common/control): they return when every worker runs what was given, or why not.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/control/service_handlers.hpp"
#include "dns64-svc/core/cache/fact_cache.hpp"
#include "dns64-svc/shell/watched_files.hpp"
#include "dns64-svc/shell/worker.hpp"

namespace isthmus::dns64 {

struct ServerOptions {
  // "[::1]:53"
  std::vector<std::string> listen = {};           // UDP and TCP
  std::vector<std::string> dot_listen = {};       // DNS over TLS
  std::vector<std::string> doh_listen = {};       // DNS over HTTPS
  std::vector<std::string> doh_http_listen = {};  // the same without TLS
  unsigned workers = 1;
  std::string certificate = {}, key = {};  // PEM files, for DoT and DoH
  std::string cookie_secrets = {};         // file; none: a secret of this process
  AddressList proxies = {}, forwarders = {};
  StreamLimits streams = {};  // max_connections: of all workers together
  std::uint32_t responses_per_second = 0;
  std::vector<std::shared_ptr<QueryTaps>> taps = {};  // query log, dnstap
  RootAnchor root_anchor = {};
};

// Of the files that are looked at while the service runs.
struct SecretsStatus {
  std::uint64_t certificate_failures = 0;
  std::uint64_t cookie_failures = 0;
  std::int64_t certificate_not_after = 0;  // Unix time; 0: no certificate
};

class Server {
 public:
  // Opens every socket; nobody is served before the first policy. The error is a sentence with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<Server>, std::string> create(const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  [[nodiscard]] Applied apply_policy(std::shared_ptr<const Policy> policy);
  [[nodiscard]] Applied apply_health(const HealthySet& healthy);

  // Empty: ready. Else what is missing, as a sentence. Once ready it stays ready: a dead upstream is no
  // reason to take away the answers that the cache has.
  [[nodiscard]] std::string not_ready_because() const;
  // Takes certificates and secrets whose files have changed; what cannot be used is logged and the old one
  // stays and the new one is tried again. Call it every second or so, from one thread.
  void reload_changed_files(TimePoint now);
  [[nodiscard]] SecretsStatus secrets_status() const;
  // From now on not ready: whoever balances should send clients elsewhere. Serves on.
  void announce_stop() { stopping_.store(true); }
  // Stops taking requests, waits for those in work at most `patience`, ends the threads.
  void stop(std::chrono::milliseconds patience);

  [[nodiscard]] const std::vector<std::unique_ptr<Worker>>& workers() const { return workers_; }
  [[nodiscard]] FactCache::Stats cache_stats() const { return cache_.stats(); }
  [[nodiscard]] const FactCache& cache() const { return cache_; }
  [[nodiscard]] std::uint64_t tap_records_lost() const;

  // For an operator, from any thread; see Worker::explain().
  void explain(const Request& request, const ClientInfo& client, OnExplained done);
  // How many facts went. What the resolvers have learned of servers goes with them: libunbound keeps CNAMEs
  // too.
  std::size_t flush(NameView name);
  std::size_t flush_subtree(NameView apex);
  std::size_t flush_all();

 private:
  Server(const HashKey& key, const ServerOptions& options, const HashKey& limit_key);
  [[nodiscard]] Result<void, std::string> open_sockets(const ServerOptions& options);
  [[nodiscard]] Result<void, std::string> load_secrets(const ServerOptions& options);
  [[nodiscard]] Result<void, std::string> load_certificate(TimePoint now);
  [[nodiscard]] Result<void, std::string> load_cookies();
  [[nodiscard]] Applied apply(std::shared_ptr<const Policy> policy, const HealthySet& healthy);

  void forget_what_resolvers_learned();
  void renew_resolvers(const GroupConfigs& groups);  // with `applying_` held
  [[nodiscard]] GroupConfigs groups_of(const Dns64Runtime& runtime) const;

  std::vector<std::shared_ptr<QueryTaps>> taps_;  // outlive the workers, whose taps lead here
  FactCache cache_;
  WorkerOptions worker_options_;
  std::string certificate_, key_, cookie_secrets_;
  WatchedFiles certificate_files_;
  WatchedFiles cookie_files_;
  bool certificate_failed_ = false;
  bool cookies_failed_ = false;
  std::shared_ptr<const TlsContexts> tls_;
  std::atomic<std::uint64_t> certificate_failures_{0};
  std::atomic<std::uint64_t> cookie_failures_{0};
  std::atomic<std::int64_t> certificate_not_after_{0};
  std::vector<std::unique_ptr<Worker>> workers_;
  std::mutex applying_;  // feeds call from one thread; this makes it no precondition
  ResolverGroups groups_;
  std::shared_ptr<const Policy> policy_;
  HealthySet healthy_;
  std::shared_ptr<const Dns64Runtime> runtime_;
  std::atomic<bool> has_policy_{false};
  std::atomic<bool> has_views_{false};
  std::atomic<bool> resolver_answered_{false};
  std::atomic<bool> stopping_{false};
  bool stopped_ = false;
};

}  // namespace isthmus::dns64
