// SPDX-License-Identifier: Apache-2.0
// The part of explain.cpp that asks the tables: which session and which mapping a packet has, or would be
// given (RFC 6146 §3.5), without making them. And the list of steps that all parts write to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "nat64-svc/core/explain.hpp"
#include "nat64-svc/core/steps/filter_and_update.hpp"

namespace isthmus::nat64 {

[[nodiscard]] std::string described(Protocol protocol);
[[nodiscard]] std::string described(const Tuple6& tuple);
[[nodiscard]] std::string described(const Tuple4& tuple);

class ExplainedSteps {
 public:
  void pass(std::string_view section, std::string_view name, std::string outcome) {
    steps_.push_back({section, name, true, std::move(outcome)});
  }
  [[nodiscard]] auto stop(std::string_view section, std::string_view name, Refusal why) {
    steps_.push_back({section, name, false, std::string(kDropReasonNames[why.reason])});
    return failure(why);
  }
  [[nodiscard]] std::vector<ExplainStep>& all() { return steps_; }

 private:
  std::vector<ExplainStep> steps_;
};

class ExplainedFlow {
 public:
  // All by reference; they outlive it. state.runtime is set.
  ExplainedFlow(const WorkerState& state, TimePoint now, ExplainedSteps& steps)
      : state_(state), policy_(state.runtime->nat64), now_(now), steps_(steps) {}

  [[nodiscard]] Result<Flow, Refusal> from_v6(const Tuple6& tuple, std::uint8_t tcp_flags);
  [[nodiscard]] Result<Flow, Refusal> from_v4(const Tuple4& tuple, std::uint8_t tcp_flags);

  // The number of the session, if there is one that today's policy allows; else kNone.
  template <class Tuple>
  [[nodiscard]] std::uint32_t session(const Tuple& tuple) const {
    const auto number = state_.tables.find(tuple);
    if (number == kNone) return kNone;
    const Session& s = state_.tables.sessions()[number];
    return s.generation == state_.generation || state_.still_allowed(s) ? number : kNone;
  }

 private:
  template <class Tuple>
  [[nodiscard]] std::uint32_t surviving(std::uint32_t bib, const Tuple& tuple) const;
  [[nodiscard]] Flow touched(std::uint32_t number, Side from, std::uint8_t tcp_flags);

  const WorkerState& state_;
  const Nat64Policy& policy_;
  const TimePoint now_;
  ExplainedSteps& steps_;
};

}  // namespace isthmus::nat64
