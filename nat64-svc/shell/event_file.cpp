// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/event_file.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace isthmus::nat64 {
namespace {

constexpr std::chrono::seconds kLookEvery{1};

UniqueFd open_path(const std::string& path) {
  return UniqueFd(path == "-" ? dup(STDOUT_FILENO)
                              : ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
}

// By a descriptor of its own, for the other one only writes. What cannot be read is taken for whole.
bool ends_in_half_line(const std::string& path) {
  if (path == "-") return false;
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat about{};
  char last = '\n';
  if (!fd.valid() || fstat(fd.get(), &about) != 0 || !S_ISREG(about.st_mode) || about.st_size == 0)
    return false;
  return pread(fd.get(), &last, 1, about.st_size - 1) == 1 && last != '\n';
}

}  // namespace

EventFile::EventFile(std::string path, UniqueFd fd)
    : path_(std::move(path)), fd_(std::move(fd)), half_line_(ends_in_half_line(path_)) {}

Result<std::unique_ptr<EventFile>, std::string> EventFile::open(const std::string& path) {
  auto fd = open_path(path);
  if (!fd.valid()) {
    return failure("cannot write events to " + path + ": " + std::strerror(errno) +
                   ": give --events a file in a directory that this process may write to");
  }
  return std::unique_ptr<EventFile>(new EventFile(path, std::move(fd)));
}

bool EventFile::append(std::string_view lines) {
  return (!half_line_ || write_all("\n")) && write_all(lines);
}

bool EventFile::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = write(fd_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    half_line_ = bytes[static_cast<std::size_t>(n) - 1] != '\n';
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void EventFile::follow_path(TimePoint now) {
  if (path_ == "-") return;
  const bool asked = reopen_.exchange(false);
  if (!asked && now < next_look_) return;
  next_look_ = now + kLookEvery;
  if (!asked && !path_leads_elsewhere()) return;
  auto fresh = open_path(path_);
  if (!fresh.valid()) {
    spdlog::error("cannot open {} again: {}; events go on into the old file", path_, std::strerror(errno));
    return;
  }
  fd_ = std::move(fresh);
  half_line_ = ends_in_half_line(path_);
}

bool EventFile::path_leads_elsewhere() const {
  struct stat there{};
  struct stat here{};
  if (stat(path_.c_str(), &there) != 0) return true;
  return fstat(fd_.get(), &here) == 0 && (there.st_ino != here.st_ino || there.st_dev != here.st_dev);
}

}  // namespace isthmus::nat64
