// SPDX-License-Identifier: Apache-2.0
// libnftables: nft commands in, text or JSON out. Not thread-safe.
#pragma once

#include <memory>
#include <string>

#include "common/base/result.hpp"

struct nft_ctx;

namespace isthmus::nat64 {

class Nft {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Nft>, std::string> open();
  ~Nft();
  Nft(const Nft&) = delete;
  Nft& operator=(const Nft&) = delete;

  // All commands in one transaction: all take effect or none does. Errors are nft's own words.
  [[nodiscard]] Result<std::string, std::string> run(const std::string& commands);
  // The same, with the answer as JSON and with handles.
  [[nodiscard]] Result<std::string, std::string> ask(const std::string& command);

 private:
  explicit Nft(nft_ctx* context) : context_(context) {}
  nft_ctx* context_;
};

}  // namespace isthmus::nat64
