// SPDX-License-Identifier: Apache-2.0
// Any two valid policies, divided by a line of three dots: there is a way from one to the other in which
// every prefix that answers may hold is translated, or it is said why not.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/config/from_proto.hpp"
#include "common/config/yaml.hpp"
#include "controller/shell/policy_steps.hpp"

namespace {

using namespace isthmus;
using namespace isthmus::controller;

PolicyText text_of(const std::string& yaml) {
  auto wire = parse_policy_yaml(yaml);
  if (!wire) return {};
  auto policy = from_proto(*wire);
  if (!policy) return {};
  return {std::make_shared<const Policy>(std::move(*policy)),
          std::make_shared<const v1::Policy>(std::move(*wire))};
}

bool translates(const Policy& policy, const TranslationPrefix& prefix) {
  return std::ranges::any_of(policy.translation_prefixes,
                             [&](const TranslationPrefix& other) { return other.prefix == prefix.prefix; });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string all(data, data + size);
  const auto cut = all.find("\n...\n");
  if (cut == std::string::npos) return 0;
  const auto before = text_of(all.substr(0, cut));
  const auto after = text_of(all.substr(cut + 5));
  if (before.empty() || after.empty()) return 0;
  const auto steps = plan_steps(before, before, after);
  if (!steps) return steps.error().empty() ? (std::abort(), 0) : 0;
  const Policy& on_the_way = steps->bridge.empty() ? *after.policy : *steps->bridge.policy;
  for (const auto* policy : {before.policy.get(), after.policy.get()}) {
    for (const auto& prefix : policy->translation_prefixes) {
      if (!translates(on_the_way, prefix)) std::abort();
    }
  }
  return 0;
}
