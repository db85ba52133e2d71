// SPDX-License-Identifier: Apache-2.0
// Between the core that decides and the store that keeps: reads what a starting controller must know, and
// writes what the core decided before anybody is told. Also writes the history: who held which address, from
// when to when.
//
// Not thread-safe: the hub's thread owns it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/config/domain_lists.hpp"
#include "controller/core/control_plane.hpp"
#include "controller/store/records.hpp"
#include "controller/store/store.hpp"

namespace isthmus::controller {

// A version of the policy as it is stored: the message is not looked into here.
struct StoredPolicy {
  std::uint64_t number = 0;
  WallTime time;
  std::string author, comment;
  std::string policy;  // serialized isthmus.v1.Policy
};

class Ledger {
 public:
  // Refuses a store of a newer version or a damaged one.
  [[nodiscard]] static Result<std::unique_ptr<Ledger>, StoreError> open(std::shared_ptr<Store> store,
                                                                        Clocks now);

  // What the core starts from; once. Its epoch is higher than any that the store knows.
  [[nodiscard]] Memory take_memory() { return std::move(memory_); }

  // Notes what is to be written; nothing is written yet. `now`: the moment of the decisions.
  void record(const ControlPlane& core, const Outcome& outcome, Clocks now);
  // The versions of the policy, oldest first, and how far they have come.
  [[nodiscard]] std::vector<StoredPolicy> take_policies() { return std::move(policies_); }
  [[nodiscard]] RolloutMarks marks() const { return marks_; }
  // Noted like decisions. A version that is older than `keep_from` is dropped.
  void record_policy(const StoredPolicy& policy, std::uint64_t keep_from);
  void record_marks(RolloutMarks marks);
  // The pieces of large lists, once; and noted like decisions, written before the policy that names them.
  [[nodiscard]] std::vector<ListChunk> take_chunks() { return std::move(chunks_); }
  void record_chunk(const ListChunk& chunk);
  void forget_chunk(const std::string& hash);

  // Makes all that was recorded durable. After kUnavailable and the like nothing is lost: call it again.
  // After kNotWriter this process must stop deciding.
  [[nodiscard]] Result<void, StoreError> commit();
  [[nodiscard]] bool pending() const { return !puts_.empty() || !deletes_.empty(); }

  // Removes tenures that ended before `limit`, at most so many that a commit stays quick; true: there is
  // more.
  [[nodiscard]] Result<bool, StoreError> prune_history(WallTime limit);

  [[nodiscard]] Store& store() { return *store_; }

 private:
  // The tenure that runs for an address.
  struct Tenure {
    Holder holder;
    std::int64_t from_ms = 0;
  };

  explicit Ledger(std::shared_ptr<Store> store) : store_(std::move(store)) {}
  [[nodiscard]] Result<void, StoreError> read_leases(Clocks now);
  [[nodiscard]] Result<void, StoreError> read_nodes(Clocks now);
  [[nodiscard]] Result<void, StoreError> read_drains(Clocks now);
  [[nodiscard]] Result<void, StoreError> read_policies();
  [[nodiscard]] Result<void, StoreError> read_chunks();
  void record_lease(Ipv4Address address, const Lease* lease, Clocks now);
  void record_tenure(Ipv4Address address, const Lease* lease, Clocks now);
  void put(std::string key, std::string value);
  void erase(std::string key);

  std::shared_ptr<Store> store_;
  Memory memory_;
  v1::StoreMeta meta_;
  std::vector<StoredPolicy> policies_;
  std::map<std::uint64_t, std::uint32_t> policy_parts_;  // that the store has, by number
  RolloutMarks marks_;
  std::vector<ListChunk> chunks_;
  std::set<std::string> stored_chunks_;  // hashes
  std::map<Ipv4Address, Tenure> tenures_;
  std::set<Ipv4Address> stored_;             // addresses that have a record
  std::map<std::string, std::string> puts_;  // not durable yet
  std::set<std::string> deletes_;
};

// The tenures of one address, oldest first; of all when there is none.
[[nodiscard]] Result<std::vector<v1::TenureRecord>, StoreError> lease_history(
    Store& store, std::optional<Ipv4Address> address);

}  // namespace isthmus::controller
