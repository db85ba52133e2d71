// SPDX-License-Identifier: Apache-2.0
#include "controller/store/ledger.hpp"

#include <algorithm>
#include <utility>

#include "common/base/utf8.hpp"
#include "controller/store/schema.hpp"

namespace isthmus::controller {
namespace {

constexpr std::size_t kBatchBytes = kMaxWriteBytes / 2;
constexpr std::size_t kPolicyPart = kBatchBytes / 2;

}  // namespace

Result<std::unique_ptr<Ledger>, StoreError> Ledger::open(std::shared_ptr<Store> store, Clocks now) {
  std::unique_ptr<Ledger> ledger{new Ledger(std::move(store))};
  auto meta = open_schema(*ledger->store_);
  if (!meta) return failure(meta.error());
  ledger->meta_ = std::move(*meta);
  // The wall clock keeps the epoch of a controller above those of a store that was lost or is older.
  const auto wall =
      static_cast<std::uint64_t>(std::max<std::int64_t>(1, now.wall.time_since_epoch().count()));
  ledger->memory_.epoch = std::max(ledger->meta_.epoch() + 1, wall);
  ledger->memory_.settling = ledger->meta_.settling();
  if (auto read = ledger->read_leases(now); !read) return failure(read.error());
  if (auto read = ledger->read_nodes(now); !read) return failure(read.error());
  if (auto read = ledger->read_drains(now); !read) return failure(read.error());
  if (auto read = ledger->read_policies(); !read) return failure(read.error());
  if (auto read = ledger->read_chunks(); !read) return failure(read.error());
  return ledger;
}

Result<void, StoreError> Ledger::read_drains(Clocks now) {
  const auto all = store_->list(kDrainPrefix);
  if (!all) return failure(all.error());
  for (const auto& [key, stored] : all->entries) {
    const auto record = parse<v1::DrainRecord>(key, stored.value);
    if (!record) return failure(record.error());
    auto drain = from_record(*record, now);
    if (!drain) return failure(drain.error());
    memory_.drains.push_back(std::move(*drain));
  }
  return {};
}

Result<void, StoreError> Ledger::read_policies() {
  const auto all = store_->list(kPolicyPrefix);
  if (!all) return failure(all.error());
  std::uint32_t expected = 0;  // part
  for (const auto& [key, stored] : all->entries) {
    const auto record = parse<v1::PolicyRecord>(key, stored.value);
    if (!record) return failure(record.error());
    policy_parts_[record->number()] = std::max(policy_parts_[record->number()], record->part() + 1);
    if (record->part() == 0) {
      policies_.push_back({.number = record->number(),
                           .time = WallTime{std::chrono::milliseconds{record->time_ms()}},
                           .author = utf8_within(record->author(), kMaxNote),
                           .comment = utf8_within(record->comment(), kMaxNote),
                           .policy = {}});
      expected = 0;
    }
    if (policies_.empty() || policies_.back().number != record->number() || record->part() != expected)
      continue;
    policies_.back().policy += record->policy();
    if (++expected == record->parts()) expected = 0;
  }
  if (expected != 0) policies_.pop_back();  // the last one was cut off, and never told
  const auto rolled_out = store_->get(kRolledOutKey);
  if (!rolled_out) return failure(rolled_out.error());
  if (!*rolled_out) return {};
  const auto record = parse<v1::RolledOut>(kRolledOutKey, (*rolled_out)->value);
  if (!record) return failure(record.error());
  const auto number = record->number();
  marks_ = {
      .done = number, .nat64 = std::max(number, record->nat64()), .dns64 = std::max(number, record->dns64())};
  return {};
}

Result<void, StoreError> Ledger::read_chunks() {
  auto all = store_->list(kChunkPrefix);
  if (!all) return failure(all.error());
  for (auto& [key, stored] : all->entries) {
    auto hash = key.substr(kChunkPrefix.size());
    if (content_hash(stored.value) != hash)
      return failure(StoreError{StoreFailure::kUnusable,
                                "the stored value of " + key + " is damaged: restore a backup"});
    stored_chunks_.insert(hash);
    chunks_.push_back({std::move(hash), std::make_shared<const std::string>(std::move(stored.value))});
  }
  return {};
}

void Ledger::record_chunk(const ListChunk& chunk) {
  if (stored_chunks_.insert(chunk.hash).second) put(chunk_key(chunk.hash), *chunk.data);
}

void Ledger::forget_chunk(const std::string& hash) {
  if (stored_chunks_.erase(hash) > 0) erase(chunk_key(hash));
}

void Ledger::record_policy(const StoredPolicy& policy, std::uint64_t keep_from) {
  const std::size_t parts = std::max<std::size_t>(1, (policy.policy.size() + kPolicyPart - 1) / kPolicyPart);
  for (std::size_t part = 0; part < parts; ++part) {
    v1::PolicyRecord record;
    record.set_number(policy.number);
    record.set_part(static_cast<std::uint32_t>(part));
    record.set_parts(static_cast<std::uint32_t>(parts));
    if (part == 0) {
      record.set_time_ms(policy.time.time_since_epoch().count());
      record.set_author(policy.author);
      record.set_comment(policy.comment);
    }
    record.set_policy(policy.policy.substr(part * kPolicyPart, kPolicyPart));
    put(policy_key(policy.number, record.part()), record.SerializeAsString());
  }
  policy_parts_[policy.number] = static_cast<std::uint32_t>(parts);
  while (policy_parts_.begin()->first < keep_from) {
    const auto [number, count] = *policy_parts_.begin();
    for (std::uint32_t part = 0; part < count; ++part) erase(policy_key(number, part));
    policy_parts_.erase(policy_parts_.begin());
  }
}

void Ledger::record_marks(RolloutMarks marks) {
  if (marks_ == marks) return;
  marks_ = marks;
  v1::RolledOut record;
  record.set_number(marks.done);
  record.set_nat64(marks.nat64);
  record.set_dns64(marks.dns64);
  put(std::string{kRolledOutKey}, record.SerializeAsString());
}

Result<void, StoreError> Ledger::read_leases(Clocks now) {
  const auto all = store_->list(kLeasePrefix);
  if (!all) return failure(all.error());
  for (const auto& [key, stored] : all->entries) {
    const auto record = parse<v1::LeaseRecord>(key, stored.value);
    if (!record) return failure(record.error());
    auto lease = from_record(*record, now);
    if (!lease) return failure(lease.error());
    stored_.insert(lease->address);
    if (lease->held()) tenures_[lease->address] = {lease->holder, record->held_since_ms()};
    memory_.leases.push_back(std::move(*lease));
  }
  return {};
}

Result<void, StoreError> Ledger::read_nodes(Clocks now) {
  const auto all = store_->list(kNodePrefix);
  if (!all) return failure(all.error());
  for (const auto& [key, stored] : all->entries) {
    const auto record = parse<v1::NodeRecord>(key, stored.value);
    if (!record) return failure(record.error());
    memory_.nodes.emplace_back(holder_from(record->holder()),
                               KnownNode{record->boot_id(), record->incarnation(), now.boot});
  }
  return {};
}

void Ledger::put(std::string key, std::string value) {
  deletes_.erase(key);
  puts_.insert_or_assign(std::move(key), std::move(value));
}

void Ledger::erase(std::string key) {
  puts_.erase(key);
  deletes_.insert(std::move(key));
}

void Ledger::record_tenure(Ipv4Address address, const Lease* lease, Clocks now) {
  const bool held = lease != nullptr && lease->held();
  const auto running = tenures_.find(address);
  if (running != tenures_.end() && held && running->second.holder == lease->holder) return;
  const auto now_ms = now.wall.time_since_epoch().count();
  v1::TenureRecord record;
  record.set_address(address.to_string());
  const auto write = [&](const Tenure& tenure) {
    record.mutable_holder()->set_node_id(tenure.holder.node_id);
    record.mutable_holder()->set_machine(tenure.holder.machine);
    record.set_from_ms(tenure.from_ms);
    put(history_key(address, tenure.from_ms), record.SerializeAsString());
  };
  std::int64_t from_ms = now_ms;
  if (running != tenures_.end()) {
    record.set_to_ms(std::max(now_ms, running->second.from_ms + 1));
    from_ms = record.to_ms();
    write(running->second);
    tenures_.erase(running);
    record.clear_to_ms();
  }
  if (held) write(tenures_[address] = {lease->holder, from_ms});
}

void Ledger::record_lease(Ipv4Address address, const Lease* lease, Clocks now) {
  record_tenure(address, lease, now);
  if (lease == nullptr || !worth_storing(*lease)) {
    if (stored_.erase(address) > 0) erase(lease_key(address));
    return;
  }
  auto record = to_record(*lease, now);
  if (const auto tenure = tenures_.find(address); tenure != tenures_.end())
    record.set_held_since_ms(tenure->second.from_ms);
  stored_.insert(address);
  put(lease_key(address), record.SerializeAsString());
}

void Ledger::record(const ControlPlane& core, const Outcome& outcome, Clocks now) {
  for (const auto address : outcome.changed_leases) record_lease(address, core.leases().find(address), now);
  for (const auto& holder : outcome.changed_nodes) {
    const auto known = core.known_nodes().find(holder);
    if (known == core.known_nodes().end()) {
      erase(node_key(holder));
    } else {
      put(node_key(holder), to_record(holder, known->second).SerializeAsString());
    }
  }
  for (const auto& node_id : outcome.changed_drains) {
    if (const auto* drain = core.drain_of(node_id)) {
      put(drain_key(node_id), to_record(*drain, now).SerializeAsString());
    } else {
      erase(drain_key(node_id));
    }
  }
  if (meta_.epoch() == core.epoch() && meta_.settling() == core.settling()) return;
  meta_.set_epoch(core.epoch());
  meta_.set_settling(core.settling());
  put(std::string{kMetaKey}, meta_.SerializeAsString());
}

// Every record stands for itself, so it does no harm when a power cut comes between two commits: the store
// then knows of some grants that nobody was told; they are told when the node comes back. The order is that
// of the keys: leases before meta, so that a store that says it has settled knows every lease.
Result<void, StoreError> Ledger::commit() {
  while (pending()) {
    Write write;
    std::size_t bytes = 0;
    for (auto it = puts_.begin(); it != puts_.end() && write.operations() < kMaxWriteOperations; ++it) {
      bytes += it->first.size() + it->second.size();
      if (bytes > kBatchBytes && !write.puts.empty()) break;
      write.puts.insert(*it);
    }
    for (auto it = deletes_.begin(); it != deletes_.end() && write.operations() < kMaxWriteOperations; ++it)
      write.deletes.push_back(*it);
    if (const auto done = store_->commit(write); !done) return failure(done.error());
    for (const auto& [key, value] : write.puts) puts_.erase(key);
    for (const auto& key : write.deletes) deletes_.erase(key);
  }
  return {};
}

Result<bool, StoreError> Ledger::prune_history(WallTime limit) {
  const auto all = store_->list(kHistoryPrefix);
  if (!all) return failure(all.error());
  Write write;
  for (const auto& [key, stored] : all->entries) {
    v1::TenureRecord record;
    if (!record.ParseFromString(stored.value) || record.to_ms() == 0 ||
        record.to_ms() >= limit.time_since_epoch().count())
      continue;
    if (write.operations() == kMaxWriteOperations) break;
    write.deletes.push_back(key);
  }
  if (write.empty()) return false;
  if (const auto done = store_->commit(write); !done) return failure(done.error());
  return write.operations() == kMaxWriteOperations;
}

Result<std::vector<v1::TenureRecord>, StoreError> lease_history(Store& store,
                                                                std::optional<Ipv4Address> address) {
  const auto prefix = std::string{kHistoryPrefix} + (address ? address->to_string() + "/" : "");
  const auto all = store.list(prefix);
  if (!all) return failure(all.error());
  std::vector<v1::TenureRecord> tenures;
  for (const auto& [key, stored] : all->entries) {
    auto record = parse<v1::TenureRecord>(key, stored.value);
    if (!record) return failure(record.error());
    tenures.push_back(std::move(*record));
  }
  return tenures;
}

}  // namespace isthmus::controller
