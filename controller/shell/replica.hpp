// SPDX-License-Identifier: Apache-2.0
// One of several controllers that share an etcd: it follows until it leads and leads until it cannot any
// more. While it follows, its front door sends every call on to the leader.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "common/base/log.hpp"
#include "common/base/signals.hpp"
#include "common/control/control_client.hpp"
#include "common/telemetry/http_endpoint.hpp"
#include "controller/shell/relay.hpp"
#include "controller/shell/term.hpp"
#include "controller/store/etcd_store.hpp"

namespace isthmus::controller {

struct ReplicaOptions {
  std::string address;  // where the others reach this one's gRPC
  TlsFiles tls;         // of calls to the others; empty: plain text
  TermOptions term;
};

class Replica {
 public:
  Replica(std::shared_ptr<EtcdStore> store, ReplicaOptions options)
      : store_(std::move(store)), options_(std::move(options)) {}

  // To be registered with the server that callers reach; must outlive it.
  [[nodiscard]] Relay& front_door() { return front_door_; }
  [[nodiscard]] HttpRoutes routes();
  // Until a signal comes. Its number.
  int run(StopSignals& signals);

 private:
  void campaign();
  void begin_term();
  void end_term();
  void follow(const std::string& leader);
  [[nodiscard]] HttpReply answer(const std::string& path);

  std::shared_ptr<EtcdStore> store_;
  const ReplicaOptions options_;
  Relay front_door_;
  std::atomic<bool> lost_ = false;
  LogLimit complaints_;
  std::mutex lock_;  // term_ and leader_ for answer(); changed by run()'s thread alone
  std::unique_ptr<Term> term_;
  std::string leader_;  // that is followed; empty: none
};

}  // namespace isthmus::controller
