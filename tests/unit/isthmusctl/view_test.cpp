// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/view.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/config/yaml.hpp"
#include "tests/support/policies.hpp"

namespace isthmus {
namespace {

v1::ListNodesResponse two_nodes() {
  v1::ListNodesResponse answer;
  auto& gateway = *answer.add_nodes();
  gateway.set_node_id("gw-1");
  gateway.set_kind(v1::NAT64);
  gateway.set_connected(true);
  gateway.mutable_report()->set_serving(true);
  gateway.mutable_report()->mutable_nat64()->set_sessions(42);
  gateway.mutable_last_heard()->set_seconds(998);
  gateway.add_addresses_leased("203.0.113.1");
  auto& policy = *gateway.add_resources();
  policy.set_resource(v1::POLICY);
  policy.set_state(v1::ResourceState::REJECTED);
  policy.mutable_running()->set_epoch(3);
  auto& violation = *policy.add_violations();
  violation.set_path("pools[0]");
  violation.set_message("no");
  auto& lost = *answer.add_nodes();
  lost.set_node_id("dns-1");
  lost.set_kind(v1::DNS64);
  return answer;
}

TEST(ShowNodes, TableSaysWhoServesWhoIsLostAndWhoRefused) {
  EXPECT_EQ(show(two_nodes(), Format::kTable, 1000),
            "NODE   KIND   STATE    HEARD  POLICY               ALLOCATION  HEALTH  ADDRESSES    SESSIONS\n"
            "gw-1   nat64  Serving  2s     REJECTED (runs 3.0)  -           -       203.0.113.1  42\n"
            "dns-1  dns64  LOST     -      -                    -           -       -            -\n"
            "gw-1 refused pools[0]: no\n");
}

TEST(ShowNodes, TwoIncarnationsAreShownAsAFault) {
  auto answer = two_nodes();
  answer.mutable_nodes(0)->set_incarnations_alive(2);
  EXPECT_NE(show(answer, Format::kTable, 1000).find("DUPLICATE"), std::string::npos);
}

TEST(ShowNodes, JsonHasTheSchemasNames) {
  const auto json = nlohmann::json::parse(show(two_nodes(), Format::kJson, 1000));
  EXPECT_EQ(json["nodes"][0]["node_id"], "gw-1");
  EXPECT_EQ(json["nodes"][0]["addresses_leased"][0], "203.0.113.1");
}

TEST(ShowNodes, AMachineThatIsAwaitedIsNamedWithWhatToDo) {
  v1::ListNodesResponse answer;
  auto& node = *answer.add_nodes();
  node.set_node_id("gw-1");
  node.set_kind(v1::NAT64);
  node.set_machine("abc");
  node.set_awaited(true);
  const auto text = show(answer, Format::kTable, 1000);
  EXPECT_NE(text.find("AWAITED"), std::string::npos);
  EXPECT_NE(text.find("gw-1 (machine abc) is awaited"), std::string::npos);
  EXPECT_NE(describe(node, 1000).find("fence it"), std::string::npos);
}

TEST(ShowLeases, SaysWhyNothingIsGrantedAndWhoIsAwaited) {
  v1::ListLeasesResponse answer;
  answer.add_leases()->set_address("203.0.113.1");
  EXPECT_EQ(show(answer, Format::kTable, 1000).find("awaited"), std::string::npos);
  answer.set_settling(true);
  auto& awaited = *answer.add_awaited();
  awaited.set_node_id("gw-1");
  awaited.set_machine("abc");
  EXPECT_NE(show(answer, Format::kTable, 1000).find("  gw-1 (machine abc)\n"), std::string::npos);
}

TEST(ShowLeases, WideNamesTheMachines) {
  v1::ListLeasesResponse answer;
  answer.add_leases()->set_machine("abc");
  EXPECT_EQ(show(answer, Format::kTable, 1000).find("abc"), std::string::npos);
  EXPECT_NE(show(answer, Format::kWide, 1000).find("abc"), std::string::npos);
}

TEST(ShowEvents, OneLineEachAndTheOddOnesAreMarked) {
  v1::ListEventsResponse answer;
  auto& event = *answer.add_events();
  event.set_kind("rejected");
  event.set_node_id("gw-1");
  event.set_text("policy refused");
  event.mutable_time()->set_seconds(0);
  event.set_odd(true);
  EXPECT_EQ(show(answer, Format::kTable), "1970-01-01T00:00:00Z ! rejected gw-1: policy refused\n");
  answer.set_missed(true);
  EXPECT_EQ(show(answer, Format::kTable).find("---"), 0U);
  EXPECT_EQ(nlohmann::json::parse(show(answer, Format::kJson))["kind"], "rejected");
}

TEST(ShowPolicy, TableIsYamlThatCanBeAppliedAgain) {
  v1::GetPolicyResponse answer;
  *answer.mutable_policy() = parse_policy_yaml(test::kFullPolicy).value();
  answer.set_source("file /etc/isthmus/policy.yaml");
  answer.add_rejected()->set_message("misspelt");
  const auto text = show(answer, Format::kTable, 1000);
  EXPECT_NE(text.find("# version 0 (-) from file /etc/isthmus/policy.yaml"), std::string::npos);
  EXPECT_NE(text.find("REFUSED"), std::string::npos);
  EXPECT_TRUE(load_policy(text));
}

TEST(ShowLeases, SaysSinceWhenAndUntilWhen) {
  v1::ListLeasesResponse answer;
  auto& lease = *answer.add_leases();
  lease.set_address("203.0.113.1");
  lease.set_pool("public");
  lease.set_state(v1::LeaseEntry::QUARANTINED);
  lease.set_node_id("gw-1");
  lease.mutable_since()->set_seconds(900);
  lease.mutable_until()->set_seconds(1090);
  EXPECT_EQ(show(answer, Format::kTable, 1000),
            "ADDRESS      POOL    STATE        NODE  FOR    UNTIL\n"
            "203.0.113.1  public  Quarantined  gw-1  1m40s  in 1m30s\n");
}

TEST(Ago, AtMostTwoUnits) {
  EXPECT_EQ(ago(0), "0s");
  EXPECT_EQ(ago(312), "5m12s");
  EXPECT_EQ(ago(7500), "2h5m");
  EXPECT_EQ(ago(86400 * 4 + 3 * 3600 + 59), "4d3h");
}

TEST(ShowPolicy, ARolloutThatStoppedSaysByWhomAndWhatToDo) {
  v1::RolloutStatus rollout;
  rollout.set_phase("nat64");
  rollout.set_admitted(1);
  EXPECT_EQ("on its way to NAT64 nodes (1 so far)", rollout_text(rollout, 1000));
  rollout.mutable_next()->set_seconds(1007);
  EXPECT_NE(std::string::npos, rollout_text(rollout, 1000).find("goes on in 7s"));
  rollout.add_stopped_by("gw2: refused it");
  EXPECT_NE(std::string::npos, rollout_text(rollout, 1000).find("STOPPED by gw2: refused it"));
  rollout.set_phase("done");
  EXPECT_EQ("", rollout_text(rollout, 1000));
}

TEST(ShowChanges, WhatCameWentAndChanged) {
  v1::DiffResponse answer;
  auto* came = answer.add_changes();
  came->set_path("a");
  came->set_after("1");
  auto* went = answer.add_changes();
  went->set_path("b");
  went->set_before("2");
  auto* changed = answer.add_changes();
  changed->set_path("c");
  changed->set_before("3");
  changed->set_after("4");
  EXPECT_EQ("+ a: 1\n- b: 2\n~ c: 3 -> 4\n", show(answer, Format::kTable));
  EXPECT_EQ("no difference to version 0\n", show(v1::DiffResponse{}, Format::kTable));
}

TEST(ShowHistory, OneLinePerVersionWithWhoAndWhy) {
  v1::HistoryResponse answer;
  auto& version = *answer.add_versions();
  version.set_version(4);
  version.mutable_time()->set_seconds(940);
  version.set_author("alice");
  version.set_comment("more addresses");
  version.set_changes(2);
  const auto text = show(answer, Format::kTable, 1000);
  EXPECT_NE(std::string::npos, text.find("4        1m ago  alice   2        -         more addresses"));
}

TEST(DescribeNode, ADrainSaysHowFarItIs) {
  auto nodes = two_nodes();
  auto& node = *nodes.mutable_nodes(0);
  node.mutable_drain()->set_stage("accepting");
  node.mutable_drain()->set_author("bob");
  node.mutable_drain()->set_waits_for("answers that name it to age: 12 s more");
  const auto text = describe(node, 1000);
  EXPECT_NE(std::string::npos, text.find("Drain:         accepting, began - by bob"));
  EXPECT_NE(std::string::npos, text.find("12 s more"));
  EXPECT_NE(std::string::npos, show(nodes, Format::kTable, 1000).find("gw-1 drains (accepting)"));
}

}  // namespace
}  // namespace isthmus
