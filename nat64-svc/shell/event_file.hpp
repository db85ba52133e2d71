// SPDX-License-Identifier: Apache-2.0
// The file of event records on disk, appended to line by line. When it is renamed or removed (logrotate) a
// new one is begun within a second, or at once after reopen(); what was written stays where it is. What a
// full disk or a crash left without its end gets one, so that the next record is a line of its own.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/clock.hpp"
#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"

namespace isthmus::nat64 {

class EventFile {
 public:
  // `path` "-" is stdout. The error is a sentence with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<EventFile>, std::string> open(const std::string& path);

  // Whole lines; all of them, or false: the last that was written may be a part.
  [[nodiscard]] bool append(std::string_view lines);
  // To be called now and then: looks whether the path still leads to this file.
  void follow_path(TimePoint now);
  void reopen() { reopen_.store(true); }  // any thread

 private:
  EventFile(std::string path, UniqueFd fd);
  [[nodiscard]] bool write_all(std::string_view bytes);
  [[nodiscard]] bool path_leads_elsewhere() const;

  std::string path_;
  UniqueFd fd_;
  bool half_line_;
  TimePoint next_look_;
  std::atomic<bool> reopen_{false};
};

}  // namespace isthmus::nat64
