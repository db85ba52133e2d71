// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/event_spool.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

namespace isthmus::nat64 {
namespace {

EventRecord block(std::uint16_t first) {
  EventRecord record;
  record.kind = RecordKind::kBlockTaken;
  record.subscriber = *Ipv6Prefix::parse("2001:db8:1::/64");
  record.public4 = Ipv4Address{203, 0, 113, 7};
  record.first_port = first;
  record.last_port = static_cast<std::uint16_t>(first + 255);
  return record;
}

TEST(EventLine, ABlockNamesSubscriberAddressPortsAndUtcTime) {
  EXPECT_EQ(event_line(block(1024), WallTime{std::chrono::milliseconds{1700000000123}}, "gw1"),
            R"({"time":"2023-11-14T22:13:20.123Z","node":"gw1","event":"block_taken",)"
            R"("subscriber":"2001:db8:1::/64","public4":"203.0.113.7","first_port":1024,"last_port":1279})");
}

TEST(EventLine, AStaticMappingNamesItsProtocol) {
  auto record = block(80);
  record.last_port = 80;
  record.protocol = Protocol::kUdp;
  for (const auto kind : {RecordKind::kStaticUsed, RecordKind::kStaticFreed}) {
    record.kind = kind;
    EXPECT_NE(event_line(record, {}, "gw1").find(R"("last_port":80,"protocol":"udp"})"), std::string::npos);
  }
}

TEST(EventLine, ALimitNamesTheReasonAndNoAddress) {
  EventRecord record;
  record.kind = RecordKind::kLimitReached;
  record.limit = DropReason::kBlockLimit;
  const auto line = event_line(record, {}, "gw1");
  EXPECT_NE(line.find(R"("limit":"block_limit")"), std::string::npos);
  EXPECT_EQ(line.find("public4"), std::string::npos);
}

TEST(EventLine, ANodeNameIsEscaped) {
  EXPECT_NE(event_line(block(1), {}, "a\"b").find(R"("node":"a\"b")"), std::string::npos);
}

TEST(EventQueue, AFullQueueLosesTheNewestAndCountsIt) {
  EventQueue queue(2);
  for (std::uint16_t port = 1; port <= 5; ++port) queue.put(block(port));
  EXPECT_EQ(queue.lost(), 3U);
  std::vector<std::uint16_t> ports;
  queue.drain([&](const EventRecord& record) { ports.push_back(record.first_port); });
  EXPECT_EQ(ports, (std::vector<std::uint16_t>{1, 2}));
  queue.put(block(6));
  queue.drain([&](const EventRecord& record) { ports.push_back(record.first_port); });
  EXPECT_EQ(ports.back(), 6);
}

std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::filesystem::path scratch(const char* name) {
  return std::filesystem::temp_directory_path() / (std::string(name) + std::to_string(getpid()));
}

TEST(EventSpool, EveryRecordIsInTheFileBetweenStartAndStop) {
  const auto path = scratch("isthmus-events-");
  {
    auto spool = EventSpool::open({path.string(), {}}, "gw1", 2);
    ASSERT_TRUE(spool) << spool.error();
    (*spool)->queue(0).put(block(1024));
    (*spool)->queue(1).put(block(2048));
  }
  const auto lines = lines_of(path);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_NE(lines.front().find(R"("event":"service_started")"), std::string::npos);
  EXPECT_NE(lines.back().find(R"("event":"service_stopped")"), std::string::npos);
  std::filesystem::remove(path);
}

// A listener whose queue is full: connect() hangs until its patience ends.
TEST(EventSpool, TheFileDoesNotWaitForTheSyslogCollector) {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = static_cast<sockaddr*>(static_cast<void*>(&address));
  ASSERT_EQ(bind(listener.get(), generic, length), 0);
  ASSERT_EQ(getsockname(listener.get(), generic, &length), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  const UniqueFd first(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(connect(first.get(), generic, length), 0);

  const auto path = scratch("isthmus-alone-");
  const auto begin = std::chrono::steady_clock::now();
  auto spool =
      EventSpool::open({path.string(), "tcp:127.0.0.1:" + std::to_string(ntohs(address.sin_port))}, "gw1", 1);
  ASSERT_TRUE(spool) << spool.error();
  (*spool)->queue(0).put(block(1024));
  while (lines_of(path).size() < 2 && std::chrono::steady_clock::now() - begin < std::chrono::seconds{5})
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds{1900});
  std::filesystem::remove(path);
}

TEST(EventSpool, APathThatCannotBeWrittenIsRefused) {
  const auto spool = EventSpool::open({"/nowhere/events", {}}, "gw1", 1);
  ASSERT_FALSE(spool);
  EXPECT_NE(spool.error().find("/nowhere/events"), std::string::npos);
}

TEST(EventFile, AfterAHalfLineARecordBeginsOnALineOfItsOwn) {
  const auto path = scratch("isthmus-half-");
  std::ofstream(path) << "whole\nof a crash";
  {
    auto file = EventFile::open(path.string());
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->append("one\n"));
    // The disk is full in the midst of a record.
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit full{std::filesystem::file_size(path) + 6, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
    EXPECT_FALSE((*file)->append("two\nthree\n"));
    EXPECT_FALSE((*file)->append("four\n"));
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)std::signal(SIGXFSZ, handler);
    ASSERT_TRUE((*file)->append("five\n"));
  }
  auto again = EventFile::open(path.string());
  ASSERT_TRUE((*again)->append("six\n"));
  EXPECT_EQ(lines_of(path),
            (std::vector<std::string>{"whole", "of a crash", "one", "two", "th", "five", "six"}));
  std::filesystem::remove(path);
}

TEST(EventFile, ARenamedFileIsLeftAndANewOneBegun) {
  const auto path = scratch("isthmus-rotate-");
  const auto old = scratch("isthmus-rotated-");
  auto file = EventFile::open(path.string());
  ASSERT_TRUE(file);
  const TimePoint start{std::chrono::hours{1}};
  (*file)->follow_path(start);
  ASSERT_TRUE((*file)->append("one\n"));
  std::filesystem::rename(path, old);
  (*file)->follow_path(start + std::chrono::milliseconds{500});  // looks once a second
  ASSERT_TRUE((*file)->append("two\n"));
  (*file)->follow_path(start + std::chrono::seconds{2});
  ASSERT_TRUE((*file)->append("three\n"));
  EXPECT_EQ(lines_of(old), (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(lines_of(path), (std::vector<std::string>{"three"}));
  std::filesystem::rename(path, old);
  (*file)->reopen();
  (*file)->follow_path(start + std::chrono::seconds{2});
  ASSERT_TRUE((*file)->append("four\n"));
  EXPECT_EQ(lines_of(path), (std::vector<std::string>{"four"}));
  std::filesystem::remove(path);
  std::filesystem::remove(old);
}

}  // namespace
}  // namespace isthmus::nat64
