// SPDX-License-Identifier: Apache-2.0
// Event records to a syslog collector (RFC 5424) over a local socket, UDP (RFC 5426) or TCP (RFC 6587, octet
// counting). What cannot be sent now waits in a bounded queue; what finds the queue full is lost and counted.
// UDP loses without telling: use TCP, or the file beside it, where every record counts.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/clock.hpp"
#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "nat64-svc/core/counters.hpp"

namespace isthmus::nat64 {

// Pure: <134>1 TIME NODE nat64-svc PID EVENT - MESSAGE. `time` is RFC 3339; characters that a header field
// may not have become "_".
[[nodiscard]] std::string syslog_message(std::string_view time, std::string_view node, int pid,
                                         std::string_view event, std::string_view message);

class SyslogSender {
 public:
  // "unix:/dev/log", "udp:HOST:PORT" or "tcp:HOST:PORT"; the collector may be away. The error is a sentence
  // with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<SyslogSender>, std::string> open(const std::string& target,
                                                                               std::size_t capacity = 1U
                                                                                                      << 16);

  void add(std::string message);
  // Sends what waits, as far as the collector takes it; waits for it at most two seconds.
  void send(TimePoint now);
  [[nodiscard]] std::uint64_t sent() const { return sent_.get(); }
  [[nodiscard]] std::uint64_t lost() const { return lost_.get(); }

 private:
  enum class Transport { kUnix, kUdp, kTcp };
  SyslogSender(Transport transport, std::string host, std::string port, std::size_t capacity)
      : transport_(transport), host_(std::move(host)), port_(std::move(port)), capacity_(capacity) {}
  [[nodiscard]] bool connect();
  [[nodiscard]] bool connect_unix();
  [[nodiscard]] bool connect_inet();
  [[nodiscard]] bool send_one(const std::string& message);
  void gave_up(TimePoint now);

  Transport transport_;
  std::string host_, port_;  // unix: the path in host_
  std::size_t capacity_;
  UniqueFd fd_;
  std::deque<std::string> waiting_;
  TimePoint retry_at_;
  Duration pause_{};
  Counter sent_;
  Counter lost_;
};

}  // namespace isthmus::nat64
