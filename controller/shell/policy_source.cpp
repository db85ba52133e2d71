// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/policy_source.hpp"

#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "common/config/from_proto.hpp"
#include "common/config/yaml.hpp"
#include "common/control/list_files.hpp"

namespace isthmus::controller {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds{250};

Result<std::string, Violation> read_file(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  std::string text(kMaxPolicyBytes + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) {
    return failure(Violation{path, std::string("cannot be read: ") + std::strerror(errno) +
                                       ": check the path and its permissions"});
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kMaxPolicyBytes) {
    return failure(Violation{path, "is larger than " + std::to_string(kMaxPolicyBytes) + " bytes"});
  }
  return text;
}

}  // namespace

// Refusals of the text are told at once; those of the desk come back through `refuse`.
Result<void, std::vector<Violation>> PolicySource::load(const std::string& text) {
  auto wire = parse_policy_yaml(text);
  if (!wire) return failure(std::move(wire.error()));
  stamps_ = list_stamps(*wire, directory_of(path_));  // before they are read: a change in between is seen
  last_ = *wire;
  const auto chunks = read_lists(*wire, directory_of(path_));
  if (!chunks) return failure(chunks.error());
  for (const auto& chunk : *chunks) hub_.chunks().put(chunk, boot_now());
  auto policy = from_proto(*wire);
  if (!policy) return failure(std::move(policy.error()));
  Proposal proposal{.from = PolicyOrigin::kFile,
                    .text = {std::make_shared<const Policy>(std::move(*policy)),
                             std::make_shared<const v1::Policy>(std::move(*wire))},
                    .author = "file",
                    .comment = path_,
                    .if_version = std::nullopt,
                    .drain = drain_};
  hub_.propose(std::move(proposal), [this](const auto& taken) {
    if (!taken) refuse(taken.error().as_violations());
  });
  return {};
}

void PolicySource::refuse(const std::vector<Violation>& violations) {
  for (const auto& violation : violations) {
    spdlog::error("policy file {} refused: {}{}{}", path_, violation.path, violation.path.empty() ? "" : ": ",
                  violation.message);
  }
  spdlog::error("policy file {} is not used; the last good policy keeps running", path_);
  hub_.reject_policy(violations);
}

Result<void, std::vector<Violation>> PolicySource::start() {
  auto text = read_file(path_);
  if (!text) return failure(std::vector{text.error()});
  last_text_ = std::move(*text);
  if (auto loaded = load(last_text_); !loaded) return loaded;
  thread_ = std::thread{[this] { watch(); }};
  return {};
}

void PolicySource::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void PolicySource::watch() {
  while (!stopping_) {
    std::this_thread::sleep_for(kLookEvery);
    look();
  }
}

void PolicySource::look() {
  auto text = read_file(path_);
  if (!text) {
    if (std::exchange(readable_, false)) {
      spdlog::warn("policy file {} {}; the last good policy keeps running", text.error().path,
                   text.error().message);
      hub_.reject_policy({text.error()});
    }
    return;
  }
  const bool back = !std::exchange(readable_, true);
  if (*text == last_text_ && list_stamps(last_, directory_of(path_)) == stamps_ && !back) return;
  last_text_ = std::move(*text);
  if (auto loaded = load(last_text_); !loaded) refuse(loaded.error());
}

}  // namespace isthmus::controller
