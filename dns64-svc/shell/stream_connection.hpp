// SPDX-License-Identifier: Apache-2.0
// One client's stream, from accept to close: perhaps a PROXY header, perhaps TLS, then one Session (DNS over
// TCP, HTTP/1.1 or HTTP/2). What a peer can make us hold is bounded in bytes, requests and time.
//
//   kProxy -> kHandshake -> kOpen -> kLingering     (stages that do not apply are skipped)
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/unique_fd.hpp"
#include "dns64-svc/core/address_list.hpp"
#include "dns64-svc/session/session.hpp"
#include "dns64-svc/shell/channel.hpp"
#include "dns64-svc/shell/connection_quota.hpp"
#include "dns64-svc/shell/event_loop.hpp"
#include "dns64-svc/shell/stream_stats.hpp"
#include "dns64-svc/shell/tls_engine.hpp"

namespace isthmus::dns64 {

enum class StreamProtocol : std::uint8_t {
  kDns,       // TCP (RFC 7766)
  kDnsTls,    // RFC 7858
  kHttpsTls,  // RFC 8484
  kHttp       // the same behind a proxy on this machine that ends TLS
};

class StreamConnection;

struct StreamLimits {
  std::size_t max_connections = 4096;            // of one worker
  std::size_t max_per_client = 64;               // of one worker
  std::size_t max_handshakes = 256;              // TLS handshakes and PROXY headers under way
  Duration idle = std::chrono::seconds{10};      // RFC 7766 §6.2.3
  Duration handshake = std::chrono::seconds{5};  // from accept to the first possible request
};

// What the streams of one worker share. `handler` and `proxies` outlive it.
struct StreamEnvironment {
  StreamEnvironment(EventLoop& the_loop, RequestHandler& the_handler, StreamStats& the_stats,
                    const AddressList& the_proxies, const StreamLimits& the_limits)
      : loop(the_loop),
        handler(the_handler),
        stats(the_stats),
        proxies(the_proxies),
        limits(the_limits),
        quota(the_limits.max_connections, the_limits.max_per_client) {}

  EventLoop& loop;
  RequestHandler& handler;
  StreamStats& stats;
  const AddressList& proxies;  // balancers whose streams begin with a PROXY header
  StreamLimits limits;
  ConnectionQuota quota;
  std::list<StreamConnection*> handshakes;  // under way, the oldest first
  std::shared_ptr<const TlsContexts> tls;   // null: no TLS here
  std::array<std::uint8_t, 32768> received{};
  std::array<std::uint8_t, 65535> room{};
  std::vector<std::uint8_t> plain;
  std::string date;
  std::uint32_t date_of = 0;

  // Half of what there is belongs to clients that are served: whoever would only be refused gets the other
  // half, to hear that.
  [[nodiscard]] bool has_room_for(const ClientAddress& client) const {
    return (!quota.is_half_taken() && handshakes.size() < (limits.max_handshakes + 1) / 2) ||
           handler.serves(client);
  }
  // Less when connections are scarce.
  [[nodiscard]] Duration idle() const { return quota.is_scarce() ? limits.idle / 5 : limits.idle; }
};

class StreamConnection final : public FdWatcher, public Timer, private Session::Host {
 public:
  struct Owner {
    StreamEnvironment& environment;
    Channel& channel;
    StreamProtocol protocol;
    std::function<void(std::uint64_t)> on_end;  // the connection is over; destroy it later
  };

  StreamConnection(UniqueFd fd, std::uint64_t id, const ClientInfo& client, const Owner& owner);
  ~StreamConnection() override;
  // `proxied`: a PROXY header comes first.
  [[nodiscard]] bool start(bool proxied);
  void reply(const ReplyPath& path, std::span<const std::uint8_t> message);
  void abandon(const ReplyPath& path, DropReason why);
  void give_way() { end(StreamEnd::kLimit); }
  void drain();  // takes no more requests, ends when those in work are answered
  [[nodiscard]] const ClientAddress& client() const { return client_.address; }
  [[nodiscard]] bool counts_for_client() const { return counts_for_client_; }
  void set_counts_for_client() { counts_for_client_ = true; }

 private:
  enum class Stage : std::uint8_t { kProxy, kHandshake, kOpen, kLingering, kEnded };

  void on_ready(std::uint32_t events) override;
  void on_timer() override;
  // Session::Host
  std::size_t on_request(std::span<const std::uint8_t> message, std::uint64_t exchange) override;
  [[nodiscard]] std::span<std::uint8_t> room() override { return environment_.room; }
  [[nodiscard]] std::vector<std::uint8_t>& out() override { return tls_ ? said_ : out_; }
  [[nodiscard]] std::size_t unsent() const { return said_.size() + out_.size() - sent_; }
  [[nodiscard]] bool may_write() const override { return unsent() < Session::kMaxUnsent; }
  [[nodiscard]] bool may_write_late() const override { return unsent() < 2 * Session::kMaxUnsent; }
  [[nodiscard]] const std::string& http_date() override;

  void begin();  // after the PROXY header
  void open();   // after the handshake
  void read_some();
  void take(std::span<const std::uint8_t> bytes);
  [[nodiscard]] std::span<const std::uint8_t> take_proxy(std::span<const std::uint8_t> bytes);
  void take_encrypted(std::span<const std::uint8_t> bytes);
  void take_plain(std::span<const std::uint8_t> bytes);
  void offer();    // what waits in in_ to the session
  void advance();  // all that can be done without the peer, and what to wait for then
  void flush();
  void write_some();
  void watch();
  void linger();  // all is said: let the peer read it before the end
  void set_stage(Stage stage);
  [[nodiscard]] bool is_over() const { return stage_ == Stage::kEnded; }
  void end(StreamEnd why);
  [[nodiscard]] std::size_t transport() const { return static_cast<std::size_t>(client_.transport); }

  UniqueFd fd_;
  std::uint64_t id_;
  ClientInfo client_;
  const Owner& owner_;
  StreamEnvironment& environment_;
  std::unique_ptr<TlsEngine> tls_;
  std::unique_ptr<Session> session_;
  std::vector<std::uint8_t> in_;    // plain bytes that the session did not take yet
  std::vector<std::uint8_t> said_;  // TLS only: plain bytes to be encrypted
  std::vector<std::uint8_t> out_;   // as they go on the wire
  std::size_t sent_ = 0;            // of out_
  std::uint32_t watched_ = 0;
  Stage stage_ = Stage::kOpen;
  StreamEnd why_ = StreamEnd::kProtocol;  // of lingering
  bool counts_for_client_ = false;
  std::optional<std::list<StreamConnection*>::iterator> handshake_;  // its place among them
  bool counts_as_open_ = false;
  bool peer_done_ = false;  // it sends no more
  bool taking_ = false;     // the session runs: what handlers reply meanwhile is only written down
};

}  // namespace isthmus::dns64
