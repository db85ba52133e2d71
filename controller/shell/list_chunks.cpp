// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/list_chunks.hpp"

#include <utility>

namespace isthmus::controller {
namespace {

constexpr int kLooksWhileOneWaits = 12;

}  // namespace

Result<void, std::string> ListChunks::put(std::string hash, std::string data, TimePoint now) {
  if (data.size() > kMaxChunkBytes)
    return failure("a piece of a list is larger than " + std::to_string(kMaxChunkBytes) + " bytes");
  if (content_hash(data) != hash) return failure(std::string("a piece of a list is not what its hash says"));
  {
    const std::scoped_lock lock{lock_};
    if (bytes_ + data.size() > kMaxBytes && !chunks_.contains(hash))
      return failure("the lists of all kept policies take " + std::to_string(bytes_ >> 20) +
                     " MiB: make them smaller, or wait an hour after uploads that were not applied");
  }
  put(ListChunk{std::move(hash), std::make_shared<const std::string>(std::move(data))}, now);
  return {};
}

void ListChunks::put(const ListChunk& chunk, TimePoint now) {
  const std::scoped_lock lock{lock_};
  const auto [it, fresh] = chunks_.try_emplace(chunk.hash, Kept{chunk.data, now});
  it->second.came = now;
  if (fresh) bytes_ += chunk.data->size();
}

ListData ListChunks::find(const std::string& hash) const {
  const std::scoped_lock lock{lock_};
  const auto it = chunks_.find(hash);
  return it == chunks_.end() ? nullptr : it->second.data;
}

bool ListChunks::touch(const std::string& hash, TimePoint now) {
  const std::scoped_lock lock{lock_};
  const auto it = chunks_.find(hash);
  if (it == chunks_.end()) return false;
  it->second.came = now;
  return true;
}

bool ListChunks::prune_due(TimePoint now) {
  const std::scoped_lock lock{lock_};
  if (chunks_.empty() || now < prune_at_) return false;
  prune_at_ = now + wait_ / kLooksWhileOneWaits;
  return true;
}

std::set<std::string> ListChunks::within(std::size_t most,
                                         const std::vector<std::vector<std::string>>& versions) const {
  std::set<std::string> kept;
  std::size_t bytes = 0;
  for (const auto& version : versions) {
    auto with_it = kept;
    std::size_t more = 0;
    for (const auto& hash : version) {
      const auto data = find(hash);
      if (with_it.insert(hash).second && data != nullptr) more += data->size();
    }
    if (&version != &versions.front() && bytes + more > most) break;
    kept = std::move(with_it);
    bytes += more;
  }
  return kept;
}

std::vector<std::string> ListChunks::prune(const std::set<std::string>& named, TimePoint now) {
  const std::scoped_lock lock{lock_};
  std::vector<std::string> forgotten;
  std::erase_if(chunks_, [&](const auto& each) {
    if (named.contains(each.first) || now - each.second.came < wait_) return false;
    bytes_ -= each.second.data->size();
    forgotten.push_back(each.first);
    return true;
  });
  return forgotten;
}

std::size_t ListChunks::bytes() const {
  const std::scoped_lock lock{lock_};
  return bytes_;
}

}  // namespace isthmus::controller
