// SPDX-License-Identifier: Apache-2.0
// The least that an AF_XDP data plane between two interfaces can do: take a burst, write new link addresses,
// send. One thread, one queue, one UMEM for both; libxdp's rings used directly, nothing of nat64-svc in it.
// It is the yardstick of `./dev bench nat64`.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "empty_forwarder.skel.h"

#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#define SO_BUSY_POLL_BUDGET 70
#endif

namespace {

constexpr std::uint32_t kRing = 4096, kFrame = 2048, kFrames = kRing * 4, kBurst = 64;
std::atomic<bool> stop{false};

[[noreturn]] void die(const std::string& what, int error) {
  std::fprintf(stderr, "nat64_empty_forwarder: %s: %s\n", what.c_str(), std::strerror(error));
  std::exit(1);
}

struct Port {
  xsk_socket* socket = nullptr;
  xsk_ring_cons rx{}, completion{};
  xsk_ring_prod tx{}, fill{};
  std::uint32_t in_flight = 0;
  std::array<std::uint8_t, 12> link_header{};  // destination and source of what leaves here
  [[nodiscard]] int fd() const { return xsk_socket__fd(socket); }
};

class Forwarder {
 public:
  explicit Forwarder(std::uint32_t busy_poll) : busy_poll_(busy_poll) {
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &unlimited);
    area_ = mmap(nullptr, std::size_t{kFrames} * kFrame, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    xsk_umem_config config{};
    config.fill_size = kRing;
    config.comp_size = kRing;
    config.frame_size = kFrame;
    config.frame_headroom = 64;
    const int error = xsk_umem__create(&umem_, area_, std::size_t{kFrames} * kFrame, &first_fill_,
                                       &first_completion_, &config);
    if (error != 0) die("UMEM", -error);
    for (std::uint32_t i = 0; i < kFrames; ++i) free_.push_back(std::uint64_t{i} * kFrame);
  }

  void open(std::size_t side, const std::string& device, const std::string& to, const std::string& from,
            int map, int program) {
    auto& port = ports_[side];
    xsk_socket_config config{};
    config.rx_size = kRing;
    config.tx_size = kRing;
    config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
    config.bind_flags = XDP_COPY | XDP_USE_NEED_WAKEUP;
    int error = xsk_socket__create_shared(&port.socket, device.c_str(), 0, umem_, &port.rx, &port.tx,
                                          &port.fill, &port.completion, &config);
    if (error != 0) die("socket on " + device, -error);
    const int budget = 512;
    setsockopt(port.fd(), SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof budget);
    if (busy_poll_ > 0) {
      const int on = 1, microseconds = 20, packets = static_cast<int>(busy_poll_);
      setsockopt(port.fd(), SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof on);
      setsockopt(port.fd(), SOL_SOCKET, SO_BUSY_POLL, &microseconds, sizeof microseconds);
      setsockopt(port.fd(), SOL_SOCKET, SO_BUSY_POLL_BUDGET, &packets, sizeof packets);
    }
    put_mac(port.link_header.data(), to);
    put_mac(port.link_header.data() + 6, from);
    for (std::uint32_t i = 0; i < kRing / kBurst; ++i) refill(port);
    const std::uint32_t queue = 0;
    const int fd = port.fd();
    if (bpf_map_update_elem(map, &queue, &fd, 0) != 0) die("XSKMAP", errno);
    const int index = static_cast<int>(if_nametoindex(device.c_str()));
    error = bpf_xdp_attach(index, program, XDP_FLAGS_DRV_MODE, nullptr);
    if (error != 0) die("attach to " + device, -error);
    attached_.push_back(index);
  }

  ~Forwarder() {
    for (const int index : attached_) bpf_xdp_detach(index, XDP_FLAGS_DRV_MODE, nullptr);
    for (auto& port : ports_) xsk_socket__delete(port.socket);
    xsk_umem__delete(umem_);
    munmap(area_, std::size_t{kFrames} * kFrame);
  }
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  void run() {
    std::array<pollfd, 2> polled{{{ports_[0].fd(), POLLIN, 0}, {ports_[1].fd(), POLLIN, 0}}};
    while (!stop.load(std::memory_order_relaxed)) {
      const auto n = move(ports_[0], ports_[1]) + move(ports_[1], ports_[0]);
      if (n == 0 && busy_poll_ == 0) poll(polled.data(), polled.size(), 100);
    }
  }

 private:
  static void put_mac(std::uint8_t* at, const std::string& text) {
    std::array<unsigned, 6> p{};
    if (std::sscanf(text.c_str(), "%x:%x:%x:%x:%x:%x", &p[0], &p[1], &p[2], &p[3], &p[4], &p[5]) != 6)
      die("no MAC address: " + text, EINVAL);
    for (std::size_t i = 0; i < 6; ++i) at[i] = static_cast<std::uint8_t>(p[i]);
  }

  std::uint32_t move(Port& in, Port& out) {
    if (busy_poll_ > 0) [[maybe_unused]]
      const auto ignored = recvfrom(in.fd(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
    reap(out);
    std::uint32_t from = 0, to = 0;
    const auto n = xsk_ring_cons__peek(&in.rx, kBurst, &from);
    const bool room = n > 0 && xsk_ring_prod__reserve(&out.tx, n, &to) == n;
    for (std::uint32_t i = 0; i < n; ++i) {
      const auto* d = xsk_ring_cons__rx_desc(&in.rx, from + i);
      if (!room) {
        free_.push_back(d->addr & ~std::uint64_t{kFrame - 1});
        continue;
      }
      std::memcpy(xsk_umem__get_data(area_, d->addr), out.link_header.data(), out.link_header.size());
      *xsk_ring_prod__tx_desc(&out.tx, to + i) = {.addr = d->addr, .len = d->len, .options = 0};
    }
    if (n > 0) xsk_ring_cons__release(&in.rx, n);
    if (room) {
      xsk_ring_prod__submit(&out.tx, n);
      out.in_flight += n;
    }
    if (out.in_flight > 0) sendto(out.fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0);
    refill(in);
    return n;
  }

  void reap(Port& port) {
    std::uint32_t at = 0;
    const auto n = xsk_ring_cons__peek(&port.completion, 256, &at);
    for (std::uint32_t i = 0; i < n; ++i)
      free_.push_back(*xsk_ring_cons__comp_addr(&port.completion, at + i) & ~std::uint64_t{kFrame - 1});
    if (n > 0) xsk_ring_cons__release(&port.completion, n);
    port.in_flight -= n;
  }

  void refill(Port& port) {
    std::uint32_t n = std::min<std::uint32_t>(kBurst, static_cast<std::uint32_t>(free_.size()));
    n = std::min(n, xsk_prod_nb_free(&port.fill, n));
    std::uint32_t at = 0;
    if (n == 0 || xsk_ring_prod__reserve(&port.fill, n, &at) != n) return;
    for (std::uint32_t i = 0; i < n; ++i) {
      *xsk_ring_prod__fill_addr(&port.fill, at + i) = free_.back();
      free_.pop_back();
    }
    xsk_ring_prod__submit(&port.fill, n);
  }

  std::uint32_t busy_poll_;
  void* area_ = nullptr;
  xsk_umem* umem_ = nullptr;
  xsk_ring_prod first_fill_{};  // libxdp takes these over into the first socket
  xsk_ring_cons first_completion_{};
  std::array<Port, 2> ports_;
  std::vector<std::uint64_t> free_;
  std::vector<int> attached_;
};

}  // namespace

// DEVICE6 CLIENT_MAC OWN_MAC6 DEVICE4 SERVER_MAC OWN_MAC4 [BUSY_POLL]
int main(int argc, char** argv) {
  if (argc < 7) die("usage: DEVICE6 CLIENT_MAC OWN_MAC6 DEVICE4 SERVER_MAC OWN_MAC4 [BUSY_POLL]", EINVAL);
  struct sigaction action{};
  action.sa_handler = [](int) { stop.store(true); };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  auto* bpf = empty_forwarder_bpf::open_and_load();
  if (bpf == nullptr) die("cannot load", errno);
  {
    Forwarder forwarder(argc > 7 ? static_cast<std::uint32_t>(std::strtoul(argv[7], nullptr, 10)) : 0);
    forwarder.open(0, argv[1], argv[2], argv[3], bpf_map__fd(bpf->maps.sockets6),
                   bpf_program__fd(bpf->progs.side6));
    forwarder.open(1, argv[4], argv[5], argv[6], bpf_map__fd(bpf->maps.sockets4),
                   bpf_program__fd(bpf->progs.side4));
    std::puts("ready");
    std::fflush(stdout);
    forwarder.run();
  }
  empty_forwarder_bpf::destroy(bpf);
  return 0;
}
