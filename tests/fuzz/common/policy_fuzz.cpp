// SPDX-License-Identifier: Apache-2.0
// Any text: a policy or violations, never a crash; and what is accepted can be written and read back equal,
// as it was given and as it runs.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/config/from_proto.hpp"
#include "common/config/policy_diff.hpp"
#include "common/config/to_proto.hpp"
#include "common/config/yaml.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const auto message = isthmus::parse_policy_yaml(text);
  if (!message) return message.error().empty() ? (std::abort(), 0) : 0;  // refused without saying why
  const auto policy = isthmus::from_proto(*message);
  const auto again = isthmus::load_policy(isthmus::to_yaml(*message));
  if (policy.has_value() != again.has_value()) std::abort();
  if (policy && !(*policy == *again)) std::abort();
  // A policy as it runs, shown and read again as an operator would, is the same policy.
  if (policy) {
    const auto shown = isthmus::load_policy(isthmus::to_yaml(isthmus::to_proto(*policy)));
    if (!shown || !(*policy == *shown)) std::abort();
  }
  if (!isthmus::diff(*message, *message).empty()) std::abort();
  (void)isthmus::diff({}, *message);
  return 0;
}
