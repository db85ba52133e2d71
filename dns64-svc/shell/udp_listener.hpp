// SPDX-License-Identifier: Apache-2.0
// DNS over UDP on one address, one socket per worker: requests come and replies leave in batches of one
// system call each. On a wildcard address replies leave from the address that was asked (RFC 2181 §4.1).
#pragma once

#include <array>
#include <memory>
#include <string>

#include "common/base/unique_fd.hpp"
#include "dns64-svc/core/address_list.hpp"
#include "dns64-svc/shell/channel.hpp"
#include "dns64-svc/shell/event_loop.hpp"
#include "dns64-svc/shell/listen_socket.hpp"

namespace isthmus::dns64 {

class UdpListener final : public FdWatcher, public Channel {
 public:
  [[nodiscard]] static Result<std::unique_ptr<UdpListener>, std::string> open(const SocketAddress& address,
                                                                              EventLoop& loop,
                                                                              RequestHandler& handler,
                                                                              const AddressList& proxies);
  ~UdpListener();
  UdpListener(const UdpListener&) = delete;
  UdpListener& operator=(const UdpListener&) = delete;

  void send(const ReplyPath& path, std::span<const std::uint8_t> reply) override;
  void abandon(const ReplyPath& /*path*/, DropReason /*why*/) override {}
  void flush();   // sends what is batched; call at the end of every turn
  void drain();   // takes what has come already, and no more
  void glance();  // takes one batch if there is one: between other things of a turn
  [[nodiscard]] std::uint64_t send_failures() const { return send_failures_; }
  [[nodiscard]] std::uint64_t proxy_errors() const { return proxy_errors_; }

 private:
  static constexpr std::size_t kBatch = 32;
  static constexpr std::size_t kRequestSize =
      2048;  // far above any question; longer ones are cut and refused

  struct Batch;
  UdpListener(UniqueFd fd, bool wildcard, EventLoop& loop, RequestHandler& handler,
              const AddressList& proxies);
  void on_ready(std::uint32_t events) override;
  bool receive();  // true when there may be more
  // The reply in the next slot of `out_` goes this way; `path` lives until the next flush().
  void enqueue(ReplyPath& path, std::size_t size);
  void stop_reading();
  [[nodiscard]] bool read_proxy_header(std::span<const std::uint8_t>& request, ClientInfo& client);

  UniqueFd fd_;
  bool wildcard_;
  EventLoop& loop_;
  RequestHandler& handler_;
  const AddressList& proxies_;  // balancers whose datagrams begin with a PROXY header
  std::unique_ptr<Batch> in_;
  std::unique_ptr<Batch> out_;
  std::size_t out_count_ = 0;
  std::uint64_t send_failures_ = 0;
  std::uint64_t proxy_errors_ = 0;
  bool reading_ = true;
};

}  // namespace isthmus::dns64
