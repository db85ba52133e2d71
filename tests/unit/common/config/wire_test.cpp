// SPDX-License-Identifier: Apache-2.0
#include "common/config/wire.hpp"

#include <gtest/gtest.h>

namespace isthmus {
namespace {

TEST(Wire, AllocationSurvivesTheTrip) {
  Allocation in;
  in.draining = true;
  in.addresses.push_back({Ipv4Address{203, 0, 113, 5}, "public", OnExpiry::kStop, std::chrono::seconds{90},
                          true, std::chrono::milliseconds{1500}});
  in.node_prefixes.push_back({"steered", Pref64::parse("2001:db8:64:0:0:1::/96").value(), "gw-1"});
  const auto out = from_proto(to_proto(in));
  ASSERT_TRUE(out);
  EXPECT_EQ(*out, in);
}

TEST(Wire, HealthySetSurvivesTheTrip) {
  HealthySet in;
  in.nodes.push_back({"gw-1", {{"steered", Pref64::parse("2001:db8:64:0:0:1::/96").value(), "gw-1"}}});
  in.retired_prefixes = {{Ipv6Prefix::parse("2001:db8:99::/96").value(), 96},
                         {Ipv6Prefix::parse("2001:db8:98::/48").value(), 48},
                         {Ipv6Prefix::parse("2001:db8:97::/48").value(), 96}};
  const auto out = from_proto(to_proto(in));
  ASSERT_TRUE(out);
  EXPECT_EQ(*out, in);
}

// Of services and controllers that know no `retired`.
TEST(Wire, RetiredPrefixesByTheirTextAloneAreThoseThatItSaysAllOf) {
  HealthySet in;
  in.retired_prefixes = {{Ipv6Prefix::parse("2001:db8:99::/96").value(), 96},
                         {Ipv6Prefix::parse("2001:db8:90::/44").value(), 96},
                         {Ipv6Prefix::parse("2001:db8:97::/48").value(), 96}};
  auto wire = to_proto(in);
  wire.clear_retired();
  const auto out = from_proto(wire);
  ASSERT_TRUE(out);
  in.retired_prefixes.pop_back();  // it would be taken for one that addresses are made with
  EXPECT_EQ(*out, in);
}

TEST(Wire, RetiredPrefixesThatCannotBeAreViolations) {
  v1::HealthySet in;
  const auto add = [&](const char* prefix, unsigned embed_length) {
    auto& to = *in.add_retired();
    to.set_prefix(prefix);
    to.set_embed_length(embed_length);
  };
  add("64:ff9b::/96x", 96);
  add("64:ff9b::/96", 64);
  add("2001:db8::/48", 50);
  add("2001:db8::/48", 96 + 256);
  const auto out = from_proto(in);
  ASSERT_FALSE(out);
  ASSERT_EQ(out.error().size(), 4U);
  EXPECT_EQ(out.error()[0].path, "retired[0].prefix");
  EXPECT_EQ(out.error()[3].path, "retired[3].embed_length");
}

TEST(Wire, BadAddressesAreViolationsWithPaths) {
  v1::Allocation in;
  in.add_addresses()->set_address("203.0.113.999");
  in.add_node_prefixes()->set_prefix("2001:db8::/64");
  const auto out = from_proto(in);
  ASSERT_FALSE(out);
  ASSERT_EQ(out.error().size(), 2U);
  EXPECT_EQ(out.error()[0].path, "addresses[0].address");
  EXPECT_EQ(out.error()[1].path, "node_prefixes[0].prefix");
}

TEST(Wire, VersionsAreOrderedByEpochFirst) {
  v1::Version older;
  older.set_epoch(1);
  older.set_counter(99);
  v1::Version newer;
  newer.set_epoch(2);
  EXPECT_LT(from_proto(older), from_proto(newer));
}

}  // namespace
}  // namespace isthmus
