// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/announce/arp_responder.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace isthmus::nat64 {

Result<std::unique_ptr<ArpResponder>, std::string> ArpResponder::open(const std::string& interface) {
  std::unique_ptr<ArpResponder> self(new ArpResponder);
  self->socket_.reset(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ARP)));
  self->wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ARP);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  const void* untyped = &address;
  if (!self->socket_.valid() || !self->wake_.valid() ||
      bind(self->socket_.get(), static_cast<const sockaddr*>(untyped), sizeof address) != 0) {
    return failure("cannot listen to ARP on " + interface + ": " + std::strerror(errno) +
                   ": grant CAP_NET_RAW");
  }
  self->thread_ = std::thread([raw = self.get()] { raw->run(); });
  return self;
}

ArpResponder::~ArpResponder() {
  stop_.store(true);
  eventfd_write(wake_.get(), 1);
  if (thread_.joinable()) thread_.join();
}

void ArpResponder::set_addresses(const std::set<Ipv4Address>& addresses) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(addresses_, [&](const auto& entry) { return !addresses.contains(entry.first); });
    for (const auto address : addresses) addresses_.try_emplace(address, kAnnouncements);
  }
  next_round_.store({});  // new ones at once
  eventfd_write(wake_.get(), 1);
}

void ArpResponder::set_mac(const MacAddress& mac) {
  const std::lock_guard lock(mutex_);
  if (mac == mac_) return;
  mac_ = mac;
  for (auto& [address, left] : addresses_) left = kAnnouncements;
  next_round_.store({});
  eventfd_write(wake_.get(), 1);
}

void ArpResponder::run() {
  while (!stop_.load()) {
    const auto now = boot_now();
    if (now >= next_round_.load()) {
      next_round_.store(now + kAnnounceEvery);  // before: set_addresses() meanwhile asks for another at once
      announce();
    }
    pollfd fds[2] = {{socket_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (poll(fds, 2, kPollMs) <= 0) continue;
    eventfd_t ignored = 0;
    if ((fds[1].revents & POLLIN) != 0) eventfd_read(wake_.get(), &ignored);
    if (fds[0].revents != 0) answer();  // recv() also takes the error of a link that went down
  }
}

void ArpResponder::answer() {
  std::array<std::uint8_t, 128> frame;
  for (int burst = 0; burst < 64; ++burst) {
    const auto length = recv(socket_.get(), frame.data(), frame.size(), 0);
    if (length <= 0) return;
    const auto request = parse_arp_request(std::span(frame).first(static_cast<std::size_t>(length)));
    if (!request) continue;
    const std::lock_guard lock(mutex_);
    if (!addresses_.contains(request->target)) continue;
    const auto reply = arp_reply(*request, request->target, mac_);
    if (send(socket_.get(), reply.data(), reply.size(), 0) < 0)
      spdlog::debug("an ARP answer could not be sent: {}", std::strerror(errno));
  }
}

// One round: each address that has announcements left.
void ArpResponder::announce() {
  const std::lock_guard lock(mutex_);
  if (mac_ == MacAddress{}) return;
  for (auto& [address, left] : addresses_) {
    if (left == 0) continue;
    const auto frame = arp_announcement(address, mac_);
    if (send(socket_.get(), frame.data(), frame.size(), 0) >= 0)
      --left;
    else  // a link that is down: again in the next round
      spdlog::warn("{} could not be announced by ARP: {}", address.to_string(), std::strerror(errno));
  }
}

}  // namespace isthmus::nat64
