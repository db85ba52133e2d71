// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/query_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>

#include <nlohmann/json.hpp>

#include "dns64-svc/core/wire/presentation.hpp"

namespace isthmus::dns64 {

namespace {

constexpr auto kWriteEvery = std::chrono::milliseconds{100};
constexpr auto kBreath = std::chrono::milliseconds{1};  // for whoever wants the mutex, when much comes

std::string time_text(WallTime at) {
  const auto ms = at.time_since_epoch().count();
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const auto size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  auto fraction = std::to_string(ms % 1000 + 1000);
  fraction[0] = '.';
  return std::string(text.data(), size) + fraction + "Z";
}

std::string address_text(const ClientAddress& address) {
  return std::visit([](const auto& a) { return a.to_string(); }, address);
}

// Not to wait is for FIFOs: neither for their reader to come nor for it to read.
int open_file(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
}

// Whole lines, at most PIPE_BUF bytes if one is not longer: what poll() calls writable takes them at once and
// in one piece, standard output too, whose description we share and must not make non-blocking.
std::size_t some_lines(std::string_view lines) {
  const auto end = lines.rfind('\n', PIPE_BUF - 1);
  return 1 + (end != std::string_view::npos ? end : lines.find('\n'));
}

}  // namespace

std::string query_log_line(const QueryRecord& record) {
  const auto& step = record.step;
  nlohmann::ordered_json line;
  line["time"] = time_text(record.at);
  line["client"] = address_text(record.client.address);
  line["transport"] = kTransportNames[record.client.transport];
  line["name"] = record.name.to_string();
  line["type"] = type_name(record.type);
  line["rcode"] = rcode_name(step.rcode);
  line["outcome"] = kOutcomeNames[step.outcome];
  if (record.runtime != nullptr && step.view < record.runtime->views().size())
    line["view"] = record.runtime->views()[step.view].name;
  if (record.runtime != nullptr && step.prefix < record.runtime->prefixes().size())
    line["prefix"] = record.runtime->prefixes()[step.prefix].name;
  if (step.ede != ede::kNone) line["ede"] = step.ede;
  line["cache"] = step.from_cache ? "hit" : "miss";
  line["micros"] = std::chrono::duration_cast<std::chrono::microseconds>(record.took).count();
  line["bytes"] = step.size;
  return line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

// One worker puts in, the log's thread takes out.
class QueryLog::Ring {
 public:
  static constexpr std::size_t kSize = 2048;
  [[nodiscard]] bool put(QueryRecord&& record) {
    const auto head = head_.load(std::memory_order_relaxed);
    if (head - tail_.load(std::memory_order_acquire) == kSize) return false;
    records_[head % kSize] = std::move(record);
    head_.store(head + 1, std::memory_order_release);
    return true;
  }
  [[nodiscard]] bool take(QueryRecord& record) {
    const auto tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_.load(std::memory_order_acquire)) return false;
    record = std::move(records_[tail % kSize]);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

 private:
  std::vector<QueryRecord> records_ = std::vector<QueryRecord>(kSize);
  alignas(64) std::atomic<std::size_t> head_{0};
  alignas(64) std::atomic<std::size_t> tail_{0};
};

class QueryLog::Tap final : public QueryTap {
 public:
  Tap(std::shared_ptr<Ring> ring, std::uint32_t sample, std::atomic<std::uint64_t>& lost)
      : ring_(std::move(ring)), sample_(sample), lost_(lost) {}
  void on_request(std::span<const std::uint8_t> /*request*/, const ClientInfo& /*client*/) override {}
  void on_reply(const AnsweredQuery& query) override {
    if (++seen_ < sample_) return;
    seen_ = 0;
    QueryRecord record{.at = wall_now(),
                       .client = query.client,
                       .name = query.request.asked,
                       .type = query.request.type,
                       .step = query.step,
                       .took = query.took,
                       .runtime = query.runtime};
    if (!ring_->put(std::move(record))) lost_.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  std::shared_ptr<Ring> ring_;
  std::uint32_t sample_;
  std::atomic<std::uint64_t>& lost_;
  std::uint32_t seen_ = 0;
};

Result<std::unique_ptr<QueryLog>, std::string> QueryLog::open(const std::string& path, std::uint32_t sample) {
  std::unique_ptr<QueryLog> log{new QueryLog{path, sample}};
  log->fd_ = path == "-" ? STDOUT_FILENO : open_file(path);
  if (log->fd_ < 0 && errno != ENXIO)  // a FIFO whose reader may still come
    return failure("cannot write the query log " + path + ": " + std::strerror(errno) +
                   "; give --query-log a path in a directory that exists and may be written");
  log->thread_ = std::thread{[raw = log.get()] { raw->run(); }};
  return log;
}

QueryLog::QueryLog(std::string path, std::uint32_t sample) : path_(std::move(path)), sample_(sample) {}

QueryLog::~QueryLog() {
  patience_.end_soon();
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (fd_ > STDERR_FILENO) ::close(fd_);
}

std::unique_ptr<QueryTap> QueryLog::tap_of(unsigned /*worker*/) {
  auto ring = std::make_shared<Ring>();
  const std::lock_guard lock{mutex_};
  rings_.push_back(ring);
  return std::make_unique<Tap>(std::move(ring), sample_, lost_);
}

void QueryLog::run() {
  bool last = false;
  for (Batch batch; !last; write(batch.lines)) {
    std::unique_lock lock{mutex_};
    last = wake_.wait_for(lock, batch.more ? kBreath : kWriteEvery, [this] { return stopping_; });
    batch = take();
  }
}

// Takes no more than the rings hold at a time: a worker that is faster than this thread must not keep it from
// writing for ever.
QueryLog::Batch QueryLog::take() const {
  Batch batch;
  QueryRecord record;
  for (const auto& ring : rings_) {
    std::size_t taken = 0;
    for (; taken < Ring::kSize && ring->take(record); ++taken) batch.lines += query_log_line(record) + "\n";
    batch.more = batch.more || taken == Ring::kSize;
  }
  return batch;
}

void QueryLog::write(std::string_view lines) {
  if (lines.empty()) return;
  if (reopen_if_moved()) {
    std::string_view end_of_torn = torn_ ? "\n" : "";
    if (write_all(end_of_torn)) (void)write_all(lines);
  }
  lost_.fetch_add(static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n')),
                  std::memory_order_relaxed);
}

bool QueryLog::write_all(std::string_view& text) {
  while (!text.empty()) {
    if (!patience_.wait(fd_, POLLOUT)) return false;
    const auto written = ::write(fd_, text.data(), some_lines(text));
    if (written < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (written <= 0) continue;
    torn_ = text[static_cast<std::size_t>(written) - 1] != '\n';
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool QueryLog::reopen_if_moved() {
  if (fd_ == STDOUT_FILENO) return true;
  struct stat ours{};
  struct stat there{};
  if (fd_ >= 0 && fstat(fd_, &ours) == 0 && stat(path_.c_str(), &there) == 0 && ours.st_ino == there.st_ino &&
      ours.st_dev == there.st_dev)
    return true;
  if (fd_ >= 0) ::close(fd_);
  fd_ = open_file(path_);
  torn_ = false;
  return fd_ >= 0;
}

}  // namespace isthmus::dns64
