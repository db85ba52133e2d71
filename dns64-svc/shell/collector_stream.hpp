// SPDX-License-Identifier: Apache-2.0
// The connection to a dnstap collector, for libfstrm's thread. Its own streams block for ever in connect(),
// read() and write(), and with them the end of the process; and they do not tell when nobody is there.
#pragma once

#include <sys/uio.h>

#include <optional>
#include <string>
#include <vector>

#include "common/base/unique_fd.hpp"
#include "dns64-svc/shell/listen_socket.hpp"
#include "dns64-svc/shell/patience.hpp"

struct fstrm_rdwr;

namespace isthmus::dns64 {

class CollectorStream {
 public:
  // "unix:/PATH" or "tcp:ADDRESS:PORT"; nothing: neither.
  [[nodiscard]] static std::optional<SocketAddress> parse(const std::string& target);

  CollectorStream(const SocketAddress& collector, const Patience& patience)
      : collector_(collector), patience_(patience) {}
  // Null: out of memory. This object outlives it.
  [[nodiscard]] fstrm_rdwr* rdwr();
  // Of libfstrm's thread. False from the first failure on until there is a new connection.
  [[nodiscard]] bool is_open() const { return fd_.valid(); }

 private:
  enum class Transfer : std::uint8_t { kDone, kEnd, kFailed };
  [[nodiscard]] bool open();
  [[nodiscard]] bool write(const iovec* parts, int count);
  [[nodiscard]] Transfer read(void* data, std::size_t size);
  [[nodiscard]] bool may_try_again(short events) const;  // after a call that has failed

  SocketAddress collector_;
  const Patience& patience_;
  UniqueFd fd_;
  std::vector<iovec> left_;  // what write() has still to send
};

}  // namespace isthmus::dns64
