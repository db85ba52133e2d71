// SPDX-License-Identifier: Apache-2.0
// An Admin service inside the process, with the small policy from a file: what its own tests and those of
// REST start from.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "common/config/from_proto.hpp"
#include "common/config/yaml.hpp"
#include "controller/shell/admin_service.hpp"
#include "tests/support/policies.hpp"

namespace isthmus::controller {

class AdminLab {
 public:
  AdminLab() {
    auto wire = parse_policy_yaml(test::kSmallPolicy);
    EXPECT_TRUE(hub.use_policy_from(PolicyOrigin::kFile, "file test.yaml", false).has_value());
    hub.propose({.from = PolicyOrigin::kFile,
                 .text = {std::make_shared<const Policy>(*from_proto(*wire)),
                          std::make_shared<const v1::Policy>(*wire)},
                 .author = "test",
                 .comment = "",
                 .if_version = std::nullopt});
    hub.start();
    // What is proposed is taken by the hub's own thread.
    bool taken = false;
    for (const auto end = boot_now() + std::chrono::seconds{20}; !taken && boot_now() < end;)
      hub.read([&](const Hub::View& view) { taken = view.core.policy() != nullptr; });
    EXPECT_TRUE(taken);
    grpc::ServerBuilder builder;
    builder.RegisterService(&service);
    server = builder.BuildAndStart();
  }
  ~AdminLab() {
    server->Shutdown(std::chrono::system_clock::now());
    server->Wait();
    hub.stop();
  }
  AdminLab(const AdminLab&) = delete;
  AdminLab& operator=(const AdminLab&) = delete;

  std::shared_ptr<grpc::Channel> channel() { return server->InProcessChannel({}); }

  Hub hub{Settings{.adopt_grace = Duration{0}}, 1};
  AdminService service{hub};
  std::unique_ptr<grpc::Server> server;
};

}  // namespace isthmus::controller
