// SPDX-License-Identifier: Apache-2.0
// One JSON object per line for one of every N queries. Workers put records into rings of their own; a thread
// writes them out. The file is opened again when it was moved away (logrotate).
//
//   {"time":"2026-11-25T12:00:00.123Z","client":"2001:db8::5","transport":"udp","name":"www.example.","type":"AAAA",
//    "rcode":"NOERROR","outcome":"synthesized","view":"default","prefix":"well-known","ede":29,"cache":"hit",
//    "micros":7,"bytes":68}
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/result.hpp"
#include "dns64-svc/shell/patience.hpp"
#include "dns64-svc/shell/query_tap.hpp"

namespace isthmus::dns64 {

// What is kept of a query until it is written.
struct QueryRecord {
  WallTime at;
  ClientInfo client;
  Name name;
  std::uint16_t type = 0;
  Step step;
  Duration took{};
  std::shared_ptr<const Dns64Runtime> runtime;
};

// The line without its end. Pure.
[[nodiscard]] std::string query_log_line(const QueryRecord& record);

class QueryLog final : public QueryTaps {
 public:
  // `path`: a file that is appended to, or "-" for standard output. `sample`: one of so many, at least 1. The
  // error is a sentence with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<QueryLog>, std::string> open(const std::string& path,
                                                                           std::uint32_t sample);
  ~QueryLog() override;
  [[nodiscard]] std::unique_ptr<QueryTap> tap_of(unsigned worker) override;
  [[nodiscard]] std::uint64_t lost() const override { return lost_.load(std::memory_order_relaxed); }

 private:
  class Ring;
  class Tap;
  QueryLog(std::string path, std::uint32_t sample);
  // What is taken from the rings at a time.
  struct Batch {
    std::string lines;
    bool more = false;  // there may be more already
  };
  void run();
  [[nodiscard]] Batch take() const;
  void write(std::string_view lines);
  [[nodiscard]] bool write_all(std::string_view& text);  // false: what could not be written is left in it
  [[nodiscard]] bool reopen_if_moved();

  std::string path_;
  std::uint32_t sample_;
  int fd_ = -1;
  bool torn_ = false;  // what was written last ends within a line
  std::atomic<std::uint64_t> lost_{0};
  Patience patience_;
  std::mutex mutex_;  // of what follows
  std::condition_variable wake_;
  std::vector<std::shared_ptr<Ring>> rings_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace isthmus::dns64
