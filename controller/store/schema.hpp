// SPDX-License-Identifier: Apache-2.0
// The keys of the store and the version of what their values mean.
//
//   meta                       StoreMeta
//   leases/ADDRESS             LeaseRecord
//   nodes/NODE_ID/MACHINE      NodeRecord
//   restoring                  only while a backup is put in: the store is not whole
//   history/ADDRESS/SINCE      TenureRecord; SINCE in milliseconds, 16 digits, so that keys sort by time
//   drains/NODE_ID             DrainRecord
//   policies/NUMBER/PART       PolicyRecord; NUMBER in 10 digits, PART in 4
//   rolled_out                 RolledOut
//   chunks/HASH                a piece of a large list, as it is
//
// Names in keys are escaped: a '/' within one is "%2F".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/net/ipv4_address.hpp"
#include "controller/core/lease_table.hpp"
#include "controller/store/store.hpp"
#include "isthmus/v1/store.pb.h"

namespace isthmus::controller {

inline constexpr std::uint32_t kSchemaVersion = 1;

inline constexpr std::string_view kMetaKey = "meta";
inline constexpr std::string_view kRestoringKey = "restoring";
inline constexpr std::string_view kLeasePrefix = "leases/";
inline constexpr std::string_view kNodePrefix = "nodes/";
inline constexpr std::string_view kHistoryPrefix = "history/";
inline constexpr std::string_view kDrainPrefix = "drains/";
inline constexpr std::string_view kPolicyPrefix = "policies/";
inline constexpr std::string_view kChunkPrefix = "chunks/";
inline constexpr std::string_view kRolledOutKey = "rolled_out";

[[nodiscard]] std::string escaped(std::string_view name);
[[nodiscard]] std::string lease_key(Ipv4Address address);
[[nodiscard]] std::string node_key(const Holder& holder);
[[nodiscard]] std::string drain_key(std::string_view node_id);
[[nodiscard]] std::string policy_key(std::uint64_t number, std::uint32_t part);
[[nodiscard]] std::string chunk_key(std::string_view hash);
[[nodiscard]] std::string history_key(Ipv4Address address, std::int64_t since_ms);

// The message of a stored value; kUnusable when it cannot be read.
template <class Message>
[[nodiscard]] Result<Message, StoreError> parse(std::string_view key, const std::string& value) {
  Message message;
  if (!message.ParseFromString(value)) {
    return failure(StoreError{StoreFailure::kUnusable,
                              "the stored value of " + std::string(key) + " is damaged: restore a backup"});
  }
  return message;
}

// Refuses what a newer controller wrote.
[[nodiscard]] Result<void, StoreError> check_schema(const v1::StoreMeta& meta);

// Reads what the store says of itself and brings an older store up to date. An empty store gets the present
// version. A newer one is refused.
[[nodiscard]] Result<v1::StoreMeta, StoreError> open_schema(Store& store);

}  // namespace isthmus::controller
