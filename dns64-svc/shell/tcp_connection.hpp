// SPDX-License-Identifier: Apache-2.0
// One client's stream of length-prefixed messages (RFC 1035 §4.2.2, RFC 7766): requests are taken as they
// come, replies leave in the order they are ready. What a peer can make us hold is bounded: requests in work,
// bytes of replies not yet read, time without a whole request.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "common/base/unique_fd.hpp"
#include "dns64-svc/shell/channel.hpp"
#include "dns64-svc/shell/event_loop.hpp"

namespace isthmus::dns64 {

class TcpConnection final : public FdWatcher, public Timer {
 public:
  static constexpr std::size_t kMaxInWork = 128;  // RFC 7766 §6.2.1.1: pipelining, within reason
  static constexpr std::size_t kMaxUnsent = std::size_t{256} << 10;  // bytes
  static constexpr Duration kIdle = std::chrono::seconds{10};        // RFC 7766 §6.2.3

  struct Owner {
    EventLoop& loop;
    RequestHandler& handler;
    Channel& channel;
    std::span<std::uint8_t> scratch;            // room for a length and the largest message
    std::function<void(std::uint64_t)> on_end;  // the connection is over; destroy it later
  };

  TcpConnection(UniqueFd fd, std::uint64_t id, ClientInfo client, const Owner& owner);
  ~TcpConnection() override;
  [[nodiscard]] bool start();
  void send(std::span<const std::uint8_t> reply);  // of a request that was in work
  void abandon();
  void drain();  // takes no more requests, ends when those in work are answered
  [[nodiscard]] const ClientAddress& client() const { return client_.address; }

 private:
  void on_ready(std::uint32_t events) override;
  void on_timer() override;
  [[nodiscard]] bool read_some();
  void take_requests();
  void append(std::span<const std::uint8_t> reply);
  void write_some();
  void update();  // what to wait for next, or the end
  void end();

  UniqueFd fd_;
  std::uint64_t id_;
  ClientInfo client_;
  const Owner& owner_;
  std::vector<std::uint8_t> in_;
  std::vector<std::uint8_t> out_;
  std::size_t sent_ = 0;  // of out_
  std::size_t in_work_ = 0;
  std::uint32_t watched_ = 0;
  bool peer_done_ = false;  // it sends no more, or we read no more
  bool taking_ = false;     // in take_requests(): what handlers send meanwhile is only appended
  bool ended_ = false;
};

}  // namespace isthmus::dns64
