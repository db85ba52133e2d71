// SPDX-License-Identifier: Apache-2.0
// nghttp2's client talks to the session, byte for byte as over a connection.
#include "dns64-svc/session/http2_session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/unit/dns64-svc/session/fake_host.hpp"

namespace isthmus::dns64 {
namespace {

struct Response {
  std::map<std::string, std::string> fields;
  Bytes body;
  bool ended = false;
  std::uint32_t reset = 0;
};

class Client {
 public:
  Client() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t n,
                      const std::uint8_t* value, std::size_t v, std::uint8_t, void* user) {
          static_cast<Client*>(user)->responses[frame->hd.stream_id].fields[std::string{name, name + n}] =
              std::string{value, value + v};
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                      std::size_t size, void* user) {
          auto& body = static_cast<Client*>(user)->responses[id].body;
          body.insert(body.end(), data, data + size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t error, void* user) {
          auto& response = static_cast<Client*>(user)->responses[id];
          response.ended = true;
          response.reset = error;
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
          if (frame->hd.type == NGHTTP2_GOAWAY) static_cast<Client*>(user)->goaway = frame->goaway.error_code;
          return 0;
        });
    nghttp2_session_client_new(&session, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, nullptr, 0);
  }
  ~Client() { nghttp2_session_del(session); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::int32_t request(const std::string& method, const std::string& path, const std::string& type = {},
                       const Bytes& body = {}) {
    const auto nv = [](const std::string& name, const std::string& value) {
      return nghttp2_nv{reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                        reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(),
                        value.size(), NGHTTP2_NV_FLAG_NONE};
    };
    static const std::string kNames[] = {":method", ":path", ":scheme", ":authority", "content-type"};
    static const std::string kScheme = "https", kAuthority = "dns.example";
    std::vector<nghttp2_nv> fields{nv(kNames[0], method), nv(kNames[1], path), nv(kNames[2], kScheme),
                                   nv(kNames[3], kAuthority)};
    if (!type.empty()) fields.push_back(nv(kNames[4], type));
    nghttp2_data_provider provider{};
    pending = body;
    provider.source.ptr = &pending;
    provider.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t* to, std::size_t room,
                                std::uint32_t* flags, nghttp2_data_source* source, void* user) -> ssize_t {
      auto& bytes = *static_cast<Bytes*>(source->ptr);
      const auto size = std::min(room, bytes.size());
      std::copy_n(bytes.begin(), size, to);
      bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      const bool goes_on = static_cast<Client*>(user)->endless;
      if (goes_on && size == 0) return NGHTTP2_ERR_DEFERRED;
      if (bytes.empty() && !goes_on) *flags |= NGHTTP2_DATA_FLAG_EOF;
      return static_cast<ssize_t>(size);
    };
    return nghttp2_submit_request(session, nullptr, fields.data(), fields.size(),
                                  body.empty() ? nullptr : &provider, nullptr);
  }
  Bytes take() {
    Bytes bytes;
    const std::uint8_t* data = nullptr;
    for (ssize_t size = 0; (size = nghttp2_session_mem_send(session, &data)) > 0;)
      bytes.insert(bytes.end(), data, data + size);
    return bytes;
  }
  void give(const Bytes& bytes) { (void)nghttp2_session_mem_recv(session, bytes.data(), bytes.size()); }

  nghttp2_session* session = nullptr;
  std::map<std::int32_t, Response> responses;
  std::optional<std::uint32_t> goaway;
  Bytes pending;         // body of the last request
  bool endless = false;  // bodies do not end with it
};

class Http2SessionTest : public testing::Test {
 protected:
  Http2SessionTest() { host.session = &session; }
  // Until neither has anything to say.
  void talk() {
    for (int i = 0; i < 100; ++i) {
      const auto said = client.take();
      if (!said.empty()) {
        EXPECT_EQ(session.receive(said), said.size());
      }
      const Bytes heard = std::exchange(host.written, {});
      if (!heard.empty()) client.give(heard);
      if (said.empty() && heard.empty()) return;
    }
  }
  FakeHost host;
  Http2Session session{host};
  Client client;
};

constexpr char kType[] = "application/dns-message";
const std::string kGetA = "/dns-query?dns=YQEBAAABAAAAAAAAAWEAAAEAAQ";
const std::string kGetL = "/dns-query?dns=bAEBAAABAAAAAAAAAWEAAAEAAQ";

TEST_F(Http2SessionTest, GetAndPostAreAnswered) {
  const auto get = client.request("GET", kGetA);
  talk();
  const auto post = client.request("POST", "/dns-query", kType, question('a'));
  talk();
  for (const auto id : {get, post}) {
    EXPECT_EQ(client.responses[id].fields[":status"], "200");
    EXPECT_EQ(client.responses[id].fields["content-type"], kType);
    EXPECT_EQ(client.responses[id].fields["cache-control"], "private, max-age=0");
    EXPECT_EQ(client.responses[id].body, FakeHost::reply_to(question('a')));
    EXPECT_TRUE(client.responses[id].ended);
  }
}

TEST_F(Http2SessionTest, StreamsAreAnsweredAsTheyAreReady) {
  const auto slow = client.request("GET", kGetL);
  const auto fast = client.request("GET", kGetA);
  talk();
  EXPECT_TRUE(client.responses[fast].ended);
  EXPECT_FALSE(client.responses[slow].ended);
  host.answer(0);
  talk();
  EXPECT_TRUE(client.responses[slow].ended);
  EXPECT_EQ(client.responses[slow].body, FakeHost::reply_to(question('l')));
}

TEST_F(Http2SessionTest, RefusalsHaveTheirStatus) {
  const std::pair<std::int32_t, const char*> cases[] = {{client.request("GET", "/"), "404"},
                                                        {client.request("GET", "/dns-query"), "400"},
                                                        {client.request("PUT", "/dns-query"), "405"}};
  talk();
  for (const auto& [id, status] : cases) EXPECT_EQ(client.responses[id].fields[":status"], status);
  EXPECT_EQ(client.responses[cases[2].first].fields["allow"], "GET, POST");
  const auto type = client.request("POST", "/dns-query", "text/plain", question('a'));
  talk();
  EXPECT_EQ(client.responses[type].fields[":status"], "415");
  const auto never = client.request("POST", "/dns-query", kType, question('n'));
  talk();
  EXPECT_EQ(client.responses[never].fields[":status"], "429");
  const auto large = client.request("POST", "/dns-query", kType, Bytes(70000, 1));
  talk();
  EXPECT_EQ(client.responses[large].fields[":status"], "413");
  EXPECT_TRUE(host.requests.size() == 1);
}

// RFC 9110 §15.6.4.
TEST_F(Http2SessionTest, BeforeThereIsAPolicyTheServiceIsNotAvailable) {
  host.never_because = DropReason::kNotReady;
  const auto id = client.request("POST", "/dns-query", kType, question('n'));
  talk();
  EXPECT_EQ(client.responses[id].fields[":status"], "503");
  EXPECT_EQ(client.responses[id].fields["retry-after"], "2");
}

// RFC 9113 §10.5.
TEST_F(Http2SessionTest, RequestsThatDoNotEndAreHeldUpToALimit) {
  constexpr std::size_t kPiece = 2000;
  client.endless = true;
  std::vector<std::int32_t> begun;
  for (std::size_t i = 0; i < Http2Session::kMaxIncoming / kPiece + 20; ++i) {
    begun.push_back(client.request("POST", "/dns-query", kType, Bytes(kPiece, 1)));
    talk();
  }
  const auto refused = [&](std::int32_t id) {
    return client.responses[id].ended && client.responses[id].reset == NGHTTP2_ENHANCE_YOUR_CALM;
  };
  const auto kept =
      begun.size() - static_cast<std::size_t>(std::count_if(begun.begin(), begun.end(), refused));
  EXPECT_FALSE(refused(begun.front()));
  EXPECT_TRUE(refused(begun.back()));
  EXPECT_LE(kept * kPiece, Http2Session::kMaxIncoming);
  EXPECT_GT(kept * kPiece, Http2Session::kMaxIncoming - 10000);
  // What is reset makes room.
  client.endless = false;
  for (int i = 0; i < 3; ++i)
    nghttp2_submit_rst_stream(client.session, NGHTTP2_FLAG_NONE, begun[static_cast<std::size_t>(i)],
                              NGHTTP2_CANCEL);
  talk();
  const auto whole = client.request("POST", "/dns-query", kType, question('a'));
  talk();
  EXPECT_EQ(client.responses[whole].fields[":status"], "200");
}

TEST_F(Http2SessionTest, FieldsOfRequestsThatDoNotEndCountAsWell) {
  client.endless = true;
  const std::string path = "/dns-query?x=" + std::string(10000, 'A');
  std::size_t refused = 0;
  for (int i = 0; i < 20; ++i) {
    const auto id = client.request("POST", path, kType, Bytes(1, 1));
    talk();
    refused += client.responses[id].reset == NGHTTP2_ENHANCE_YOUR_CALM ? 1U : 0U;
  }
  const auto each = std::string{"POST"}.size() + path.size() + std::string{kType}.size() + 1;
  EXPECT_EQ(refused, 20 - Http2Session::kMaxIncoming / each);
  EXPECT_FALSE(client.goaway.has_value());
}

TEST_F(Http2SessionTest, TooLongAHeaderIsRefused) {
  const auto id = client.request("GET", "/dns-query?dns=" + std::string(20000, 'A'));
  talk();
  EXPECT_EQ(client.responses[id].fields[":status"], "431");
  EXPECT_TRUE(host.requests.empty());
}

TEST_F(Http2SessionTest, AStreamThatIsResetMeanwhileGetsNothing) {
  const auto id = client.request("GET", kGetL);
  talk();
  nghttp2_submit_rst_stream(client.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  talk();
  EXPECT_EQ(session.in_work(), 1U);
  host.answer(0);
  EXPECT_EQ(session.in_work(), 0U);
  EXPECT_TRUE(host.written.empty());
}

// CVE-2023-44487.
TEST_F(Http2SessionTest, APeerThatResetsWhatItAsksIsSentAway) {
  for (std::size_t i = 0; i < 3 * Http2Session::kIdleFrames && !client.goaway && !session.finished(); ++i) {
    const auto id = client.request("GET", kGetL);
    if (id < 0) break;
    const auto ask = client.take();
    (void)session.receive(ask);
    nghttp2_submit_rst_stream(client.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    talk();
  }
  EXPECT_TRUE(client.goaway.has_value() || session.finished());
  // Lookups of streams that are gone count as work, so the resets have not multiplied it.
  EXPECT_LE(host.requests.size(), Session::kMaxInWork);
}

TEST_F(Http2SessionTest, APeerThatAsksForNothingIsSentAway) {
  for (std::size_t i = 0; i < 2 * Http2Session::kIdleFrames && !client.goaway; ++i) {
    nghttp2_submit_ping(client.session, NGHTTP2_FLAG_NONE, nullptr);
    talk();
  }
  EXPECT_EQ(client.goaway, std::optional<std::uint32_t>{NGHTTP2_ENHANCE_YOUR_CALM});
  EXPECT_TRUE(session.finished());
}

TEST_F(Http2SessionTest, DrainingSaysSoAndAnswersWhatIsInWork) {
  const auto id = client.request("GET", kGetL);
  talk();
  session.drain();
  talk();
  EXPECT_EQ(client.goaway, std::optional<std::uint32_t>{NGHTTP2_NO_ERROR});
  EXPECT_FALSE(session.finished());
  host.answer(0);
  talk();
  EXPECT_TRUE(client.responses[id].ended);
  EXPECT_TRUE(session.finished());
}

TEST_F(Http2SessionTest, WhatIsNotHttp2Ends) {
  const std::string text = "GET / HTTP/1.1\r\nhost: d\r\n\r\n";
  (void)session.receive(bytes_of(text));
  EXPECT_TRUE(session.finished());
}

// Late replies are held for a peer that opens no window: up to a limit.
TEST_F(Http2SessionTest, LateRepliesThatCannotBeHeldRefuseTheirStreams) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(client.request("GET", kGetL));
  talk();
  ASSERT_EQ(host.waiting.size(), 20U);
  host.writable = false;
  for (auto& [exchange, message] : host.waiting) message.resize(60000);
  for (std::size_t i = 0; i < 20; ++i) host.answer(i);
  host.writable = true;
  session.on_writable();
  talk();
  std::size_t answered = 0, refused = 0;
  for (const auto id : ids) {
    answered += client.responses[id].body.size() == 60000 ? 1U : 0U;
    refused += client.responses[id].reset == NGHTTP2_REFUSED_STREAM ? 1U : 0U;
  }
  EXPECT_EQ(answered, 5U);  // 256 KiB and the one that filled them
  EXPECT_EQ(refused, 15U);
}

TEST_F(Http2SessionTest, APeerThatTakesNothingIsGivenNothing) {
  talk();
  host.writable = false;
  const auto id = client.request("GET", kGetA);
  (void)session.receive(client.take());
  EXPECT_TRUE(host.written.empty());
  EXPECT_FALSE(session.takes_more());
  host.writable = true;
  session.on_writable();
  talk();
  EXPECT_TRUE(client.responses[id].ended);
}

}  // namespace
}  // namespace isthmus::dns64
