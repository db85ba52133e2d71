// SPDX-License-Identifier: Apache-2.0
// The pieces of large lists that the controller has, by their hash: those that kept versions of the policy
// name, and those that were brought or asked for lately, for one to come. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.hpp"
#include "common/config/domain_lists.hpp"

namespace isthmus::controller {

class ListChunks {
 public:
  static constexpr std::size_t kMaxBytes = 512U << 20;
  // Of the lists of kept versions: a list that is made anew every day shares little with that of the day
  // before. The newest version keeps its lists in any case; of older ones, those that fit.
  static constexpr std::size_t kMaxKeptBytes = 256U << 20;

  // `wait`: how long a piece may lie here that no policy names.
  explicit ListChunks(Duration wait = std::chrono::hours{1}) : wait_(wait) {}

  // Refuses what is not what its hash says, and what would make too many.
  [[nodiscard]] Result<void, std::string> put(std::string hash, std::string data, TimePoint now);
  void put(const ListChunk& chunk, TimePoint now);  // of a file that was just cut
  [[nodiscard]] ListData find(const std::string& hash) const;
  // Is it here? Then a policy is about to name it: it stays as one that came now.
  [[nodiscard]] bool touch(const std::string& hash, TimePoint now);
  // The hashes that `versions` name, newest first, as far as versions fit together into `most` bytes; the
  // newest one in any case.
  [[nodiscard]] std::set<std::string> within(std::size_t most,
                                             const std::vector<std::vector<std::string>>& versions) const;
  // True, and then not again for a while: it is time to prune.
  [[nodiscard]] bool prune_due(TimePoint now);
  // Forgets those that no policy names and that came longer ago than they may wait; gives their hashes.
  std::vector<std::string> prune(const std::set<std::string>& named, TimePoint now);

  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Kept {
    ListData data;
    TimePoint came;
  };
  const Duration wait_;
  mutable std::mutex lock_;
  TimePoint prune_at_;
  std::map<std::string, Kept> chunks_;
  std::size_t bytes_ = 0;
};

}  // namespace isthmus::controller
