// SPDX-License-Identifier: Apache-2.0
#include "controller/store/schema.hpp"

#include <array>
#include <cstdio>
#include <functional>

namespace isthmus::controller {
namespace {

// migrations[n] takes a store from version n + 1 to n + 2; each commit must leave what both can read, because
// it may be the last before a power cut. There is one version so far.
using Migration = std::function<Result<void, StoreError>(Store&)>;
const std::array<Migration, kSchemaVersion - 1> kMigrations{};

Result<void, StoreError> put_meta(Store& store, const v1::StoreMeta& meta, Revision before) {
  const std::string key{kMetaKey};
  const auto done =
      store.commit({.compares = {{key, before}}, .puts = {{key, meta.SerializeAsString()}}, .deletes = {}});
  if (!done) return failure(done.error());
  return {};
}

}  // namespace

std::string escaped(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '/') {
      out += "%2F";
    } else if (c == '%') {
      out += "%25";
    } else {
      out += c;
    }
  }
  return out;
}

std::string lease_key(Ipv4Address address) {
  return std::string{kLeasePrefix} + address.to_string();
}

std::string node_key(const Holder& holder) {
  return std::string{kNodePrefix} + escaped(holder.node_id) + "/" + escaped(holder.machine);
}

std::string chunk_key(std::string_view hash) {
  return std::string{kChunkPrefix} + std::string{hash};
}

std::string history_key(Ipv4Address address, std::int64_t since_ms) {
  std::array<char, 24> digits{};
  std::snprintf(digits.data(), digits.size(), "%016lld", static_cast<long long>(since_ms));
  return std::string{kHistoryPrefix} + address.to_string() + "/" + digits.data();
}

std::string drain_key(std::string_view node_id) {
  return std::string{kDrainPrefix} + escaped(node_id);
}

std::string policy_key(std::uint64_t number, std::uint32_t part) {
  std::array<char, 32> digits{};
  std::snprintf(digits.data(), digits.size(), "%010llu/%04u", static_cast<unsigned long long>(number), part);
  return std::string{kPolicyPrefix} + digits.data();
}

Result<void, StoreError> check_schema(const v1::StoreMeta& meta) {
  if (meta.schema() >= 1 && meta.schema() <= kSchemaVersion) return {};
  if (meta.schema() == 0)
    return failure(StoreError{StoreFailure::kUnusable, "the stored value of meta has no schema version"});
  return failure(
      StoreError{StoreFailure::kUnusable, "the store was written by a newer controller (schema " +
                                              std::to_string(meta.schema()) +
                                              ", known here: " + std::to_string(kSchemaVersion) +
                                              "): run that version, or restore a backup made by this one"});
}

Result<v1::StoreMeta, StoreError> open_schema(Store& store) {
  const auto restoring = store.get(kRestoringKey);
  if (!restoring) return failure(restoring.error());
  if (restoring->has_value()) {
    return failure(StoreError{StoreFailure::kUnusable,
                              "a restore of " + (*restoring)->value + " was interrupted: run it again"});
  }
  const auto stored = store.get(kMetaKey);
  if (!stored) return failure(stored.error());
  v1::StoreMeta meta;
  if (!stored->has_value()) {
    meta.set_schema(kSchemaVersion);
    meta.set_settling(true);
    if (auto done = put_meta(store, meta, kAbsent); !done) return failure(done.error());
    return meta;
  }
  auto parsed = parse<v1::StoreMeta>(kMetaKey, (*stored)->value);
  if (!parsed) return failure(parsed.error());
  meta = std::move(*parsed);
  if (auto known = check_schema(meta); !known) return failure(known.error());
  if (meta.schema() == kSchemaVersion) return meta;
  for (auto version = meta.schema(); version < kSchemaVersion; ++version) {
    if (auto done = kMigrations.at(version - 1)(store); !done) return failure(done.error());
  }
  meta.set_schema(kSchemaVersion);
  if (auto done = put_meta(store, meta, (*stored)->modified); !done) return failure(done.error());
  return meta;
}

}  // namespace isthmus::controller
