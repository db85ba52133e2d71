// SPDX-License-Identifier: Apache-2.0
// A policy file and the lists that it names, looked at again and again: by a service that runs alone and by
// the controller alike.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/config/domain_lists.hpp"
#include "common/config/policy.hpp"
#include "isthmus/v1/policy.pb.h"

namespace isthmus {

struct LoadedPolicy {
  v1::Policy wire;                // with the hashes of its lists' chunks
  Policy policy;                  // the same; its lists are not attached
  std::vector<ListChunk> chunks;  // what the lists hold
};

class PolicyFile {
 public:
  using Loaded = Result<LoadedPolicy, std::vector<Violation>>;

  explicit PolicyFile(std::string path) : path_(std::move(path)) {}

  [[nodiscard]] Loaded load();
  // The same, when the file or one of its lists is another than at the last load, good or bad; else nothing.
  [[nodiscard]] std::optional<Loaded> load_if_changed();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  [[nodiscard]] Loaded load(Result<std::string, Violation> text);
  [[nodiscard]] std::string stamps() const;

  std::string path_;
  std::optional<std::string> text_;  // of the last load; nothing: unreadable
  v1::Policy lists_;                 // the last one that could be parsed
  std::string stamps_;               // of its lists, when they were read
};

}  // namespace isthmus
