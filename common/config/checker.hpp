// SPDX-License-Identifier: Apache-2.0
// Collects violations while a message is read: each helper parses one kind of value or notes what is wrong
// with it.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/policy.hpp"
#include "isthmus/v1/policy.pb.h"

namespace isthmus {

// Clients wider than these would be everybody; fc00::/7 and 10.0.0.0/8 still fit.
inline constexpr unsigned kShortestClients6 = 7;
inline constexpr unsigned kShortestClients4 = 8;

class Checker {
 public:
  void refuse(std::string path, std::string message) {
    violations_.push_back({std::move(path), std::move(message)});
  }
  [[nodiscard]] std::vector<Violation> take() { return std::move(violations_); }
  [[nodiscard]] bool clean() const { return violations_.empty(); }

  using Strings = google::protobuf::RepeatedPtrField<std::string>;
  [[nodiscard]] std::vector<Ipv4Prefix> ipv4_prefixes(const Strings& texts, const std::string& path);
  [[nodiscard]] std::vector<Ipv6Prefix> ipv6_prefixes(const Strings& texts, const std::string& path);
  // Clients: ::/0 and 0.0.0.0/0 would make an open service and are refused.
  [[nodiscard]] std::vector<Ipv6Prefix> ipv6_clients(const Strings& texts, const std::string& path);
  // Lower case with a final dot, RFC 1035 §2.3.4 limits.
  [[nodiscard]] std::vector<std::string> domains(const Strings& texts, const std::string& path);
  [[nodiscard]] std::optional<std::string> domain(std::string_view text, const std::string& path);
  // A name that others refer to: letters, digits, - _ . up to 63, unique in `taken`.
  [[nodiscard]] std::string name(const std::string& text, const std::string& path,
                                 std::set<std::string>& taken);

 private:
  std::vector<Violation> violations_;
};

[[nodiscard]] inline std::string at(std::string_view list, int index) {
  return std::string{list} + "[" + std::to_string(index) + "]";
}

// The sections of from_proto(), one file each.
void read_prefixes(const v1::Policy& in, Checker& check, Policy& out);
void read_exclusions(const v1::Policy& in, Checker& check, Policy& out);
void read_pools(const v1::Policy& in, Checker& check, Policy& out);
void read_static_mappings(const v1::Policy& in, Checker& check, Policy& out);  // after prefixes and pools
void read_nat64(const v1::Policy& in, Checker& check, Policy& out);
void read_dns64(const v1::Policy& in, Checker& check, Policy& out);  // after prefixes

}  // namespace isthmus
