// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/session/http2_session.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "dns64-svc/core/wire/constants.hpp"

namespace isthmus::dns64 {
namespace {

nghttp2_nv field(std::string_view name, std::string_view value) {
  // nghttp2 copies both and changes neither; its type is not const for historical reasons.
  return {.name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          .value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())),
          .namelen = name.size(),
          .valuelen = value.size(),
          .flags = NGHTTP2_NV_FLAG_NONE};
}

std::string_view view_of(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

// nghttp2 calls back with the session as user data.
struct Http2Session::Callbacks {
  static Http2Session& self(void* user) { return *static_cast<Http2Session*>(user); }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
      self(user).streams_.try_emplace(frame->hd.stream_id);
    return 0;
  }
  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                    void* user) {
    const auto id = frame->hd.stream_id;
    auto* const stream = self(user).asking(id);
    if (stream == nullptr) return 0;
    auto& request = *stream->request;
    request.header_bytes += name_size + value_size;
    if (request.header_bytes > kMaxHeader) return 0;  // dispatch() refuses it
    auto* const kept = request.field(view_of(name, name_size));
    if (kept != nullptr && self(user).hold(id, *stream, value_size)) *kept = view_of(value, value_size);
    return 0;
  }
  static int data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* bytes,
                  std::size_t size, void* user) {
    auto* const stream = self(user).asking(id);
    if (stream == nullptr) return 0;
    auto& body = stream->request->body;
    if (body.size() + size > kMaxMessageSize)
      self(user).respond(id, *stream, HttpStatus::kContentTooLarge);
    else if (self(user).hold(id, *stream, size))
      body.insert(body.end(), bytes, bytes + size);
    return 0;
  }
  static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    self(user).on_frame(*frame);
    return 0;
  }
  static int close(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
    auto& streams = self(user).streams_;
    const auto found = streams.find(id);
    if (found == streams.end()) return 0;
    self(user).end_request(found->second);
    self(user).held_ -= found->second.body.size();
    streams.erase(found);
    return 0;
  }
  static ssize_t read_body(nghttp2_session*, std::int32_t id, std::uint8_t* to, std::size_t room,
                           std::uint32_t* flags, nghttp2_data_source*, void* user) {
    const auto found = self(user).streams_.find(id);
    if (found == self(user).streams_.end()) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    auto& stream = found->second;
    const auto size = std::min(room, stream.body.size() - stream.sent);
    if (size != 0) std::memcpy(to, stream.body.data() + stream.sent, size);
    stream.sent += size;
    if (stream.sent == stream.body.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }
};

Http2Session::Http2Session(Host& host) : Session(host) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* options = nullptr;
  nghttp2_session* session = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&options) != 0)
    throw std::bad_alloc{};
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::close);
  nghttp2_option_set_stream_reset_rate_limit(options, kResetBurst, kResetsPerSecond);
  nghttp2_option_set_no_closed_streams(options, 1);
  const bool made = nghttp2_session_server_new2(&session, callbacks, this, options) == 0;
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_option_del(options);
  if (!made) throw std::bad_alloc{};
  session_.reset(session);
  const std::array<nghttp2_settings_entry, 3> settings{
      {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMaxStreams},
       {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65535},
       {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxHeader}}};
  broken_ = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) != 0;
  pump();
}

Http2Session::~Http2Session() = default;

std::size_t Http2Session::receive(std::span<const std::uint8_t> bytes) {
  if (broken_) return bytes.size();
  receiving_ = true;
  const auto used = nghttp2_session_mem_recv(session_.get(), bytes.data(), bytes.size());
  receiving_ = false;
  if (used < 0) {  // not HTTP/2, or flooded: nghttp2 has nothing to say to it
    broken_ = true;
    return bytes.size();
  }
  pump();
  return bytes.size();
}

void Http2Session::on_frame(const nghttp2_frame& frame) {
  const bool ends = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  const bool request = frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA;
  if (!request || !ends) {
    // PING, SETTINGS, PRIORITY, WINDOW_UPDATE, resets, and pieces of requests: some belong to every request.
    if (++idle_frames_ > kIdleFrames + 10 * requests_)
      nghttp2_session_terminate_session(session_.get(), NGHTTP2_ENHANCE_YOUR_CALM);
    return;
  }
  auto* const stream = asking(frame.hd.stream_id);
  if (stream == nullptr) return;
  ++requests_;
  dispatch(frame.hd.stream_id, *stream);
}

std::string* Http2Session::Incoming::field(std::string_view name) {
  if (name == ":method") return &method;
  if (name == ":path") return &path;
  return name == "content-type" ? &content_type : nullptr;
}

Http2Session::Stream* Http2Session::asking(std::int32_t id) {
  const auto found = streams_.find(id);
  return found != streams_.end() && found->second.request ? &found->second : nullptr;
}

// A peer could begin many requests and end none (RFC 9113 §10.5).
bool Http2Session::hold(std::int32_t id, Stream& stream, std::size_t size) {
  if (incoming_ + size > kMaxIncoming) {
    refuse_stream(id, stream, NGHTTP2_ENHANCE_YOUR_CALM);
    return false;
  }
  stream.request->held += size;
  incoming_ += size;
  return true;
}

void Http2Session::end_request(Stream& stream) {
  if (stream.request) incoming_ -= stream.request->held;
  stream.request.reset();
}

void Http2Session::dispatch(std::int32_t id, Stream& stream) {
  if (draining_) return refuse_stream(id, stream, NGHTTP2_REFUSED_STREAM);
  auto& request = *stream.request;
  if (request.header_bytes > kMaxHeader) return respond(id, stream, HttpStatus::kHeadersTooLarge);
  const auto method = check_doh_head(request.method, request.path, request.content_type);
  if (!method) return respond(id, stream, method.error());
  std::vector<std::uint8_t> message;
  if (*method == DohMethod::kGet) {
    auto decoded = message_of_target(request.path);
    if (!decoded) return respond(id, stream, decoded.error());
    message = std::move(*decoded);
  } else {
    message = std::move(request.body);
  }
  end_request(stream);
  if (!is_answerable(message)) return respond(id, stream, HttpStatus::kBadRequest);
  // Streams that were reset still have their lookups; replies may be held for a peer that opens no window.
  if (in_work_ >= kMaxInWork || held_ >= kMaxUnsent) return refuse_stream(id, stream, NGHTTP2_REFUSED_STREAM);
  ++in_work_;
  const auto size = host_.on_request(message, static_cast<std::uint64_t>(id));
  if (size == 0) return;  // reply() or abandon() comes, or has come
  --in_work_;
  respond(id, stream, HttpStatus::kOk, host_.room().first(size));
}

void Http2Session::refuse_stream(std::int32_t id, Stream& stream, std::uint32_t error) {
  end_request(stream);
  if (nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, error) != 0) broken_ = true;
}

void Http2Session::respond(std::int32_t id, Stream& stream, HttpStatus status,
                           std::span<const std::uint8_t> message) {
  end_request(stream);
  stream.sent = 0;
  stream.body.assign(message.begin(), message.end());
  held_ += stream.body.size();
  const auto code = std::to_string(static_cast<unsigned>(status));
  const auto length = std::to_string(message.size());
  const bool ok = status == HttpStatus::kOk;
  const std::string caching = ok ? cache_control_of(message) : "no-store";
  std::array<nghttp2_nv, 7> fields{};
  std::size_t count = 0;
  fields[count++] = field(":status", code);
  fields[count++] = field("date", host_.http_date());
  fields[count++] = field("cache-control", caching);
  fields[count++] = field("content-length", length);
  if (ok) fields[count++] = field("content-type", kDnsMessageType);
  if (status == HttpStatus::kMethodNotAllowed) fields[count++] = field("allow", "GET, POST");
  if (status == HttpStatus::kServiceUnavailable) fields[count++] = field("retry-after", kRetryAfter);
  nghttp2_data_provider body{};
  body.read_callback = Callbacks::read_body;
  if (nghttp2_submit_response(session_.get(), id, fields.data(), count, message.empty() ? nullptr : &body) !=
      0)
    broken_ = true;
}

void Http2Session::reply(std::uint64_t exchange, std::span<const std::uint8_t> message) {
  if (in_work_ != 0) --in_work_;
  const auto id = static_cast<std::int32_t>(exchange);
  const auto found = streams_.find(id);
  if (found == streams_.end() || broken_) return;  // reset meanwhile
  if (held_ >= kMaxUnsent)
    refuse_stream(id, found->second, NGHTTP2_REFUSED_STREAM);
  else
    respond(id, found->second, HttpStatus::kOk, message);
  if (!receiving_) pump();
}

void Http2Session::abandon(std::uint64_t exchange, DropReason why) {
  if (in_work_ != 0) --in_work_;
  const auto id = static_cast<std::int32_t>(exchange);
  const auto found = streams_.find(id);
  if (found == streams_.end() || broken_) return;
  respond(id, found->second, status_of(why));
  if (!receiving_) pump();
}

void Http2Session::pump() {
  while (!broken_ && host_.may_write()) {
    const std::uint8_t* bytes = nullptr;
    const auto size = nghttp2_session_mem_send(session_.get(), &bytes);
    if (size < 0) broken_ = true;
    if (size <= 0) return;
    host_.out().insert(host_.out().end(), bytes, bytes + size);
  }
}

void Http2Session::drain() {
  if (draining_ || broken_) return;
  draining_ = true;
  const auto last = nghttp2_session_get_last_proc_stream_id(session_.get());
  if (nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, nullptr, 0) != 0)
    broken_ = true;
  pump();
}

bool Http2Session::finished() const {
  if (broken_) return true;
  if (draining_ && streams_.empty()) return nghttp2_session_want_write(session_.get()) == 0;
  return nghttp2_session_want_read(session_.get()) == 0 && nghttp2_session_want_write(session_.get()) == 0;
}

}  // namespace isthmus::dns64
