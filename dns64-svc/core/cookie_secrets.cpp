// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/cookie_secrets.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

namespace isthmus::dns64 {
namespace {

std::string_view trimmed(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const auto begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1);
}

std::optional<CookieSecret> secret_of(std::string_view digits) {
  CookieSecret secret{};
  if (digits.size() != 2 * secret.size()) return std::nullopt;
  for (std::size_t i = 0; i < secret.size(); ++i) {
    const auto* const first = digits.data() + 2 * i;
    const auto [end, error] = std::from_chars(first, first + 2, secret[i], 16);
    if (error != std::errc{} || end != first + 2) return std::nullopt;
  }
  return secret;
}

}  // namespace

Result<CookieJar, std::string> parse_cookie_secrets(std::string_view text) {
  std::vector<CookieSecret> secrets;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto whole = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), whole.size() + 1));
    const auto line = trimmed(whole);
    if (line.empty()) continue;
    const auto secret = secret_of(line);
    if (!secret) return failure("line " + std::to_string(number) + ": a secret is 32 hexadecimal digits");
    if (secrets.size() == CookieJar::kMaxSecrets)
      return failure("line " + std::to_string(number) + ": more than " +
                     std::to_string(CookieJar::kMaxSecrets) + " secrets: remove the oldest");
    secrets.push_back(*secret);
  }
  if (secrets.empty())
    return failure(std::string{"no secret: write one line of 32 hexadecimal digits (openssl rand -hex 16)"});
  CookieJar jar{secrets.front()};
  for (std::size_t i = 1; i < secrets.size(); ++i) jar.accept_also(secrets[i]);
  return jar;
}

}  // namespace isthmus::dns64
