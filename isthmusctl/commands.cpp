// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/commands.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <iostream>
#include <thread>

#include "common/config/doubts.hpp"
#include "common/config/yaml.hpp"
#include "isthmusctl/ask.hpp"
#include "isthmusctl/policy_input.hpp"
#include "isthmusctl/top.hpp"

namespace isthmus {
namespace {

int verdict(const std::string& file, const std::vector<Violation>& violations) {
  if (violations.empty()) return print(file + ": valid\n");
  std::cerr << show(violations) << file << ": " << violations.size()
            << (violations.size() == 1 ? " violation\n" : " violations\n");
  return kRefused;
}

// Beside the verdict, which they do not change.
void warn(const Policy& policy) {
  for (const auto& doubt : doubts_about(policy)) std::cerr << "warning: " << show({doubt});
}

int unreadable(const std::string& file, const std::vector<Violation>& violations) {
  if (violations.size() == 1 && violations.front().path.empty())
    return complain(violations.front().message);  // the file itself
  return verdict(file, violations);
}

}  // namespace

int validate_command(const std::string& file) {
  const auto input = read_policy(file);
  if (!input) return unreadable(file, input.error());
  const auto policy = load_policy(input->yaml);
  if (policy) warn(*policy);
  return verdict(file, policy ? std::vector<Violation>{} : policy.error());
}

int validate_remote_command(const ControllerAddress& controller, const std::string& file) {
  const auto input = read_policy(file);
  if (!input) return unreadable(file, input.error());
  if (const auto policy = load_policy(input->yaml)) warn(*policy);
  v1::ValidateRequest request;
  request.set_yaml(input->yaml);
  return ask<v1::ValidateResponse>(controller, &v1::Admin::Stub::Validate, request, [&](const auto& answer) {
    std::vector<Violation> violations;
    for (const auto& v : answer.violations()) violations.push_back({v.path(), v.message()});
    return verdict(file, violations);
  });
}

int get_command(const ControllerAddress& controller, What what, Format format) {
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  switch (what) {
    case What::kPolicy:
      return ask<v1::GetPolicyResponse>(controller, &v1::Admin::Stub::GetPolicy, v1::GetPolicyRequest{},
                                        [&](const auto& r) { return print(show(r, format, now)); });
    case What::kNodes:
      return ask<v1::ListNodesResponse>(controller, &v1::Admin::Stub::ListNodes, v1::ListNodesRequest{},
                                        [&](const auto& r) { return print(show(r, format, now)); });
    case What::kLeases:
      return ask<v1::ListLeasesResponse>(controller, &v1::Admin::Stub::ListLeases, v1::ListLeasesRequest{},
                                         [&](const auto& r) { return print(show(r, format, now)); });
  }
  return kCannotAsk;
}

int top_command(const ControllerAddress& controller, double interval, int count) {
  using Clock = std::chrono::steady_clock;
  v1::ListNodesResponse before;
  auto before_at = Clock::now();
  const auto look = [&](v1::ListNodesResponse& into) {
    return ask<v1::ListNodesResponse>(controller, &v1::Admin::Stub::ListNodes, v1::ListNodesRequest{},
                                      [&](const auto& r) {
                                        into = r;
                                        return 0;
                                      });
  };
  if (const int failed = look(before); failed != 0) return failed;
  for (int shown = 0; count == 0 || shown < count; ++shown) {
    std::this_thread::sleep_for(std::chrono::duration<double>(interval));
    v1::ListNodesResponse now;
    if (const int failed = look(now); failed != 0) return failed;
    const auto now_at = Clock::now();
    if (::isatty(STDOUT_FILENO) != 0) std::cout << "\033[H\033[2J";
    (void)print(show_top(before, now, std::chrono::duration<double>(now_at - before_at).count()));
    before = std::move(now);
    before_at = now_at;
  }
  return 0;
}

int events_command(const ControllerAddress& controller, const std::string& node, bool follow, Format format) {
  constexpr auto kLookEvery = std::chrono::milliseconds{500};
  v1::ListEventsRequest request;
  const auto show_new = [&](v1::ListEventsResponse answer) {
    request.set_epoch(answer.epoch());
    request.set_after(answer.last());
    auto& events = *answer.mutable_events();
    events.erase(std::remove_if(events.begin(), events.end(),
                                [&](const auto& event) { return !node.empty() && event.node_id() != node; }),
                 events.end());
    return print(show(answer, format));
  };
  bool begun = false;
  while (true) {
    const int code = ask<v1::ListEventsResponse>(controller, &v1::Admin::Stub::ListEvents, request, show_new);
    if (!follow || (code != 0 && !begun) || !std::cout) return code;
    begun = true;  // from here on a controller that is away comes back
    std::this_thread::sleep_for(code == 0 ? kLookEvery : 10 * kLookEvery);
  }
}

int lease_history_command(const ControllerAddress& controller, const std::string& address, Format format) {
  v1::LeaseHistoryRequest request;
  request.set_address(address);
  return ask<v1::LeaseHistoryResponse>(controller, &v1::Admin::Stub::LeaseHistory, request,
                                       [&](const auto& r) { return print(show(r, format)); });
}

}  // namespace isthmus
