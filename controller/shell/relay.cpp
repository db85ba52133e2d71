// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/relay.hpp"

#include <utility>

#include "controller/shell/caller.hpp"

namespace isthmus::controller {

// One call: what comes from the caller (near) is written to the target (far) and the other way round, one
// message at a time in each direction, so a slow side slows the other down and nothing piles up. It deletes
// itself when both sides are done.
class Relay::Call final {
 public:
  Call(Relay& relay, grpc::GenericCallbackServerContext& near_context, std::shared_ptr<grpc::Channel> target,
       bool further)
      : relay_(relay), near_(*this), far_(*this), stub_(std::move(target)) {
    far_context_.set_deadline(near_context.deadline());
    for (const auto& [name, value] : relayed_metadata(near_context)) far_context_.AddMetadata(name, value);
    if (further) far_context_.AddMetadata(kOnce, "1");
    stub_.PrepareBidiStreamingCall(&far_context_, near_context.method(), {}, &far_);
    far_.AddHold();  // until the last read: other threads start operations on it
  }

  grpc::ServerGenericBidiReactor* start() {
    near_.StartRead(&up_);
    far_.StartRead(&down_);
    far_.StartCall();
    return &near_;
  }
  void cancel() { far_context_.TryCancel(); }

  static constexpr const char* kOnce = "isthmus-relayed";

 private:
  struct Near final : grpc::ServerGenericBidiReactor {
    explicit Near(Call& c) : call(c) {}
    void OnReadDone(bool ok) override { call.from_near(ok); }
    void OnWriteDone(bool ok) override {
      if (!ok) call.cancel();
      call.far_.StartRead(&call.down_);  // fails when it was cancelled: that ends the call
    }
    void OnCancel() override { call.cancel(); }
    void OnDone() override {
      call.relay_.remove(&call);
      delete &call;
    }
    Call& call;
  };
  struct Far final : grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
    explicit Far(Call& c) : call(c) {}
    void OnReadDone(bool ok) override {
      if (ok) return call.near_.StartWrite(&call.down_);
      {
        const std::scoped_lock lock{call.lock_};
        call.far_ended_ = true;
      }
      RemoveHold();
    }
    void OnWriteDone(bool ok) override {
      if (ok) call.near_.StartRead(&call.up_);
    }
    void OnDone(const grpc::Status& status) override { call.near_.Finish(status); }
    Call& call;
  };

  void from_near(bool ok) {
    const std::scoped_lock lock{lock_};
    if (far_ended_) return;
    if (ok) {
      far_.StartWrite(&up_);
    } else {
      far_.StartWritesDone();
    }
  }

  Relay& relay_;
  Near near_;
  Far far_;
  grpc::GenericStub stub_;
  grpc::ClientContext far_context_;
  grpc::ByteBuffer up_;
  grpc::ByteBuffer down_;
  std::mutex lock_;
  bool far_ended_ = false;
};

namespace {

// A call that nobody can answer now.
class Refused final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refused(const std::string& why) { Finish({grpc::StatusCode::UNAVAILABLE, why}); }
  void OnDone() override { delete this; }
};

}  // namespace

Relay::~Relay() {
  set_target(nullptr, false, "the controller ends");
}

void Relay::set_target(std::shared_ptr<grpc::Channel> target, bool further, std::string why_none) {
  const std::scoped_lock lock{lock_};
  target_ = std::move(target);
  further_ = further;
  why_none_ = std::move(why_none);
  for (auto* call : calls_) call->cancel();
}

grpc::ServerGenericBidiReactor* Relay::CreateReactor(grpc::GenericCallbackServerContext* context) {
  const std::scoped_lock lock{lock_};
  if (target_ == nullptr) return new Refused(why_none_);
  if (further_ && context->client_metadata().contains(Call::kOnce))
    return new Refused("no controller leads here any more: try again");
  auto* call = new Call(*this, *context, target_, further_);
  calls_.insert(call);
  return call->start();
}

void Relay::remove(Call* call) {
  const std::scoped_lock lock{lock_};
  calls_.erase(call);
}

}  // namespace isthmus::controller
