// SPDX-License-Identifier: Apache-2.0
#include "controller/core/access.hpp"

#include <gtest/gtest.h>

namespace isthmus::controller {
namespace {

Caller with(std::vector<std::string> names) {
  return Caller::certificate(names, "ipv4:192.0.2.1:4711");
}

TEST(RightNeeded, ReadingVerbsReadAndEverythingElseChanges) {
  EXPECT_EQ(Right::kRead, right_needed("/isthmus.v1.Admin/GetPolicy"));
  EXPECT_EQ(Right::kRead, right_needed("/isthmus.v1.Admin/ValidatePolicy"));
  EXPECT_EQ(Right::kRead, right_needed("/isthmus.v1.Admin/LeaseHistory"));
  EXPECT_EQ(Right::kChange, right_needed("/isthmus.v1.Admin/Fence"));
  EXPECT_EQ(Right::kChange, right_needed("/isthmus.v1.Admin/"));
  EXPECT_EQ(Right::kChange, right_needed("/isthmus.v1.Admin/SomethingNew"));
  EXPECT_EQ(Right::kChange, right_needed("/isthmus.v1.Other/GetSecret"));
  EXPECT_EQ(Right::kChange, right_needed(""));
  EXPECT_EQ(Right::kRegister, right_needed("/isthmus.v1.ControlPlane/Session"));
  EXPECT_EQ(Right::kGreet, right_needed("/grpc.health.v1.Health/Check"));
}

TEST(Caller, EachRoleHasItsRightsAndNoMore) {
  struct Row {
    const char* name;
    bool registers, reads, changes;
  };
  for (const auto& row : {Row{"gw1.nat64.isthmus.internal", true, false, false},
                          Row{"*.dns64.isthmus.internal", true, false, false},
                          Row{"grafana.reader.isthmus.internal", false, true, false},
                          Row{"alice.operator.isthmus.internal", false, true, true}}) {
    SCOPED_TRACE(row.name);
    const auto caller = with({row.name});
    EXPECT_TRUE(caller.may(Right::kGreet));
    EXPECT_EQ(row.registers, caller.may(Right::kRegister).has_value());
    EXPECT_EQ(row.reads, caller.may(Right::kRead).has_value());
    EXPECT_EQ(row.changes, caller.may(Right::kChange).has_value());
  }
}

TEST(Caller, ANodeRegistersUnderItsOwnNameOnly) {
  const auto gw1 = with({"GW1.eu.nat64.Isthmus.Internal"});
  EXPECT_TRUE(gw1.may_register(ServiceKind::kNat64, "gw1.eu"));
  EXPECT_FALSE(gw1.may_register(ServiceKind::kNat64, "gw2.eu"));
  EXPECT_FALSE(gw1.may_register(ServiceKind::kNat64, "gw1"));
  EXPECT_FALSE(gw1.may_register(ServiceKind::kDns64, "gw1.eu"));
  EXPECT_NE(std::string::npos,
            gw1.may_register(ServiceKind::kNat64, "gw2").error().find("gw2.nat64.isthmus.internal"));
}

TEST(Caller, AStarIsAnyNodeOfItsKind) {
  const auto replicas = with({"*.dns64.isthmus.internal"});
  EXPECT_TRUE(replicas.may_register(ServiceKind::kDns64, "dns64-7f9c"));
  EXPECT_FALSE(replicas.may_register(ServiceKind::kNat64, "gw1"));
}

TEST(Caller, OtherNamesGiveNothing) {
  for (const char* name :
       {"", "localhost", "alice.operator", "operator.isthmus.internal", ".operator.isthmus.internal",
        "alice.admin.isthmus.internal", "alice.operator.isthmus.internal.example.com"}) {
    SCOPED_TRACE(name);
    const auto caller = with({name});
    EXPECT_FALSE(caller.may(Right::kGreet));
    EXPECT_FALSE(caller.may(Right::kRead));
    EXPECT_FALSE(caller.may_register(ServiceKind::kNat64, "gw1"));
  }
  const auto refusal = with({}).may(Right::kRead).error();
  EXPECT_NE(std::string::npos, refusal.find("NAME.ROLE.isthmus.internal"));
  for (const auto role : kRoleNames.all()) EXPECT_NE(std::string::npos, refusal.find(role)) << role;
}

TEST(Caller, SeveralNamesAddUp) {
  const auto caller = with({"gw1.nat64.isthmus.internal", "gw1", "ops.reader.isthmus.internal"});
  EXPECT_TRUE(caller.may_register(ServiceKind::kNat64, "gw1"));
  EXPECT_TRUE(caller.may(Right::kRead));
  EXPECT_FALSE(caller.may(Right::kChange));
  EXPECT_EQ("gw1.nat64,ops.reader (ipv4:192.0.2.1:4711)", caller.name());
}

TEST(Caller, WithoutTlsThereIsNobodyToTellApart) {
  const auto caller = Caller::plain_text("ipv4:127.0.0.1:4711");
  EXPECT_TRUE(caller.may(Right::kChange));
  EXPECT_TRUE(caller.may_register(ServiceKind::kNat64, "gw1"));
}

}  // namespace
}  // namespace isthmus::controller
