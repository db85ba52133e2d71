// SPDX-License-Identifier: Apache-2.0
// `--policy-file`: a service that runs alone. Loads the file, calls the handlers, and does so again when the
// file changes (rename into place included, as a mounted ConfigMap does). A file that is refused is logged
// with every violation and what ran keeps running. For NAT64 the allocation is every address of every pool.
#pragma once

#include <memory>
#include <string>

#include "common/control/service_handlers.hpp"

namespace isthmus {

class PolicyFileFeed {
 public:
  PolicyFileFeed(std::string path, ServiceHandlers handlers);
  ~PolicyFileFeed();
  PolicyFileFeed(const PolicyFileFeed&) = delete;
  PolicyFileFeed& operator=(const PolicyFileFeed&) = delete;

  // The first load must succeed: the violations tell why not. Then a thread watches.
  [[nodiscard]] Result<void, std::vector<Violation>> start();
  void stop();
  [[nodiscard]] FeedStatus status() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace isthmus
