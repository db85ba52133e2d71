// SPDX-License-Identifier: Apache-2.0
// --store: which engine, and where.
#pragma once

#include <memory>
#include <string>

#include "controller/store/etcd_store.hpp"
#include "controller/store/store.hpp"

namespace isthmus::controller {

enum class StoreUse : std::uint8_t {
  kDecide,  // as the one that writes
  kRead,    // beside it
};

// What goes with etcd:ENDPOINTS.
struct EtcdFlags {
  std::string ca, certificate, key;  // PEM files; no CA: plain text
  std::string user, password_file;
  std::string prefix = "/isthmus/";
};

// "memory", "sqlite:PATH" or "etcd:HOST:PORT,HOST:PORT,...".
[[nodiscard]] Result<std::shared_ptr<Store>, StoreError> open_store(const std::string& text, StoreUse use,
                                                                    const EtcdFlags& etcd = {});
// The same for a controller that shares its store; none: `text` names another engine.
[[nodiscard]] Result<std::shared_ptr<EtcdStore>, StoreError> open_shared_store(const std::string& text,
                                                                               const EtcdFlags& etcd);

}  // namespace isthmus::controller
