// SPDX-License-Identifier: Apache-2.0
// The command line of the commands that ask a NAT64 node.
#pragma once

#include <memory>
#include <optional>

#include <CLI/CLI.hpp>

#include "common/control/control_client.hpp"

namespace isthmus {

class Nat64Cli {
 public:
  explicit Nat64Cli(CLI::App& app);
  ~Nat64Cli();
  Nat64Cli(const Nat64Cli&) = delete;
  Nat64Cli& operator=(const Nat64Cli&) = delete;

  // After parsing: the exit code of the command that was given, or nothing when it was none of these.
  [[nodiscard]] std::optional<int> run(const TlsFiles& tls);

 private:
  struct Values;
  std::unique_ptr<Values> values_;
};

}  // namespace isthmus
