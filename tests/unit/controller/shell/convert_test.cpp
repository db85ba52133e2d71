// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/convert.hpp"

#include <gtest/gtest.h>

#include "controller/core/control_plane.hpp"
#include "controller/store/schema.hpp"

namespace isthmus::controller {
namespace {

std::string x_and_euro(std::size_t n) {
  std::string text;
  text.append(n, 'x');
  text.append("\u20ac");
  return text;
}

v1::Hello hello() {
  v1::Hello in;
  in.set_node_id("gw1");
  in.set_kind(v1::NAT64);
  in.set_incarnation("one");
  in.set_boot_id("boot");
  return in;
}

TEST(HelloFromProto, ABuildThatIsTooLongIsCutAtACharacter) {
  auto in = hello();
  in.set_build(x_and_euro(252));
  const auto out = hello_from_proto(in, "peer");
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(std::string(252, 'x'), out->build) << "or the lists of nodes could not be read by anybody";
}

TEST(HelloFromProto, NamesThatNoKeyOfTheStoreCanHoldAreRefusedWithTheReason) {
  const std::string slashes(200, '/');
  for (auto name : {&v1::Hello::mutable_node_id, &v1::Hello::mutable_machine, &v1::Hello::mutable_boot_id}) {
    auto in = hello();
    *(in.*name)() = slashes;
    const auto out = hello_from_proto(in, "peer");
    ASSERT_FALSE(out.has_value());
    EXPECT_NE(std::string::npos, out.error().find("too many of the characters / and %"));
  }
}

TEST(HelloFromProto, TheLongestNamesThatAreTakenFitAKeyTogether) {
  const auto longest = std::string(123, '/') + std::string(130, 'x');
  auto in = hello();
  in.set_node_id(longest);
  in.set_machine(longest);
  const auto out = hello_from_proto(in, "peer");
  ASSERT_TRUE(out.has_value()) << out.error();
  EXPECT_LE(node_key(holder_of(*out)).size(), kMaxKey);
  EXPECT_LE(drain_key(out->node_id).size(), kMaxKey);
}

TEST(ViolationsFromProto, AreCutAtACharacter) {
  google::protobuf::RepeatedPtrField<v1::Violation> in;
  in.Add()->set_message(x_and_euro(999));
  EXPECT_EQ(std::string(999, 'x'), violations_from_proto(in)[0].message);
}

}  // namespace
}  // namespace isthmus::controller
