// SPDX-License-Identifier: Apache-2.0
// Forgets when the process ends: for tests and labs.
#pragma once

#include <mutex>

#include "controller/store/store.hpp"

namespace isthmus::controller {

class MemoryStore final : public Store {
 public:
  [[nodiscard]] Result<std::optional<StoredValue>, StoreError> get(std::string_view key) override;
  [[nodiscard]] Result<Snapshot, StoreError> list(std::string_view prefix) override;
  [[nodiscard]] Result<Revision, StoreError> commit(const Write& write) override;

 private:
  std::mutex lock_;
  Snapshot all_;
};

}  // namespace isthmus::controller
