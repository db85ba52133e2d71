// SPDX-License-Identifier: Apache-2.0
// The last good state on disk. One file per resource, replaced whole (write, fsync, rename, fsync of the
// directory), so that a power cut leaves the old or the new one. A checksum tells a damaged file from a whole
// one. Pieces of lists are files of their own, named by their content. A lock keeps a second process out.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "common/control/subscription.hpp"

namespace isthmus {

class StateDir {
 public:
  // Makes the directory if it is missing and takes its lock. The error is a sentence with the remedy.
  [[nodiscard]] static Result<StateDir, std::string> open(const std::string& path);

  struct Loaded {
    GoodState state;
    std::vector<std::string> problems;  // files that were there and could not be used
  };
  [[nodiscard]] Loaded load() const;
  // Writes what differs from the last save; a resource that is absent loses its file.
  [[nodiscard]] Result<void, std::string> save(const GoodState& state);
  // A random id made once: tells a reboot of one machine from a second machine.
  [[nodiscard]] Result<std::string, std::string> machine_id();

 private:
  void load_chunks(Loaded& loaded) const;
  [[nodiscard]] Result<void, std::string> save_chunks(const GoodState& state);
  void remove_old_chunks(const GoodState& state) const;

  StateDir(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  UniqueFd lock_;
  std::string policy_, allocation_, health_;  // as last saved
};

// 32 lower-case hexadecimal digits from the kernel's random source.
[[nodiscard]] std::string random_id();

}  // namespace isthmus
