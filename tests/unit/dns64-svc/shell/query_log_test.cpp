// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/query_log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "common/base/unique_fd.hpp"

namespace isthmus::dns64 {
namespace {

QueryRecord record() {
  QueryRecord made{.at = WallTime{std::chrono::milliseconds{1764072000123}},
                   .client = {.address = Ipv6Address::parse("2001:db8::5").value()},
                   .name = Name::parse("www.example.").value(),
                   .type = 28};
  made.step.outcome = Outcome::kSynthesized;
  made.step.from_cache = true;
  made.step.size = 68;
  made.took = std::chrono::microseconds{7};
  return made;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream in{path};
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

class QueryLogFile : public testing::Test {
 protected:
  void TearDown() override { unlink(path_.c_str()); }
  std::string path_ = "/tmp/isthmus-query-log-" + std::to_string(getpid());
};

void answer(QueryTap& tap) {
  const Request request = [] {
    Request made;
    made.asked = Name::parse("www.example.").value();
    made.type = 28;
    return made;
  }();
  const ClientInfo client{.address = Ipv6Address::parse("2001:db8::5").value()};
  const Step step;
  const std::shared_ptr<const Dns64Runtime> none;
  tap.on_reply(
      {.request = request, .client = client, .step = step, .reply = {}, .took = {}, .runtime = none});
}

TEST(QueryLogLine, SaysWhatWasAskedAndWhatCameOfIt) {
  EXPECT_EQ(query_log_line(record()),
            "{\"time\":\"2025-11-25T12:00:00.123Z\",\"client\":\"2001:db8::5\",\"transport\":\"udp\","
            "\"name\":\"www.example.\",\"type\":\"AAAA\",\"rcode\":\"NOERROR\",\"outcome\":\"synthesized\","
            "\"cache\":\"hit\",\"micros\":7,\"bytes\":68}");
}

TEST(QueryLogLine, IsAsciiWhateverTheNameHolds) {
  auto odd = record();
  const std::uint8_t label[] = {'"', 0xff, '\n', 'x'};
  odd.name = Name{};
  ASSERT_TRUE(odd.name.append_label(label));
  const auto line = query_log_line(odd);
  for (const char c : line) EXPECT_TRUE(c >= ' ' && c < 127) << line;
}

TEST_F(QueryLogFile, EveryRecordIsWrittenWhenTheLogEnds) {
  auto log = QueryLog::open(path_, 1).value();
  auto tap = log->tap_of(0);
  for (int i = 0; i < 10; ++i) answer(*tap);
  log.reset();
  EXPECT_EQ(lines_of(path_).size(), 10U);
}

TEST_F(QueryLogFile, ASampleIsOneOfSoMany) {
  auto log = QueryLog::open(path_, 5).value();
  auto tap = log->tap_of(0);
  for (int i = 0; i < 23; ++i) answer(*tap);
  log.reset();
  EXPECT_EQ(lines_of(path_).size(), 4U);
}

TEST_F(QueryLogFile, WhatComesFasterThanItIsWrittenIsLostAndCounted) {
  auto log = QueryLog::open(path_, 1).value();
  auto tap = log->tap_of(0);
  for (int i = 0; i < 200000; ++i) answer(*tap);
  const auto lost = log->lost();
  log.reset();
  EXPECT_GT(lost, 0U);
  EXPECT_EQ(lines_of(path_).size() + lost, 200000U);
}

TEST_F(QueryLogFile, AWorkerThatNeverRestsDoesNotKeepTheLogFromBeingWritten) {
  auto log = QueryLog::open(path_, 1).value();
  auto tap = log->tap_of(0);
  std::atomic<bool> done{false};
  std::thread worker{[&] {
    while (!done) answer(*tap);
  }};
  bool written = false;
  for (int i = 0; i < 1000 && !written; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
    written = std::ifstream{path_}.peek() != std::ifstream::traits_type::eof();
  }
  done = true;
  worker.join();
  EXPECT_TRUE(written);
}

TEST_F(QueryLogFile, AReaderThatReadsNothingDoesNotHoldUpTheEnd) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  const UniqueFd reader{::open(path_.c_str(), O_RDONLY | O_NONBLOCK)};
  auto log = QueryLog::open(path_, 1).value();
  auto tap = log->tap_of(0);
  for (int i = 0; i < 2000; ++i) answer(*tap);  // more than a FIFO holds
  std::this_thread::sleep_for(std::chrono::milliseconds{300});
  const auto before = boot_now();
  log.reset();
  EXPECT_LT(boot_now() - before, std::chrono::seconds{3});
}

TEST_F(QueryLogFile, AFifoWithoutAReaderIsWaitedForByNobody) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  auto log = QueryLog::open(path_, 1).value();
  auto tap = log->tap_of(0);
  answer(*tap);
  for (int i = 0; i < 500 && log->lost() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  EXPECT_EQ(log->lost(), 1U);
}

TEST_F(QueryLogFile, ALineThatWasTornIsEndedBeforeTheNextAndOnlyWhatDidNotLeaveCounts) {
  (void)signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 1000, .rlim_max = before.rlim_max};  // a full disk: within a line
  auto log = QueryLog::open(path_, 1).value();
  auto tap = log->tap_of(0);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  for (int i = 0; i < 10; ++i) answer(*tap);
  for (int i = 0; i < 500 && log->lost() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  const auto lost = log->lost();
  answer(*tap);
  log.reset();
  std::uint64_t whole = 0;
  const auto lines = lines_of(path_);
  for (const auto& line : lines) whole += nlohmann::json::accept(line) ? 1U : 0U;
  EXPECT_GT(lost, 0U);
  EXPECT_EQ(whole + lost, 11U);
  EXPECT_EQ(whole + 1, lines.size());
  EXPECT_TRUE(nlohmann::json::accept(lines.back()));
}

TEST(QueryLogOpen, APathThatCannotBeWrittenIsASentence) {
  const auto log = QueryLog::open("/nonexistent/log", 1);
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().find("--query-log"), std::string::npos);
}

}  // namespace
}  // namespace isthmus::dns64
