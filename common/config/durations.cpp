// SPDX-License-Identifier: Apache-2.0
#include "common/config/durations.hpp"

#include <algorithm>
#include <charconv>

namespace isthmus {
namespace {
constexpr std::int64_t kMaxSeconds = 10LL * 366 * 86400;
constexpr std::int64_t kSecond = 1'000'000'000;
}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  std::int64_t whole = 0;
  const char* end = text.data() + text.size();
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  const auto [after, error] = std::from_chars(text.data(), end, whole);
  if (error != std::errc{}) return std::nullopt;
  std::string_view rest{after, static_cast<std::size_t>(end - after)};
  std::int64_t thousandths = 0;
  if (!rest.empty() && rest.front() == '.') {  // up to three decimals
    rest.remove_prefix(1);
    std::int64_t weight = 100;
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
      if (weight == 0) return std::nullopt;
      thousandths += weight * (rest.front() - '0');
      weight /= 10;
      rest.remove_prefix(1);
    }
    if (weight == 100) return std::nullopt;
  }
  std::int64_t unit = 0;
  if (rest == "ms")
    unit = 1'000'000;
  else if (rest == "s")
    unit = kSecond;
  else if (rest == "m")
    unit = 60 * kSecond;
  else if (rest == "h")
    unit = 3600 * kSecond;
  else
    return std::nullopt;
  if (whole > kMaxSeconds * kSecond / unit - 1) return std::nullopt;
  return Duration{whole * unit + thousandths * (unit / 1000)};
}

std::string format_duration(Duration duration) {
  const auto ns = duration.count();
  if (ns % kSecond == 0) return std::to_string(ns / kSecond) + "s";
  return std::to_string(ns / 1'000'000) + "ms";
}

Duration duration_from_proto(const google::protobuf::Duration& duration) {
  const auto seconds = std::clamp<std::int64_t>(duration.seconds(), -kMaxSeconds, kMaxSeconds);
  return Duration{seconds * kSecond + std::clamp(duration.nanos(), -999'999'999, 999'999'999)};
}

google::protobuf::Duration duration_to_proto(Duration duration) {
  google::protobuf::Duration out;
  out.set_seconds(duration.count() / kSecond);
  out.set_nanos(static_cast<std::int32_t>(duration.count() % kSecond));
  return out;
}

}  // namespace isthmus
