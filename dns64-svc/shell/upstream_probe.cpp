// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/upstream_probe.hpp"

#include <sys/random.h>
#include <sys/socket.h>

#include <array>

#include "common/net/big_endian.hpp"
#include "dns64-svc/core/wire/constants.hpp"
#include "dns64-svc/shell/listen_socket.hpp"

namespace isthmus::dns64 {

class UpstreamProbe::Target final : public FdWatcher {
 public:
  Target(EventLoop& loop, UniqueFd fd, bool& answered)
      : loop_(loop), fd_(std::move(fd)), answered_(answered) {
    watched_ = loop_.watch(fd_.get(), EPOLLIN, *this);
  }
  ~Target() { stop(); }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  void ask() {
    // RD, one question: NS of the root.
    std::array<std::uint8_t, 17> question{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, rr::kNs, 0, kClassIn};
    if (getrandom(&id_, sizeof id_, 0) != sizeof id_) return;
    store_be16(question.data(), id_);
    // An upstream that cannot be reached now may be later: the next ask() tries again.
    (void)!::send(fd_.get(), question.data(), question.size(), MSG_NOSIGNAL);
  }

 private:
  void on_ready(std::uint32_t /*events*/) override {
    std::array<std::uint8_t, 512> reply{};
    const auto size = recv(fd_.get(), reply.data(), reply.size(), 0);
    if (size < static_cast<ssize_t>(kHeaderSize)) return;
    const bool is_response = (load_be16(&reply[2]) & flag::kQr) != 0;
    if (!is_response || load_be16(reply.data()) != id_) return;
    answered_ = true;
    stop();
  }
  void stop() {
    if (watched_) loop_.forget(fd_.get(), *this);
    watched_ = false;
  }

  EventLoop& loop_;
  UniqueFd fd_;
  bool& answered_;
  std::uint16_t id_ = 0;
  bool watched_ = false;
};

UpstreamProbe::UpstreamProbe(EventLoop& loop, const Resolver& resolver) {
  auto upstreams = resolver.mode == ResolverMode::kForward ? resolver.upstreams : std::vector<Upstream>{};
  for (const auto& zone : resolver.zones)
    upstreams.insert(upstreams.end(), zone.upstreams.begin(), zone.upstreams.end());
  for (const auto& upstream : upstreams) {
    if (upstream.tls) continue;
    const bool ipv6 = upstream.address.find(':') != std::string::npos;
    const auto address = SocketAddress::parse((ipv6 ? "[" + upstream.address + "]" : upstream.address) + ":" +
                                              std::to_string(upstream.port));
    if (!address) continue;
    UniqueFd fd{socket(address->storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!fd.valid() ||
        connect(fd.get(), reinterpret_cast<const sockaddr*>(&address->storage), address->size) != 0)
      continue;
    targets_.push_back(std::make_unique<Target>(loop, std::move(fd), answered_));
  }
  ask();
}

UpstreamProbe::~UpstreamProbe() = default;

void UpstreamProbe::ask() {
  if (answered_) return;
  for (auto& target : targets_) target->ask();
}

}  // namespace isthmus::dns64
