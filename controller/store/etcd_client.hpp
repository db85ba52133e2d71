// SPDX-License-Identifier: Apache-2.0
// etcd's v3 API over gRPC to one of several members: whichever answers. Thread-safe; calls block for a
// bounded time. https://etcd.io/docs/v3.4/learning/api/
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "controller/store/store.hpp"
#include "etcd/rpc.grpc.pb.h"

namespace isthmus::controller {

struct EtcdOptions {
  std::vector<std::string> endpoints;  // host:port
  std::string ca, certificate, key;    // PEM files; no CA: plain text; certificate and key may be left out
  std::string user, password;          // empty user: etcd's authentication is off
  std::string prefix = "/isthmus/";    // of all keys: several installations may share one etcd
  int call_timeout_ms = 2000;
  int leader_ttl_seconds = 6;  // a dead leader is replaced after this long
};

// Is this the answer to a token that is missing, has expired, or is older than etcd's users and roles?
[[nodiscard]] bool wants_token(const grpc::Status& status);

class EtcdClient {
 public:
  // Reads the files, and again when they change. Connects when it is first asked.
  [[nodiscard]] static Result<std::unique_ptr<EtcdClient>, StoreError> make(EtcdOptions options);

  // Reads are tried on every member; what changes something on one only: it may have happened although it
  // failed.
  [[nodiscard]] Result<etcdserverpb::RangeResponse, StoreError> range(
      const etcdserverpb::RangeRequest& request);
  [[nodiscard]] Result<etcdserverpb::TxnResponse, StoreError> txn(const etcdserverpb::TxnRequest& request);
  [[nodiscard]] Result<std::int64_t, StoreError> grant_lease(std::int64_t seconds);
  // The seconds it lives from now; 0: it has expired.
  [[nodiscard]] Result<std::int64_t, StoreError> keep_alive(std::int64_t lease);
  void revoke_lease(std::int64_t lease);

 private:
  struct Member {
    std::string endpoint;
    std::unique_ptr<etcdserverpb::KV::Stub> kv;
    std::unique_ptr<etcdserverpb::Lease::Stub> lease;
    std::unique_ptr<etcdserverpb::Auth::Stub> auth;
  };

  explicit EtcdClient(EtcdOptions options) : options_(std::move(options)) {}
  // Calls `call(member, context)` on the member that answered last; after a failure on the next, at most
  // `tries` in all.
  template <class Call>
  [[nodiscard]] Result<void, StoreError> ask(std::size_t tries, Call call);
  void prepare(grpc::ClientContext& context);
  [[nodiscard]] grpc::Status authenticate(Member& member);

  EtcdOptions options_;
  std::vector<Member> members_;
  std::atomic<std::size_t> preferred_ = 0;
  std::mutex token_lock_;
  std::string token_;
};

}  // namespace isthmus::controller
