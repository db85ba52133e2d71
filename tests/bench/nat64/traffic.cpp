// SPDX-License-Identifier: Apache-2.0
// Offers more small UDP packets than the device under test can take, counts what comes out at the other side,
// and divides the CPU time that given threads used meanwhile by it. Prints one JSON object. bench.py knows
// the lab.
#include "tests/bench/nat64/traffic.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <numeric>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/net/big_endian.hpp"
#include "traffic.skel.h"

namespace {

using Seconds = std::chrono::duration<double>;

struct Options {
  std::string client_namespace, server_namespace, client_device = "bc6", server_device = "bs4";
  std::string client_mac, dut_mac6, dut_mac4, server_mac;
  std::string destination = "64:ff9b::20.1.0.2";
  std::string family = "6";
  std::uint32_t flows = 1;
  bool reverse = false;
  bool known = false;
  double warm_up = 0.5, seconds = 1.5;
  std::vector<int> threads;
};

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "nat64_traffic: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

void enter(const std::string& name) {
  const auto path = "/run/netns/" + name;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) die(path);
  close(fd);
}

// In host order of the 16-bit words as they lie in memory, as the BPF program adds them.
std::uint32_t sum(std::span<const std::uint8_t> bytes) {
  std::uint32_t total = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, &bytes[i], 2);
    total += word;
  }
  return total;
}

void put_mac(std::uint8_t* at, const std::string& text) {
  unsigned part[6] = {};
  if (std::sscanf(text.c_str(), "%x:%x:%x:%x:%x:%x", &part[0], &part[1], &part[2], &part[3], &part[4],
                  &part[5]) != 6)
    die("no MAC address: " + text);
  for (int i = 0; i < 6; ++i) at[i] = static_cast<std::uint8_t>(part[i]);
}

void put_udp(traffic_bpf& bpf, int kind, std::uint8_t* udp, std::span<const std::uint8_t> addresses,
             bool to_server) {
  isthmus::store_be16(udp + (to_server ? 2 : 0), TRAFFIC_SERVER_PORT);
  isthmus::store_be16(udp + 4, 26);
  std::memcpy(udp + 8, "NATB", 4);
  bpf.bss->udp_sums[kind] = sum(addresses) + htons(17) + htons(26) + sum({udp, 26});
}

void put_frame6(traffic_bpf& bpf, int kind, const std::string& to, const std::string& from,
                const std::string& source, const std::string& destination) {
  auto* d = bpf.bss->frames[kind];
  put_mac(d, to);
  put_mac(d + 6, from);
  isthmus::store_be16(d + 12, 0x86dd);
  d[14] = 0x60;
  d[19] = 26;
  d[20] = 17;
  d[21] = 64;
  if (inet_pton(AF_INET6, source.c_str(), d + 22) != 1 ||
      inet_pton(AF_INET6, destination.c_str(), d + 38) != 1)
    die("no IPv6 address");
  put_udp(bpf, kind, d + 54, {d + 22, 32}, kind == TRAFFIC_CLIENT6);
}

void put_frame4(traffic_bpf& bpf, int kind, const std::string& to, const std::string& from,
                const std::string& source, const std::string& destination) {
  auto* d = bpf.bss->frames[kind];
  put_mac(d, to);
  put_mac(d + 6, from);
  isthmus::store_be16(d + 12, 0x0800);
  d[14] = 0x45;
  d[17] = 46;
  d[20] = 0x40;  // do not fragment
  d[22] = 64;
  d[23] = 17;
  if (inet_pton(AF_INET, source.c_str(), d + 26) != 1 || inet_pton(AF_INET, destination.c_str(), d + 30) != 1)
    die("no IPv4 address");
  bpf.bss->ip_sums[kind] = sum({d + 14, 20});
  put_udp(bpf, kind, d + 34, {d + 26, 8}, kind == TRAFFIC_CLIENT4);
}

int attach(traffic_bpf& bpf, const std::string& name, const std::string& device, std::uint32_t slot,
           const bpf_program* program) {
  enter(name);
  const int index = static_cast<int>(if_nametoindex(device.c_str()));
  if (index == 0) die("no device " + device);
  if (bpf_map_update_elem(bpf_map__fd(bpf.maps.devices), &slot, &index, 0) != 0) die("devmap");
  if (bpf_xdp_attach(index, bpf_program__fd(program), XDP_FLAGS_DRV_MODE, nullptr) != 0)
    die("attach to " + device);
  return index;
}

// The generator: one system call that makes packets until it is interrupted.
class Generator {
 public:
  Generator(traffic_bpf& bpf, int index) {
    thread_ = std::thread([this, &bpf, index] {
      std::vector<std::uint8_t> frame(TRAFFIC_LENGTH6);
      xdp_md context{};
      context.data_end = TRAFFIC_LENGTH6;
      context.ingress_ifindex = static_cast<std::uint32_t>(index);
      while (!stop_.load()) {
        LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(), .data_size_in = TRAFFIC_LENGTH6,
                    .ctx_in = &context, .ctx_size_in = sizeof context, .repeat = 1 << 30,
                    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 256);
        const int error = bpf_prog_test_run_opts(bpf_program__fd(bpf.progs.generate), &run);
        if (error != 0 && error != -EINTR) {
          errno = -error;
          die("BPF_PROG_TEST_RUN with live frames");
        }
      }
    });
  }
  ~Generator() {
    stop_.store(true);
    pthread_kill(thread_.native_handle(), SIGUSR1);
    thread_.join();
  }
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

traffic_count counted(traffic_bpf& bpf, std::uint32_t side) {
  std::vector<traffic_count> each(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  if (bpf_map_lookup_elem(bpf_map__fd(bpf.maps.counts), &side, each.data()) != 0) die("counts");
  traffic_count all{};
  for (const auto& one : each) {
    all.packets += one.packets;
    all.bad += one.bad;
  }
  return all;
}

// Nanoseconds that the threads have run.
double run_time(const std::vector<int>& threads) {
  return std::accumulate(threads.begin(), threads.end(), 0.0, [](double total, int thread) {
    std::ifstream in("/proc/" + std::to_string(thread) + "/schedstat");
    double nanoseconds = 0;
    in >> nanoseconds;
    return total + nanoseconds;
  });
}

void measure(traffic_bpf& bpf, int client_index, const Options& o) {
  auto& b = *bpf.bss;
  b.flows = o.flows;
  b.client_kind = o.family == "6" ? TRAFFIC_CLIENT6 : TRAFFIC_CLIENT4;
  b.server_kind = o.family == "46" ? TRAFFIC_SERVER6 : TRAFFIC_SERVER4;
  if (!o.known &&
      (o.reverse || o.flows > 1)) {  // each flow is made before the measurement, at a rate that loses none
    b.learning = 1;
    b.interval = 6000;
    const Generator slowly(bpf, client_index);
    std::this_thread::sleep_for(Seconds(0.3 + o.flows * 2 * 7e-6));
  }
  b.learning = 0;
  b.interval = 0;
  b.sequence = 0;
  b.from_server = o.reverse ? 1 : 0;
  const std::uint32_t side = o.reverse ? TRAFFIC_TO_CLIENT : TRAFFIC_TO_SERVER;
  const Generator fast(bpf, client_index);
  std::this_thread::sleep_for(Seconds(o.warm_up));
  const auto begin = std::chrono::steady_clock::now();
  const auto before = counted(bpf, side);
  const double cpu_before = run_time(o.threads);
  const std::uint64_t sent_before = b.sent;
  std::this_thread::sleep_for(Seconds(o.seconds));
  const auto after = counted(bpf, side);
  const double cpu = run_time(o.threads) - cpu_before;
  const double took = Seconds(std::chrono::steady_clock::now() - begin).count();
  const auto packets = static_cast<double>(after.packets - before.packets);
  std::printf(
      "{\"offered_per_second\": %.0f, \"packets_per_second\": %.0f, \"cpu_ns_per_packet\": %.1f, "
      "\"busy\": %.3f, \"bad_checksums\": %llu}\n",
      static_cast<double>(b.sent - sent_before) / took, packets / took, packets > 0 ? cpu / packets : 0.0,
      cpu / took / 1e9, after.bad);
}

void parse(int argc, char** argv, Options& o) {
  CLI::App app("Measures a device under test between two namespaces");
  app.add_option("--client-namespace", o.client_namespace)->required();
  app.add_option("--server-namespace", o.server_namespace)->required();
  app.add_option("--client-device", o.client_device);
  app.add_option("--server-device", o.server_device);
  app.add_option("--client-mac", o.client_mac)->required();
  app.add_option("--dut-mac6", o.dut_mac6)->required();
  app.add_option("--dut-mac4", o.dut_mac4)->required();
  app.add_option("--server-mac", o.server_mac)->required();
  app.add_option("--destination", o.destination, "of IPv6 packets");
  app.add_option("--family", o.family, "6: IPv6 from clients; 4: IPv4");
  app.add_option("--flows", o.flows, "0: every packet is a new one");
  app.add_flag("--reverse", o.reverse, "measure server to client");
  app.add_flag("--known", o.known, "the device has seen the flows in a run before");
  app.add_option("--warm-up", o.warm_up, "seconds");
  app.add_option("--seconds", o.seconds);
  app.add_option("--threads", o.threads, "threads whose time counts")->delimiter(',');
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  parse(argc, argv, o);
  struct sigaction action{};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  cpu_set_t first;
  CPU_ZERO(&first);
  CPU_SET(0, &first);
  sched_setaffinity(0, sizeof first, &first);
  traffic_bpf* bpf = traffic_bpf::open_and_load();
  if (bpf == nullptr) die("cannot load");
  const std::string client6 = "2001:db8:66::1", server4 = "20.1.0.2";
  put_frame6(*bpf, TRAFFIC_CLIENT6, o.dut_mac6, o.client_mac, client6, o.destination);
  put_frame6(*bpf, TRAFFIC_SERVER6, o.dut_mac4, o.server_mac, o.destination, client6);
  put_frame4(*bpf, TRAFFIC_CLIENT4, o.dut_mac6, o.client_mac, "0.0.0.0", server4);
  put_frame4(*bpf, TRAFFIC_SERVER4, o.dut_mac4, o.server_mac, server4, "0.0.0.0");
  const int server = attach(*bpf, o.server_namespace, o.server_device, 1, bpf->progs.sink_server);
  const int client = attach(*bpf, o.client_namespace, o.client_device, 0, bpf->progs.sink_client);
  measure(*bpf, client, o);
  enter(o.client_namespace);
  bpf_xdp_detach(client, XDP_FLAGS_DRV_MODE, nullptr);
  enter(o.server_namespace);
  bpf_xdp_detach(server, XDP_FLAGS_DRV_MODE, nullptr);
  traffic_bpf::destroy(bpf);
  return 0;
}
