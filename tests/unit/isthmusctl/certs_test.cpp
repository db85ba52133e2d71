// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/certs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(CertificatesToMake, ByDefaultAControllerAnOperatorAReaderAndAllNodes) {
  const auto wanted = certificates_to_make({});
  ASSERT_TRUE(wanted);
  ASSERT_EQ(5U, wanted->size());
  EXPECT_THAT((*wanted)[0].alternative_names,
              ElementsAre("DNS:localhost", "IP:127.0.0.1", "IP:::1", "DNS:any.controller.isthmus.internal"));
  EXPECT_EQ("operator-admin", (*wanted)[1].folder);
  EXPECT_THAT((*wanted)[1].alternative_names, ElementsAre("DNS:admin.operator.isthmus.internal"));
  EXPECT_EQ("nat64", (*wanted)[4].folder);
  EXPECT_THAT((*wanted)[4].alternative_names, ElementsAre("DNS:*.nat64.isthmus.internal"));
}

TEST(CertificatesToMake, ANodeOfItsOwnGetsItsOwn) {
  CertsOptions options;
  options.identities = {"nat64/gw1.eu"};
  const auto wanted = certificates_to_make(options);
  ASSERT_TRUE(wanted);
  EXPECT_EQ("nat64-gw1.eu", (*wanted)[1].folder);
  EXPECT_THAT((*wanted)[1].alternative_names, ElementsAre("DNS:gw1.eu.nat64.isthmus.internal"));
}

TEST(CertificatesToMake, AMistakeIsQuoted) {
  for (const char* identity :
       {"", "alice", "admin/alice", "operator/", "operator/*", "nat64/../../etc", "nat64/a,DNS:b"}) {
    CertsOptions options;
    options.identities = {identity};
    const auto wanted = certificates_to_make(options);
    ASSERT_FALSE(wanted) << identity;
    EXPECT_THAT(wanted.error(), HasSubstr("'" + std::string{identity} + "'"));
  }
}

}  // namespace
}  // namespace isthmus
