// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/commands.hpp"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <thread>

#include "common/config/yaml.hpp"
#include "common/control/tls_credentials.hpp"
#include "isthmus/v1/admin.grpc.pb.h"
#include "isthmusctl/top.hpp"

namespace isthmus {
namespace {

constexpr int kRefused = 1;
constexpr int kCannotAsk = 2;

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (in.bad()) return std::nullopt;
  return text;
}

int complain(const std::string& problem) {
  std::cerr << "isthmusctl: " << problem << "\n";
  return kCannotAsk;
}

// The stub, or a complaint about a certificate file that cannot be read.
Result<std::unique_ptr<v1::Admin::Stub>, std::string> connect(const ControllerAddress& controller) {
  const auto credentials = channel_credentials(controller.tls);
  if (!credentials) return failure(credentials.error());
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  return v1::Admin::NewStub(grpc::CreateCustomChannel(controller.target, *credentials, arguments));
}

int explain(const ControllerAddress& controller, const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
      status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return complain("no answer from the controller at " + controller.target + " (" + status.error_message() +
                    "): is it running there? Say where with --controller HOST:PORT or ISTHMUS_CONTROLLER");
  }
  return complain("the controller refused: " + status.error_message());
}

// Asks once and gives the answer to `then`, whose result is the exit code.
template <class Response, class Call, class Request, class Then>
int ask(const ControllerAddress& controller, Call call, const Request& request, Then then) {
  const auto stub = connect(controller);
  if (!stub) return complain(stub.error());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{5});
  Response response;
  const auto status = ((**stub).*call)(&context, request, &response);
  return status.ok() ? then(response) : explain(controller, status);
}

int print(const std::string& text) {
  std::cout << text << std::flush;
  return 0;
}

std::optional<std::string> read_input(const std::string& file) {
  return file == "-" ? std::optional{std::string{std::istreambuf_iterator<char>{std::cin}, {}}}
                     : read_file(file);
}

int verdict(const std::string& file, const std::vector<Violation>& violations) {
  if (violations.empty()) return print(file + ": valid\n");
  std::cerr << show(violations) << file << ": " << violations.size()
            << (violations.size() == 1 ? " violation\n" : " violations\n");
  return kRefused;
}

}  // namespace

int validate_command(const std::string& file) {
  const auto text = read_input(file);
  if (!text) return complain("cannot read " + file + ": check the path and its permissions");
  const auto policy = load_policy(*text);
  return verdict(file, policy ? std::vector<Violation>{} : policy.error());
}

int validate_remote_command(const ControllerAddress& controller, const std::string& file) {
  const auto text = read_input(file);
  if (!text) return complain("cannot read " + file + ": check the path and its permissions");
  v1::ValidateRequest request;
  request.set_yaml(*text);
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
                                        [&](const auto& r) { return print(show(r, format)); });
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

}  // namespace isthmus
