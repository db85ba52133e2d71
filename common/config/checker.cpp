// SPDX-License-Identifier: Apache-2.0
#include "common/config/checker.hpp"

#include <algorithm>

namespace isthmus {
namespace {

std::string quoted(std::string_view text) {
  return "`" + std::string{text.substr(0, 80)} + "`";
}

bool in_host_names(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '/';  // RFC 2317
}

}  // namespace

std::vector<Ipv4Prefix> Checker::ipv4_prefixes(const Strings& texts, const std::string& path) {
  std::vector<Ipv4Prefix> out;
  for (int i = 0; i < texts.size(); ++i) {
    if (const auto prefix = Ipv4Prefix::parse(texts[i]))
      out.push_back(*prefix);
    else
      refuse(at(path, i), quoted(texts[i]) + " is no IPv4 prefix; write ADDRESS/LENGTH with host bits zero");
  }
  return out;
}

std::vector<Ipv6Prefix> Checker::ipv6_prefixes(const Strings& texts, const std::string& path) {
  std::vector<Ipv6Prefix> out;
  for (int i = 0; i < texts.size(); ++i) {
    if (const auto prefix = Ipv6Prefix::parse(texts[i]))
      out.push_back(*prefix);
    else
      refuse(at(path, i), quoted(texts[i]) + " is no IPv6 prefix; write ADDRESS/LENGTH with host bits zero");
  }
  return out;
}

std::vector<Ipv6Prefix> Checker::ipv6_clients(const Strings& texts, const std::string& path) {
  auto out = ipv6_prefixes(texts, path);
  if (std::ranges::any_of(out, [](const auto& p) { return p.length() < kShortestClients6; })) {
    refuse(path, "::/0 and the like would serve the whole internet; list your networks");
  }
  return out;
}

std::optional<std::string> Checker::domain(std::string_view text, const std::string& path) {
  std::string out;
  std::size_t label = 0;
  for (const char c : text) {
    if (c == '.') {
      if (label == 0 && text != ".") {
        refuse(path, quoted(text) + " has an empty label");
        return std::nullopt;
      }
      label = 0;
    } else if (!in_host_names(c) || ++label > 63) {
      refuse(path, quoted(text) +
                       " is no domain name: labels of 1 to 63 letters, digits, `-`, `_`; others as xn--...");
      return std::nullopt;
    }
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (!out.empty() && out.back() != '.') out += '.';
  if (out.empty() ||
      out.size() > 254) {  // RFC 1035 §2.3.4: 255 octets on the wire, which begin with a length
    refuse(path, out.empty() ? "a domain name is empty" : quoted(text) + " is longer than 253 characters");
    return std::nullopt;
  }
  return out;
}

std::vector<std::string> Checker::domains(const Strings& texts, const std::string& path) {
  std::vector<std::string> out;
  for (int i = 0; i < texts.size(); ++i) {
    if (auto name = domain(texts[i], at(path, i))) out.push_back(std::move(*name));
  }
  return out;
}

std::string Checker::name(const std::string& text, const std::string& path, std::set<std::string>& taken) {
  const auto legal = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  if (text.empty()) {
    refuse(path, "required: give it a name");
  } else if (text.size() > 63 || !std::ranges::all_of(text, legal)) {
    refuse(path, quoted(text) + " is no name: up to 63 of letters, digits, `-`, `_`, `.`");
  } else if (!taken.insert(text).second) {
    refuse(path, quoted(text) + " is used twice; names are unique");
  }
  return text;
}

}  // namespace isthmus
