// SPDX-License-Identifier: Apache-2.0
// The policy file: read at start, then watched. Looking at it four times a second sees every way a file
// changes (written in place, renamed into place, the symlink swap of a mounted ConfigMap) and costs nothing.
// A text that is refused is logged with every violation, and what ran keeps running.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "common/base/result.hpp"
#include "common/control/policy_file.hpp"
#include "controller/shell/hub.hpp"

namespace isthmus::controller {

class PolicySource {
 public:
  // `drain`: what a new text takes away from use may be drained; else such a text is refused.
  PolicySource(std::string path, bool drain, Hub& hub) : file_(std::move(path)), drain_(drain), hub_(hub) {}
  ~PolicySource() { stop(); }
  PolicySource(const PolicySource&) = delete;
  PolicySource& operator=(const PolicySource&) = delete;

  // The first load must succeed: the violations tell why not. Then a thread watches.
  [[nodiscard]] Result<void, std::vector<Violation>> start();
  void stop();

 private:
  void propose(LoadedPolicy loaded);
  void refuse(const std::vector<Violation>& violations);
  void watch();

  PolicyFile file_;  // start()'s, then the thread's
  const bool drain_;
  Hub& hub_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace isthmus::controller
