// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/change_commands.hpp"

#include <cstdlib>
#include <ctime>
#include <iostream>

#include "isthmusctl/ask.hpp"
#include "isthmusctl/policy_input.hpp"

namespace isthmus {
namespace {

std::string user() {
  const char* name = std::getenv("USER");
  return name == nullptr ? "" : name;
}

std::int64_t unix_now() {
  return static_cast<std::int64_t>(std::time(nullptr));
}

template <class Violations>
int refuse(const Violations& wire) {
  std::vector<Violation> violations;
  for (const auto& v : wire) violations.push_back({v.path(), v.message()});
  std::cerr << show(violations);
  return kRefused;
}

int refuse_input(const std::string& file, const std::vector<Violation>& violations) {
  if (violations.size() == 1 && violations.front().path.empty())
    return complain(violations.front().message);  // the file itself
  std::cerr << show(violations) << file << " is not used\n";
  return kRefused;
}

int applied(const v1::ApplyResponse& answer, bool dry_run) {
  if (answer.violations_size() > 0) {
    (void)refuse(answer.violations());
    std::cerr << "nothing was changed\n";
    return kRefused;
  }
  const auto version = std::to_string(answer.version());
  if (answer.changes_size() == 0) return print("no difference; the policy is at version " + version + "\n");
  return print(
      show(answer.changes()) +
      (dry_run ? "valid; nothing was changed (dry run), the policy is at version " + version
               : "policy version " + version + " goes out: isthmusctl get policy, isthmusctl get nodes") +
      "\n");
}

}  // namespace

int apply_command(const ControllerAddress& controller, const std::string& file,
                  const ChangeOptions& options) {
  auto input = read_policy(file);
  if (!input) return refuse_input(file, input.error());
  if (const int put = put_chunks(controller, input->chunks); put != 0) return put;
  v1::ApplyRequest request;
  request.set_yaml(std::move(input->yaml));
  if (options.if_version) request.set_if_version(*options.if_version);
  request.set_comment(options.comment);
  request.set_author(user());
  request.set_dry_run(options.dry_run);
  request.set_drain(options.drain);
  return ask<v1::ApplyResponse>(controller, &v1::Admin::Stub::Apply, request,
                                [&](const auto& answer) { return applied(answer, options.dry_run); });
}

int rollback_command(const ControllerAddress& controller, std::uint64_t to, const ChangeOptions& options) {
  v1::RollbackRequest request;
  request.set_to(to);
  if (options.if_version) request.set_if_version(*options.if_version);
  request.set_comment(options.comment);
  request.set_author(user());
  request.set_drain(options.drain);
  return ask<v1::ApplyResponse>(controller, &v1::Admin::Stub::Rollback, request,
                                [](const auto& answer) { return applied(answer, false); });
}

int diff_command(const ControllerAddress& controller, const std::string& file, std::uint64_t from,
                 std::uint64_t to, Format format) {
  v1::DiffRequest request;
  request.set_from(from);
  request.set_to(to);
  if (!file.empty()) {
    auto input = read_policy(file);
    if (!input) {
      (void)refuse_input(file, input.error());
      return kCannotAsk;
    }
    request.set_yaml(std::move(input->yaml));
  }
  return ask<v1::DiffResponse>(controller, &v1::Admin::Stub::Diff, request, [&](const auto& answer) {
    if (answer.violations_size() > 0) {
      (void)refuse(answer.violations());
      return kCannotAsk;  // 1 would say: they differ
    }
    (void)print(show(answer, format));
    return answer.changes_size() == 0 ? 0 : 1;
  });
}

int history_command(const ControllerAddress& controller, Format format) {
  return ask<v1::HistoryResponse>(
      controller, &v1::Admin::Stub::History, v1::HistoryRequest{},
      [&](const auto& answer) { return print(show(answer, format, unix_now())); });
}

int drain_command(const ControllerAddress& controller, const std::string& node, const std::string& comment,
                  bool force) {
  v1::DrainRequest request;
  request.set_node_id(node);
  request.set_comment(comment);
  request.set_author(user());
  request.set_force(force);
  return ask<v1::DrainResponse>(controller, &v1::Admin::Stub::Drain, request, [&](const auto&) {
    return print(node + " drains: isthmusctl describe node " + node + " shows how far it is\n");
  });
}

int undrain_command(const ControllerAddress& controller, const std::string& node) {
  v1::UndrainRequest request;
  request.set_node_id(node);
  request.set_author(user());
  return ask<v1::UndrainResponse>(controller, &v1::Admin::Stub::Undrain, request,
                                  [&](const auto&) { return print(node + " is in service again\n"); });
}

int fence_command(const ControllerAddress& controller, const std::string& node, const std::string& machine) {
  v1::FenceRequest request;
  request.set_node_id(node);
  request.set_machine(machine);
  request.set_author(user());
  return ask<v1::FenceResponse>(controller, &v1::Admin::Stub::Fence, request, [&](const auto& answer) {
    std::string text = node + " is fenced";
    for (int i = 0; i < answer.addresses_size(); ++i)
      text += (i == 0 ? "; these rest now: " : " ") + answer.addresses(i);
    return print(text + "\n");
  });
}

int describe_node_command(const ControllerAddress& controller, const std::string& node, Format format) {
  return ask<v1::ListNodesResponse>(
      controller, &v1::Admin::Stub::ListNodes, v1::ListNodesRequest{}, [&](const auto& answer) {
        v1::ListNodesResponse found;
        for (const auto& each : answer.nodes()) {
          if (each.node_id() == node) *found.add_nodes() = each;
        }
        if (found.nodes().empty()) {
          (void)complain("no node " + node + " is known: isthmusctl get nodes lists them");
          return kRefused;
        }
        if (format != Format::kTable && format != Format::kWide)
          return print(show(found, format, unix_now()));
        for (const auto& each : found.nodes()) (void)print(describe(each, unix_now()));
        return 0;
      });
}

}  // namespace isthmus
