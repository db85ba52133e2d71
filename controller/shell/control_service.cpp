// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/control_service.hpp"

#include <spdlog/spdlog.h>

#include <deque>
#include <utility>

#include "common/config/domain_lists.hpp"
#include "common/config/wire.hpp"
#include "controller/shell/caller.hpp"
#include "controller/shell/convert.hpp"

namespace isthmus::controller {
namespace {

constexpr std::size_t kMaxUnsent =
    64;  // updates are whole and one is in flight per resource: never reached honestly

class SessionStream final : public grpc::ServerBidiReactor<v1::ServiceMessage, v1::ControllerMessage>,
                            public Outbound,
                            public std::enable_shared_from_this<SessionStream> {
 public:
  SessionStream(Hub& hub, grpc::CallbackServerContext& context, Caller caller)
      : hub_(hub), peer_(caller.peer()), caller_(std::move(caller)), context_(&context) {}

  // gRPC owns the reactor until OnDone; `self_` says so.
  void begin() {
    self_ = shared_from_this();
    session_ = hub_.attach(self_);
    StartRead(&in_);
  }

  void send(v1::ControllerMessage message) override {
    {
      const std::scoped_lock lock{lock_};
      if (finished_ || ending_) return;
      if (out_.size() < kMaxUnsent) {
        out_.push_back(std::move(message));
        if (out_.size() == 1) StartWrite(&out_.front());
        return;
      }
      status_ = {grpc::StatusCode::RESOURCE_EXHAUSTED, "you do not read what is sent"};
      ending_ = true;
    }
    cut();  // the write that waits would do so for ever
  }

  void end() override { finish_after_writes(grpc::Status::OK); }

  void cut() override {
    const std::scoped_lock lock{context_lock_};
    if (context_ != nullptr) context_->TryCancel();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return finish_after_writes(grpc::Status::OK);
    const grpc::Status accepted = greeted_ ? handle() : greet();
    if (!accepted.ok()) finish_after_writes(accepted);
  }

  void OnWriteDone(bool ok) override {
    const std::scoped_lock lock{lock_};
    out_.pop_front();
    if (!ok) {
      out_.clear();
      ending_ = true;
    }
    if (!out_.empty()) {
      StartWrite(&out_.front());
    } else if (ending_) {
      finish();
    }
  }

  void OnCancel() override { finish_after_writes({grpc::StatusCode::CANCELLED, "cancelled"}); }

  void OnDone() override {
    {
      const std::scoped_lock lock{context_lock_};
      context_ = nullptr;
    }
    hub_.detach(session_);
    self_.reset();  // may be the last
  }

 private:
  void finish() {
    if (std::exchange(finished_, true)) return;
    Finish(status_);
  }

  void finish_after_writes(const grpc::Status& status) {
    const std::scoped_lock lock{lock_};
    if (!ending_) status_ = status;
    ending_ = true;
    if (out_.empty()) finish();
  }

  // Within the hub's thread, when the last message was dealt with.
  void read_next() {
    const std::scoped_lock lock{lock_};
    if (!finished_ && !ending_) StartRead(&in_);
  }

  template <class Work>
  void post(Work work) {
    hub_.post([self = shared_from_this(), work = std::move(work)](ControlPlane& core, TimePoint now) {
      work(core, now);
      self->read_next();
    });
  }

  static grpc::Status unexpected(const std::string& why) { return {grpc::StatusCode::INVALID_ARGUMENT, why}; }

  grpc::Status greet() {
    if (!in_.has_hello()) return unexpected("the first message must be hello");
    auto hello = hello_from_proto(in_.hello(), peer_);
    if (!hello) return unexpected(hello.error());
    if (const auto allowed = caller_.may_register(hello->kind, hello->node_id); !allowed) {
      spdlog::warn("refused a service: {}", allowed.error());
      return {grpc::StatusCode::PERMISSION_DENIED, allowed.error()};
    }
    greeted_ = true;
    key_ = {hello->kind, hello->node_id};
    post([id = session_, hello = std::move(*hello)](ControlPlane& core, TimePoint now) {
      core.on_hello(id, hello, now);
    });
    return grpc::Status::OK;
  }

  grpc::Status handle() {
    const SessionId id = session_;
    switch (in_.body_case()) {
      case v1::ServiceMessage::kAck: {
        const auto resource = resource_from_proto(in_.ack().resource());
        if (!resource) return unexpected("unknown resource");
        post([=, ack = in_.ack()](ControlPlane& core, TimePoint now) {
          core.on_ack(id, *resource, ack.nonce(), from_proto(ack.running()), now);
        });
        return grpc::Status::OK;
      }
      case v1::ServiceMessage::kNack: {
        const auto resource = resource_from_proto(in_.nack().resource());
        if (!resource) return unexpected("unknown resource");
        post([=, nack = in_.nack()](ControlPlane& core, TimePoint now) {
          core.on_nack(id, *resource, nack.nonce(), from_proto(nack.running()), kind_from_proto(nack.kind()),
                       violations_from_proto(nack.violations()), now);
        });
        return grpc::Status::OK;
      }
      case v1::ServiceMessage::kLeaseRenewal:
        post([=, sequence = in_.lease_renewal().sequence(),
              addresses = addresses_from_proto(in_.lease_renewal().addresses())](
                 ControlPlane& core, TimePoint now) { core.on_renewal(id, sequence, addresses, now); });
        return grpc::Status::OK;
      case v1::ServiceMessage::kReport:
        post([=, hub = &hub_, key = key_, report = in_.report()](ControlPlane& core, TimePoint now) {
          core.on_report(id, report_from_proto(report), now);
          hub->keep_report(key, report);
        });
        return grpc::Status::OK;
      case v1::ServiceMessage::kGoodbye:
        post([=, released = addresses_from_proto(in_.goodbye().addresses_released())](
                 ControlPlane& core, TimePoint now) { core.on_goodbye(id, released, now); });
        return grpc::Status::OK;
      case v1::ServiceMessage::kNeedChunks:
        return send_chunks();
      case v1::ServiceMessage::kHello:
      case v1::ServiceMessage::BODY_NOT_SET:
        break;
    }
    return unexpected("unexpected message");
  }

  grpc::Status send_chunks() {
    if (in_.need_chunks().hashes_size() > kMaxChunksAtOnce)
      return unexpected("ask for at most " + std::to_string(kMaxChunksAtOnce) + " chunks at once");
    for (const auto& hash : in_.need_chunks().hashes()) {
      v1::ControllerMessage message;
      auto& chunk = *message.mutable_chunk();
      chunk.set_hash(hash);
      const auto data = hub_.chunks().find(hash);
      if (data != nullptr) {
        chunk.set_data(*data);
      } else {
        chunk.set_missing(true);
      }
      send(std::move(message));
    }
    post([](ControlPlane&, TimePoint) {});
    return grpc::Status::OK;
  }

  Hub& hub_;
  const std::string peer_;
  const Caller caller_;
  SessionId session_ = kNoSession;
  ControlPlane::Key key_;
  bool greeted_ = false;
  v1::ServiceMessage in_;
  std::shared_ptr<SessionStream> self_;

  std::recursive_mutex context_lock_;  // of context_, which lives until OnDone, which a cut may bring at once
  grpc::CallbackServerContext* context_;

  std::mutex lock_;                        // below
  std::deque<v1::ControllerMessage> out_;  // the front one is being written
  grpc::Status status_;
  bool ending_ = false;    // nothing more is accepted; finish when written out
  bool finished_ = false;  // Finish was called
};

}  // namespace

grpc::ServerBidiReactor<v1::ServiceMessage, v1::ControllerMessage>* ControlService::Session(
    grpc::CallbackServerContext* context) {
  auto stream = std::make_shared<SessionStream>(hub_, *context, caller_of(*context));
  stream->begin();
  return stream.get();
}

}  // namespace isthmus::controller
