// SPDX-License-Identifier: Apache-2.0
// Counters under names that a policy gives (views, translation prefixes). They outlive the policy, so that
// nothing counted is lost and no counter goes back; the number of names is bounded, what comes after it
// shares one entry.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace isthmus::dns64 {

template <class Counters>
class NamedStats {
 public:
  // From the thread that counts, when a policy comes: the reference stays good. The counting itself takes no
  // lock.
  [[nodiscard]] Counters& of(const std::string& name) {
    const std::lock_guard lock{mutex_};
    const auto found = by_name_.find(name);
    if (found != by_name_.end()) return *found->second;
    auto& entry = by_name_[by_name_.size() < kMaxNames ? name : std::string{kOthers}];
    if (entry == nullptr) entry = std::make_unique<Counters>();
    return *entry;
  }
  // From any thread.
  void for_each(const std::function<void(const std::string&, const Counters&)>& visit) const {
    const std::lock_guard lock{mutex_};
    for (const auto& [name, counters] : by_name_) visit(name, *counters);
  }

 private:
  static constexpr std::size_t kMaxNames = 1000;
  static constexpr const char* kOthers = "(others)";
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Counters>> by_name_;
};

}  // namespace isthmus::dns64
