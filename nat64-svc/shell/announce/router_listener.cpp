// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/announce/router_listener.hpp"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "common/base/clock.hpp"

namespace isthmus::nat64 {
namespace {

constexpr int kHopLimit = 255;  // RFC 4861 §6.1.2: of a packet that no router forwarded

struct Received {
  std::size_t length = 0;
  Ipv6Address router;
  bool from_the_link = false;
};

// Nothing: no more to read.
std::optional<Received> read_message(int socket, std::span<std::uint8_t> buffer) {
  sockaddr_in6 sender{};
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_name = &sender;
  message.msg_namelen = sizeof sender;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const auto length = recvmsg(socket, &message, 0);
  if (length < 0) return std::nullopt;
  Received received;
  received.length = static_cast<std::size_t>(length);
  std::array<std::uint8_t, 16> octets{};
  std::memcpy(octets.data(), sender.sin6_addr.s6_addr, octets.size());
  received.router = Ipv6Address{octets};
  int hop_limit = 0;
  if (const auto* header = CMSG_FIRSTHDR(&message);
      header != nullptr && header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_HOPLIMIT)
    std::memcpy(&hop_limit, CMSG_DATA(header), sizeof hop_limit);
  received.from_the_link = hop_limit == kHopLimit && IN6_IS_ADDR_LINKLOCAL(&sender.sin6_addr);
  return received;
}

[[nodiscard]] bool set_up(int socket, const std::string& interface) {
  icmp6_filter filter{};
  ICMP6_FILTER_SETBLOCKALL(&filter);
  ICMP6_FILTER_SETPASS(ND_ROUTER_ADVERT, &filter);
  const int on = 1;
  return setsockopt(socket, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter) == 0 &&
         setsockopt(socket, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on) == 0 &&
         setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                    static_cast<socklen_t>(interface.size())) == 0;
}

}  // namespace

Result<std::unique_ptr<RouterListener>, std::string> RouterListener::open(const std::string& interface) {
  std::unique_ptr<RouterListener> self(new RouterListener);
  self->interface_ = interface;
  self->socket_.reset(socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6));
  self->wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!self->socket_.valid() || !self->wake_.valid() || !set_up(self->socket_.get(), interface)) {
    return failure("cannot listen to router advertisements on " + interface + ": " + std::strerror(errno) +
                   ": grant CAP_NET_RAW");
  }
  self->thread_ = std::thread([raw = self.get()] { raw->run(); });
  return self;
}

RouterListener::~RouterListener() {
  stop_.store(true);
  eventfd_write(wake_.get(), 1);
  if (thread_.joinable()) thread_.join();
}

std::vector<HeardPref64s::Entry> RouterListener::heard() const {
  const std::lock_guard lock(mutex_);
  return heard_.at(boot_now());
}

void RouterListener::run() {
  while (!stop_.load()) {
    pollfd fds[2] = {{socket_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) > 0 && fds[0].revents != 0) receive();
  }
}

void RouterListener::receive() {
  std::array<std::uint8_t, 1500> buffer;
  constexpr int kAtOnce = 64;
  for (int i = 0; i < kAtOnce; ++i) {
    const auto received = read_message(socket_.get(), buffer);
    if (!received) return;
    if (!received->from_the_link) continue;
    const auto options = parse_router_advertisement(std::span(buffer).first(received->length));
    if (!options) continue;
    const std::lock_guard lock(mutex_);
    for (const auto& option : *options) {
      const auto now = boot_now();
      if (heard_.hear(received->router, option, now) && log_limit_.pass(now))
        spdlog::info("router {} on {} announces the translation prefix {}", received->router.to_string(),
                     interface_, option.prefix.to_string());
    }
  }
}

}  // namespace isthmus::nat64
