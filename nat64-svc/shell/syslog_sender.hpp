// SPDX-License-Identifier: Apache-2.0
// Event records to a syslog collector (RFC 5424), by a thread of its own: nothing that the collector, the way
// to it or the DNS does holds up whoever has records. What cannot be sent now waits in a bounded queue; what
// finds the queue full is lost and counted.
//
// UDP loses without telling. With TCP a message stays in the queue until the collector's machine has
// acknowledged it, and is sent again over the next connection if this one ends before: twice rather than
// never. What that machine had acknowledged and the collector had not read when it died is lost; RFC 6587 has
// no answer that would tell. The file beside it is where every record counts.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "common/base/clock.hpp"
#include "common/base/result.hpp"
#include "nat64-svc/core/counters.hpp"
#include "nat64-svc/shell/syslog_socket.hpp"

namespace isthmus::nat64 {

// Pure: <134>1 TIME NODE nat64-svc PID EVENT - MESSAGE. `time` is RFC 3339; characters that a header field
// may not have become "_".
[[nodiscard]] std::string syslog_message(std::string_view time, std::string_view node, int pid,
                                         std::string_view event, std::string_view message);

class SyslogSender {
 public:
  static constexpr std::chrono::seconds kLastSend{2};

  // For the target see SyslogSocket::parse(); the collector may be away.
  [[nodiscard]] static Result<std::unique_ptr<SyslogSender>, std::string> open(const std::string& target,
                                                                               std::size_t capacity = 1U
                                                                                                      << 16);
  // Ends the thread; sends what waits unless the collector was away the last time, for kLastSend at most (and
  // what one call to the collector takes).
  ~SyslogSender();
  SyslogSender(const SyslogSender&) = delete;
  SyslogSender& operator=(const SyslogSender&) = delete;

  void start();  // the thread
  // Waits for nothing. One thread at a time.
  void add(std::string message);
  // Sends what waits, as far as the collector takes it; what is acknowledged meanwhile makes room. By the
  // thread; by tests that have started none.
  void send(TimePoint now);
  // Given to the collector; TCP: and acknowledged by its machine.
  [[nodiscard]] std::uint64_t sent() const { return sent_.get(); }
  [[nodiscard]] std::uint64_t lost() const { return lost_.get(); }

 private:
  SyslogSender(SyslogSocket socket, std::size_t capacity) : socket_(std::move(socket)), capacity_(capacity) {}
  void run();
  enum class Step { kSent, kNothing, kFailed };  // kFailed: errno says why
  [[nodiscard]] Step send_some();
  [[nodiscard]] Step send_next();
  void settle(TimePoint now);
  void forget_acknowledged(std::size_t unacknowledged);
  void send_again();
  void give_up(TimePoint now, const char* why);

  SyslogSocket socket_;
  std::size_t capacity_;
  std::mutex mutex_;  // of the two queues and of end_by_
  std::deque<std::string> waiting_;
  std::deque<std::string> unacknowledged_;  // sent over this connection, TCP only
  std::size_t unacknowledged_bytes_ = 0;
  std::optional<TimePoint> end_by_;  // the end has come: nothing is begun after that time
  std::condition_variable stopping_;
  TimePoint retry_at_;
  Duration pause_{};  // not zero: the last attempt was in vain
  Counter sent_;
  Counter lost_;
  std::thread thread_;
};

}  // namespace isthmus::nat64
