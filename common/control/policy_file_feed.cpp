// SPDX-License-Identifier: Apache-2.0
#include "common/control/policy_file_feed.hpp"

#include <poll.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include <array>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include "common/base/unique_fd.hpp"
#include "common/control/policy_file.hpp"
#include "common/control/standalone.hpp"

namespace isthmus {
namespace {

constexpr int kPollEvery =
    5000;                    // ms: for file systems without inotify and symbolic links that lead elsewhere
constexpr int kSettle = 50;  // ms: an editor's several writes are one change

std::string all_in_one_line(const std::vector<Violation>& violations) {
  std::string text;
  for (const auto& violation : violations) {
    if (!text.empty()) text += "; ";
    text += violation.path.empty() ? violation.message : violation.path + ": " + violation.message;
  }
  return text;
}

template <class Handler, class... Args>
Result<void, std::vector<Violation>> call(const Handler& handler, Args&&... args) {
  if (!handler) return {};
  try {
    if (auto applied = handler(std::forward<Args>(args)...); !applied) {
      return failure(std::move(applied.error().violations));
    }
  } catch (const std::exception& e) {
    return failure(std::vector<Violation>{{"", e.what()}});
  }
  return {};
}

}  // namespace

class PolicyFileFeed::Impl {
 public:
  Impl(std::string path, ServiceHandlers handlers) : file_(std::move(path)), handlers_(std::move(handlers)) {}
  ~Impl() { stop(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Result<void, std::vector<Violation>> start() {
    watch();  // before the first read: a change in between is seen
    if (auto applied = apply(file_.load()); !applied) return applied;
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "policy-file");
      run();
    });
    return {};
  }

  void stop() {
    if (!thread_.joinable()) return;
    (void)eventfd_write(stop_.get(), 1);
    thread_.join();
  }

  [[nodiscard]] FeedStatus status() const {
    const std::lock_guard lock{mutex_};
    return status_;
  }

 private:
  // The directory, not the file: rename into place and a ConfigMap's swapped link both change the directory.
  void watch() {
    notify_.reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    auto directory = std::filesystem::path{file_.path()}.parent_path();
    if (directory.empty()) directory = ".";
    if (inotify_add_watch(notify_.get(), directory.c_str(),
                          IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE) < 0) {
      notify_.reset();  // the slow poll remains
    }
  }

  void run() {
    for (;;) {
      std::array<pollfd, 2> waiting{{{stop_.get(), POLLIN, 0}, {notify_.get(), POLLIN, 0}}};
      if (poll(waiting.data(), waiting.size(), kPollEvery) < 0) continue;
      if (waiting[0].revents != 0) return;
      if (waiting[1].revents != 0 && settle()) return;
      reload();
    }
  }

  // Lets a burst of changes pass; true when told to stop.
  [[nodiscard]] bool settle() {
    pollfd stopping{stop_.get(), POLLIN, 0};
    if (poll(&stopping, 1, kSettle) > 0) return true;
    std::array<char, 4096> events{};
    while (read(notify_.get(), events.data(), events.size()) > 0) {
    }
    return false;
  }

  void reload() {
    auto loaded = file_.load_if_changed();
    const bool changed = loaded.has_value();
    if (!changed && node_could_not_) loaded = file_.load();
    if (!loaded) return;
    const auto applied = apply(std::move(*loaded));
    if (applied) {
      spdlog::info("policy {} is running, version {}", file_.path(), status().policy_version.to_string());
      return;
    }
    if (!changed) return;  // said before; tried again at the next look
    for (const auto& violation : applied.error()) {
      spdlog::error("policy {}: {}{}{}", file_.path(), violation.path, violation.path.empty() ? "" : ": ",
                    violation.message);
    }
    spdlog::error("policy {} is refused; what ran keeps running", file_.path());
    const std::lock_guard lock{mutex_};
    ++status_.rejected_total;
    status_.last_error = all_in_one_line(applied.error());
  }

  static Result<Policy, std::vector<Violation>> with_lists(PolicyFile::Loaded loaded) {
    if (!loaded) return failure(std::move(loaded.error()));
    std::map<std::string, ListData> data;
    for (const auto& chunk : loaded->chunks) data.emplace(chunk.hash, chunk.data);
    const auto attached =
        attach_lists(loaded->policy, [&](const std::string& hash) { return data.at(hash); });
    if (!attached) return failure(attached.error());
    return std::move(loaded->policy);
  }

  Result<void, std::vector<Violation>> apply(PolicyFile::Loaded file) {
    node_could_not_ = false;
    auto loaded = with_lists(std::move(file));
    if (!loaded) return failure(std::move(loaded.error()));
    node_could_not_ = true;  // until it could
    const auto policy = std::make_shared<const Policy>(std::move(*loaded));
    const Version version{0, ++counter_};
    if (auto done = call(handlers_.on_policy, policy, version); !done) return done;
    {
      const std::lock_guard lock{mutex_};
      status_.policy_version = version;
    }
    if (auto done = call(handlers_.on_allocation, standalone_allocation(*policy), version); !done)
      return done;
    if (auto done = call(handlers_.on_health, standalone_health(*policy), version); !done) return done;
    node_could_not_ = false;
    const std::lock_guard lock{mutex_};
    status_.connected = true;
    status_.allocation_version = status_.health_version = version;
    status_.last_heard = boot_now();
    status_.last_error.clear();
    return {};
  }

  PolicyFile file_;
  ServiceHandlers handlers_;
  bool node_could_not_ = false;  // run a text without mistakes: it may later
  std::uint64_t counter_ = 0;
  UniqueFd notify_;
  UniqueFd stop_{eventfd(0, EFD_CLOEXEC)};
  std::thread thread_;
  mutable std::mutex mutex_;  // guards status_
  FeedStatus status_;
};

PolicyFileFeed::PolicyFileFeed(std::string path, ServiceHandlers handlers)
    : impl_(std::make_unique<Impl>(std::move(path), std::move(handlers))) {}
PolicyFileFeed::~PolicyFileFeed() = default;
Result<void, std::vector<Violation>> PolicyFileFeed::start() {
  return impl_->start();
}
void PolicyFileFeed::stop() {
  impl_->stop();
}
FeedStatus PolicyFileFeed::status() const {
  return impl_->status();
}

}  // namespace isthmus
