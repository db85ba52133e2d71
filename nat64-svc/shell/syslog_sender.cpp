// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/syslog_sender.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <utility>

namespace isthmus::nat64 {
namespace {

constexpr int kPriority = 16 * 8 + 6;  // facility local0, severity informational
constexpr std::size_t kLongestHost = 255, kLongestId = 32;
constexpr std::chrono::seconds kFirstPause{1}, kLongestPause{30};
constexpr std::chrono::milliseconds kSendEvery{200};
constexpr int kSendAtOnce = 256;  // before it is looked at what was acknowledged

// RFC 5424 §6: header fields are printable US-ASCII without blanks, "-" when there is nothing.
std::string field(std::string_view text, std::size_t longest) {
  std::string out(text.substr(0, longest));
  for (auto& c : out) {
    if (c < '!' || c > '~') c = '_';
  }
  return out.empty() ? "-" : out;
}

}  // namespace

std::string syslog_message(std::string_view time, std::string_view node, int pid, std::string_view event,
                           std::string_view message) {
  std::string out = "<" + std::to_string(kPriority) + ">1 ";
  out.append(time).append(" ").append(field(node, kLongestHost)).append(" nat64-svc ");
  out.append(std::to_string(pid)).append(" ").append(field(event, kLongestId)).append(" - ").append(message);
  return out;
}

Result<std::unique_ptr<SyslogSender>, std::string> SyslogSender::open(const std::string& target,
                                                                      std::size_t capacity) {
  auto socket = SyslogSocket::parse(target);
  if (!socket) return failure(socket.error());
  return std::unique_ptr<SyslogSender>(new SyslogSender(std::move(*socket), capacity));
}

SyslogSender::~SyslogSender() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      end_by_ = boot_now() + kLastSend;
    }
    stopping_.notify_all();
    thread_.join();
    if (pause_ == Duration{}) send(boot_now());
  }
  if (!waiting_.empty())
    spdlog::warn("{} records for the syslog collector {} were not sent", waiting_.size(), socket_.host());
}

void SyslogSender::start() {
  thread_ = std::thread([this] { run(); });
}

void SyslogSender::run() {
  std::unique_lock lock(mutex_);
  while (!end_by_) {
    lock.unlock();
    send(boot_now());
    lock.lock();
    stopping_.wait_for(lock, kSendEvery, [this] { return end_by_.has_value(); });
  }
}

void SyslogSender::add(std::string message) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() + unacknowledged_.size() >= capacity_) return lost_.add();
  waiting_.push_back(std::move(message));
}

void SyslogSender::send(TimePoint now) {
  Step step = Step::kSent;
  while (step == Step::kSent) {
    settle(now);
    if (now < retry_at_) return;
    step = send_some();
  }
  if (step == Step::kFailed) return give_up(now, std::strerror(errno));
  if (!socket_.acknowledges()) pause_ = {};
  settle(now);
}

SyslogSender::Step SyslogSender::send_some() {
  Step step = Step::kSent;
  for (int i = 0; i < kSendAtOnce && step == Step::kSent; ++i) step = send_next();
  return step;
}

// Only this thread takes from the front, so what is sent here without the lock stays where it is.
SyslogSender::Step SyslogSender::send_next() {
  const std::string* message = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty() || (end_by_ && boot_now() >= *end_by_)) return Step::kNothing;
    message = &waiting_.front();
  }
  if (!socket_.connected() && !socket_.connect()) return Step::kFailed;
  if (!socket_.send(*message)) return Step::kFailed;
  const std::lock_guard lock(mutex_);
  if (socket_.acknowledges()) {
    unacknowledged_bytes_ += SyslogSocket::framed_size(message->size());
    unacknowledged_.push_back(std::move(waiting_.front()));
  } else {
    sent_.add();
  }
  waiting_.pop_front();
  return Step::kSent;
}

// A collector that closed the connection is asked for another one at once, unless it took nothing from this.
void SyslogSender::settle(TimePoint now) {
  if (!socket_.connected() || !socket_.acknowledges()) return;
  if (const auto bytes = socket_.unacknowledged()) return forget_acknowledged(*bytes);
  if (pause_ != Duration{}) return give_up(now, "it closes the connection");
  spdlog::warn("syslog collector {} closed the connection; what it did not acknowledge is sent again",
               socket_.host());
  socket_.close();
  send_again();
  pause_ = kFirstPause;  // until the next one takes something
}

void SyslogSender::forget_acknowledged(std::size_t unacknowledged) {
  const std::lock_guard lock(mutex_);
  while (!unacknowledged_.empty()) {
    const auto size = SyslogSocket::framed_size(unacknowledged_.front().size());
    if (unacknowledged_bytes_ - size < unacknowledged) return;  // not, or not all of it
    unacknowledged_bytes_ -= size;
    unacknowledged_.pop_front();
    sent_.add();
    pause_ = {};
  }
}

void SyslogSender::send_again() {
  const std::lock_guard lock(mutex_);
  waiting_.insert(waiting_.begin(), std::make_move_iterator(unacknowledged_.begin()),
                  std::make_move_iterator(unacknowledged_.end()));
  unacknowledged_.clear();
  unacknowledged_bytes_ = 0;
}

void SyslogSender::give_up(TimePoint now, const char* why) {
  socket_.close();
  send_again();
  if (pause_ == Duration{}) {
    const std::lock_guard lock(mutex_);
    spdlog::warn("syslog collector {} cannot be reached: {}; {} records wait", socket_.host(), why,
                 waiting_.size());
  }
  pause_ = pause_ == Duration{} ? Duration{kFirstPause} : std::min<Duration>(pause_ * 2, kLongestPause);
  retry_at_ = now + pause_;
}

}  // namespace isthmus::nat64
