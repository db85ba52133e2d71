// SPDX-License-Identifier: Apache-2.0
#include "controller/core/waves.hpp"

#include <algorithm>

namespace isthmus::controller {

void Waves::start() {
  admitted_.clear();
  wave_.clear();
  stopped_by_.clear();
  soaks_until_ = {};
}

bool Waves::step(const std::vector<Member>& members, TimePoint now) {
  stopped_by_.clear();
  bool complete = true;
  bool wave_applied = true;
  std::set<Key> still_there;
  for (const auto& [key, state] : members) {
    if (wave_.contains(key)) still_there.insert(key);
    // Who runs it already, from before a restart of ours, keeps it.
    if (state == State::kApplied) admitted_.insert(key);
    if (!admitted(key)) {
      complete = complete && state == State::kLost;  // one that was lost before gets it when it returns
      continue;
    }
    if (state == State::kRejected) stopped_by_.emplace(key, state);
    if (state == State::kLost && wave_.contains(key)) stopped_by_.emplace(key, state);
    if (state == State::kWaits) wave_applied = complete = false;
  }
  wave_ = std::move(still_there);  // who was forgotten meanwhile holds nothing up
  if (!stopped_by_.empty()) {
    soaks_until_ = {};
    return false;
  }
  if (complete) return true;
  if (!wave_applied || settings_.canary == 0) return false;
  if (soaks_until_ == TimePoint{}) soaks_until_ = admitted_.empty() ? now : now + settings_.soak;
  if (now < soaks_until_) return false;
  soaks_until_ = {};
  admit_next(members);
  return false;
}

void Waves::admit_next(const std::vector<Member>& members) {
  const std::size_t share = (members.size() * settings_.wave_percent + 99) / 100;
  std::size_t room = admitted_.empty() ? settings_.canary : std::max<std::size_t>(1, share);
  wave_.clear();
  for (const auto& [key, state] : members) {
    if (room == 0) return;
    if (state == State::kLost || admitted_.contains(key)) continue;
    admitted_.insert(key);
    wave_.insert(key);
    --room;
  }
}

}  // namespace isthmus::controller
