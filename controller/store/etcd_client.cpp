// SPDX-License-Identifier: Apache-2.0
#include "controller/store/etcd_client.hpp"

#include <utility>

#include "common/control/tls_credentials.hpp"

namespace isthmus::controller {
namespace {

constexpr int kMaxAnswer = 80 << 20;  // EtcdStore asks for pages of 64 values, each of at most kMaxValue

Result<std::shared_ptr<grpc::ChannelCredentials>, StoreError> credentials(const EtcdOptions& options) {
  auto made = watched_channel_credentials({options.ca, options.certificate, options.key});
  if (made) return std::move(*made);
  return failure(StoreError{StoreFailure::kUnusable,
                            "etcd (--etcd-ca, --etcd-certificate, --etcd-key): " + made.error()});
}

StoreError from_status(const std::string& endpoint, const grpc::Status& status) {
  const bool refused = status.error_code() == grpc::StatusCode::PERMISSION_DENIED;
  return {refused ? StoreFailure::kUnusable : StoreFailure::kUnavailable,
          "etcd at " + endpoint + ": " + status.error_message()};
}

}  // namespace

// etcd answers an expired or missing token with one of these, and one that was given before its users or
// roles changed with the last.
bool wants_token(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNAUTHENTICATED) return true;
  const auto says = [&](const char* text) { return status.error_message().find(text) != std::string::npos; };
  return status.error_code() == grpc::StatusCode::INVALID_ARGUMENT &&
         (says("user name is empty") || says("revision of auth store is old"));
}

Result<std::unique_ptr<EtcdClient>, StoreError> EtcdClient::make(EtcdOptions options) {
  if (options.endpoints.empty())
    return failure(
        StoreError{StoreFailure::kUnusable, "no etcd endpoint: give etcd:HOST:PORT[,HOST:PORT...]"});
  auto secret = credentials(options);
  if (!secret) return failure(secret.error());
  std::unique_ptr<EtcdClient> client{new EtcdClient(std::move(options))};
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswer);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);  // etcd refuses more than one ping in 5 s
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3000);
  for (const auto& endpoint : client->options_.endpoints) {
    const auto channel = grpc::CreateCustomChannel(endpoint, *secret, arguments);
    client->members_.push_back({endpoint, etcdserverpb::KV::NewStub(channel),
                                etcdserverpb::Lease::NewStub(channel), etcdserverpb::Auth::NewStub(channel)});
  }
  return client;
}

void EtcdClient::prepare(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds{options_.call_timeout_ms});
  const std::scoped_lock lock{token_lock_};
  if (!token_.empty()) context.AddMetadata("token", token_);
}

grpc::Status EtcdClient::authenticate(Member& member) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds{options_.call_timeout_ms});
  etcdserverpb::AuthenticateRequest request;
  request.set_name(options_.user);
  request.set_password(options_.password);
  etcdserverpb::AuthenticateResponse answer;
  const auto status = member.auth->Authenticate(&context, request, &answer);
  const std::scoped_lock lock{token_lock_};
  if (status.ok()) token_ = answer.token();
  return status;
}

template <class Call>
Result<void, StoreError> EtcdClient::ask(std::size_t tries, Call call) {
  StoreError last{StoreFailure::kUnavailable, "etcd was not asked"};
  for (std::size_t i = 0; i < tries; ++i) {
    const std::size_t at = preferred_;
    Member& member = members_[at];
    const auto once = [&] {
      grpc::ClientContext context;
      prepare(context);
      return call(member, context);
    };
    auto status = once();
    if (!options_.user.empty() && wants_token(status)) {  // nothing was done yet: it may be asked again
      status = authenticate(member);
      if (status.ok()) status = once();
    }
    if (status.ok()) return {};
    last = from_status(member.endpoint, status);
    preferred_ = (at + 1) % members_.size();
    if (last.kind == StoreFailure::kUnusable) break;
  }
  return failure(last);
}

Result<etcdserverpb::RangeResponse, StoreError> EtcdClient::range(const etcdserverpb::RangeRequest& request) {
  etcdserverpb::RangeResponse answer;
  const auto done = ask(members_.size(), [&](Member& member, grpc::ClientContext& context) {
    return member.kv->Range(&context, request, &answer);
  });
  if (!done) return failure(done.error());
  return answer;
}

Result<etcdserverpb::TxnResponse, StoreError> EtcdClient::txn(const etcdserverpb::TxnRequest& request) {
  etcdserverpb::TxnResponse answer;
  const auto done = ask(1, [&](Member& member, grpc::ClientContext& context) {
    return member.kv->Txn(&context, request, &answer);
  });
  if (!done) return failure(done.error());
  return answer;
}

Result<std::int64_t, StoreError> EtcdClient::grant_lease(std::int64_t seconds) {
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(seconds);
  etcdserverpb::LeaseGrantResponse answer;
  const auto done = ask(members_.size(), [&](Member& member, grpc::ClientContext& context) {
    return member.lease->LeaseGrant(&context, request, &answer);
  });
  if (!done) return failure(done.error());
  return answer.id();
}

Result<std::int64_t, StoreError> EtcdClient::keep_alive(std::int64_t lease) {
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(lease);
  etcdserverpb::LeaseKeepAliveResponse answer;
  const auto done = ask(members_.size(), [&](Member& member, grpc::ClientContext& context) {
    const auto stream = member.lease->LeaseKeepAlive(&context);
    const bool answered = stream->Write(request) && stream->Read(&answer);
    if (answered) context.TryCancel();  // one answer is all that is wanted
    const auto status = stream->Finish();
    if (answered) return grpc::Status::OK;
    return status.ok() ? grpc::Status{grpc::StatusCode::UNAVAILABLE, "no answer"} : status;
  });
  if (!done) return failure(done.error());
  return answer.ttl();
}

void EtcdClient::revoke_lease(std::int64_t lease) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  etcdserverpb::LeaseRevokeResponse answer;
  // It expires anyway when this fails.
  (void)ask(1, [&](Member& member, grpc::ClientContext& context) {
    return member.lease->LeaseRevoke(&context, request, &answer);
  });
}

}  // namespace isthmus::controller
