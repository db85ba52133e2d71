// SPDX-License-Identifier: Apache-2.0
// What every command does: read, ask the controller once, print, complain.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "common/base/result.hpp"
#include "isthmus/v1/admin.grpc.pb.h"
#include "isthmusctl/commands.hpp"

namespace isthmus {

inline constexpr int kRefused = 1;
inline constexpr int kCannotAsk = 2;

// Of a file, or of standard input for "-".
[[nodiscard]] std::optional<std::string> read_input(const std::string& file);
// To stderr as one line; gives kCannotAsk.
int complain(const std::string& problem);
// Says why there is no answer, or what was refused; gives the exit code.
int explain(const ControllerAddress& controller, const grpc::Status& status);
int print(const std::string& text);

// The stub, or a complaint about a certificate file that cannot be read.
[[nodiscard]] Result<std::unique_ptr<v1::Admin::Stub>, std::string> connect(
    const ControllerAddress& controller);

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

}  // namespace isthmus
