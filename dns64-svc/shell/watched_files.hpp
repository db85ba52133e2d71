// SPDX-License-Identifier: Apache-2.0
// Files that are replaced while we run: certificates, keys, secrets. Looked at, not waited for: a mounted
// secret changes by a symbolic link somewhere above it, which no watch of the file itself sees.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace isthmus::dns64 {

class WatchedFiles {
 public:
  explicit WatchedFiles(std::vector<std::string> paths);
  // Whether any of them is another than at the last call (at first: than when this was made), or may be read
  // by others than then.
  [[nodiscard]] bool changed();

 private:
  struct Look {  // zeros: it is not there
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t seconds = 0, nanoseconds = 0;  // last modification
    std::uint32_t mode = 0, owner = 0, group = 0;
    bool operator==(const Look&) const = default;
  };
  [[nodiscard]] std::vector<Look> look() const;
  std::vector<std::string> paths_;
  std::vector<Look> last_;
};

}  // namespace isthmus::dns64
