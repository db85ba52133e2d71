// SPDX-License-Identifier: Apache-2.0
#include "controller/store/store.hpp"

namespace isthmus::controller {

Result<void, StoreError> check(const Write& write) {
  const auto too_large = [](const std::string& what) {
    return failure(StoreError{StoreFailure::kTooLarge, what});
  };
  if (write.operations() > kMaxWriteOperations) {
    return too_large(std::to_string(write.operations()) + " operations in one write; the most is " +
                     std::to_string(kMaxWriteOperations));
  }
  std::size_t bytes = 0;
  for (const auto& [key, value] : write.puts) {
    if (key.empty() || key.size() > kMaxKey)
      return too_large("a key of " + std::to_string(key.size()) + " bytes");
    if (value.size() > kMaxValue) {
      return too_large("the value of " + key + " has " + std::to_string(value.size()) +
                       " bytes; the most is " + std::to_string(kMaxValue));
    }
    bytes += key.size() + value.size();
  }
  if (bytes > kMaxWriteBytes) return too_large(std::to_string(bytes) + " bytes in one write");
  return {};
}

}  // namespace isthmus::controller
