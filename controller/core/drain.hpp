// SPDX-License-Identifier: Apache-2.0
// A NAT64 node on its way out, without a client noticing: it leaves new DNS answers; it accepts new sessions
// as long as answers that name it may be in use; then it makes no new mappings, its addresses are withdrawn
// and each is released when its last session ended or the deadline came. An undrain at any time takes it
// back. What a stage means for the node is told as state (Allocation, HealthySet), never as a command.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/clock.hpp"
#include "common/base/enum_names.hpp"

namespace isthmus::controller {

enum class DrainStage : std::uint8_t { kLeavingAnswers, kAccepting, kReleasing, kDrained, kCount };
inline constexpr EnumNames<DrainStage> kDrainStageNames{
    {"leaving_answers", "accepting", "releasing", "drained"}};

struct Drain {
  std::string node_id;
  DrainStage stage = DrainStage::kLeavingAnswers;
  TimePoint since;  // of this stage
  WallTime began;   // by the operator's clock
  std::string author;
  std::string comment;
};

// What a drain waits for, as seen now.
struct DrainFacts {
  bool in_answers = false;    // a connected DNS64 service has not acked a healthy set without the node
  TimePoint answers_until;    // the last answer that names it is gone
  std::size_t addresses = 0;  // that the node still holds
};

// The stage that follows from `facts`; the same one: not yet. Never goes back.
[[nodiscard]] DrainStage next_stage(const Drain& drain, const DrainFacts& facts, TimePoint now);

}  // namespace isthmus::controller
