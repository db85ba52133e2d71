// SPDX-License-Identifier: Apache-2.0
// OpenSSL's client talks to the engine through buffers: no socket, no time.
#include "dns64-svc/shell/tls_engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "isthmusctl/lab_ca.hpp"

namespace isthmus::dns64 {
namespace {

using Bytes = std::vector<std::uint8_t>;
using State = TlsEngine::State;

struct Files {
  Files() {
    std::filesystem::create_directories(dir);
    const auto ca = LabCa::make("isthmus test CA", 1).value();
    issue(ca, "dns.test", certificate, key);
    issue(ca, "other.test", dir + "/other.pem", other_key);
  }
  static void issue(const LabCa& ca, const std::string& name, const std::string& certificate,
                    const std::string& key) {
    const auto pem = ca.issue(name, {"DNS:" + name}, 1).value();
    std::ofstream{certificate} << pem.certificate;
    std::ofstream{key} << pem.key;
  }
  ~Files() { std::filesystem::remove_all(dir); }
  std::string dir = std::filesystem::temp_directory_path() / ("isthmus-tls-" + std::to_string(getpid()));
  std::string certificate = dir + "/cert.pem", key = dir + "/key.pem", other_key = dir + "/other.key";
};

class Client {
 public:
  explicit Client(int max_version = TLS1_3_VERSION, const std::string& protocols = "",
                  SSL_SESSION* session = nullptr)
      : context_(SSL_CTX_new(TLS_client_method())), ssl_(nullptr) {
    SSL_CTX_set_max_proto_version(context_, max_version);
    SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_CLIENT);
    ssl_ = SSL_new(context_);
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_, in_, out_);
    SSL_set_connect_state(ssl_);
    if (!protocols.empty())
      SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(protocols.data()),
                          static_cast<unsigned>(protocols.size()));
    if (session != nullptr) SSL_set_session(ssl_, session);
  }
  ~Client() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Bytes take() {
    (void)SSL_do_handshake(ssl_);
    Bytes bytes(BIO_ctrl_pending(out_));
    if (!bytes.empty()) {
      EXPECT_EQ(BIO_read(out_, bytes.data(), static_cast<int>(bytes.size())), std::ssize(bytes));
    }
    return bytes;
  }
  void give(const Bytes& bytes) {
    if (!bytes.empty()) BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
    std::array<char, 4096> buffer{};
    for (int size = 0; (size = SSL_read(ssl_, buffer.data(), static_cast<int>(buffer.size()))) > 0;)
      heard.append(buffer.data(), static_cast<std::size_t>(size));
  }
  void say(const std::string& text) { SSL_write(ssl_, text.data(), static_cast<int>(text.size())); }
  void close() { SSL_shutdown(ssl_); }
  [[nodiscard]] bool saw_close() const { return (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0; }
  [[nodiscard]] SSL_SESSION* session() { return SSL_get1_session(ssl_); }
  [[nodiscard]] bool resumed() const { return SSL_session_reused(ssl_) == 1; }
  std::string heard;

 private:
  SSL_CTX* context_;
  SSL* ssl_;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
};

class TlsEngineTest : public testing::TestWithParam<int> {
 protected:
  static Files& files() {
    static Files made;
    return made;
  }
  static std::shared_ptr<const TlsContext> context(TlsProtocol protocol = TlsProtocol::kDns,
                                                   const TlsContext* previous = nullptr, TimePoint now = {}) {
    return TlsContext::load(files().certificate, files().key, protocol, now, previous).value();
  }
  // Until nobody has anything to say; what the engine heard is in `plain`.
  State talk(Client& client, TlsEngine& engine) {
    State state = State::kHandshaking;
    for (int i = 0; i < 10; ++i) {
      const auto said = client.take();
      Bytes wire;
      state = engine.receive(said, plain, wire);
      client.give(wire);
      if (said.empty() && wire.empty()) break;
    }
    return state;
  }
  Bytes plain;
};

TEST_P(TlsEngineTest, BytesGoThroughBothWays) {
  const auto made = context();
  TlsEngine engine{*made};
  Client client{GetParam()};
  ASSERT_EQ(talk(client, engine), State::kOpen);
  client.say("question");
  EXPECT_EQ(talk(client, engine), State::kOpen);
  EXPECT_EQ((std::string{plain.begin(), plain.end()}), "question");
  Bytes wire;
  ASSERT_TRUE(engine.send(Bytes(40000, 'x'), wire));
  client.give(wire);
  EXPECT_EQ(client.heard, std::string(40000, 'x'));
}

TEST_P(TlsEngineTest, ASessionIsResumedAlsoAfterTheCertificateWasLoadedAgain) {
  const auto first = context();
  TlsEngine engine{*first};
  Client client{GetParam()};
  ASSERT_EQ(talk(client, engine), State::kOpen);
  EXPECT_FALSE(engine.resumed());
  auto* const session = client.session();
  const auto second = context(TlsProtocol::kDns, first.get());
  TlsEngine again{*second};
  Client returning{GetParam(), "", session};
  ASSERT_EQ(talk(returning, again), State::kOpen);
  EXPECT_TRUE(again.resumed());
  EXPECT_TRUE(returning.resumed());
  SSL_SESSION_free(session);
}

TEST_P(TlsEngineTest, TicketKeysAreLentForADayInAll) {
  const auto first = context();
  TlsEngine engine{*first};
  Client client{GetParam()};
  ASSERT_EQ(talk(client, engine), State::kOpen);
  auto* const session = client.session();
  const auto later = [&](const TlsContext& previous, int hours) {
    return context(TlsProtocol::kDns, &previous, TimePoint{std::chrono::hours{hours}});
  };
  const auto second = later(*first, 23);
  EXPECT_FALSE(second->has_old_keys(TimePoint{std::chrono::hours{23}}));
  EXPECT_TRUE(second->has_old_keys(TimePoint{std::chrono::hours{24}}));
  const auto third = later(*second, 24);
  EXPECT_FALSE(third->has_old_keys(TimePoint{std::chrono::hours{24}}));
  TlsEngine again{*third};
  Client returning{GetParam(), "", session};
  ASSERT_EQ(talk(returning, again), State::kOpen);
  EXPECT_FALSE(again.resumed());
  SSL_SESSION_free(session);
}

TEST_P(TlsEngineTest, TheEndIsSaidAndHeard) {
  const auto made = context();
  TlsEngine engine{*made};
  Client client{GetParam()};
  ASSERT_EQ(talk(client, engine), State::kOpen);
  client.close();
  EXPECT_EQ(talk(client, engine), State::kClosed);
  Bytes wire;
  engine.close(wire);
  client.give(wire);
  EXPECT_TRUE(client.saw_close());
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsEngineTest, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                           return version.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

TEST_F(TlsEngineTest, OlderVersionsAreRefused) {
  const auto made = context();
  TlsEngine engine{*made};
  Client client{TLS1_1_VERSION};
  EXPECT_NE(talk(client, engine), State::kOpen);
}

TEST_F(TlsEngineTest, TheProtocolIsChosenByAlpnAndAForeignOneEndsIt) {
  const auto dns = context(TlsProtocol::kDns);
  const auto http = context(TlsProtocol::kHttp);
  const struct {
    const TlsContext& context;
    std::string offered, chosen;
    bool opens;
  } cases[] = {{*dns,
                "\x03"
                "dot",
                "dot", true},
               {*dns, "", "", true},
               {*dns,
                "\x02"
                "h2",
                "", false},
               {*http,
                "\x08"
                "http/1.1\x02"
                "h2",
                "h2", true},
               {*http,
                "\x08"
                "http/1.1",
                "http/1.1", true},
               {*http,
                "\x03"
                "dot",
                "", false}};
  for (const auto& one : cases) {
    TlsEngine engine{one.context};
    Client client{TLS1_3_VERSION, one.offered};
    EXPECT_EQ(talk(client, engine) == State::kOpen, one.opens) << one.offered;
    if (one.opens) {
      EXPECT_EQ(engine.protocol(), one.chosen);
    }
  }
}

TEST_F(TlsEngineTest, WhatIsNotTlsFails) {
  const auto made = context();
  TlsEngine engine{*made};
  Bytes wire;
  EXPECT_EQ(engine.receive(Bytes{0, 29, 1, 2, 3, 4, 5, 6, 7}, plain, wire), State::kFailed);
  EXPECT_FALSE(engine.send(Bytes{1}, wire));
}

TEST_F(TlsEngineTest, FilesThatCannotBeUsedAreNamed) {
  const auto load = [](const std::string& certificate, const std::string& key) {
    return TlsContext::load(certificate, key, TlsProtocol::kDns, {}).error();
  };
  EXPECT_THAT(load("/nowhere", files().key), testing::HasSubstr("/nowhere"));
  EXPECT_THAT(load(files().certificate, files().certificate), testing::HasSubstr("cannot use the key"));
  EXPECT_THAT(load(files().certificate, files().other_key), testing::HasSubstr(files().other_key));
  EXPECT_GT(context()->not_after(), 0);
}

}  // namespace
}  // namespace isthmus::dns64
