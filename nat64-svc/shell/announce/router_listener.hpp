// SPDX-License-Identifier: Apache-2.0
// Listens to router advertisements on the clients' interface, so that an operator learns when routers send
// clients to a translation prefix that is not ours (RFC 8781). The kernel gets them as ever: only NAT64
// traffic is steered away.
//
// A thread of its own; heard() from any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/base/log.hpp"
#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "nat64-svc/shell/announce/heard_pref64.hpp"

namespace isthmus::nat64 {

class RouterListener {
 public:
  [[nodiscard]] static Result<std::unique_ptr<RouterListener>, std::string> open(
      const std::string& interface);
  ~RouterListener();  // stops
  RouterListener(const RouterListener&) = delete;
  RouterListener& operator=(const RouterListener&) = delete;

  [[nodiscard]] std::vector<HeardPref64s::Entry> heard() const;

 private:
  RouterListener() = default;
  void run();
  void receive();

  std::string interface_;
  UniqueFd socket_;
  UniqueFd wake_;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  HeardPref64s heard_;
  LogLimit log_limit_;  // whoever is on the link may announce what it likes
  std::thread thread_;
};

}  // namespace isthmus::nat64
