// SPDX-License-Identifier: Apache-2.0
#include "common/config/policy_diff.hpp"

#include <gmock/gmock.h>

#include "common/config/yaml.hpp"

namespace isthmus {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

v1::Policy policy(const std::string& yaml) {
  auto parsed = parse_policy_yaml(yaml);
  EXPECT_TRUE(parsed.has_value()) << parsed.error()[0].message;
  return parsed.value_or(v1::Policy{});
}

TEST(PolicyDiff, APolicyDoesNotDifferFromItself) {
  const auto p =
      policy("{revision: 3, pools: [{name: a, addresses: [192.0.2.1, 192.0.2.2], lease: {term: 30s}}]}");
  EXPECT_THAT(diff(p, p), IsEmpty());
}

TEST(PolicyDiff, ValuesAreToldAsTheyAreWritten) {
  const auto before = policy("{pools: [{name: a, lease: {term: 30s}}], nat64: {hairpinning: true}}");
  const auto after = policy("{pools: [{name: a, lease: {term: 2m, on_expiry: STOP}}]}");
  EXPECT_THAT(diff(before, after), ElementsAre(PolicyChange{"pools[a].lease.on_expiry", "", "STOP"},
                                               PolicyChange{"pools[a].lease.term", "30s", "120s"},
                                               PolicyChange{"nat64.hairpinning", "true", ""}));
}

TEST(PolicyDiff, OfAListOnlyWhatCameAndWentIsTold) {
  const auto before = policy("{exclusions: {ipv4_destinations: [192.0.2.0/24, 198.51.100.0/24]}}");
  const auto after = policy("{exclusions: {ipv4_destinations: [198.51.100.0/24, 203.0.113.0/24]}}");
  EXPECT_THAT(diff(before, after),
              ElementsAre(PolicyChange{"exclusions.ipv4_destinations", "192.0.2.0/24", ""},
                          PolicyChange{"exclusions.ipv4_destinations", "", "203.0.113.0/24"}));
}

TEST(PolicyDiff, ObjectsAreFoundByNameWhereverTheyStand) {
  const auto before = policy("{pools: [{name: a, addresses: [192.0.2.1]}, {name: b}]}");
  const auto after = policy("{pools: [{name: b}, {name: c}, {name: a, addresses: [192.0.2.1]}]}");
  EXPECT_THAT(diff(before, after), ElementsAre(PolicyChange{"pools[c].name", "", "c"}));
}

}  // namespace
}  // namespace isthmus
