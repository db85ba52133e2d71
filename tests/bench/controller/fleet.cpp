// SPDX-License-Identifier: Apache-2.0
// Many services in one process, as the controller sees them: each has a connection of its own, says hello,
// acks what it is sent at once, reports every two seconds, and connects again after a break. For each policy
// version it prints when the first and the last of them acked, in milliseconds of Unix time:
//
//   all-connected 1000 1700000000123
//   policy 17.2 acked 1000 first 1700000000100 p50 1700000000130 p99 1700000000180 last 1700000000190
#include <grpcpp/grpcpp.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <deque>
#include <map>
#include <mutex>
#include <queue>
#include <random>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/control/backoff.hpp"
#include "common/control/tls_credentials.hpp"
#include "isthmus/v1/control.grpc.pb.h"

namespace isthmus {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// When acks of each version happened; prints a line once all services acked it.
class Acks {
 public:
  explicit Acks(std::size_t services) : services_(services) {}

  void add(const v1::Version& version) {
    const std::scoped_lock lock{lock_};
    auto& times = times_[{version.epoch(), version.counter()}];
    times.push_back(unix_ms());
    if (times.size() != services_) return;
    std::ranges::sort(times);
    std::printf("policy %lu.%lu acked %zu first %ld p50 %ld p99 %ld last %ld\n", version.epoch(),
                version.counter(), times.size(), times.front(), times[times.size() / 2],
                times[times.size() * 99 / 100], times.back());
    std::fflush(stdout);
  }

 private:
  std::mutex lock_;
  const std::size_t services_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::vector<std::int64_t>> times_;
};

// Things to do later, in order of time, on one thread.
class Later {
 public:
  ~Later() {
    stopping_ = true;
    thread_.join();
  }
  void at(Clock::time_point when, std::function<void()> what) {
    const std::scoped_lock lock{lock_};
    queue_.emplace(when, std::move(what));
  }

 private:
  void run() {
    while (!stopping_) {
      std::vector<std::function<void()>> due;
      {
        const std::scoped_lock lock{lock_};
        while (!queue_.empty() && queue_.begin()->first <= Clock::now()) {
          due.push_back(std::move(queue_.begin()->second));
          queue_.erase(queue_.begin());
        }
      }
      for (const auto& what : due) what();
      std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
  }
  std::mutex lock_;
  std::multimap<Clock::time_point, std::function<void()>> queue_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_{[this] { run(); }};
};

struct Shared {
  explicit Shared(std::size_t count) : acks(count), services(count) {}
  std::string target;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  Acks acks;
  Later later;
  std::size_t services;
  std::atomic<std::size_t> connected = 0;
};

class Service;

// One stream of one service.
class Stream : public grpc::ClientBidiReactor<v1::ServiceMessage, v1::ControllerMessage> {
 public:
  Stream(Service& service, v1::ControlPlane::Stub& stub) : service_(service) {
    stub.async()->Session(&context_, this);
    StartRead(&in_);
    AddHold();  // writes come from other threads, until reading ended
    StartCall();
  }
  void send(v1::ServiceMessage message) {
    const std::scoped_lock lock{lock_};
    if (ended_) return;
    out_.push_back(std::move(message));
    if (out_.size() == 1) StartWrite(&out_.front());
  }
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override {
    const std::scoped_lock lock{lock_};
    out_.pop_front();
    if (!ok) ended_ = true;
    if (!ended_ && !out_.empty()) StartWrite(&out_.front());
  }
  void OnDone(const grpc::Status& status) override;

 private:
  void ack(v1::Resource resource, std::uint64_t nonce, const v1::Version& running) {
    v1::ServiceMessage message;
    message.mutable_ack()->set_resource(resource);
    message.mutable_ack()->set_nonce(nonce);
    *message.mutable_ack()->mutable_running() = running;
    send(std::move(message));
  }

  Service& service_;
  grpc::ClientContext context_;
  v1::ControllerMessage in_;
  bool heard_ = false;
  std::mutex lock_;
  std::deque<v1::ServiceMessage> out_;
  bool ended_ = false;
};

class Service {
 public:
  Service(Shared& all, std::size_t number) : shared(all), number_(number), backoff_(number + 1) {}

  void connect() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
    stub_ =
        v1::ControlPlane::NewStub(grpc::CreateCustomChannel(shared.target, shared.credentials, arguments));
    stream_ = std::make_unique<Stream>(*this, *stub_);
    v1::ServiceMessage hello;
    hello.mutable_hello()->set_node_id("fleet-" + std::to_string(number_));
    hello.mutable_hello()->set_incarnation("1");
    hello.mutable_hello()->set_boot_id("boot");
    hello.mutable_hello()->set_machine("machine-" + std::to_string(number_));
    hello.mutable_hello()->set_kind(v1::DNS64);
    hello.mutable_hello()->set_build("fleet");
    stream_->send(std::move(hello));
    report();
  }
  void heard() {
    backoff_.reset();
    if (shared.connected.fetch_add(1) + 1 == shared.services) {
      std::printf("all-connected %zu %ld\n", shared.services, unix_ms());
      std::fflush(stdout);
    }
  }
  void lost(bool was_heard) {
    if (was_heard) --shared.connected;
    ++generation_;
    const auto wait = std::max(backoff_.next(), backoff_.at_least(asked_));
    asked_ = {};
    shared.later.at(Clock::now() + std::chrono::duration_cast<Clock::duration>(wait), [this] { connect(); });
  }
  void turned_away(Duration retry_after) { asked_ = retry_after; }

  Shared& shared;

 private:
  void report() {
    v1::ServiceMessage message;
    message.mutable_report()->set_serving(true);
    message.mutable_report()->mutable_dns64()->set_queries(number_);
    stream_->send(std::move(message));
    shared.later.at(Clock::now() + std::chrono::seconds{2}, [this, generation = generation_.load()] {
      if (generation == generation_) report();
    });
  }

  const std::size_t number_;
  Backoff backoff_;
  Duration asked_{};  // by the controller: how long to stay away
  std::atomic<std::uint64_t> generation_ = 0;
  std::unique_ptr<v1::ControlPlane::Stub> stub_;
  std::unique_ptr<Stream> stream_;
};

void Stream::OnReadDone(bool ok) {
  if (!ok) {
    {
      const std::scoped_lock lock{lock_};
      ended_ = true;
    }
    return RemoveHold();
  }
  if (in_.has_refusal()) {  // too many came at once: it says when to come again
    service_.turned_away(std::chrono::seconds{in_.refusal().retry_after().seconds()} +
                         std::chrono::nanoseconds{in_.refusal().retry_after().nanos()});
    return StartRead(&in_);
  }
  if (!std::exchange(heard_, true)) service_.heard();
  if (in_.has_policy()) {
    ack(v1::POLICY, in_.policy().nonce(), in_.policy().version());
    service_.shared.acks.add(in_.policy().version());
  } else if (in_.has_health()) {
    ack(v1::HEALTH, in_.health().nonce(), in_.health().version());
  } else if (in_.has_allocation()) {
    ack(v1::ALLOCATION, in_.allocation().nonce(), in_.allocation().version());
  }
  StartRead(&in_);
}

// The next stream replaces this object, so it is done from another thread, later.
void Stream::OnDone(const grpc::Status&) {
  service_.lost(heard_);
}

int run(const std::string& target, std::size_t services, const TlsFiles& tls) {
  Shared shared{services};
  shared.target = target;
  auto credentials = channel_credentials(tls);
  if (!credentials) {
    std::fprintf(stderr, "fleet: %s\n", credentials.error().c_str());
    return 2;
  }
  shared.credentials = *credentials;
  std::vector<std::unique_ptr<Service>> all;
  for (std::size_t i = 0; i < services; ++i) {
    all.push_back(std::make_unique<Service>(shared, i));
    all.back()->connect();
  }
  while (std::getchar() != EOF) {
  }
  std::_Exit(0);  // thousands of streams need not be ended one by one
}

}  // namespace
}  // namespace isthmus

int main(int argc, char** argv) {
  CLI::App app{"many services for the controller's benchmark; ends when standard input does"};
  std::string target;
  std::size_t services = 1000;
  isthmus::TlsFiles tls;
  app.add_option("--controller", target)->required();
  app.add_option("--services", services)->capture_default_str();
  app.add_option("--tls-ca", tls.ca);
  app.add_option("--tls-certificate", tls.certificate);
  app.add_option("--tls-key", tls.key);
  CLI11_PARSE(app, argc, argv);
  return isthmus::run(target, services, tls);
}
