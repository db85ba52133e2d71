// SPDX-License-Identifier: Apache-2.0
// A client's request, taken apart. Everything that a reply needs of it is copied here (the datagram's buffer
// is reused at once); a Request is a plain value of some 600 bytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "dns64-svc/core/client_info.hpp"
#include "dns64-svc/core/drop_reason.hpp"
#include "dns64-svc/core/outcome.hpp"
#include "dns64-svc/core/wire/constants.hpp"
#include "dns64-svc/core/wire/name.hpp"

namespace isthmus::dns64 {

struct ClientSubnet {  // RFC 7871 §6
  std::uint16_t family = 0;
  std::uint8_t source_length = 0;  // bits of `address`; the others are zero
  std::array<std::uint8_t, 16> address{};
  // Nothing: another family, or no bits at all (§7.1.2: the client does not want to be told apart).
  [[nodiscard]] std::optional<ClientAddress> client() const;
};

struct Edns {
  bool present = false;
  bool dnssec_ok = false;
  bool padding = false;
  bool keepalive = false;
  bool keepalive_has_value = false;
  std::uint8_t version = 0;
  std::uint16_t udp_size = 512;
  std::uint8_t cookie_size = 0;  // 0: none; 8: client cookie alone; 16-40
  std::array<std::uint8_t, 40> cookie;
  std::optional<ClientSubnet> subnet;
};

struct Request {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  bool has_question = false;
  Name name;   // lower case
  Name asked;  // as the client wrote it
  Edns edns;
  // What is wrong with it: kPassed when nothing is. kFormErr, kNotImp, kBadVers, kCookieOnly are answered.
  Outcome verdict = Outcome::kPassed;

  [[nodiscard]] bool recursion_desired() const { return (flags & flag::kRd) != 0; }
  [[nodiscard]] bool checking_disabled() const { return (flags & flag::kCd) != 0; }
  // RFC 6840 §5.7: AD in a query asks for AD in the answer.
  [[nodiscard]] bool wants_ad() const { return edns.dnssec_ok || (flags & flag::kAd) != 0; }
};

// Nothing but a DropReason when there is nobody to answer; else a Request whose verdict may be a refusal.
[[nodiscard]] std::optional<DropReason> parse_request(std::span<const std::uint8_t> bytes, Request& request);

}  // namespace isthmus::dns64
