// SPDX-License-Identifier: Apache-2.0
#include "common/control/control_stream.hpp"

#include <pthread.h>

#include <algorithm>

namespace isthmus {
namespace {

constexpr std::size_t kMaxInbox = 16;
constexpr int kMaxMessage = 32 << 20;

}  // namespace

std::shared_ptr<grpc::Channel> make_channel(const std::string& controller,
                                            const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  // Not shared: a shared subchannel brings its own growing back-off, and ours is the one that is documented.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);  // also the patience of one connect
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);  // a peer that vanished without a word
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // a control plane does not go through a web proxy
  arguments.SetMaxReceiveMessageSize(kMaxMessage);
  return grpc::CreateCustomChannel(controller, credentials, arguments);
}

ControlStream::ControlStream(const std::shared_ptr<grpc::Channel>& channel)
    : stub_(v1::ControlPlane::NewStub(channel)), stream_(stub_->Session(&context_)) {
  reader_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "control-read");
    read();
  });
}

ControlStream::~ControlStream() {
  cancel();
  if (reader_.joinable()) (void)reason();
}

void ControlStream::read() {
  v1::ControllerMessage message;
  while (stream_->Read(&message)) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return inbox_.size() < kMaxInbox || abandoned_; });
    if (abandoned_) break;
    inbox_.push_back(std::move(message));
    changed_.notify_all();
  }
  const std::lock_guard lock{mutex_};
  ended_ = true;
  changed_.notify_all();
}

ControlStream::Event ControlStream::take(v1::ControllerMessage& message, TimePoint deadline) {
  const auto patience = std::max(deadline - boot_now(), Duration::zero());
  std::unique_lock lock{mutex_};
  changed_.wait_for(lock, patience, [&] { return !inbox_.empty() || ended_; });
  if (!inbox_.empty()) {
    message = std::move(inbox_.front());
    inbox_.pop_front();
    changed_.notify_all();
    return Event::kMessage;
  }
  return ended_ ? Event::kEnded : Event::kTimeout;
}

std::string ControlStream::reason() {
  {
    const std::lock_guard lock{mutex_};
    abandoned_ = true;
  }
  changed_.notify_all();
  reader_.join();  // Finish() comes after the last Read()
  const auto status = stream_->Finish();
  return status.ok() ? std::string{} : status.error_message();
}

}  // namespace isthmus
