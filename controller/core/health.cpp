// SPDX-License-Identifier: Apache-2.0
#include "controller/core/health.hpp"

#include <utility>

namespace isthmus::controller {

const std::set<std::string>& HealthJudge::judge(const std::set<std::string>& good,
                                                const std::set<std::string>& left) {
  std::set<std::string> failed;
  std::size_t stayed = 0;
  for (const auto& node : published_) {
    if (left.contains(node)) continue;
    ++stayed;
    if (!good.contains(node)) failed.insert(node);
  }
  held_ = 2 * failed.size() > stayed;
  std::set<std::string> next = good;
  if (held_) next.merge(failed);
  published_ = std::move(next);
  return published_;
}

}  // namespace isthmus::controller
