// SPDX-License-Identifier: Apache-2.0
// The smallest thing that could be called a DNS server: recvmmsg, one canned AAAA behind each question,
// sendmmsg. What it costs per answer is the floor that UDP sockets set.   dns64_echo PORT
#include <arpa/inet.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr std::size_t kBatch = 64;
constexpr std::size_t kLargest = 480;
constexpr std::uint8_t kAnswer[] = {0xc0, 12,   0, 28, 0, 1, 0, 0, 0, 60, 0,  16, 0, 0x64,
                                    0xff, 0x9b, 0, 0,  0, 0, 0, 0, 0, 0,  44, 1,  1, 1};

int open_socket(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int size = 8 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    std::perror("dns64_echo: bind");
    std::exit(1);
  }
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  const int fd = open_socket(static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 5300));
  static std::array<std::array<std::uint8_t, 512>, kBatch> bytes;
  std::array<sockaddr_in, kBatch> peers{};
  std::array<iovec, kBatch> vectors{};
  std::array<mmsghdr, kBatch> messages{};
  for (std::size_t i = 0; i < kBatch; ++i) {
    vectors[i].iov_base = bytes[i].data();
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    messages[i].msg_hdr.msg_name = &peers[i];
  }
  for (;;) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      vectors[i].iov_len = kLargest;
      messages[i].msg_hdr.msg_namelen = sizeof peers[i];
    }
    const int got = recvmmsg(fd, messages.data(), kBatch, MSG_WAITFORONE, nullptr);
    if (got < 1) continue;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      auto* p = bytes[i].data();
      p[2] |= 0x80;
      p[3] = 0x80;
      p[6] = 0;
      p[7] = 1;
      p[11] = 0;
      std::memcpy(p + messages[i].msg_len, kAnswer, sizeof kAnswer);
      vectors[i].iov_len = messages[i].msg_len + sizeof kAnswer;
    }
    for (int sent = 0; sent < got;) {
      const int n =
          sendmmsg(fd, &messages[static_cast<std::size_t>(sent)], static_cast<unsigned>(got - sent), 0);
      sent += n > 0 ? n : 1;
    }
  }
}
