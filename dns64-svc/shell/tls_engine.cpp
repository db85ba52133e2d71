// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/tls_engine.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace isthmus::dns64 {

struct TlsEngine::Transport {
  static TlsEngine& of(BIO* bio) { return *static_cast<TlsEngine*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* to, int room) {
    auto& came = of(bio).came_;
    BIO_clear_retry_flags(bio);
    if (came.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const auto size = std::min(came.size(), static_cast<std::size_t>(room));
    std::memcpy(to, came.data(), size);
    came = came.subspan(size);
    return static_cast<int>(size);
  }
  static int write(BIO* bio, const char* from, int size) {
    auto* const wire = of(bio).wire_;
    BIO_clear_retry_flags(bio);
    if (wire == nullptr || size < 0) return -1;
    wire->insert(wire->end(), from, from + size);
    return size;
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }
  static int create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
  }
  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      auto* const m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "buffers of a connection");
      if (m != nullptr) {
        BIO_meth_set_read(m, read);
        BIO_meth_set_write(m, write);
        BIO_meth_set_ctrl(m, control);
        BIO_meth_set_create(m, create);
      }
      return m;
    }();
    return made;
  }
};

TlsEngine::TlsEngine(const TlsContext& context) : ssl_(SSL_new(context.get())) {
  auto* const bio = BIO_new(Transport::method());
  if (ssl_ == nullptr || bio == nullptr) {
    BIO_free(bio);
    state_ = State::kFailed;
    return;
  }
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
}

TlsEngine::State TlsEngine::receive(std::span<const std::uint8_t> came, std::vector<std::uint8_t>& plain,
                                    std::vector<std::uint8_t>& wire) {
  if (state_ == State::kFailed || state_ == State::kClosed) return state_;
  came_ = came;
  wire_ = &wire;
  state_ = read_all(plain);
  wire_ = nullptr;
  came_ = {};
  return state_;
}

TlsEngine::State TlsEngine::read_all(std::vector<std::uint8_t>& plain) {
  ERR_clear_error();
  for (;;) {
    std::array<std::uint8_t, 16384> record;  // the most that one holds
    const int size = SSL_read(ssl_.get(), record.data(), static_cast<int>(record.size()));
    if (size > 0) {
      plain.insert(plain.end(), record.data(), record.data() + size);
      continue;
    }
    switch (SSL_get_error(ssl_.get(), size)) {
      case SSL_ERROR_WANT_READ:
        return SSL_is_init_finished(ssl_.get()) == 1 ? State::kOpen : State::kHandshaking;
      case SSL_ERROR_ZERO_RETURN:
        return State::kClosed;
      default:
        ERR_clear_error();
        return State::kFailed;
    }
  }
}

bool TlsEngine::send(std::span<const std::uint8_t> plain, std::vector<std::uint8_t>& wire) {
  if (plain.empty()) return true;
  if (state_ == State::kFailed || state_ == State::kHandshaking) return false;
  ERR_clear_error();
  wire_ = &wire;
  const int size = SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size()));
  wire_ = nullptr;
  return size == static_cast<int>(plain.size());
}

void TlsEngine::close(std::vector<std::uint8_t>& wire) {
  if (state_ == State::kFailed || state_ == State::kHandshaking) return;
  ERR_clear_error();
  wire_ = &wire;
  (void)SSL_shutdown(ssl_.get());
  wire_ = nullptr;
}

std::string_view TlsEngine::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

}  // namespace isthmus::dns64
