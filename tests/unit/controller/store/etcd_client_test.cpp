// SPDX-License-Identifier: Apache-2.0
#include "controller/store/etcd_client.hpp"

#include <gtest/gtest.h>

namespace isthmus::controller {
namespace {

using grpc::Status;
using grpc::StatusCode;

TEST(EtcdClient, ATokenThatIsMissingExpiredOrOlderThanItsRolesIsAskedForAnew) {
  EXPECT_TRUE(wants_token(Status{StatusCode::UNAUTHENTICATED, "etcdserver: invalid auth token"}));
  EXPECT_TRUE(wants_token(Status{StatusCode::INVALID_ARGUMENT, "etcdserver: user name is empty"}));
  EXPECT_TRUE(wants_token(Status{StatusCode::INVALID_ARGUMENT, "etcdserver: revision of auth store is old"}));
}

TEST(EtcdClient, AnotherRefusalHasNothingToDoWithTheToken) {
  EXPECT_FALSE(wants_token(Status::OK));
  EXPECT_FALSE(wants_token(Status{StatusCode::PERMISSION_DENIED, "etcdserver: permission denied"}));
  EXPECT_FALSE(wants_token(Status{StatusCode::INVALID_ARGUMENT, "etcdserver: key is not provided"}));
}

}  // namespace
}  // namespace isthmus::controller
