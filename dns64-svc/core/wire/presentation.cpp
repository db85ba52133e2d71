// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/wire/presentation.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"
#include "dns64-svc/core/wire/message_view.hpp"
#include "dns64-svc/core/wire/rdata.hpp"

namespace isthmus::dns64 {
namespace {

using NamedType = std::pair<std::uint16_t, std::string_view>;
constexpr NamedType kTypes[] = {
    {rr::kA, "A"},           {rr::kNs, "NS"},       {rr::kCname, "CNAME"}, {rr::kSoa, "SOA"},
    {rr::kPtr, "PTR"},       {rr::kHinfo, "HINFO"}, {rr::kMx, "MX"},       {rr::kTxt, "TXT"},
    {rr::kAaaa, "AAAA"},     {rr::kSrv, "SRV"},     {rr::kNaptr, "NAPTR"}, {rr::kDname, "DNAME"},
    {rr::kOpt, "OPT"},       {rr::kDs, "DS"},       {rr::kRrsig, "RRSIG"}, {rr::kNsec, "NSEC"},
    {rr::kDnskey, "DNSKEY"}, {rr::kNsec3, "NSEC3"}, {rr::kSvcb, "SVCB"},   {rr::kHttps, "HTTPS"},
    {rr::kIxfr, "IXFR"},     {rr::kAxfr, "AXFR"},   {rr::kAny, "ANY"}};

std::string unknown_data(std::span<const std::uint8_t> rdata) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text = "\\# " + std::to_string(rdata.size());
  if (!rdata.empty()) text += ' ';
  for (const auto byte : rdata) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

std::string data_text(std::span<const std::uint8_t> message, const RecordView& record) {
  if (record.type == rr::kA) {
    if (const auto v4 = read_a(record.rdata)) return v4->to_string();
  } else if (record.type == rr::kAaaa) {
    if (const auto v6 = read_aaaa(record.rdata)) return v6->to_string();
  } else if (record.type == rr::kCname || record.type == rr::kDname || record.type == rr::kPtr ||
             record.type == rr::kNs) {
    auto at = record.rdata_at;
    if (const auto name = Name::read(message, at); name && at == record.rdata_at + record.rdata.size())
      return name->to_string();
  }
  return unknown_data(record.rdata);
}

}  // namespace

std::string type_name(std::uint16_t type) {
  const auto* found =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const NamedType& t) { return t.first == type; });
  return found != std::end(kTypes) ? std::string{found->second} : "TYPE" + std::to_string(type);
}

std::optional<std::uint16_t> type_of(std::string_view name) {
  std::string upper{name};
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](const NamedType& t) { return t.second == upper; });
  if (found != std::end(kTypes)) return found->first;
  if (!upper.starts_with("TYPE")) return std::nullopt;
  std::uint16_t number = 0;
  const char* end = upper.data() + upper.size();
  const auto [stop, error] = std::from_chars(upper.data() + 4, end, number);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

std::string rcode_name(std::uint16_t rcode) {
  constexpr std::array<std::string_view, 7> kNames{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                                   "NOTIMP",  "REFUSED", "YXDOMAIN"};
  if (rcode < kNames.size()) return std::string{kNames[rcode]};
  if (rcode == rcode::kBadVers) return "BADVERS";
  if (rcode == rcode::kBadCookie) return "BADCOOKIE";
  return std::to_string(rcode);
}

std::vector<std::string> answer_lines(std::span<const std::uint8_t> message) {
  std::vector<std::string> lines;
  const auto view = MessageView::parse(message);
  if (!view) return lines;
  auto records = view->records();
  while (const auto record = records.next()) {
    if (record->section != Section::kAnswer) break;
    auto at = record->owner_at;
    const auto owner = Name::read(message, at);
    if (!owner) break;
    lines.push_back(owner->to_string() + ' ' + std::to_string(record->ttl) + " IN " +
                    type_name(record->type) + ' ' + data_text(message, *record));
  }
  return lines;
}

}  // namespace isthmus::dns64
