// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/session/dns_stream.hpp"

#include <gtest/gtest.h>

#include "tests/unit/dns64-svc/session/fake_host.hpp"

namespace isthmus::dns64 {
namespace {

Bytes framed(const Bytes& message) {
  Bytes bytes{static_cast<std::uint8_t>(message.size() >> 8), static_cast<std::uint8_t>(message.size())};
  bytes.insert(bytes.end(), message.begin(), message.end());
  return bytes;
}
Bytes reply_frame(char first) {
  return framed(FakeHost::reply_to(question(first)));
}

class DnsStreamTest : public testing::Test {
 protected:
  DnsStreamTest() { host.session = &stream; }
  FakeHost host;
  DnsStream stream{host};
};

TEST_F(DnsStreamTest, NothingIsTakenBeforeAMessageIsWhole) {
  const auto bytes = framed(question('a'));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_EQ(stream.receive(std::span{bytes}.first(size)), 0U);
  EXPECT_EQ(stream.receive(bytes), bytes.size());
  EXPECT_EQ(host.written, reply_frame('a'));
}

TEST_F(DnsStreamTest, RepliesLeaveInTheOrderTheyAreReady) {
  Bytes all;
  for (const char first : {'l', 'a', 'n', 'l'}) {
    const auto one = framed(question(first));
    all.insert(all.end(), one.begin(), one.end());
  }
  EXPECT_EQ(stream.receive(all), all.size());
  EXPECT_EQ(host.written, reply_frame('a'));
  EXPECT_EQ(stream.in_work(), 2U);
  host.written.clear();
  host.answer(1);
  host.answer(0);
  EXPECT_EQ(stream.in_work(), 0U);
  EXPECT_EQ(host.written.size(), 2 * reply_frame('l').size());
}

TEST_F(DnsStreamTest, TheLimitOfRequestsInWorkLeavesTheRestUntaken) {
  Bytes many;
  const auto one = framed(question('l'));
  for (std::size_t i = 0; i < Session::kMaxInWork + 1; ++i) many.insert(many.end(), one.begin(), one.end());
  EXPECT_EQ(stream.receive(many), one.size() * Session::kMaxInWork);
  EXPECT_FALSE(stream.takes_more());
  host.answer(0);
  EXPECT_TRUE(stream.takes_more());
  EXPECT_EQ(stream.receive(one), one.size());
}

TEST_F(DnsStreamTest, APeerThatTakesNoRepliesGivesNoRequests) {
  host.writable = false;
  EXPECT_EQ(stream.receive(framed(question('a'))), 0U);
}

TEST_F(DnsStreamTest, AMessageWithoutRoomForAHeaderEndsTheStream) {
  EXPECT_EQ(stream.receive(Bytes{0, 5, 1, 2, 3, 4, 5}), 7U);
  EXPECT_TRUE(stream.finished());
  EXPECT_TRUE(host.requests.empty());
}

TEST_F(DnsStreamTest, DrainingEndsWhenWhatIsInWorkIsAnswered) {
  (void)stream.receive(framed(question('l')));
  stream.drain();
  EXPECT_FALSE(stream.finished());
  EXPECT_FALSE(stream.takes_more());
  host.answer(0);
  EXPECT_TRUE(stream.finished());
}

TEST_F(DnsStreamTest, RepliesThatNobodyAskedForAreIgnored) {
  stream.reply(0, question('a'));
  stream.abandon(0, DropReason::kRateLimited);
  EXPECT_TRUE(host.written.empty());
}

}  // namespace
}  // namespace isthmus::dns64
