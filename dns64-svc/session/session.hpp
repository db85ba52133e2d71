// SPDX-License-Identifier: Apache-2.0
// One protocol over one byte stream: bytes come in and become requests, replies come in and become bytes.
// Does no I/O, reads no clock, and knows nothing of sockets or TLS. What a peer can make it hold is bounded.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dns64-svc/core/drop_reason.hpp"

namespace isthmus::dns64 {

class Session {
 public:
  static constexpr std::size_t kMaxInWork = 128;  // RFC 7766 §6.2.1.1: pipelining, within reason
  static constexpr std::size_t kMaxUnsent = std::size_t{256}
                                            << 10;  // bytes of replies the peer has not taken

  // What a session talks to.
  class Host {
   public:
    // A whole request. The size of its reply in room(), or 0: reply() or abandon() comes later, or has come
    // while this ran. `exchange` says later which request is meant.
    virtual std::size_t on_request(std::span<const std::uint8_t> message, std::uint64_t exchange) = 0;
    [[nodiscard]] virtual std::span<std::uint8_t> room() = 0;
    // Where the session writes.
    [[nodiscard]] virtual std::vector<std::uint8_t>& out() = 0;
    // False while the peer has kMaxUnsent bytes to take.
    [[nodiscard]] virtual bool may_write() const = 0;
    // False: nor replies to requests that were taken while it could: it has twice that.
    [[nodiscard]] virtual bool may_write_late() const = 0;
    [[nodiscard]] virtual const std::string& http_date() = 0;

   protected:
    ~Host() = default;
  };

  explicit Session(Host& host) : host_(host) {}
  virtual ~Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Takes what it can of `bytes` and says how many that were; give the rest again, with more behind it or
  // when there is room.
  [[nodiscard]] virtual std::size_t receive(std::span<const std::uint8_t> bytes) = 0;
  // False: the peer does not read, and one reply more would be held without bound. Its connection is over.
  [[nodiscard]] virtual bool takes_reply() const { return host_.may_write_late(); }
  virtual void reply(std::uint64_t exchange, std::span<const std::uint8_t> message) = 0;
  // The request gets no DNS answer.
  virtual void abandon(std::uint64_t exchange, DropReason why) = 0;
  // The peer has taken bytes: may_write() may be true again.
  virtual void on_writable() {}
  // No more requests; finished() when those in work are answered.
  virtual void drain() = 0;
  // False: receive() would take nothing now.
  [[nodiscard]] virtual bool takes_more() const = 0;
  // Send what was written, then close.
  [[nodiscard]] virtual bool finished() const = 0;
  [[nodiscard]] std::size_t in_work() const { return in_work_; }

 protected:
  Host& host_;
  std::size_t in_work_ = 0;
};

}  // namespace isthmus::dns64
