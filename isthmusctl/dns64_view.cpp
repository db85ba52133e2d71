// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/dns64_view.hpp"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace isthmus {
namespace {

// Characters, not bytes: "§" is one.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t width) {
  const auto own = width_of(text);
  return text + std::string(width > own ? width - own : 0, ' ');
}

std::string cache_line(const std::array<std::string, 8>& cells) {
  constexpr std::array<std::size_t, 8> kWidths{9, 7, 10, 10, 10, 6, 7, 0};
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i)
    line += padded(cells[i], kWidths[i]) + (i + 1 < cells.size() ? " " : "\n");
  return line;
}

}  // namespace

std::string show(const v1::ExplainDnsResponse& explained) {
  std::size_t width = 0;
  for (const auto& step : explained.steps()) width = std::max(width, width_of(step.section()));
  std::string text;
  for (const auto& step : explained.steps())
    text += padded(step.section(), width) + "  " + step.text() + "\n";
  text += "\n" + explained.rcode() + ", " + explained.outcome();
  if (!explained.view().empty()) text += ", view " + explained.view();
  if (!explained.prefix().empty()) text += ", prefix " + explained.prefix();
  if (explained.authenticated()) text += ", AD";
  if (explained.has_extended_error()) text += ", EDE " + std::to_string(explained.extended_error());
  text += explained.from_cache() ? ", from the cache\n" : ", asked upstream\n";
  for (const auto& line : explained.answer()) text += line + "\n";
  return text;
}

std::string cache_heading() {
  return cache_line({"TTL", "TYPE", "KIND", "SECURITY", "AGE", "HITS", "BYTES", "NAME"});
}

std::string show(const v1::CacheEntry& entry) {
  return cache_line({std::to_string(entry.ttl_left()), entry.type(), entry.kind(), entry.security(),
                     std::to_string(entry.age()), std::to_string(entry.hits()), std::to_string(entry.bytes()),
                     entry.name()});
}

std::string to_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);
  return text;
}

}  // namespace isthmus
