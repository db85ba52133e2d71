// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/syslog_sender.hpp"

#include <netdb.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "common/net/host_port.hpp"

namespace isthmus::nat64 {
namespace {

constexpr int kPriority = 16 * 8 + 6;  // facility local0, severity informational
constexpr std::size_t kLongestHost = 255, kLongestId = 32;
constexpr std::chrono::seconds kFirstPause{1}, kLongestPause{30};
constexpr timeval kPatience{2, 0};

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
  const auto refused = [&] {
    return failure("--events-syslog " + target +
                   " is none of unix:/dev/log, udp:HOST:PORT, tcp:HOST:PORT ([...] around an IPv6 address)");
  };
  const auto colon = target.find(':');
  if (colon == std::string::npos) return refused();
  const auto kind = target.substr(0, colon);
  const auto rest = target.substr(colon + 1);
  if (kind == "unix") {
    if (rest.empty() || rest.size() >= sizeof(sockaddr_un{}.sun_path)) return refused();
    return std::unique_ptr<SyslogSender>(new SyslogSender(Transport::kUnix, rest, {}, capacity));
  }
  const auto address = parse_host_port(rest);
  if (!address || (kind != "udp" && kind != "tcp")) return refused();
  const auto transport = kind == "udp" ? Transport::kUdp : Transport::kTcp;
  return std::unique_ptr<SyslogSender>(
      new SyslogSender(transport, address->host, std::to_string(address->port), capacity));
}

void SyslogSender::add(std::string message) {
  if (waiting_.size() >= capacity_) return lost_.add();
  waiting_.push_back(std::move(message));
}

void SyslogSender::send(TimePoint now) {
  if (waiting_.empty() || now < retry_at_) return;
  if (!fd_.valid() && !connect()) return gave_up(now);
  while (!waiting_.empty()) {
    if (!send_one(waiting_.front())) return gave_up(now);
    waiting_.pop_front();
    sent_.add();
  }
  pause_ = {};
}

void SyslogSender::gave_up(TimePoint now) {
  const int error = errno;
  fd_ = UniqueFd{};
  if (pause_ == Duration{}) {
    spdlog::warn("syslog collector {} cannot be reached: {}; {} records wait", host_, std::strerror(error),
                 waiting_.size());
  }
  pause_ = pause_ == Duration{} ? Duration{kFirstPause} : std::min<Duration>(pause_ * 2, kLongestPause);
  retry_at_ = now + pause_;
}

bool SyslogSender::connect() {
  return transport_ == Transport::kUnix ? connect_unix() : connect_inet();
}

bool SyslogSender::connect_unix() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(host_.begin(), host_.end(), address.sun_path);
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return false;
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  const auto* generic = static_cast<const sockaddr*>(static_cast<const void*>(&address));
  if (::connect(fd.get(), generic, sizeof address) != 0) return false;
  fd_ = std::move(fd);
  return true;
}

bool SyslogSender::connect_inet() {
  addrinfo hints{};
  hints.ai_socktype = transport_ == Transport::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host_.c_str(), port_.c_str(), &hints, &found) != 0) {
    errno = EHOSTUNREACH;
    return false;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> all(found, &freeaddrinfo);
  for (const auto* at = found; at != nullptr; at = at->ai_next) {
    UniqueFd fd(socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol));
    if (!fd.valid()) continue;
    // For connect() of TCP too.
    setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
    if (::connect(fd.get(), at->ai_addr, at->ai_addrlen) != 0) continue;
    fd_ = std::move(fd);
    return true;
  }
  return false;
}

bool SyslogSender::send_one(const std::string& message) {
  if (transport_ != Transport::kTcp)
    return ::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL) >= 0;
  // RFC 6587 §3.4.1. A message cut off by a lost connection is sent again whole: twice rather than never.
  const std::string framed = std::to_string(message.size()) + " " + message;
  for (std::size_t at = 0; at < framed.size();) {
    const auto n = ::send(fd_.get(), framed.data() + at, framed.size() - at, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace isthmus::nat64
