// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/xsk/quick_targets.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace isthmus::nat64 {
namespace {

// The comparisons of the steering program.
bool takes6(const steer_quick& quick, const std::string& address) {
  std::uint8_t bytes[16];
  Ipv6Address::parse(address)->store(bytes);
  __u64 words[2];
  std::memcpy(words, bytes, sizeof bytes);
  for (const auto& [wanted, mask] : quick.prefixes6)
    if ((words[0] & mask[0]) == wanted[0] && (words[1] & mask[1]) == wanted[1]) return true;
  return false;
}

bool takes4(const steer_quick& quick, const std::string& address) {
  const auto value = Ipv4Address::parse(address)->value();
  for (const auto& [first, last] : quick.ranges4)
    if (value >= first && value <= last) return true;
  return false;
}

std::set<Ipv6Prefix> six(std::initializer_list<const char*> texts) {
  std::set<Ipv6Prefix> set;
  for (const auto* text : texts) set.insert(*Ipv6Prefix::parse(text));
  return set;
}

std::set<Ipv4Prefix> four(std::initializer_list<const char*> texts) {
  std::set<Ipv4Prefix> set;
  for (const auto* text : texts) set.insert(*Ipv4Prefix::parse(text));
  return set;
}

TEST(QuickTargets, NothingIsTakenWithoutTargets) {
  const auto quick = quick_targets({}, {});
  for (const auto* address : {"::", "::1", "64:ff9b::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"})
    EXPECT_FALSE(takes6(quick, address)) << address;
  for (const auto* address : {"0.0.0.0", "0.0.0.1", "203.0.113.1", "255.255.255.255"})
    EXPECT_FALSE(takes4(quick, address)) << address;
}

TEST(QuickTargets, PrefixesOfEachLengthTakeTheirOwnAddressesOnly) {
  struct Case {
    const char *prefix, *first, *last, *before, *after;
  };
  for (const auto& c : {
           Case{"2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"},
           Case{"2001:db8:100::/40", "2001:db8:100::", "2001:db8:1ff:ffff:ffff:ffff:ffff:ffff",
                "2001:db8:ff:ffff:ffff:ffff:ffff:ffff", "2001:db8:200::"},
           Case{"2001:db8:122::/48", "2001:db8:122::", "2001:db8:122:ffff:ffff:ffff:ffff:ffff",
                "2001:db8:121:ffff:ffff:ffff:ffff:ffff", "2001:db8:123::"},
           Case{"2001:db8:122:300::/56", "2001:db8:122:300::", "2001:db8:122:3ff:ffff:ffff:ffff:ffff",
                "2001:db8:122:2ff:ffff:ffff:ffff:ffff", "2001:db8:122:400::"},
           Case{"2001:db8:122:344::/64", "2001:db8:122:344::", "2001:db8:122:344:ffff:ffff:ffff:ffff",
                "2001:db8:122:343:ffff:ffff:ffff:ffff", "2001:db8:122:345::"},
           Case{"64:ff9b::/96", "64:ff9b::", "64:ff9b::ffff:ffff", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff",
                "64:ff9b::1:0:0"},
       }) {
    const auto quick = quick_targets(six({c.prefix}), {});
    EXPECT_TRUE(takes6(quick, c.first)) << c.prefix;
    EXPECT_TRUE(takes6(quick, c.last)) << c.prefix;
    EXPECT_FALSE(takes6(quick, c.before)) << c.prefix;
    EXPECT_FALSE(takes6(quick, c.after)) << c.prefix;
    EXPECT_FALSE(takes6(quick, "::")) << c.prefix;
  }
}

TEST(QuickTargets, AddressesSideBySideAreOneRange) {
  std::set<Ipv4Prefix> pool;
  for (std::uint32_t host = 1; host < 255; ++host)
    pool.insert(Ipv4Prefix{Ipv4Address{0xcb007100 + host}, 32});
  const auto quick = quick_targets({}, pool);
  EXPECT_EQ(quick.ranges4[0].first, 0xcb007101);
  EXPECT_EQ(quick.ranges4[0].last, 0xcb0071fe);
  EXPECT_GT(quick.ranges4[1].first, quick.ranges4[1].last);
  EXPECT_FALSE(takes4(quick, "203.0.113.0"));
  EXPECT_TRUE(takes4(quick, "203.0.113.1"));
  EXPECT_TRUE(takes4(quick, "203.0.113.254"));
  EXPECT_FALSE(takes4(quick, "203.0.113.255"));
}

TEST(QuickTargets, APrefixAroundAddressesIsOneRange) {
  const auto quick = quick_targets({}, four({"203.0.113.0/24", "203.0.113.7/32", "203.0.114.0/32"}));
  EXPECT_EQ(quick.ranges4[0].first, 0xcb007100);
  EXPECT_EQ(quick.ranges4[0].last, 0xcb007200);
  EXPECT_GT(quick.ranges4[1].first, quick.ranges4[1].last);
}

TEST(QuickTargets, TheLastAddressOfAllEndsARange) {
  const auto quick = quick_targets({}, four({"255.255.255.254/31", "0.0.0.0/32"}));
  EXPECT_TRUE(takes4(quick, "255.255.255.255"));
  EXPECT_TRUE(takes4(quick, "0.0.0.0"));
  EXPECT_FALSE(takes4(quick, "0.0.0.1"));
  EXPECT_FALSE(takes4(quick, "255.255.255.253"));
}

TEST(QuickTargets, OfMoreThanFitTheLargestAreChosen) {
  const auto quick = quick_targets(
      six({"2001:db8:1::/96", "2001:db8:2::/96", "2001:db8:3::/96", "2001:db8:4::/96", "2001:db8:5::/64"}),
      four({"192.0.2.1/32", "192.0.2.3/32", "192.0.2.5/32", "192.0.2.7/32", "203.0.113.0/24"}));
  EXPECT_TRUE(takes6(quick, "2001:db8:5::1"));
  EXPECT_FALSE(takes6(quick, "2001:db8:4::1"));
  EXPECT_TRUE(takes4(quick, "203.0.113.9"));
  EXPECT_FALSE(takes4(quick, "192.0.2.7"));
}

}  // namespace
}  // namespace isthmus::nat64
