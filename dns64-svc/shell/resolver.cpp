// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/resolver.hpp"

#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unbound-event.h>
#include <unbound.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "common/base/unique_fd.hpp"
#include "dns64-svc/core/wire/constants.hpp"
#include "dns64-svc/shell/ub_event_base.hpp"

namespace isthmus::dns64 {

namespace {

std::mutex& making() {
  static std::mutex mutex;
  return mutex;
}

// libunbound reads its configuration from files only; this one exists in memory, under a path of /proc.
struct MemoryFile {
  UniqueFd fd;
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd.get()); }
};

Result<MemoryFile, std::string> memory_file(const std::string& text) {
  MemoryFile file{UniqueFd{memfd_create("isthmus-resolver", MFD_CLOEXEC)}};
  if (!file.fd.valid() || write(file.fd.get(), text.data(), text.size()) != std::ssize(text))
    return failure(std::string{"cannot hold the resolver's configuration in memory (memfd_create)"});
  return file;
}

// True when there are anchors in the file; libunbound replaces it when the keys roll, and where it cannot it
// follows them in memory. An empty file would be no anchor at all.
bool has_anchor_file(const std::string& path) {
  struct stat found{};
  if (stat(path.c_str(), &found) != 0 || found.st_size == 0) {
    const auto fresh = path + ".new";
    std::ofstream out{fresh};
    out << built_in_root_anchors();
    out.close();
    if (!out || rename(fresh.c_str(), path.c_str()) != 0) return false;
  }
  return access(path.c_str(), R_OK) == 0;
}

}  // namespace

void remove_half_written_anchors(const std::string& file) {
  namespace fs = std::filesystem;
  const fs::path path{file};
  const auto stem = path.filename().string() + ".";  // libunbound adds process, thread and context
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{path.parent_path(), ignored}) {
    const auto name = entry.path().filename().string();
    const auto rest = std::string_view{name}.substr(std::min(stem.size(), name.size()));
    const bool numbers = std::ranges::count(rest, '-') == 2 && rest.front() >= '0' && rest.front() <= '9';
    if (name.starts_with(stem) && numbers) fs::remove(entry.path(), ignored);
  }
}

struct ResolverContext::Question {
  ResolverContext* owner;
  std::uint64_t ticket;
};

Result<std::unique_ptr<ResolverContext>, std::string> ResolverContext::create(UbEventBase& base,
                                                                              const Resolver& resolver,
                                                                              const Dns64Limits& limits,
                                                                              Sink sink,
                                                                              const RootAnchor& root_anchor) {
  const auto prefix = "resolver " + resolver.name + ": ";
  UnboundFiles files;
  MemoryFile hints;
  if (!resolver.root_hints.empty()) {
    const auto zone = root_hints_zone(resolver);
    if (!zone) return failure(prefix + zone.error());
    auto file = memory_file(*zone);
    if (!file) return failure(prefix + file.error());
    hints = std::move(*file);
    files.root_hints = hints.path();
  }
  const std::lock_guard lock{making()};
  if (!root_anchor.file.empty() && resolver.dnssec && resolver.trust_anchors.empty()) {
    if (has_anchor_file(root_anchor.file))
      files.root_anchor = root_anchor;
    else
      spdlog::warn("{} cannot be made or read: the root's keys are not followed as they roll",
                   root_anchor.file);
  }
  const auto text = unbound_config(resolver, limits, files);
  if (!text) return failure(prefix + text.error());
  const auto config = memory_file(*text);
  if (!config) return failure(prefix + config.error());

  std::unique_ptr<ResolverContext> made{new ResolverContext};
  made->sink_ = std::move(sink);
  for (const auto& zone : resolver.zones) made->zones_.push_back(zone.name);
  made->context_ = ub_ctx_create_ub_event(base.get());
  if (made->context_ == nullptr) return failure(prefix + "libunbound cannot make a context: out of memory");
  if (const int error = ub_ctx_config(made->context_, config->path().c_str()); error != 0)
    return failure(prefix + "libunbound refuses its configuration (" + ub_strerror(error) +
                   "): look at trust_anchors, upstreams and zones; libunbound's own words are on stderr");
  if (!made->ask(Name::parse(kStartName).value(), rr::kA, kStarting))
    return failure(prefix +
                   "libunbound cannot start: look at trust_anchors and root_hints; libunbound's own "
                   "words are on stderr");
  made->arrived_.clear();
  return made;
}

ResolverContext::~ResolverContext() {
  if (context_ != nullptr) ub_ctx_delete(context_);
  for (const auto& [key, question] : outstanding_)
    arrived_.push_back({.ticket = question->ticket, .rcode = rcode::kServFail, .wire = {}});
  deliver();
}

bool ResolverContext::ask(const Name& name, std::uint16_t type, std::uint64_t ticket,
                          std::uint32_t refresh_ttl) {
  auto question = std::make_unique<Question>(Question{this, ticket});
  auto* key = question.get();
  outstanding_.emplace(key, std::move(question));
  // Presentation form with escapes, so that binary labels survive. May call on_reply() before it returns.
  const auto text = name.to_string();
  asking_ = true;
  const int error = refresh_ttl == 0
                        ? ub_resolve_event(context_, text.c_str(), type, kClassIn, key, on_reply, nullptr)
                        : ub_resolve_event_fresh(context_, text.c_str(), type, kClassIn,
                                                 static_cast<int>(refresh_ttl), key, on_reply);
  asking_ = false;
  if (error != 0) outstanding_.erase(key);
  return error == 0;
}

void ResolverContext::on_reply(void* argument, int rcode, void* packet, int size, int security,
                               char* /*why_bogus*/, int /*was_rate_limited*/) {
  const auto* question = static_cast<const Question*>(argument);
  auto& self = *question->owner;
  ResolverReply reply{.ticket = question->ticket,
                      .rcode = static_cast<std::uint16_t>(rcode),
                      .security = static_cast<Security>(security),
                      .wire = {}};
  if (rcode == 0 && packet != nullptr && size > 0) {
    const auto* bytes = static_cast<const std::uint8_t*>(packet);
    reply.wire.assign(bytes, bytes + size);
    self.answered_ = self.answered_ || !self.asking_;
  } else if (rcode == 0) {
    reply.rcode = rcode::kServFail;
  }
  self.outstanding_.erase(question);
  self.arrived_.push_back(std::move(reply));
}

bool ResolverContext::deliver() {
  if (arrived_.empty()) return false;
  std::vector<ResolverReply> batch;
  batch.swap(arrived_);  // the sink may ask again
  for (auto& reply : batch) {
    if (reply.ticket != kPriming && reply.ticket != kStarting) sink_(std::move(reply));
  }
  return true;
}

void ResolverContext::prime() {
  (void)ask(Name{}, rr::kNs, kPriming);
  for (const auto& zone : zones_) {
    if (const auto name = Name::parse(zone)) (void)ask(*name, rr::kSoa, kPriming);
  }
}

Duration ResolverContext::follow_root() {
  constexpr int kHour = 3600;  // the shortest interval of RFC 5011 §2.3, and of looking for it
  const int seconds = ub_ctx_probe_anchors(context_);
  return std::chrono::seconds{seconds <= 0 ? kHour : std::min(seconds, kHour)};
}

}  // namespace isthmus::dns64
