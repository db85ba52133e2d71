// SPDX-License-Identifier: Apache-2.0
// What would happen to a packet now, step by step with the RFC's sections, without doing it: nothing is made,
// touched, counted or sent. The steps are those of translator.cpp in the same order; a property test holds
// the two together. Two things are not foretold: that the last fragment of an echo, which is told to be
// held, frees the first one and follows it at once; and whether the rate limit of our own ICMP errors lets
// one out at that moment.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nat64-svc/core/refusal.hpp"
#include "nat64-svc/core/worker_state.hpp"

namespace isthmus::nat64 {

struct ExplainStep {
  std::string_view section;  // "RFC 6146 §3.4"; "policy" for what no RFC asks
  std::string_view name;     // what the step does
  bool passed = true;
  std::string outcome;  // a sentence for an operator
};

struct Explanation {
  std::vector<ExplainStep> steps;
  Verdict verdict;                   // as Translator would give it
  std::optional<IcmpError> answer;   // verdict kReply
  std::vector<std::uint8_t> packet;  // verdict kForward: what would leave, whole
};

// MTUs of the ways to two destinations, as the translator would see them.
struct MtuOfWay {
  std::function<std::uint32_t(const Ipv6Address&)> six;
  std::function<std::uint32_t(Ipv4Address)> four;
};

[[nodiscard]] Explanation explain(const WorkerState& state, const MtuOfWay& mtu, Side from,
                                  std::span<const std::uint8_t> packet, TimePoint now,
                                  const FragmentNote& told = {});

}  // namespace isthmus::nat64
