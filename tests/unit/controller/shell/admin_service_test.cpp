// SPDX-License-Identifier: Apache-2.0
// The Admin API over a real channel inside the process.
#include "controller/shell/admin_service.hpp"

#include "common/config/domain_lists.hpp"
#include "controller/store/memory_store.hpp"
#include "controller/store/schema.hpp"
#include "tests/unit/controller/shell/admin_lab.hpp"

namespace isthmus::controller {
namespace {

std::string x_and_euro(std::size_t n) {
  std::string text;
  text.append(n, 'x');
  text.append("\u20ac");
  return text;
}

class AdminServiceTest : public testing::Test, protected AdminLab {
 protected:
  AdminServiceTest() {
    stub = v1::Admin::NewStub(channel());
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
  }

  v1::ValidateResponse validate(const std::string& yaml) {
    v1::ValidateRequest request;
    request.set_yaml(yaml);
    v1::ValidateResponse response;
    const auto status = stub->Validate(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  std::unique_ptr<v1::Admin::Stub> stub;
  grpc::ClientContext context;
};

TEST_F(AdminServiceTest, AGoodPolicyHasNoViolations) {
  EXPECT_EQ(0, validate(test::kFullPolicy).violations_size());
}

TEST_F(AdminServiceTest, AMisspeltFieldIsRefusedWithItsPath) {
  const auto answer = validate("poolz: []");
  ASSERT_EQ(1, answer.violations_size());
  EXPECT_EQ("poolz", answer.violations(0).path());
  EXPECT_NE(std::string::npos, answer.violations(0).message().find("did you mean `pools`?"));
}

TEST_F(AdminServiceTest, AContradictoryPolicyIsRefusedWithEveryViolation) {
  EXPECT_GE(validate("pools: [{name: a}, {name: a}]").violations_size(), 5);
}

TEST_F(AdminServiceTest, ThePolicyThatRunsComesWithItsSource) {
  v1::GetPolicyResponse answer;
  ASSERT_TRUE(stub->GetPolicy(&context, {}, &answer).ok());
  EXPECT_EQ("file test.yaml", answer.source());
  EXPECT_EQ("public", answer.policy().pools(0).name());
  EXPECT_EQ(0, answer.rejected_size());
}

TEST_F(AdminServiceTest, EveryPoolAddressIsListedFreeWhenNobodyHoldsIt) {
  v1::ListLeasesResponse answer;
  ASSERT_TRUE(stub->ListLeases(&context, {}, &answer).ok());
  ASSERT_EQ(16, answer.leases_size());
  EXPECT_EQ(v1::LeaseEntry::FREE, answer.leases(15).state());
  EXPECT_EQ("203.0.113.15", answer.leases(15).address());
}

TEST_F(AdminServiceTest, APolicyOfAFileIsReadOnlyAndTheRefusalSaysWhereToChangeIt) {
  v1::ApplyRequest request;
  request.set_yaml(test::kFullPolicy);
  v1::ApplyResponse answer;
  const auto status = stub->Apply(&context, request, &answer);
  EXPECT_EQ(grpc::StatusCode::FAILED_PRECONDITION, status.error_code());
  EXPECT_NE(std::string::npos, status.error_message().find("file test.yaml"));
}

// The controller keeps the policy.
class AdminStoreTest : public AdminServiceTest {
 protected:
  AdminStoreTest() {
    hub.post([](ControlPlane&, TimePoint) {});
    restart_with_store();
  }
  void restart_with_store() {
    hub.stop();
    EXPECT_TRUE(own.use_policy_from(PolicyOrigin::kStore, "the store", false).has_value());
    own.start();
    grpc::ServerBuilder builder;
    builder.RegisterService(&own_service);
    own_server = builder.BuildAndStart();
    stub = v1::Admin::NewStub(own_server->InProcessChannel({}));
  }
  ~AdminStoreTest() override {
    own_server->Shutdown(std::chrono::system_clock::now());
    own_server->Wait();
    own.stop();
  }

  // Each call has a context of its own.
  template <class Request, class Response>
  grpc::Status call(grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response) {
    grpc::ClientContext its_own;
    its_own.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
    response.Clear();
    return ((*stub).*method)(&its_own, request, &response);
  }
  v1::ApplyResponse apply(const std::string& yaml, std::optional<std::uint64_t> if_version = {},
                          bool dry = false) {
    v1::ApplyRequest request;
    request.set_yaml(yaml);
    request.set_author("alice");
    request.set_comment("test");
    request.set_dry_run(dry);
    if (if_version) request.set_if_version(*if_version);
    v1::ApplyResponse answer;
    status = call(&v1::Admin::Stub::Apply, request, answer);
    return answer;
  }
  static std::string with_exclusion() {
    return std::string{test::kSmallPolicy} + "exclusions: {ipv4_destinations: [192.0.2.0/24]}\n";
  }

  Hub own{Settings{.adopt_grace = Duration{0}}, 1};
  AdminService own_service{own};
  std::unique_ptr<grpc::Server> own_server;
  grpc::Status status;
};

TEST_F(AdminStoreTest, VersionsAreAppliedToldApartAndRolledBack) {
  EXPECT_EQ(1U, apply(test::kSmallPolicy).version());
  const auto second = apply(with_exclusion(), 1);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(2U, second.version());
  ASSERT_EQ(1, second.changes_size());
  EXPECT_EQ("exclusions.ipv4_destinations", second.changes(0).path());
  EXPECT_EQ(2U, apply(with_exclusion()).version()) << "the same text again is no new version";

  v1::RollbackRequest back;
  back.set_to(1);
  v1::ApplyResponse rolled;
  ASSERT_TRUE(call(&v1::Admin::Stub::Rollback, back, rolled).ok());
  EXPECT_EQ(3U, rolled.version());
  v1::HistoryResponse history;
  ASSERT_TRUE(call(&v1::Admin::Stub::History, {}, history).ok());
  ASSERT_EQ(3, history.versions_size());
  EXPECT_EQ("rollback to 1", history.versions(0).comment());
  EXPECT_EQ("alice", history.versions(1).author());
  EXPECT_EQ(1U, history.versions(1).changes());
  v1::DiffRequest request;
  request.set_from(1);
  request.set_to(3);
  v1::DiffResponse same;
  ASSERT_TRUE(call(&v1::Admin::Stub::Diff, request, same).ok());
  EXPECT_EQ(0, same.changes_size());
}

TEST_F(AdminStoreTest, WhoHasNotSeenTheNewestVersionIsRefused) {
  (void)apply(test::kSmallPolicy);
  (void)apply(with_exclusion(), 0);
  EXPECT_EQ(grpc::StatusCode::ABORTED, status.error_code());
}

TEST_F(AdminStoreTest, ADryRunTellsAllAndChangesNothing) {
  (void)apply(test::kSmallPolicy);
  const auto dry = apply(with_exclusion(), {}, true);
  EXPECT_EQ(1, dry.changes_size());
  EXPECT_EQ(1U, dry.version());
  EXPECT_GT(apply("pools: [{name: a}, {name: a}]").violations_size(), 1);
  v1::GetPolicyResponse now;
  ASSERT_TRUE(call(&v1::Admin::Stub::GetPolicy, {}, now).ok());
  EXPECT_EQ(1U, now.number());
  EXPECT_EQ("done", now.rollout().phase());
}

TEST_F(AdminStoreTest, APolicyIsTakenWhenThePiecesOfItsListsAreHere) {
  const auto chunk = cut_list("a.example", "").value().front();
  const auto yaml = std::string{test::kSmallPolicy} +
                    "exclusions: {never_synthesize_lists: [{file: ads.txt, chunks: [" + chunk.hash + "]}]}\n";
  const auto refused = apply(yaml);
  ASSERT_EQ(1, refused.violations_size());
  EXPECT_EQ("exclusions.never_synthesize_lists[0]", refused.violations(0).path());

  v1::PutChunksRequest put;
  put.add_hashes(chunk.hash);
  auto& forged = *put.add_chunks();
  forged.set_hash(chunk.hash);
  forged.set_data("b.example.\n");
  v1::PutChunksResponse missing;
  EXPECT_EQ(grpc::StatusCode::INVALID_ARGUMENT, call(&v1::Admin::Stub::PutChunks, put, missing).error_code());
  put.clear_chunks();
  ASSERT_TRUE(call(&v1::Admin::Stub::PutChunks, put, missing).ok());
  ASSERT_EQ(1, missing.missing_size());
  auto& good = *put.add_chunks();
  good.set_hash(chunk.hash);
  good.set_data(*chunk.data);
  ASSERT_TRUE(call(&v1::Admin::Stub::PutChunks, put, missing).ok());
  EXPECT_EQ(0, missing.missing_size());
  EXPECT_EQ(1U, apply(yaml).version());
}

TEST_F(AdminStoreTest, OnlyKnownNodesAreDrainedAndFenced) {
  v1::DrainRequest drain;
  drain.set_node_id("gw9");
  v1::DrainResponse drained;
  EXPECT_EQ(grpc::StatusCode::NOT_FOUND, call(&v1::Admin::Stub::Drain, drain, drained).error_code());
  Hello hello;
  hello.node_id = "gw1";
  hello.machine = "abc";
  hello.kind = ServiceKind::kNat64;
  own.post([&](ControlPlane& core, TimePoint now) { core.on_hello(7, hello, now); });
  drain.set_node_id("gw1");
  ASSERT_TRUE(call(&v1::Admin::Stub::Drain, drain, drained).ok());
  v1::ListNodesResponse nodes;
  ASSERT_TRUE(call(&v1::Admin::Stub::ListNodes, {}, nodes).ok());
  ASSERT_EQ(1, nodes.nodes_size());
  EXPECT_FALSE(nodes.nodes(0).drain().stage().empty());
  EXPECT_FALSE(nodes.nodes(0).drain().waits_for().empty());
  EXPECT_EQ("abc", nodes.nodes(0).machine());
  v1::UndrainRequest undrain;
  undrain.set_node_id("gw1");
  v1::UndrainResponse undrained;
  EXPECT_TRUE(call(&v1::Admin::Stub::Undrain, undrain, undrained).ok());
  EXPECT_EQ(grpc::StatusCode::NOT_FOUND, call(&v1::Admin::Stub::Undrain, undrain, undrained).error_code());
  v1::FenceRequest fence;
  fence.set_node_id("gw1");
  fence.set_machine("another");
  v1::FenceResponse fenced;
  EXPECT_EQ(grpc::StatusCode::FAILED_PRECONDITION, call(&v1::Admin::Stub::Fence, fence, fenced).error_code());
  fence.set_machine("abc");
  EXPECT_TRUE(call(&v1::Admin::Stub::Fence, fence, fenced).ok());
}

TEST_F(AdminStoreTest, AFenceNamesAndFreesTheAddressesOfItsMachineAlone) {
  (void)apply(test::kSmallPolicy);
  Hello hello;
  hello.node_id = "gw1";
  hello.machine = "first";
  hello.kind = ServiceKind::kNat64;
  own.post([&](ControlPlane& core, TimePoint now) { core.on_hello(7, hello, now); });
  const auto leases = [&] {
    v1::ListLeasesResponse answer;
    EXPECT_TRUE(call(&v1::Admin::Stub::ListLeases, {}, answer).ok());
    std::map<std::string, int> held;
    for (const auto& lease : answer.leases())
      held[lease.machine()] += lease.state() == v1::LeaseEntry::GRANTED;
    return held;
  };
  for (const auto end = boot_now() + std::chrono::seconds{20}; leases()["first"] == 0 && boot_now() < end;) {
  }
  const int held = leases()["first"];
  ASSERT_GT(held, 0);
  own.post([&](ControlPlane& core, TimePoint now) {
    core.on_closed(7, now);
    hello.machine = "second";
    core.on_hello(8, hello, now);
  });
  v1::FenceRequest fence;
  fence.set_node_id("gw1");
  fence.set_machine("second");
  v1::FenceResponse fenced;
  ASSERT_TRUE(call(&v1::Admin::Stub::Fence, fence, fenced).ok());
  EXPECT_EQ(held, leases()["first"]);
  fence.set_machine("first");
  ASSERT_TRUE(call(&v1::Admin::Stub::Fence, fence, fenced).ok());
  EXPECT_EQ(held, fenced.addresses_size());
  EXPECT_EQ(0, leases()["first"]);
}

TEST_F(AdminStoreTest, ATextThatIsTooLongIsCutAtACharacterAndTheHistoryCanBeRead) {
  v1::ApplyRequest request;
  request.set_yaml(test::kSmallPolicy);
  request.set_author("alice");
  request.set_comment(x_and_euro(999));
  v1::ApplyResponse answer;
  ASSERT_TRUE(call(&v1::Admin::Stub::Apply, request, answer).ok());
  v1::HistoryResponse history;
  ASSERT_TRUE(call(&v1::Admin::Stub::History, {}, history).ok());
  EXPECT_EQ(std::string(999, 'x'), history.versions(0).comment());
}

TEST_F(AdminStoreTest, EventsAreFollowedWithTheLastNumber) {
  (void)apply(test::kSmallPolicy);
  v1::ListEventsRequest request;
  v1::ListEventsResponse all;
  ASSERT_TRUE(call(&v1::Admin::Stub::ListEvents, request, all).ok());
  ASSERT_GT(all.events_size(), 0);
  EXPECT_TRUE(std::ranges::any_of(all.events(), [](const auto& event) { return event.kind() == "policy"; }));
  EXPECT_FALSE(all.missed());
  request.set_epoch(all.epoch());
  request.set_after(all.last());
  v1::ListEventsResponse none;
  ASSERT_TRUE(call(&v1::Admin::Stub::ListEvents, request, none).ok());
  EXPECT_EQ(0, none.events_size());
  (void)apply(with_exclusion());
  v1::ListEventsResponse more;
  ASSERT_TRUE(call(&v1::Admin::Stub::ListEvents, request, more).ok());
  ASSERT_GT(more.events_size(), 0);
  EXPECT_EQ(all.last() + 1, more.events(0).seq());
  request.set_epoch(99);  // of a controller that led before
  ASSERT_TRUE(call(&v1::Admin::Stub::ListEvents, request, more).ok());
  EXPECT_TRUE(more.missed());
  EXPECT_EQ(1U, more.events(0).seq());
}

// A store that was restored: it knows a gateway without a lease.
TEST(AdminRestored, TheOperatorSeesWhoIsAwaitedAndMayFenceHim) {
  auto store = std::make_shared<MemoryStore>();
  {
    auto ledger = Ledger::open(store, {boot_now(), wall_now()}).value();
    ASSERT_TRUE(ledger->commit());
    v1::NodeRecord node;
    node.mutable_holder()->set_node_id("gw1");
    node.mutable_holder()->set_machine("abc");
    ASSERT_TRUE(store->commit(
        {.compares = {}, .puts = {{node_key({"gw1", "abc"}), node.SerializeAsString()}}, .deletes = {}}));
  }
  Hub hub{Settings{.adopt_grace = Duration{0}}, Ledger::open(store, {boot_now(), wall_now()}).value()};
  ASSERT_TRUE(hub.use_policy_from(PolicyOrigin::kStore, "the store", false).has_value());
  hub.start();
  AdminService service{hub};
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const auto stub = v1::Admin::NewStub(server->InProcessChannel({}));
  const auto ask = [&](auto method, const auto& request, auto& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
    response.Clear();
    return ((*stub).*method)(&context, request, &response);
  };
  v1::ListLeasesResponse leases;
  ASSERT_TRUE(ask(&v1::Admin::Stub::ListLeases, v1::ListLeasesRequest{}, leases).ok());
  EXPECT_TRUE(leases.settling());
  ASSERT_EQ(1, leases.awaited_size());
  EXPECT_EQ("abc", leases.awaited(0).machine());
  v1::ListNodesResponse nodes;
  ASSERT_TRUE(ask(&v1::Admin::Stub::ListNodes, v1::ListNodesRequest{}, nodes).ok());
  ASSERT_EQ(1, nodes.nodes_size());
  EXPECT_TRUE(nodes.nodes(0).awaited());
  v1::FenceRequest fence;
  fence.set_node_id("gw1");
  fence.set_machine("abc");
  v1::FenceResponse fenced;
  const auto status = ask(&v1::Admin::Stub::Fence, fence, fenced);
  EXPECT_TRUE(status.ok()) << status.error_message();
  ASSERT_TRUE(ask(&v1::Admin::Stub::ListLeases, v1::ListLeasesRequest{}, leases).ok());
  EXPECT_EQ(0, leases.awaited_size());
  EXPECT_FALSE(leases.settling());
  server->Shutdown(std::chrono::system_clock::now());
  server->Wait();
  hub.stop();
}

}  // namespace
}  // namespace isthmus::controller
