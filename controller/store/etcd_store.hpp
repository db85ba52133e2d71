// SPDX-License-Identifier: Apache-2.0
// The store of several controllers: etcd. One of them leads: its address is the value of the key "leader",
// which lives as long as an etcd lease that the leader keeps alive. Every commit is a transaction that holds
// only while that key is still of the same creation: a leader that was replaced cannot write any more,
// however late its commit arrives. (Keys under PREFIX: "leader", and "data/..." for the entries.)
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/base/clock.hpp"
#include "controller/store/etcd_client.hpp"

namespace isthmus::controller {

class EtcdStore final : public Store {
 public:
  [[nodiscard]] static Result<std::shared_ptr<EtcdStore>, StoreError> open(EtcdOptions options);
  ~EtcdStore() override;  // resigns

  [[nodiscard]] Result<std::optional<StoredValue>, StoreError> get(std::string_view key) override;
  [[nodiscard]] Result<Snapshot, StoreError> list(std::string_view prefix) override;
  [[nodiscard]] Result<Revision, StoreError> commit(const Write& write) override;
  [[nodiscard]] bool is_writer() const override;

  // Tries once to become the leader; `address`: where others reach this controller's gRPC. The address of the
  // one that leads now, which is `address` on success. From then on the lease is kept alive by a thread.
  [[nodiscard]] Result<std::string, StoreError> campaign(const std::string& address);
  // Gives the lead away at once.
  void resign();

 private:
  explicit EtcdStore(EtcdOptions options) : options_(std::move(options)) {}
  [[nodiscard]] std::string key_of(std::string_view key) const {
    return options_.prefix + "data/" + std::string(key);
  }
  [[nodiscard]] std::string leader_key() const { return options_.prefix + "leader"; }
  void add_leader_compare(etcdserverpb::TxnRequest& txn, std::int64_t created) const;
  void begin_term(std::int64_t created, std::int64_t lease, TimePoint sent);
  void keep_alive();

  const EtcdOptions options_;
  std::unique_ptr<EtcdClient> client_;
  std::int64_t candidate_lease_ = 0;              // of campaign()'s thread
  std::atomic<std::int64_t> leader_created_ = 0;  // 0: this one does not lead
  std::atomic<Duration::rep> valid_until_ = 0;    // boot clock: etcd keeps our key at least until then
  std::int64_t lease_ = 0;
  std::mutex lock_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace isthmus::controller
