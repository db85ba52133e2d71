// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/policy_source.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace isthmus::controller {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds{250};

}  // namespace

// The desk's refusals come back through `refuse`.
void PolicySource::propose(LoadedPolicy loaded) {
  for (const auto& chunk : loaded.chunks) hub_.chunks().put(chunk, boot_now());
  Proposal proposal{.from = PolicyOrigin::kFile,
                    .text = {std::make_shared<const Policy>(std::move(loaded.policy)),
                             std::make_shared<const v1::Policy>(std::move(loaded.wire))},
                    .author = "file",
                    .comment = file_.path(),
                    .if_version = std::nullopt,
                    .drain = drain_};
  hub_.propose(std::move(proposal), [this](const auto& taken) {
    if (!taken) refuse(taken.error().as_violations());
  });
}

void PolicySource::refuse(const std::vector<Violation>& violations) {
  for (const auto& violation : violations) {
    spdlog::error("policy file {} refused: {}{}{}", file_.path(), violation.path,
                  violation.path.empty() ? "" : ": ", violation.message);
  }
  spdlog::error("policy file {} is not used; the last good policy keeps running", file_.path());
  hub_.reject_policy(violations);
}

Result<void, std::vector<Violation>> PolicySource::start() {
  auto loaded = file_.load();
  if (!loaded) return failure(std::move(loaded.error()));
  propose(std::move(*loaded));
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
    auto loaded = file_.load_if_changed();
    if (!loaded) continue;
    if (*loaded) {
      propose(std::move(**loaded));
    } else {
      refuse(loaded->error());
    }
  }
}

}  // namespace isthmus::controller
