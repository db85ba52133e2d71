// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/lab_ca.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus {
namespace {

using testing::HasSubstr;

TEST(LabCa, ComesBackFromItsFilesAndIssues) {
  const auto made = LabCa::make("lab", 10);
  ASSERT_TRUE(made);
  const auto again = LabCa::load(made->pem());
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(made->pem().certificate, again->pem().certificate);
  const auto issued = again->issue("gw1", {"DNS:gw1.nat64.isthmus.internal", "IP:192.0.2.1"}, 10);
  ASSERT_TRUE(issued) << issued.error();
  EXPECT_THAT(issued->certificate, HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_THAT(issued->key, HasSubstr("PRIVATE KEY"));
}

TEST(LabCa, AnotherAuthoritysKeyIsRefused) {
  const auto one = LabCa::make("one", 10);
  const auto two = LabCa::make("two", 10);
  ASSERT_TRUE(one && two);
  EXPECT_FALSE(LabCa::load({one->pem().certificate, two->pem().key}));
  EXPECT_FALSE(LabCa::load({"", ""}));
  EXPECT_FALSE(LabCa::load({"not PEM", one->pem().key}));
}

TEST(LabCa, ANameOpensslDoesNotKnowIsAnError) {
  const auto ca = LabCa::make("lab", 10);
  ASSERT_TRUE(ca);
  const auto issued = ca->issue("x", {"IP:not an address"}, 10);
  ASSERT_FALSE(issued);
  EXPECT_THAT(issued.error(), HasSubstr("IP:not an address"));
}

}  // namespace
}  // namespace isthmus
