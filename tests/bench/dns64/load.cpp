// SPDX-License-Identifier: Apache-2.0
// UDP load for a DNS server: names made on the fly (n0000042.ZONE), either a closed window (so many in
// flight) or a fixed rate. Prints one line of JSON: counts by RCODE and latency percentiles.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace {

constexpr std::size_t kBatch = 32;

struct Options {
  std::string server = "127.0.0.1";
  std::uint16_t port = 53;
  std::string zone;
  std::uint32_t first = 0;      // number of the first name
  std::uint32_t names = 10000;  // then they come again
  std::uint64_t queries = 0;    // 0: by time
  double seconds = 3;
  double rate = 0;  // queries per second; 0: as fast as the window allows
  int window = 200;
  int sockets = 8;
  int type = 28;
  bool edns = false;
  bool dnssec_ok = false;
  double timeout = 2;
};

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

// Latencies with three per cent of error.
class Histogram {
 public:
  void add(std::uint64_t ns) {
    ++total_;
    const auto bits = static_cast<unsigned>(std::bit_width(ns | 31));
    ++buckets_[(bits - 5) * 32 + ((ns >> (bits - 5)) & 31)];
  }
  [[nodiscard]] double microseconds(double quantile) const {
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (total_ != 0 && static_cast<double>(seen) >= quantile * static_cast<double>(total_))
        return static_cast<double>((i % 32) << (i / 32)) / 1e3;
    }
    return 0;
  }

 private:
  std::array<std::uint64_t, 32 * 60> buckets_{};
  std::uint64_t total_ = 0;
};

class QuestionWriter {
 public:
  explicit QuestionWriter(const Options& options) : options_(options) {
    std::string label;
    for (const char c : options.zone + ".") {
      if (c != '.') {
        label += c;
      } else if (!label.empty()) {
        zone_ += static_cast<char>(label.size()) + label;
        label.clear();
      }
    }
    zone_ += '\0';
  }
  std::size_t write(std::uint8_t* out, std::uint16_t id, std::uint32_t number) const {
    std::memset(out, 0, 12);
    out[0] = static_cast<std::uint8_t>(id >> 8);
    out[1] = static_cast<std::uint8_t>(id);
    out[2] = 1;
    out[5] = 1;
    out[11] = options_.edns ? 1 : 0;
    auto* p = out + 12;
    *p++ = 8;
    *p++ = 'n';
    for (int i = 6; i >= 0; --i, number /= 10) p[i] = static_cast<std::uint8_t>('0' + number % 10);
    p += 7;
    std::memcpy(p, zone_.data(), zone_.size());
    p += zone_.size();
    const std::uint8_t tail[] = {0, static_cast<std::uint8_t>(options_.type), 0, 1};
    std::memcpy(p, tail, sizeof tail);
    p += sizeof tail;
    if (options_.edns) {
      const std::uint8_t opt[] = {
          0, 0, 41, 4, 208, 0, 0, static_cast<std::uint8_t>(options_.dnssec_ok ? 0x80 : 0), 0, 0, 0};
      std::memcpy(p, opt, sizeof opt);
      p += sizeof opt;
    }
    return static_cast<std::size_t>(p - out);
  }

 private:
  const Options& options_;
  std::string zone_;
};

struct Tally {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t with_answer = 0;
  std::uint64_t lost = 0;
  std::array<std::uint64_t, 16> rcodes{};
  Histogram latency;
};

// One socket with its own ids.
class Source {
 public:
  Source(const Options& options, const sockaddr_storage& server, socklen_t size) : asked_at_(65536) {
    fd_ = socket(server.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int room = 4 << 20;
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&server), size) != 0) {
      std::perror("dns64_load: connect");
      std::exit(2);
    }
    timeout_ns_ = static_cast<std::uint64_t>(options.timeout * 1e9);
  }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] int outstanding() const { return outstanding_; }

  // Asks `count` (at most kBatch) names from `number` on; how many left.
  std::size_t ask(std::size_t count, std::uint64_t number, const Options& options,
                  const QuestionWriter& writer, Tally& tally) {
    static std::array<std::array<std::uint8_t, 320>, kBatch> bytes;
    std::array<iovec, kBatch> vectors{};
    std::array<mmsghdr, kBatch> messages{};
    const auto now = now_ns();
    for (std::size_t i = 0; i < count; ++i) {
      const auto id = static_cast<std::uint16_t>(next_id_ + i);
      const auto which = options.first + static_cast<std::uint32_t>((number + i) % options.names);
      vectors[i] = {.iov_base = bytes[i].data(), .iov_len = writer.write(bytes[i].data(), id, which)};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int sent = sendmmsg(fd_, messages.data(), static_cast<unsigned>(count), 0);
    for (int i = 0; i < sent; ++i) {
      auto& slot = asked_at_[next_id_++];
      if (slot != 0) lose(slot, tally);
      slot = now;
      ++outstanding_;
      ++tally.sent;
    }
    return static_cast<std::size_t>(std::max(sent, 0));
  }
  bool receive(Tally& tally) {
    static std::array<std::array<std::uint8_t, 4096>, kBatch> bytes;
    std::array<iovec, kBatch> vectors{};
    std::array<mmsghdr, kBatch> messages{};
    for (std::size_t i = 0; i < kBatch; ++i) {
      vectors[i] = {.iov_base = bytes[i].data(), .iov_len = bytes[i].size()};
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int got = recvmmsg(fd_, messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    const auto now = now_ns();
    for (int i = 0; i < got; ++i) {
      const auto* p = bytes[static_cast<std::size_t>(i)].data();
      auto& slot = asked_at_[static_cast<std::size_t>(p[0] << 8 | p[1])];
      if (slot == 0 || messages[static_cast<std::size_t>(i)].msg_len < 12) continue;
      tally.latency.add(now - slot);
      slot = 0;
      --outstanding_;
      ++tally.received;
      ++tally.rcodes[p[3] & 15];
      if (p[6] != 0 || p[7] != 0) ++tally.with_answer;
    }
    return got > 0;
  }
  void expire(Tally& tally) {
    const auto now = now_ns();
    for (auto& slot : asked_at_)
      if (slot != 0 && now > slot + timeout_ns_) lose(slot, tally);
  }

 private:
  void lose(std::uint64_t& slot, Tally& tally) {
    slot = 0;
    --outstanding_;
    ++tally.lost;
  }
  int fd_ = -1;
  std::vector<std::uint64_t> asked_at_;
  std::uint16_t next_id_ = 0;
  int outstanding_ = 0;
  std::uint64_t timeout_ns_ = 0;
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options), writer_(options) {
    sockaddr_storage server{};
    socklen_t size = 0;
    if (options.server.find(':') != std::string::npos) {
      auto* v6 = reinterpret_cast<sockaddr_in6*>(&server);
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(options.port);
      inet_pton(AF_INET6, options.server.c_str(), &v6->sin6_addr);
      size = sizeof *v6;
    } else {
      auto* v4 = reinterpret_cast<sockaddr_in*>(&server);
      v4->sin_family = AF_INET;
      v4->sin_port = htons(options.port);
      inet_pton(AF_INET, options.server.c_str(), &v4->sin_addr);
      size = sizeof *v4;
    }
    for (int i = 0; i < options.sockets; ++i) sources_.emplace_back(options, server, size);
    for (const auto& source : sources_)
      polled_.push_back({.fd = source.fd(), .events = POLLIN, .revents = 0});
  }

  void run() {
    begin_ = now_ns();
    auto next_expiry = begin_ + kExpireEvery;
    std::uint64_t stopped_at = 0;
    for (;;) {
      const auto now = now_ns();
      if (stopped_at == 0 && is_over(now)) stopped_at = now;
      if (stopped_at != 0 &&
          (in_flight() == 0 || now > stopped_at + static_cast<std::uint64_t>(options_.timeout * 1e9)))
        break;
      bool busy = false;
      for (auto& source : sources_) {
        if (stopped_at == 0) busy = send_from(source, now) || busy;
        if (source.receive(tally_)) {
          busy = true;
          last_reply_ = now_ns();
        }
      }
      if (now > next_expiry) {
        next_expiry = now + kExpireEvery;
        for (auto& source : sources_) source.expire(tally_);
      }
      if (!busy) wait(now);
    }
    tally_.lost += static_cast<std::uint64_t>(in_flight());
  }

  void print() const {
    const double seconds = static_cast<double>(std::max(last_reply_, begin_ + 1) - begin_) * 1e-9;
    const auto& t = tally_;
    std::printf(
        "{\"sent\":%lu,\"received\":%lu,\"with_answer\":%lu,\"lost\":%lu,\"seconds\":%.3f,\"qps\":%.0f,\"p50_"
        "us\":%.1f,"
        "\"p99_us\":%.1f,\"p999_us\":%.1f,\"noerror\":%lu,\"servfail\":%lu,\"nxdomain\":%lu,\"refused\":%lu}"
        "\n",
        t.sent, t.received, t.with_answer, t.lost, seconds, static_cast<double>(t.received) / seconds,
        t.latency.microseconds(.5), t.latency.microseconds(.99), t.latency.microseconds(.999), t.rcodes[0],
        t.rcodes[2], t.rcodes[3], t.rcodes[5]);
  }

 private:
  static constexpr std::uint64_t kExpireEvery = 250'000'000;

  [[nodiscard]] bool is_over(std::uint64_t now) const {
    if (options_.queries != 0) return tally_.sent >= options_.queries;
    return static_cast<double>(now - begin_) * 1e-9 >= options_.seconds;
  }
  [[nodiscard]] int in_flight() const {
    int sum = 0;
    for (const auto& source : sources_) sum += source.outstanding();
    return sum;
  }
  // For a reply, or until the next question is due: two loads on one core leave it to one another.
  void wait(std::uint64_t now) {
    std::uint64_t longest = 1'000'000;
    if (options_.rate > 0) {
      const auto due =
          begin_ + static_cast<std::uint64_t>(static_cast<double>(tally_.sent + 1) * 1e9 / options_.rate);
      longest = due > now ? std::min(longest, due - now) : 0;
    }
    const timespec timeout{.tv_sec = 0, .tv_nsec = static_cast<long>(longest)};
    ppoll(polled_.data(), polled_.size(), &timeout, nullptr);
  }
  bool send_from(Source& source, std::uint64_t now) {
    std::size_t count = kBatch;
    if (options_.rate > 0) {
      const double due =
          static_cast<double>(now - begin_) * 1e-9 * options_.rate - static_cast<double>(tally_.sent);
      count = due < 1 ? 0 : std::min<std::size_t>(static_cast<std::size_t>(due), 8);
    } else {
      const int room = std::max(1, options_.window / options_.sockets) - source.outstanding();
      count = std::min<std::size_t>(count, static_cast<std::size_t>(std::max(room, 0)));
    }
    if (options_.queries != 0) count = std::min<std::size_t>(count, options_.queries - tally_.sent);
    return count != 0 && source.ask(count, tally_.sent, options_, writer_, tally_) != 0;
  }

  const Options& options_;
  QuestionWriter writer_;
  std::vector<Source> sources_;
  std::vector<pollfd> polled_;
  Tally tally_;
  std::uint64_t begin_ = 0;
  std::uint64_t last_reply_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"load for a DNS server", "dns64_load"};
  app.add_option("--server", options.server, "address");
  app.add_option("--port", options.port, "UDP port");
  app.add_option("--zone", options.zone, "names are n0000000.ZONE and on")->required();
  app.add_option("--first", options.first, "number of the first name");
  app.add_option("--names", options.names, "how many names before they repeat");
  app.add_option("--queries", options.queries, "stop after so many");
  app.add_option("--seconds", options.seconds, "or after this time");
  app.add_option("--rate", options.rate, "queries per second; default: as the window allows");
  app.add_option("--window", options.window, "queries in flight");
  app.add_option("--sockets", options.sockets, "client sockets");
  app.add_option("--type", options.type, "RR type");
  app.add_option("--timeout", options.timeout, "seconds until a query counts as lost");
  app.add_flag("--edns", options.edns, "with an OPT record");
  app.add_flag("--dnssec-ok", options.dnssec_ok, "with DO");
  CLI11_PARSE(app, argc, argv);
  options.edns = options.edns || options.dnssec_ok;
  prctl(PR_SET_TIMERSLACK, 1000);  // ns: questions leave when they are due
  Load load{options};
  load.run();
  load.print();
}
