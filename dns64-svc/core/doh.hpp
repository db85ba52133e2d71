// SPDX-License-Identifier: Apache-2.0
// DNS over HTTPS (RFC 8484), the part that no version of HTTP changes: which requests carry a DNS message,
// what to say to the others, and how long an answer may be cached. Text and bytes in, values out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "dns64-svc/core/drop_reason.hpp"

namespace isthmus::dns64 {

inline constexpr std::string_view kDohPath = "/dns-query";
inline constexpr std::string_view kDnsMessageType = "application/dns-message";

// What a request is refused with: the status of HTTP (RFC 9110 §15).
enum class HttpStatus : std::uint16_t {
  kOk = 200,
  kBadRequest = 400,            // no DNS message in it
  kNotFound = 404,              // another path
  kMethodNotAllowed = 405,      // neither GET nor POST
  kLengthRequired = 411,        // a body that does not say its length
  kContentTooLarge = 413,       // more than a DNS message can have
  kUnsupportedMediaType = 415,  // POST of something else
  kTooManyRequests = 429,       // a rate limit
  kHeadersTooLarge = 431,
  kServiceUnavailable = 503,  // nothing to answer from yet
};
[[nodiscard]] std::string_view reason_of(HttpStatus status);

// RFC 9110 §10.2.3, with 503: seconds after which to ask again. A policy comes as soon as the controller is
// reached.
inline constexpr std::string_view kRetryAfter = "2";
// HTTP has to say something where UDP would not.
[[nodiscard]] HttpStatus status_of(DropReason why);

enum class DohMethod : std::uint8_t { kGet, kPost };

// Looks at a request's head. `content_type` is empty when there is none.
[[nodiscard]] Result<DohMethod, HttpStatus> check_doh_head(std::string_view method, std::string_view target,
                                                           std::string_view content_type);
// GET: the message in the target's `dns` parameter (§4.1, §6: base64url without padding).
[[nodiscard]] Result<std::vector<std::uint8_t>, HttpStatus> message_of_target(std::string_view target);
// Whether there can be any reply to this: else the handler would say nothing, which HTTP cannot.
[[nodiscard]] bool is_answerable(std::span<const std::uint8_t> message);
// §5.1: the smallest of the TTLs in the answer section and, in a denial, the negative TTL of its SOA; else 0.
[[nodiscard]] std::uint32_t lifetime_of(std::span<const std::uint8_t> reply);
// The value of Cache-Control: private, since other clients may have other views and prefixes.
[[nodiscard]] std::string cache_control_of(std::span<const std::uint8_t> reply);
// RFC 9110 §5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT", of Unix time in seconds.
[[nodiscard]] std::string http_date(std::uint32_t wall_seconds);

}  // namespace isthmus::dns64
