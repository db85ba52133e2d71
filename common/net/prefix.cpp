// SPDX-License-Identifier: Apache-2.0
#include "common/net/prefix.hpp"

#include <charconv>

namespace isthmus {
namespace {

// Splits "address/length"; a missing length means `longest`.
std::optional<unsigned> split_length(std::string_view& text, unsigned longest) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return longest;
  const auto digits = text.substr(slash + 1);
  if (digits.empty() || digits.size() > 3 || (digits.size() > 1 && digits.front() == '0'))
    return std::nullopt;
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc{} || end != digits.data() + digits.size() || length > longest) return std::nullopt;
  text = text.substr(0, slash);
  return length;
}

}  // namespace

std::optional<Ipv4Prefix> Ipv4Prefix::parse(std::string_view text) {
  const auto length = split_length(text, 32);
  const auto address = Ipv4Address::parse(text);
  if (!length || !address) return std::nullopt;
  const Ipv4Prefix prefix{*address, *length};
  if (prefix.address() != *address) return std::nullopt;
  return prefix;
}

std::string Ipv4Prefix::to_string() const {
  return address_.to_string() + "/" + std::to_string(length_);
}

Ipv6Prefix::Ipv6Prefix(const Ipv6Address& address, unsigned length)
    : length_(static_cast<std::uint8_t>(length)) {
  address_ = Ipv6Address::from_halves(address.high() & mask_high(), address.low() & mask_low());
}

std::optional<Ipv6Prefix> Ipv6Prefix::parse(std::string_view text) {
  const auto length = split_length(text, 128);
  const auto address = Ipv6Address::parse(text);
  if (!length || !address) return std::nullopt;
  const Ipv6Prefix prefix{*address, *length};
  if (prefix.address() != *address) return std::nullopt;
  return prefix;
}

std::string Ipv6Prefix::to_string() const {
  return address_.to_string() + "/" + std::to_string(length_);
}

}  // namespace isthmus
