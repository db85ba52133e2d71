// SPDX-License-Identifier: Apache-2.0
// The service's end of ControlPlane.Session: connects, says hello, applies what comes through the handlers,
// acks or nacks, renews leases and reports, reconnects with jittered back-off, and keeps the last good state
// in `state_dir` so that a restart serves without a controller. The protocol itself is `Subscription` (pure);
// this class is threads and gRPC.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "common/control/service_handlers.hpp"

namespace isthmus {

struct TlsFiles {  // PEM; all empty: plain text
  std::string ca, certificate, key;
};

struct ControlClientOptions {
  std::string controller;  // host:port
  std::string node_id;
  enum class Kind { kDns64, kNat64 } kind = Kind::kNat64;
  std::string build;
  std::vector<std::string> addresses;
  std::vector<std::string> capabilities;
  std::string state_dir;  // empty: nothing is kept
  TlsFiles tls;
  std::chrono::milliseconds report_every{2000};
};

class ControlClient {
 public:
  ControlClient(ControlClientOptions options, ServiceHandlers handlers);
  ~ControlClient();  // stops
  ControlClient(const ControlClient&) = delete;
  ControlClient& operator=(const ControlClient&) = delete;

  // Applies the last good state from disk if there is one, then starts the stream. Returns at once.
  void start();
  // Says goodbye (leases released) when `release` and the stream lives, then ends the threads. Within about a
  // second.
  void stop(bool release);
  [[nodiscard]] FeedStatus status() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace isthmus
