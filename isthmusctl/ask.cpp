// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/ask.hpp"

#include <fstream>
#include <iostream>
#include <iterator>

#include "common/control/tls_credentials.hpp"

namespace isthmus {
namespace {

// An answer that says no: asking again will not help.
bool is_refusal(grpc::StatusCode code) {
  return code == grpc::StatusCode::ABORTED || code == grpc::StatusCode::FAILED_PRECONDITION ||
         code == grpc::StatusCode::NOT_FOUND || code == grpc::StatusCode::INVALID_ARGUMENT;
}

}  // namespace

std::optional<std::string> read_input(const std::string& file) {
  if (file == "-") return std::string{std::istreambuf_iterator<char>{std::cin}, {}};
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (in.bad()) return std::nullopt;
  return text;
}

int complain(const std::string& problem) {
  std::cerr << "isthmusctl: " << problem << "\n";
  return kCannotAsk;
}

int explain(const ControllerAddress& controller, const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
      status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return complain("no answer from the controller at " + controller.target + " (" + status.error_message() +
                    "): is it running there? Say where with --controller HOST:PORT or ISTHMUS_CONTROLLER");
  }
  (void)complain("the controller refused: " + status.error_message());
  return is_refusal(status.error_code()) ? kRefused : kCannotAsk;
}

int print(const std::string& text) {
  std::cout << text << std::flush;
  return 0;
}

Result<std::unique_ptr<v1::Admin::Stub>, std::string> connect(const ControllerAddress& controller) {
  const auto credentials = channel_credentials(controller.tls);
  if (!credentials) return failure(credentials.error());
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  return v1::Admin::NewStub(grpc::CreateCustomChannel(controller.target, *credentials, arguments));
}

}  // namespace isthmus
