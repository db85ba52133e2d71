// SPDX-License-Identifier: Apache-2.0
// What the tests of the DNS64 core share: requests and upstream answers written as text, replies read back as
// text.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "dns64-svc/core/query.hpp"
#include "dns64-svc/core/wire/message_view.hpp"
#include "dns64-svc/core/wire/message_writer.hpp"
#include "dns64-svc/core/wire/rdata.hpp"

namespace isthmus::dns64::test {

using Bytes = std::vector<std::uint8_t>;

inline constexpr TimePoint kNow{std::chrono::seconds{1000}};
inline TimePoint after(int seconds) {
  return kNow + std::chrono::seconds{seconds};
}

inline Name name_of(const std::string& text) {
  const auto name = Name::parse(text);
  if (!name) ADD_FAILURE() << "bad name in test: " << text;
  return name.value_or(Name{});
}
inline Ipv6Address v6(const char* text) {
  return Ipv6Address::parse(text).value();
}

struct Asked {
  std::string name = "www.example.";
  std::uint16_t type = rr::kAaaa;
  std::uint16_t klass = kClassIn;
  std::uint16_t id = 0x1234;
  bool cd = false;
  bool ad = false;
  bool edns = false;
  bool dnssec_ok = false;
  std::uint16_t udp_size = 1232;
  std::uint8_t version = 0;
  Bytes options = {};
};

inline Bytes request(const Asked& asked) {
  Bytes buffer(1024);
  MessageWriter writer{buffer};
  writer.question(name_of(asked.name).view(), asked.type, asked.klass);
  if (asked.edns || asked.dnssec_ok) {
    const auto ttl = std::uint32_t{asked.version} << 16 | (asked.dnssec_ok ? 0x8000U : 0U);
    EXPECT_TRUE(
        writer.record(Section::kAdditional, Name{}.view(), rr::kOpt, asked.udp_size, ttl, asked.options));
  }
  const auto flags = flag::kRd | (asked.cd ? flag::kCd : 0) | (asked.ad ? flag::kAd : 0);
  buffer.resize(writer.finish(asked.id, static_cast<std::uint16_t>(flags)));
  return buffer;
}

// RDATA from text: an address for A and AAAA, a name for CNAME, DNAME, NS and PTR; SOA is "MINIMUM"; other
// types take the bytes of the text as they are.
inline Bytes rdata_of(std::uint16_t type, const std::string& text) {
  Bytes data;
  const auto add = [&](NameView view) { data.insert(data.end(), view.begin(), view.end()); };
  if (type == rr::kA) {
    data.resize(4);
    Ipv4Address::parse(text).value().store(data.data());
  } else if (type == rr::kAaaa) {
    data.resize(16);
    v6(text.c_str()).store(data.data());
  } else if (rdata_layout(type).names == 1 && rdata_layout(type).fixed == 0) {
    add(name_of(text).view());
  } else if (type == rr::kSoa) {
    add(name_of("ns.example.").view());
    add(name_of("hostmaster.example.").view());
    const auto minimum = static_cast<std::uint32_t>(std::stoul(text));
    for (const std::uint32_t v : {7U, 3600U, 600U, 86400U, minimum})
      for (int shift = 24; shift >= 0; shift -= 8) data.push_back(static_cast<std::uint8_t>(v >> shift));
  } else {
    data.assign(text.begin(), text.end());
  }
  return data;
}

struct Rr {
  Section section = Section::kAnswer;
  std::string owner;
  std::uint16_t type = 0;
  std::uint32_t ttl = 300;
  std::string data;
};

inline Bytes response(const std::string& name, std::uint16_t type, const std::vector<Rr>& records,
                      std::uint16_t code = 0) {
  Bytes buffer(65535);
  MessageWriter writer{buffer};
  writer.question(name_of(name).view(), type, kClassIn);
  for (const auto& r : records) {
    const bool written =
        writer.record(r.section, name_of(r.owner).view(), r.type, kClassIn, r.ttl, rdata_of(r.type, r.data));
    EXPECT_TRUE(written);
  }
  buffer.resize(writer.finish(0, static_cast<std::uint16_t>(flag::kQr | code)));
  return buffer;
}

inline FactPtr fact(const std::string& name, std::uint16_t type, const std::vector<Rr>& records,
                    Security security = Security::kInsecure, std::uint16_t code = 0, TimePoint now = kNow) {
  const auto made =
      fact_from_response(response(name, type, records, code), {.security = security, .now = now}, {});
  if (!made) {
    ADD_FAILURE() << "no fact: " << kWireErrorNames[made.error()];
    return {};
  }
  return *made;
}

inline Rr soa(std::uint32_t ttl = 300, std::uint32_t minimum = 300, const std::string& zone = "example.") {
  return {Section::kAuthority, zone, rr::kSoa, ttl, std::to_string(minimum)};
}
inline FactPtr nodata(const std::string& name, std::uint16_t type, std::uint32_t negative_ttl = 300,
                      Security security = Security::kInsecure) {
  return fact(name, type, {soa(negative_ttl, negative_ttl)}, security);
}

// A reply as text. Each record "owner TTL type data"; addresses and names readable, other data by length.
struct Reply {
  Header header;
  std::string question;
  std::vector<std::string> answer, authority, additional;
  bool has_opt = false;
  std::uint32_t opt_ttl = 0;
  Bytes opt_data;
  [[nodiscard]] bool flag(std::uint16_t bit) const { return (header.flags & bit) != 0; }
};

inline std::string text_of(const MessageView& message, const RecordView& record) {
  std::size_t at = record.owner_at;
  auto text = Name::read(message.bytes(), at)->to_string() + " " + std::to_string(record.ttl) + " ";
  at = record.rdata_at;
  switch (record.type) {
    case rr::kA:
      return text + "A " + read_a(record.rdata)->to_string();
    case rr::kAaaa:
      return text + "AAAA " + read_aaaa(record.rdata)->to_string();
    case rr::kCname:
      return text + "CNAME " + Name::read(message.bytes(), at)->to_string();
    case rr::kDname:
      return text + "DNAME " + Name::read(message.bytes(), at)->to_string();
    case rr::kPtr:
      return text + "PTR " + Name::read(message.bytes(), at)->to_string();
    case rr::kSoa:
      return text + "SOA " + Name::read(message.bytes(), at)->to_string();
    case rr::kRrsig:
      return text + "RRSIG";
    case rr::kNsec:
      return text + "NSEC";
    default:
      return text + "TYPE" + std::to_string(record.type) + " " + std::to_string(record.rdata.size());
  }
}

inline Reply read_reply(std::span<const std::uint8_t> bytes) {
  Reply reply;
  reply.header = read_header(bytes).value_or(Header{});
  if (reply.header.questions == 0) return reply;
  const auto message = MessageView::parse(bytes);
  if (!message) {
    ADD_FAILURE() << "the reply does not parse: " << kWireErrorNames[message.error()];
    return reply;
  }
  reply.question = message->question_name().to_string();
  auto cursor = message->records();
  while (const auto record = cursor.next()) {
    if (record->type == rr::kOpt) {
      reply.has_opt = true;
      reply.opt_ttl = record->ttl;
      reply.opt_data.assign(record->rdata.begin(), record->rdata.end());
      continue;
    }
    auto& list = record->section == Section::kAnswer      ? reply.answer
                 : record->section == Section::kAuthority ? reply.authority
                                                          : reply.additional;
    list.push_back(text_of(*message, *record));
  }
  EXPECT_FALSE(cursor.error()) << kWireErrorNames[*cursor.error()];
  EXPECT_EQ(cursor.position(), bytes.size()) << "bytes after the last record";
  return reply;
}

}  // namespace isthmus::dns64::test
