// SPDX-License-Identifier: Apache-2.0
// DNS over HTTPS in HTTP/2 (RFC 8484, RFC 9113) by nghttp2. Limits: streams at a time, header and body bytes
// of each, bytes of all requests that are not whole yet, replies held for a peer that opens no window,
// streams that it resets ("rapid reset", CVE-2023-44487) and frames that ask for nothing.
#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dns64-svc/core/doh.hpp"
#include "dns64-svc/session/session.hpp"

namespace isthmus::dns64 {

class Http2Session final : public Session {
 public:
  static constexpr std::uint32_t kMaxStreams = 100;
  static constexpr std::size_t kMaxHeader = 16384;  // bytes of one request's fields
  // Bytes of fields and bodies of requests that have not ended. Room for 100 questions of 1 KiB, or one of
  // the largest size and its neighbours.
  static constexpr std::size_t kMaxIncoming = std::size_t{128} << 10;
  static constexpr std::uint64_t kResetBurst = 200;      // streams a peer may reset at once,
  static constexpr std::uint64_t kResetsPerSecond = 20;  // and then
  static constexpr std::size_t kIdleFrames = 1000;       // frames beyond requests; each request earns 10 more

  explicit Http2Session(Host& host);
  ~Http2Session() override;
  [[nodiscard]] std::size_t receive(std::span<const std::uint8_t> bytes) override;
  [[nodiscard]] bool takes_reply() const override { return true; }  // what is too much refuses its stream
  void reply(std::uint64_t exchange, std::span<const std::uint8_t> message) override;
  void abandon(std::uint64_t exchange, DropReason why) override;
  void on_writable() override { pump(); }
  void drain() override;
  [[nodiscard]] bool takes_more() const override { return !broken_ && host_.may_write(); }
  [[nodiscard]] bool finished() const override;

 private:
  struct Incoming {
    std::string method, path, content_type;
    std::vector<std::uint8_t> body;
    std::size_t header_bytes = 0;
    std::size_t held = 0;                                     // its part of incoming_
    [[nodiscard]] std::string* field(std::string_view name);  // null: of no use here
  };
  struct Stream {
    std::optional<Incoming> request = Incoming{};  // nothing: it is in work, answered or refused
    std::vector<std::uint8_t> body;                // of the response
    std::size_t sent = 0;                          // of it
  };
  struct Deleter {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  };
  struct Callbacks;

  void on_frame(const nghttp2_frame& frame);
  // Whether `size` more bytes of a request may be kept; if not the stream is refused.
  [[nodiscard]] bool hold(std::int32_t id, Stream& stream, std::size_t size);
  [[nodiscard]] Stream* asking(std::int32_t id);  // the stream, if more of its request may come
  void end_request(Stream& stream);
  void dispatch(std::int32_t id, Stream& stream);
  void respond(std::int32_t id, Stream& stream, HttpStatus status,
               std::span<const std::uint8_t> message = {});
  void refuse_stream(std::int32_t id, Stream& stream, std::uint32_t error);
  void pump();  // what nghttp2 wants to send, while the peer takes it

  std::unique_ptr<nghttp2_session, Deleter> session_;
  std::unordered_map<std::int32_t, Stream> streams_;
  std::size_t incoming_ = 0;  // bytes of requests in streams_
  std::size_t held_ = 0;      // bytes of response bodies in streams_
  std::size_t idle_frames_ = 0;
  std::size_t requests_ = 0;
  bool receiving_ = false;
  bool draining_ = false;
  bool broken_ = false;
};

}  // namespace isthmus::dns64
