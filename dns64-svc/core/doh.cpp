// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/doh.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "common/net/big_endian.hpp"
#include "dns64-svc/core/wire/message_view.hpp"

namespace isthmus::dns64 {
namespace {

int value_of(char c) {  // RFC 4648 §5
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  if (c == '_') return 63;
  return -1;
}

bool decode(std::string_view text, std::vector<std::uint8_t>& bytes) {
  if (text.size() % 4 == 1) return false;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    const int value = value_of(c);
    if (value < 0) return false;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<std::uint8_t>(bits >> count));
  }
  return (bits & ((1U << count) - 1)) == 0;  // one text per message: caches compare texts
}

// RFC 9112 §3.2.2: a server takes the absolute form too.
std::string_view without_origin(std::string_view target) {
  const auto scheme = target.find("://");
  if (target.empty() || target.front() == '/' || scheme == std::string_view::npos) return target;
  const auto path = target.find('/', scheme + 3);
  return path == std::string_view::npos ? std::string_view{"/"} : target.substr(path);
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// The type without its parameters, in any case.
bool is_dns_message(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (!content_type.empty() && (content_type.back() == ' ' || content_type.back() == '\t'))
    content_type.remove_suffix(1);
  return std::equal(content_type.begin(), content_type.end(), kDnsMessageType.begin(), kDnsMessageType.end(),
                    [](char a, char b) { return lower(a) == b; });
}

// RFC 2308 §5: how long the denial that came with this SOA may be kept.
std::uint32_t negative_ttl(const RecordView& soa) {
  if (soa.rdata.size() < 4) return 0;
  return std::min(soa.ttl, load_be32(soa.rdata.data() + soa.rdata.size() - 4));
}

}  // namespace

std::string_view reason_of(HttpStatus status) {
  switch (status) {
    case HttpStatus::kOk:
      return "OK";
    case HttpStatus::kBadRequest:
      return "Bad Request";
    case HttpStatus::kNotFound:
      return "Not Found";
    case HttpStatus::kMethodNotAllowed:
      return "Method Not Allowed";
    case HttpStatus::kLengthRequired:
      return "Length Required";
    case HttpStatus::kContentTooLarge:
      return "Content Too Large";
    case HttpStatus::kUnsupportedMediaType:
      return "Unsupported Media Type";
    case HttpStatus::kTooManyRequests:
      return "Too Many Requests";
    case HttpStatus::kHeadersTooLarge:
      return "Request Header Fields Too Large";
    case HttpStatus::kServiceUnavailable:
      return "Service Unavailable";
  }
  return "Error";
}

HttpStatus status_of(DropReason why) {
  return why == DropReason::kNotReady ? HttpStatus::kServiceUnavailable : HttpStatus::kTooManyRequests;
}

Result<DohMethod, HttpStatus> check_doh_head(std::string_view method, std::string_view target,
                                             std::string_view content_type) {
  target = without_origin(target);
  if (target.substr(0, target.find('?')) != kDohPath) return failure(HttpStatus::kNotFound);
  if (method == "GET") return DohMethod::kGet;
  if (method != "POST") return failure(HttpStatus::kMethodNotAllowed);
  if (!is_dns_message(content_type)) return failure(HttpStatus::kUnsupportedMediaType);
  return DohMethod::kPost;
}

Result<std::vector<std::uint8_t>, HttpStatus> message_of_target(std::string_view target) {
  const auto mark = target.find('?');
  auto query = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
  query = query.substr(0, query.find('#'));
  while (!query.empty()) {
    const auto parameter = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), parameter.size() + 1));
    if (!parameter.starts_with("dns=")) continue;
    std::vector<std::uint8_t> message;
    if (!decode(parameter.substr(4), message)) return failure(HttpStatus::kBadRequest);
    if (message.size() > kMaxMessageSize) return failure(HttpStatus::kContentTooLarge);
    return message;
  }
  return failure(HttpStatus::kBadRequest);
}

bool is_answerable(std::span<const std::uint8_t> message) {
  const auto header = read_header(message);
  return header && !header->is_response();
}

std::uint32_t lifetime_of(std::span<const std::uint8_t> reply) {
  const auto message = MessageView::parse(reply);
  if (!message) return 0;
  std::uint32_t least = 0xffffffff;
  auto records = message->records();
  while (const auto record = records.next()) {
    if (record->section == Section::kAnswer) least = std::min(least, record->ttl);
    // A chain that ends in a denial has both: neither may outlive the other.
    if (record->section == Section::kAuthority && record->type == rr::kSoa)
      least = std::min(least, negative_ttl(*record));
  }
  return least == 0xffffffff ? 0 : least;
}

std::string cache_control_of(std::span<const std::uint8_t> reply) {
  return "private, max-age=" + std::to_string(lifetime_of(reply));
}

std::string http_date(std::uint32_t wall_seconds) {
  constexpr std::array<const char*, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::chrono::sys_seconds time{std::chrono::seconds{wall_seconds}};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
                kDays[std::chrono::weekday{day}.c_encoding()], static_cast<unsigned>(date.day()),
                kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text.data();
}

}  // namespace isthmus::dns64
