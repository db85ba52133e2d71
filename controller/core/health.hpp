// SPDX-License-Identifier: Apache-2.0
// Which NAT64 nodes may appear in new DNS answers. If more than half of those that may fail at once, it is
// rather us who are cut off: the failed ones stay in and an alarm is raised. Who leaves on purpose does not
// count as failed.
#pragma once

#include <set>
#include <string>

namespace isthmus::controller {

class HealthJudge {
 public:
  // `good`: able to serve now. `left`: gone on purpose. Returns who may be answered.
  const std::set<std::string>& judge(const std::set<std::string>& good, const std::set<std::string>& left);
  [[nodiscard]] const std::set<std::string>& published() const { return published_; }
  [[nodiscard]] bool held() const { return held_; }  // the alarm

 private:
  std::set<std::string> published_;
  bool held_ = false;
};

}  // namespace isthmus::controller
