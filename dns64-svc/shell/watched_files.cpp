// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/watched_files.hpp"

#include <sys/stat.h>

namespace isthmus::dns64 {

WatchedFiles::WatchedFiles(std::vector<std::string> paths) : paths_(std::move(paths)), last_(look()) {}

std::vector<WatchedFiles::Look> WatchedFiles::look() const {
  std::vector<Look> looks;
  looks.reserve(paths_.size());
  for (const auto& path : paths_) {
    struct stat status{};
    Look look;
    if (stat(path.c_str(), &status) == 0) {
      look = {.device = status.st_dev,
              .inode = status.st_ino,
              .size = static_cast<std::uint64_t>(status.st_size),
              .seconds = status.st_mtim.tv_sec,
              .nanoseconds = status.st_mtim.tv_nsec,
              .mode = status.st_mode,
              .owner = status.st_uid,
              .group = status.st_gid};
    }
    looks.push_back(look);
  }
  return looks;
}

bool WatchedFiles::changed() {
  auto now = look();
  if (now == last_) return false;
  last_ = std::move(now);
  return true;
}

}  // namespace isthmus::dns64
