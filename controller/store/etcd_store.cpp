// SPDX-License-Identifier: Apache-2.0
#include "controller/store/etcd_store.hpp"

#include <algorithm>
#include <utility>

namespace isthmus::controller {
namespace {

using etcdserverpb::Compare;

constexpr std::int64_t kPage = 64;  // keys of a listing in one answer; values may be large

// The end of the range of all keys that begin with `prefix`.
std::string end_of(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

void compare_created(etcdserverpb::TxnRequest& txn, const std::string& key, std::int64_t created) {
  auto& compare = *txn.add_compare();
  compare.set_target(Compare::CREATE);
  compare.set_key(key);
  compare.set_create_revision(created);
}

StoreError not_writer(const std::string& why) {
  return {StoreFailure::kNotWriter, why};
}

}  // namespace

Result<std::shared_ptr<EtcdStore>, StoreError> EtcdStore::open(EtcdOptions options) {
  std::shared_ptr<EtcdStore> store{new EtcdStore(options)};
  auto client = EtcdClient::make(std::move(options));
  if (!client) return failure(client.error());
  store->client_ = std::move(*client);
  return store;
}

EtcdStore::~EtcdStore() {
  resign();
}

Result<std::optional<StoredValue>, StoreError> EtcdStore::get(std::string_view key) {
  etcdserverpb::RangeRequest request;
  request.set_key(key_of(key));
  const auto answer = client_->range(request);
  if (!answer) return failure(answer.error());
  if (answer->kvs().empty()) return std::optional<StoredValue>{};
  const auto& found = answer->kvs(0);
  return std::optional{StoredValue{found.value(), static_cast<Revision>(found.mod_revision())}};
}

Result<Snapshot, StoreError> EtcdStore::list(std::string_view prefix) {
  const auto begin = key_of(prefix);
  const auto cut = key_of("").size();
  Snapshot found;
  etcdserverpb::RangeRequest request;
  request.set_key(begin);
  request.set_range_end(end_of(begin));
  request.set_limit(kPage);
  while (true) {
    const auto answer = client_->range(request);
    if (!answer) return failure(answer.error());
    if (request.revision() == 0)
      request.set_revision(answer->header().revision());  // all pages as of the first
    for (const auto& kv : answer->kvs()) {
      found.entries.emplace_hint(found.entries.end(), kv.key().substr(cut),
                                 StoredValue{kv.value(), static_cast<Revision>(kv.mod_revision())});
    }
    if (!answer->more() || answer->kvs().empty()) break;
    request.set_key(answer->kvs().rbegin()->key() + '\0');
  }
  found.revision = static_cast<Revision>(request.revision());
  return found;
}

void EtcdStore::add_leader_compare(etcdserverpb::TxnRequest& txn, std::int64_t created) const {
  compare_created(txn, leader_key(), created);
  txn.add_failure()->mutable_request_range()->set_key(leader_key());
}

Result<Revision, StoreError> EtcdStore::commit(const Write& write) {
  if (auto fine = check(write); !fine) return failure(fine.error());
  const auto created = leader_created_.load();
  if (created == 0) return failure(not_writer("this controller does not lead"));
  etcdserverpb::TxnRequest txn;
  add_leader_compare(txn, created);
  for (const auto& [key, modified] : write.compares) {
    auto& compare = *txn.add_compare();
    compare.set_target(Compare::MOD);
    compare.set_key(key_of(key));
    compare.set_mod_revision(static_cast<std::int64_t>(modified));
  }
  for (const auto& [key, value] : write.puts) {
    auto& put = *txn.add_success()->mutable_request_put();
    put.set_key(key_of(key));
    put.set_value(value);
  }
  for (const auto& key : write.deletes)
    txn.add_success()->mutable_request_delete_range()->set_key(key_of(key));
  const auto answer = client_->txn(txn);
  if (!answer) return failure(answer.error());
  if (answer->succeeded()) return static_cast<Revision>(answer->header().revision());
  const auto& leader = answer->responses(0).response_range();
  if (leader.kvs().empty() || leader.kvs(0).create_revision() != created)
    return failure(not_writer("another controller leads, or none"));
  return failure(StoreError{StoreFailure::kConflict, "a key was changed meanwhile"});
}

bool EtcdStore::is_writer() const {
  return leader_created_ != 0 && boot_now().time_since_epoch().count() < valid_until_;
}

Result<std::string, StoreError> EtcdStore::campaign(const std::string& address) {
  const auto sent = boot_now();
  if (candidate_lease_ == 0) {
    const auto lease = client_->grant_lease(options_.leader_ttl_seconds);
    if (!lease) return failure(lease.error());
    candidate_lease_ = *lease;
  } else {
    const auto left = client_->keep_alive(candidate_lease_);
    if (!left) return failure(left.error());
    if (*left == 0) {
      candidate_lease_ = 0;  // it expired while etcd could not be reached: a new one next time
      return failure(StoreError{StoreFailure::kUnavailable, "the candidate's lease expired"});
    }
  }
  etcdserverpb::TxnRequest txn;
  compare_created(txn, leader_key(), 0);
  auto& put = *txn.add_success()->mutable_request_put();
  put.set_key(leader_key());
  put.set_value(address);
  put.set_lease(candidate_lease_);
  txn.add_failure()->mutable_request_range()->set_key(leader_key());
  const auto answer = client_->txn(txn);
  if (!answer) return failure(answer.error());
  if (answer->succeeded()) {
    begin_term(answer->header().revision(), candidate_lease_, sent);
    return address;
  }
  const auto& leader = answer->responses(0).response_range();
  if (leader.kvs().empty())
    return failure(StoreError{StoreFailure::kUnavailable, "the leader's key vanished while it was read"});
  if (leader.kvs(0).lease() == candidate_lease_) {  // ours: an answer to an earlier try was lost
    begin_term(leader.kvs(0).create_revision(), candidate_lease_, sent);
    return address;
  }
  return leader.kvs(0).value();
}

void EtcdStore::begin_term(std::int64_t created, std::int64_t lease, TimePoint sent) {
  lease_ = lease;
  candidate_lease_ = 0;
  stopping_ = false;
  valid_until_ = (sent + std::chrono::seconds{options_.leader_ttl_seconds}).time_since_epoch().count();
  leader_created_ = created;
  thread_ = std::thread{[this] { keep_alive(); }};
}

// The lease lives in etcd for its term after a keep-alive arrived there; we count from sending it, so we
// always stop first.
void EtcdStore::keep_alive() {
  const auto period = std::chrono::seconds{options_.leader_ttl_seconds} / 3;
  std::unique_lock lock{lock_};
  while (!wake_.wait_for(lock, period, [this] { return stopping_; })) {
    lock.unlock();
    const auto sent = boot_now();
    const auto seconds = client_->keep_alive(lease_);
    if (seconds && *seconds > 0) {
      valid_until_ =
          (sent + std::chrono::seconds{std::min<std::int64_t>(*seconds, options_.leader_ttl_seconds)})
              .time_since_epoch()
              .count();
    } else if (seconds) {
      valid_until_ = 0;
    }
    lock.lock();
    if (valid_until_ == 0) return;
  }
}

void EtcdStore::resign() {
  {
    const std::scoped_lock lock{lock_};
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (leader_created_.exchange(0) != 0) client_->revoke_lease(lease_);
  if (candidate_lease_ != 0 && client_ != nullptr) client_->revoke_lease(std::exchange(candidate_lease_, 0));
}

}  // namespace isthmus::controller
