// SPDX-License-Identifier: Apache-2.0
// Who had which address and ports when, written down: one JSON object per line, UTC times, appended to a file
// or to stdout, and sent to a syslog collector. Workers put records into queues of their own and never wait;
// a thread writes the file, another one talks to the collector, so that none waits for the other. A record
// that finds its queue full, or that cannot be written, is lost and counted: the trail says how trustworthy
// it is. The trail of a run begins with "service_started", which ends what a run before it may have left
// open, and ends with "service_stopped", which ends all that this one had.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/result.hpp"
#include "nat64-svc/core/counters.hpp"
#include "nat64-svc/core/event_record.hpp"
#include "nat64-svc/shell/event_file.hpp"
#include "nat64-svc/shell/syslog_sender.hpp"

namespace isthmus::nat64 {

// One writer (a worker), one reader (the spool).
class EventQueue {
 public:
  explicit EventQueue(std::size_t capacity = 1U << 14) : records_(capacity) {}
  void put(const EventRecord& record);
  template <class Take>
  void drain(Take&& take) {
    auto read = read_.load(std::memory_order_relaxed);
    const auto write = write_.load(std::memory_order_acquire);
    for (; read != write; ++read) take(records_[read % records_.size()]);
    read_.store(read, std::memory_order_release);
  }
  [[nodiscard]] std::uint64_t lost() const { return lost_.get(); }

 private:
  std::vector<EventRecord> records_;
  std::atomic<std::size_t> write_{0};
  std::atomic<std::size_t> read_{0};
  Counter lost_;
};

// Pure: the line without its end. `at` is the record's time on the wall clock.
[[nodiscard]] std::string event_line(const EventRecord& record, WallTime at, const std::string& node_id);

// Where records go; either may be empty.
struct EventTargets {
  std::string file;    // "-" is stdout
  std::string syslog;  // see SyslogSocket::parse
};

class EventSpool {
 public:
  // The error is a sentence with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<EventSpool>, std::string> open(const EventTargets& targets,
                                                                             std::string node_id,
                                                                             std::size_t workers);
  ~EventSpool();  // writes what is there; the workers must have ended
  EventSpool(const EventSpool&) = delete;
  EventSpool& operator=(const EventSpool&) = delete;

  [[nodiscard]] EventQueue& queue(std::size_t worker) { return *queues_[worker]; }
  [[nodiscard]] std::uint64_t written() const { return written_.get(); }
  [[nodiscard]] std::uint64_t lost() const;
  [[nodiscard]] const SyslogSender* syslog() const { return syslog_.get(); }
  void reopen() {  // the file, after it was moved away; any thread
    if (file_) file_->reopen();
  }

 private:
  EventSpool(std::unique_ptr<EventFile> file, std::unique_ptr<SyslogSender> syslog, std::string node_id,
             std::size_t workers);
  void run();
  void write_all();
  void write_life(std::string_view event);
  void write(const std::string& line, WallTime at, std::string_view event);
  void flush();

  std::unique_ptr<EventFile> file_;
  std::unique_ptr<SyslogSender> syslog_;
  std::string lines_;  // of this round, for the file
  std::uint64_t round_ = 0;
  std::string node_id_;
  std::vector<std::unique_ptr<EventQueue>> queues_;
  Counter written_;
  Counter not_written_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace isthmus::nat64
