// SPDX-License-Identifier: Apache-2.0
// --store: which engine, and where.
#pragma once

#include <memory>
#include <string>

#include "controller/store/store.hpp"

namespace isthmus::controller {

enum class StoreUse : std::uint8_t {
  kDecide,  // as the one that writes
  kRead,    // beside it
};

// "memory" or "sqlite:PATH".
[[nodiscard]] Result<std::shared_ptr<Store>, StoreError> open_store(const std::string& text, StoreUse use);

}  // namespace isthmus::controller
