// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/event_spool.hpp"

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
  if (record.kind == RecordKind::kStaticUsed || record.kind == RecordKind::kStaticFreed) {
    line["protocol"] = std::string(kProtocolNames[static_cast<std::size_t>(record.protocol)]);
  }
  return line.dump();
}

Result<std::unique_ptr<EventSpool>, std::string> EventSpool::open(const EventTargets& targets,
                                                                  std::string node_id, std::size_t workers) {
  std::unique_ptr<EventFile> file;
  std::unique_ptr<SyslogSender> syslog;
  if (!targets.file.empty()) {
    auto opened = EventFile::open(targets.file);
    if (!opened) return failure(opened.error());
    file = std::move(*opened);
  }
  if (!targets.syslog.empty()) {
    auto opened = SyslogSender::open(targets.syslog);
    if (!opened) return failure(opened.error());
    syslog = std::move(*opened);
  }
  return std::unique_ptr<EventSpool>(
      new EventSpool(std::move(file), std::move(syslog), std::move(node_id), workers));
}

EventSpool::EventSpool(std::unique_ptr<EventFile> file, std::unique_ptr<SyslogSender> syslog,
                       std::string node_id, std::size_t workers)
    : file_(std::move(file)), syslog_(std::move(syslog)), node_id_(std::move(node_id)) {
  for (std::size_t i = 0; i < workers; ++i) queues_.push_back(std::make_unique<EventQueue>());
  write_life("service_started");
  if (syslog_) syslog_->start();
  thread_ = std::thread([this] { run(); });
}

EventSpool::~EventSpool() {
  stop_.store(true);
  thread_.join();
  write_all();
  write_life("service_stopped");
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
  if (file_) file_->follow_path(boot_now());
  for (const auto& queue : queues_) {
    queue->drain([&](const EventRecord& record) {
      const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(boot_now() - record.at);
      const auto at = wall_now() - age;
      write(event_line(record, at, node_id_), at, kRecordKindNames[record.kind]);
    });
  }
  flush();
}

void EventSpool::write_life(std::string_view event) {
  const auto at = wall_now();
  nlohmann::ordered_json line;
  line["time"] = utc(at);
  line["node"] = node_id_;
  line["event"] = std::string(event);
  write(line.dump(), at, event);
  flush();
}

void EventSpool::write(const std::string& line, WallTime at, std::string_view event) {
  if (file_) lines_.append(line).append("\n");
  if (syslog_) syslog_->add(syslog_message(utc(at), node_id_, getpid(), event, line));
  ++round_;
}

void EventSpool::flush() {
  const bool failed = file_ && !lines_.empty() && !file_->append(lines_);
  if (failed) spdlog::error("{} event records may be lost: {}", round_, std::strerror(errno));
  (failed ? not_written_ : written_).add(round_);
  lines_.clear();
  round_ = 0;
}

}  // namespace isthmus::nat64
