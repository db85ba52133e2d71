// SPDX-License-Identifier: Apache-2.0
// docs/policy.md against the schema: every field of every message has its row, every row its field, every
// enum value is named, and numeric defaults in the page are those that from_proto() fills in.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/config/yaml.hpp"

namespace isthmus {
namespace {

namespace pb = google::protobuf;
using testing::HasSubstr;

using Rows = std::map<std::string, std::string>;  // field -> its whole row

// "## Message" headings, and under each the rows "| `field` | default | ...".
std::map<std::string, Rows> read_page() {
  std::map<std::string, Rows> page;
  std::ifstream in{ISTHMUS_SOURCE_DIR "/docs/policy.md"};
  std::string line, section;
  while (std::getline(in, line)) {
    if (line.starts_with("## ")) {
      section = line.substr(3);
      page[section];
    } else if (line.starts_with("| `")) {
      page[section][line.substr(3, line.find('`', 3) - 3)] = line;
    }
  }
  return page;
}

void collect(const pb::Descriptor& message, std::map<std::string, const pb::Descriptor*>& found) {
  if (message.full_name() == "google.protobuf.Duration" || !found.emplace(message.name(), &message).second)
    return;
  for (int i = 0; i < message.field_count(); ++i) {
    if (const auto* child = message.field(i)->message_type()) collect(*child, found);
  }
}

std::string default_of(const Rows& rows, const std::string& field) {
  const auto& row = rows.at(field);
  const auto begin = row.find("| ", 2) + 2;
  return row.substr(begin, row.find(" |", begin) - begin);
}

TEST(PolicyDoc, HasARowForEachFieldAndNoOther) {
  std::map<std::string, const pb::Descriptor*> messages;
  collect(*v1::Policy::descriptor(), messages);
  const auto page = read_page();
  ASSERT_GT(messages.size(), 10U);
  std::set<std::string> schema_names, page_names;
  for (const auto& [name, message] : messages) {
    for (int i = 0; i < message->field_count(); ++i)
      schema_names.insert(name + "." + message->field(i)->name());
  }
  for (const auto& [section, rows] : page) {
    for (const auto& [field, row] : rows) page_names.insert(section + "." + field);
  }
  EXPECT_EQ(page_names, schema_names);
}

TEST(PolicyDoc, NamesEveryEnumValue) {
  std::map<std::string, const pb::Descriptor*> messages;
  collect(*v1::Policy::descriptor(), messages);
  const auto page = read_page();
  for (const auto& [name, message] : messages) {
    for (int i = 0; i < message->field_count(); ++i) {
      const auto* type = message->field(i)->enum_type();
      if (type == nullptr) continue;
      for (int v = 1; v < type->value_count(); ++v) {
        EXPECT_THAT(page.at(name).at(message->field(i)->name()),
                    HasSubstr("`" + type->value(v)->name() + "`"));
      }
    }
  }
}

TEST(PolicyDoc, ItsDefaultsAreTheRealOnes) {
  const auto page = read_page();
  const auto& subscribers = page.at("Subscribers");
  const Subscribers s;
  EXPECT_EQ(default_of(subscribers, "ports_per_block"), std::to_string(s.ports_per_block));
  EXPECT_EQ(default_of(subscribers, "max_blocks"), std::to_string(s.max_blocks));
  EXPECT_EQ(default_of(subscribers, "max_sessions"), std::to_string(s.max_sessions));
  EXPECT_EQ(default_of(subscribers, "max_per_64"), std::to_string(s.max_per_64));
  EXPECT_EQ(default_of(subscribers, "new_sessions_per_second"), std::to_string(s.new_sessions_per_second));
  const auto seconds = [](Duration d) {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(d).count()) + "s";
  };
  const Timeouts t;
  const auto& timeouts = page.at("Timeouts");
  EXPECT_EQ(default_of(timeouts, "udp"), seconds(t.udp));
  EXPECT_EQ(default_of(timeouts, "tcp_established"), seconds(t.tcp_established));
  EXPECT_EQ(default_of(timeouts, "tcp_transitory"), seconds(t.tcp_transitory));
  EXPECT_EQ(default_of(timeouts, "tcp_incoming_syn"), seconds(t.tcp_incoming_syn));
  EXPECT_EQ(default_of(timeouts, "icmp"), seconds(t.icmp));
  EXPECT_EQ(default_of(page.at("Fragments"), "timeout"), seconds(t.fragment));
  EXPECT_EQ(default_of(page.at("Lease"), "term"), seconds(LeasePolicy{}.term));
  EXPECT_EQ(default_of(page.at("Lease"), "quarantine"), seconds(LeasePolicy{}.quarantine));
  EXPECT_EQ(default_of(page.at("View"), "steering_ttl"), seconds(View{}.steering_ttl));
  const Nat64Policy n;
  EXPECT_EQ(default_of(page.at("Nat64"), "lowest_ipv6_mtu"), std::to_string(n.lowest_ipv6_mtu));
  EXPECT_EQ(default_of(page.at("Nat64"), "max_sessions"), std::to_string(n.max_sessions));
  EXPECT_EQ(default_of(page.at("Nat64"), "icmp_errors_per_second"), std::to_string(n.icmp_errors_per_second));
  EXPECT_EQ(default_of(page.at("Fragments"), "max_held"), std::to_string(n.max_held_fragments));
  const Dns64Limits d;
  const auto& limits = page.at("Dns64Limits");
  EXPECT_EQ(default_of(limits, "cache_bytes"), std::to_string(d.cache_bytes));
  EXPECT_EQ(default_of(limits, "max_ttl_seconds"), std::to_string(d.max_ttl_seconds));
  EXPECT_EQ(default_of(limits, "max_negative_ttl_seconds"), std::to_string(d.max_negative_ttl_seconds));
  EXPECT_EQ(default_of(limits, "max_outstanding"), std::to_string(d.max_outstanding));
  EXPECT_EQ(default_of(limits, "stale_seconds"), std::to_string(d.stale_seconds));
}

TEST(PolicyDoc, ItsExampleIsAValidPolicy) {
  std::ifstream in{ISTHMUS_SOURCE_DIR "/docs/policy.md"};
  const std::string page{std::istreambuf_iterator<char>{in}, {}};
  const auto begin = page.find("```yaml\n");
  ASSERT_NE(begin, std::string::npos);
  const auto policy = load_policy(page.substr(begin + 8, page.find("```\n", begin + 8) - begin - 8));
  EXPECT_TRUE(policy) << policy.error().front().path << ": " << policy.error().front().message;
}

}  // namespace
}  // namespace isthmus
