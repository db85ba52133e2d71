// SPDX-License-Identifier: Apache-2.0
// One ControlPlane.Session from connect to end. The owner's thread writes and takes; a thread inside reads.
// cancel() may be called from any thread and ends all of it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "common/base/clock.hpp"
#include "common/control/control_client.hpp"
#include "isthmus/v1/control.grpc.pb.h"

namespace isthmus {

// A fresh connection that waits for nobody: back-off is the caller's.
[[nodiscard]] std::shared_ptr<grpc::Channel> make_channel(
    const std::string& controller, const std::shared_ptr<grpc::ChannelCredentials>& credentials);

class ControlStream {
 public:
  explicit ControlStream(const std::shared_ptr<grpc::Channel>& channel);
  ~ControlStream();  // cancels
  ControlStream(const ControlStream&) = delete;
  ControlStream& operator=(const ControlStream&) = delete;

  void cancel() { context_.TryCancel(); }
  // False: the stream is dead; take() will say so too.
  [[nodiscard]] bool write(const v1::ServiceMessage& message) { return stream_->Write(message); }
  // No more writes. The controller ends its side in turn.
  void writes_done() { (void)stream_->WritesDone(); }

  enum class Event { kMessage, kTimeout, kEnded };
  // Waits until `deadline` for the next message.
  [[nodiscard]] Event take(v1::ControllerMessage& message, TimePoint deadline);
  // Once, after kEnded or cancel(): why, as a sentence; empty when the controller ended it in peace.
  [[nodiscard]] std::string reason();

 private:
  void read();

  grpc::ClientContext context_;
  std::unique_ptr<v1::ControlPlane::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ServiceMessage, v1::ControllerMessage>> stream_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<v1::ControllerMessage> inbox_;  // at most kMaxInbox: then the reader, and so the peer, waits
  bool ended_ = false;
  bool abandoned_ = false;
  std::thread reader_;
};

}  // namespace isthmus
