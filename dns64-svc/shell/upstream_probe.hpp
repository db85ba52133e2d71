// SPDX-License-Identifier: Apache-2.0
// Does any plain upstream of a resolver answer at all? libunbound reports a server that refuses and a server
// that is dead alike (SERVFAIL), and a forwarder may well refuse the root, so readiness asks for itself: NS
// of the root by UDP, and any well-formed response will do. TLS upstreams are not probed; there an answer
// through libunbound decides. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/unique_fd.hpp"
#include "common/config/policy.hpp"
#include "dns64-svc/shell/event_loop.hpp"

namespace isthmus::dns64 {

class UpstreamProbe {
 public:
  UpstreamProbe(EventLoop& loop, const Resolver& resolver);
  ~UpstreamProbe();
  UpstreamProbe(const UpstreamProbe&) = delete;
  UpstreamProbe& operator=(const UpstreamProbe&) = delete;

  void ask();  // asks every upstream once more; nothing when one has answered
  [[nodiscard]] bool answered() const { return answered_; }

 private:
  class Target;
  bool answered_ = false;
  std::vector<std::unique_ptr<Target>> targets_;
};

}  // namespace isthmus::dns64
