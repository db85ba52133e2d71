// SPDX-License-Identifier: Apache-2.0
// One thread owns the Subscription and calls every handler; ControlStream reads beside it. A dead stream, a
// controller that is killed, a network that is cut all end in the same place: session() returns, a jittered
// pause, a new connection with Hello.
#include "common/control/control_client.hpp"

#include <google/protobuf/util/time_util.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <optional>
#include <thread>

#include "common/base/log.hpp"
#include "common/control/backoff.hpp"
#include "common/control/control_stream.hpp"
#include "common/control/state_dir.hpp"
#include "common/control/subscription.hpp"
#include "common/control/tls_credentials.hpp"

namespace isthmus {
namespace {

constexpr Duration kGoodbyePatience = std::chrono::milliseconds{500};
// A stream that has said nothing for so long is not the controller's: it always sends a policy.
constexpr Duration kFirstWordPatience = std::chrono::seconds{10};

std::string read_boot_id() {
  std::ifstream in{"/proc/sys/kernel/random/boot_id"};
  std::string id;
  std::getline(in, id);
  return id;
}

ServiceIdentity make_identity(const ControlClientOptions& options) {
  ServiceIdentity identity;
  identity.node_id = options.node_id;
  identity.incarnation = random_id();
  identity.boot_id = read_boot_id();
  identity.kind = options.kind == ControlClientOptions::Kind::kDns64 ? v1::DNS64 : v1::NAT64;
  identity.build = options.build;
  identity.addresses = options.addresses;
  identity.capabilities = options.capabilities;
  return identity;
}

}  // namespace

class ControlClient::Impl {
 public:
  Impl(ControlClientOptions options, ServiceHandlers handlers)
      : options_(std::move(options)), handlers_(std::move(handlers)), backoff_(std::random_device{}()) {}
  ~Impl() { stop(false); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void start() {
    // gRPC's own lines are for its developers; the cause of a lost stream is in ours.
    gpr_set_log_function([](gpr_log_func_args* line) { spdlog::debug("grpc: {}", line->message); });
    auto identity = make_identity(options_);
    open_state_dir(identity);
    subscription_.emplace(std::move(identity), std::move(handlers_), options_.report_every);
    restore();
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "control");
      run();
    });
  }

  void stop(bool release) {
    if (!thread_.joinable()) return;
    {
      std::unique_lock lock{mutex_};
      stopping_ = true;
      release_ = release;
      changed_.notify_all();
      if (release) changed_.wait_for(lock, 2 * kGoodbyePatience, [&] { return stream_ == nullptr; });
      if (stream_ != nullptr) stream_->cancel();  // a peer that does not read cannot hold us up
    }
    thread_.join();
  }

  [[nodiscard]] FeedStatus status() const {
    auto status = [this] {
      const std::lock_guard lock{mutex_};
      return status_;
    }();
    status.certificate_expiry = certificate_expiry(options_.tls.certificate);
    return status;
  }

 private:
  void open_state_dir(ServiceIdentity& identity) {
    if (options_.state_dir.empty()) return;
    auto opened = StateDir::open(options_.state_dir);
    if (!opened) {
      spdlog::error("{}: a restart without the controller will have no policy", opened.error());
      return;
    }
    state_dir_.emplace(std::move(*opened));
    auto machine = state_dir_->machine_id();
    if (machine) {
      identity.machine = std::move(*machine);
    } else {
      spdlog::warn("{}", machine.error());
    }
  }

  void restore() {
    if (!state_dir_) return;
    auto loaded = state_dir_->load();
    for (const auto& problem : loaded.problems) spdlog::warn("{}", problem);
    for (const auto& problem : subscription_->restore(std::move(loaded.state), boot_now())) {
      spdlog::warn("{}: {}", options_.state_dir, problem);
    }
    publish(false);
    if (const auto now = status(); now.policy_version != Version{}) {
      spdlog::info("running the last good policy {} from {}", now.policy_version.to_string(),
                   options_.state_dir);
    }
  }

  void run() {
    while (!stopping()) {
      const auto retry_after = session();
      publish(false);
      pause(std::max(backoff_.next(), backoff_.at_least(retry_after.value_or(Duration::zero()))));
    }
  }

  [[nodiscard]] bool stopping() const {
    const std::lock_guard lock{mutex_};
    return stopping_;
  }

  void pause(Duration time) {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, time, [&] { return stopping_; });
  }

  // One stream, from connect to end. Returns how long the controller asked us to stay away.
  std::optional<Duration> session() {
    const auto credentials = channel_credentials(options_.tls);
    if (!credentials) {
      connection_lost(credentials.error());
      return std::nullopt;
    }
    ControlStream stream{make_channel(options_.controller, *credentials)};
    if (!adopt(&stream)) return std::nullopt;
    const auto retry_after = converse(stream);
    (void)adopt(nullptr);
    return retry_after;
  }

  // Lets stop() cancel the stream from its thread; false when that already happened.
  bool adopt(ControlStream* stream) {
    const std::lock_guard lock{mutex_};
    stream_ = stopping_ ? nullptr : stream;
    changed_.notify_all();
    return !stopping_;
  }

  std::optional<Duration> converse(ControlStream& stream) {
    auto step = subscription_->on_stream_opened(boot_now());
    bool alive = send(stream, step);
    const auto first_word_by = boot_now() + kFirstWordPatience;
    bool heard = false;
    v1::ControllerMessage message;
    while (true) {
      if (stopping()) {
        farewell(stream);
        return std::nullopt;
      }
      // Short naps let stop() be noticed; before the first word there is nothing to report.
      const auto nap = boot_now() + std::chrono::milliseconds{100};
      const auto wake = heard ? std::min(subscription_->next_timer(), nap) : nap;
      const auto event = alive ? stream.take(message, wake) : ControlStream::Event::kEnded;
      const auto now = boot_now();
      if (event == ControlStream::Event::kEnded) {
        if (!alive) stream.cancel();
        if (!stopping()) connection_lost(stream.reason());
        return std::nullopt;
      }
      if (event == ControlStream::Event::kMessage) {
        if (!heard && !message.has_refusal()) connected();
        heard = true;
        step = subscription_->on_message(message, now);
        // On disk before the ack: what the controller believes to run must survive our restart.
        if (step.state_changed) save();
        publish(!step.end_stream);  // before the ack: who has seen it finds our status agreeing
        alive = send(stream, step);
        if (step.end_stream) {
          spdlog::warn("{}", subscription_->status().last_error);
          return step.retry_after;
        }
      } else if (!heard && now >= first_word_by) {
        connection_lost("connected, but the controller says nothing");
        return std::nullopt;
      }
      if (heard && alive) alive = send(stream, subscription_->on_timer(boot_now()));
    }
  }

  bool send(ControlStream& stream, Subscription::Step step) {
    for (auto& message : step.send) {
      if (message.has_report()) {
        *message.mutable_report()->mutable_time() =
            google::protobuf::util::TimeUtil::MillisecondsToTimestamp(wall_now().time_since_epoch().count());
      }
      if (!stream.write(message)) return false;
    }
    return true;
  }

  void farewell(ControlStream& stream) {
    {
      const std::lock_guard lock{mutex_};
      if (!release_) return;
    }
    auto step = subscription_->goodbye();
    if (step.state_changed) save();
    if (!send(stream, std::move(step))) return;
    stream.writes_done();
    v1::ControllerMessage ignored;
    const auto deadline = boot_now() + kGoodbyePatience;
    while (stream.take(ignored, deadline) == ControlStream::Event::kMessage) {
    }
  }

  void save() {
    if (!state_dir_) return;
    if (const auto saved = state_dir_->save(subscription_->good_state()); !saved) {
      spdlog::warn("{}: a restart without the controller will use older state", saved.error());
    }
  }

  void connected() {
    backoff_.reset();
    connection_error_.clear();
    said_.clear();
    spdlog::info("connected to the controller at {}", options_.controller);
  }

  void connection_lost(std::string why) {
    connection_error_ = "no controller at " + options_.controller + ": " +
                        (why.empty() ? std::string{"it ended the stream"} : std::move(why));
    if (connection_error_ == said_) return;  // once per cause, not once per attempt
    said_ = connection_error_;
    spdlog::warn("{}; serving with what is running, trying again", connection_error_);
  }

  void publish(bool connected) {
    auto status = subscription_->status();
    status.connected = connected;
    if (!connection_error_.empty()) status.last_error = connection_error_;
    const std::lock_guard lock{mutex_};
    status_ = std::move(status);
  }

  ControlClientOptions options_;
  ServiceHandlers handlers_;  // moved into subscription_ by start()
  std::optional<StateDir> state_dir_;
  std::optional<Subscription> subscription_;  // used by thread_ alone once that runs
  Backoff backoff_;
  std::string connection_error_;
  std::string said_;
  std::thread thread_;

  mutable std::mutex mutex_;         // guards what follows
  std::condition_variable changed_;  // stopping_, stream_
  bool stopping_ = false;
  bool release_ = false;
  ControlStream* stream_ = nullptr;
  FeedStatus status_;
};

ControlClient::ControlClient(ControlClientOptions options, ServiceHandlers handlers)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(handlers))) {}
ControlClient::~ControlClient() = default;
void ControlClient::start() {
  impl_->start();
}
void ControlClient::stop(bool release) {
  impl_->stop(release);
}
FeedStatus ControlClient::status() const {
  return impl_->status();
}

}  // namespace isthmus
