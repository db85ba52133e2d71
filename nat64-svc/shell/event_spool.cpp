// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/event_spool.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include <nlohmann/json.hpp>

namespace isthmus::nat64 {
namespace {

constexpr std::chrono::milliseconds kWriteEvery{200};

std::string utc(WallTime at) {
  const auto milliseconds = at.time_since_epoch().count();
  const auto seconds = std::chrono::system_clock::to_time_t(at);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), milliseconds % 1000);
}

}  // namespace

void EventQueue::put(const EventRecord& record) {
  const auto write = write_.load(std::memory_order_relaxed);
  if (write - read_.load(std::memory_order_acquire) == records_.size()) return lost_.add();
  records_[write % records_.size()] = record;
  write_.store(write + 1, std::memory_order_release);
}

std::string event_line(const EventRecord& record, WallTime at, const std::string& node_id) {
  nlohmann::ordered_json line;
  line["time"] = utc(at);
  line["node"] = node_id;
  line["event"] = std::string(kRecordKindNames[record.kind]);
  line["subscriber"] = record.subscriber.to_string();
  if (record.kind == RecordKind::kLimitReached) {
    line["limit"] = std::string(kDropReasonNames[record.limit]);
    return line.dump();
  }
  line["public4"] = record.public4.to_string();
  line["first_port"] = record.first_port;
  line["last_port"] = record.last_port;
  if (record.kind == RecordKind::kStaticUsed) {
    line["protocol"] = std::string(kProtocolNames[static_cast<std::size_t>(record.protocol)]);
  }
  return line.dump();
}

Result<std::unique_ptr<EventSpool>, std::string> EventSpool::open(const std::string& path,
                                                                  std::string node_id, std::size_t workers) {
  const int fd = path == "-" ? dup(STDOUT_FILENO)
                             : ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  std::FILE* file = fd < 0 ? nullptr : fdopen(fd, "a");
  if (file == nullptr) {
    return failure("cannot write events to " + path + ": " + std::strerror(errno) +
                   ": give --events a file in a directory that this process may write to");
  }
  return std::unique_ptr<EventSpool>(new EventSpool(file, std::move(node_id), workers));
}

EventSpool::EventSpool(std::FILE* file, std::string node_id, std::size_t workers)
    : file_(file), node_id_(std::move(node_id)) {
  for (std::size_t i = 0; i < workers; ++i) queues_.push_back(std::make_unique<EventQueue>());
  thread_ = std::thread([this] { run(); });
}

EventSpool::~EventSpool() {
  stop_.store(true);
  thread_.join();
  write_all();
  std::fclose(file_);
}

std::uint64_t EventSpool::lost() const {
  std::uint64_t sum = not_written_.get();
  for (const auto& queue : queues_) sum += queue->lost();
  return sum;
}

void EventSpool::run() {
  while (!stop_.load()) {
    write_all();
    std::this_thread::sleep_for(kWriteEvery);
  }
}

void EventSpool::write_all() {
  std::uint64_t lines = 0;
  bool failed = false;
  for (const auto& queue : queues_) {
    queue->drain([&](const EventRecord& record) {
      const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(boot_now() - record.at);
      const auto line = event_line(record, wall_now() - age, node_id_) + "\n";
      failed = std::fwrite(line.data(), 1, line.size(), file_) != line.size() || failed;
      ++lines;
    });
  }
  if (lines == 0) return;
  failed = std::fflush(file_) != 0 || failed;
  if (failed) {
    std::clearerr(file_);
    spdlog::error("{} event records may be lost: {}", lines, std::strerror(errno));
  }
  (failed ? not_written_ : written_).add(lines);
}

}  // namespace isthmus::nat64
