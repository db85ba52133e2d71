// SPDX-License-Identifier: Apache-2.0
// Rules of translation_prefixes and exclusions.
#include <algorithm>
#include <array>

#include "common/config/checker.hpp"
#include "common/config/domain_lists.hpp"

namespace isthmus {
namespace {

using In = v1::TranslationPrefix;

// Ranges of other meaning: unspecified, loopback and mapped addresses, link-local, multicast.
bool is_special(const Ipv6Prefix& prefix) {
  static const std::array special{Ipv6Prefix::parse("::/64").value(), Ipv6Prefix::parse("fe80::/10").value(),
                                  Ipv6Prefix::parse("ff00::/8").value()};
  return std::ranges::any_of(special, [&](const auto& range) { return range.overlaps(prefix); });
}

// SHARED: RFC 6052 §2.2. PER_NODE: each node gets a /96 of the parent, so the parent is shorter.
void check_prefix(const In& in, const std::string& path, Checker& check, TranslationPrefix& out) {
  const auto prefix = Ipv6Prefix::parse(in.prefix());
  if (!prefix) {
    check.refuse(path, in.prefix().empty()
                           ? "required: e.g. 64:ff9b::/96"
                           : "`" + in.prefix().substr(0, 80) + "` is no IPv6 prefix with zero host bits");
    return;
  }
  out.prefix = *prefix;
  if (is_special(*prefix)) check.refuse(path, "must not overlap ::/64, fe80::/10 or ff00::/8");
  static const auto well_known = Pref64::well_known().prefix();
  if (out.assignment == Assignment::kShared) {
    if (!Pref64::make(*prefix)) {
      check.refuse(
          path, "must have length 32, 40, 48, 56, 64 or 96, and bits 64 to 71 zero (RFC 6052 section 2.2)");
    }
  } else if (prefix->length() < 32 || prefix->length() > 92) {
    check.refuse(path, "a PER_NODE parent has a length from 32 to 92: each node gets a /96 of it");
  } else if (prefix->overlaps(well_known)) {
    check.refuse(path, "the well-known prefix 64:ff9b::/96 cannot be cut up; use a prefix of your own");
  } else if (prefix->address().bytes()[8] != 0) {
    check.refuse(path, "bits 64 to 71 must be zero (RFC 6052 section 2.2)");
  }
  if (in.allow_non_global() && *prefix == well_known) {
    check.refuse(
        path.substr(0, path.rfind('.')) + ".allow_non_global",
        "never with the well-known prefix (RFC 6052 section 3.1); use 64:ff9b:1::/48 (RFC 8215) or your own");
  }
}

std::vector<DomainList> read_lists(const google::protobuf::RepeatedPtrField<v1::DomainList>& lists,
                                   Checker& check, const std::string& path) {
  std::vector<DomainList> out;
  for (int i = 0; i < lists.size(); ++i) {
    const auto& in = lists[i];
    if (in.file().empty()) check.refuse(at(path, i) + ".file", "required: a file with one domain a line");
    if (static_cast<std::size_t>(in.chunks_size()) > kMaxChunks)
      check.refuse(at(path, i) + ".chunks", "more than " + std::to_string(kMaxChunks));
    for (const auto& hash : in.chunks()) {
      if (is_content_hash(hash)) continue;
      check.refuse(at(path, i) + ".chunks", "are written by the program that reads the file: leave them out");
      break;
    }
    out.push_back({in.file(), {in.chunks().begin(), in.chunks().end()}, {}});
  }
  return out;
}

}  // namespace

void read_prefixes(const v1::Policy& in, Checker& check, Policy& out) {
  std::set<std::string> names;
  if (in.translation_prefixes().empty()) {
    check.refuse("translation_prefixes",
                 "required: without a translation prefix nothing is translated or synthesized");
  }
  for (int i = 0; i < in.translation_prefixes_size(); ++i) {
    const auto& from = in.translation_prefixes(i);
    const auto path = at("translation_prefixes", i);
    TranslationPrefix prefix;
    prefix.name = check.name(from.name(), path + ".name", names);
    prefix.assignment = from.assignment() == In::PER_NODE ? Assignment::kPerNode : Assignment::kShared;
    prefix.allow_non_global = from.allow_non_global();
    check_prefix(from, path + ".prefix", check, prefix);
    if (from.clients().empty()) {
      check.refuse(path + ".clients", "required: the IPv6 prefixes of those who may use it");
    }
    prefix.clients = check.ipv6_clients(from.clients(), path + ".clients");
    prefix.ipv4_ranges = check.ipv4_prefixes(from.ipv4_ranges(), path + ".ipv4_ranges");
    if (prefix.ipv4_ranges.empty()) prefix.ipv4_ranges.emplace_back();
    for (std::size_t j = 0; j < out.translation_prefixes.size(); ++j) {
      if (prefix.prefix.length() > 0 && out.translation_prefixes[j].prefix.overlaps(prefix.prefix)) {
        check.refuse(path + ".prefix",
                     "overlaps " + at("translation_prefixes", static_cast<int>(j)) + ".prefix");
      }
    }
    out.translation_prefixes.push_back(std::move(prefix));
  }
}

void read_exclusions(const v1::Policy& in, Checker& check, Policy& out) {
  const auto& from = in.exclusions();
  auto& to = out.exclusions;
  to.ipv4_destinations = check.ipv4_prefixes(from.ipv4_destinations(), "exclusions.ipv4_destinations");
  to.ipv6_answers = check.ipv6_prefixes(from.ipv6_answers(), "exclusions.ipv6_answers");
  // RFC 6147 §5.1.4: IPv4-mapped addresses never reach a client.
  static const auto mapped = Ipv6Prefix::parse("::ffff:0:0/96").value();
  if (std::ranges::find(to.ipv6_answers, mapped) == to.ipv6_answers.end()) to.ipv6_answers.push_back(mapped);
  to.never_synthesize = check.domains(from.never_synthesize(), "exclusions.never_synthesize");
  to.always_synthesize = check.domains(from.always_synthesize(), "exclusions.always_synthesize");
  to.never_synthesize_lists =
      read_lists(from.never_synthesize_lists(), check, "exclusions.never_synthesize_lists");
  to.always_synthesize_lists =
      read_lists(from.always_synthesize_lists(), check, "exclusions.always_synthesize_lists");
}

}  // namespace isthmus
