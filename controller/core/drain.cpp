// SPDX-License-Identifier: Apache-2.0
#include "controller/core/drain.hpp"

namespace isthmus::controller {

DrainStage next_stage(const Drain& drain, const DrainFacts& facts, TimePoint now) {
  switch (drain.stage) {
    case DrainStage::kLeavingAnswers:
      return facts.in_answers ? DrainStage::kLeavingAnswers : DrainStage::kAccepting;
    case DrainStage::kAccepting:
      return now < facts.answers_until ? DrainStage::kAccepting : DrainStage::kReleasing;
    case DrainStage::kReleasing:
      return facts.addresses > 0 ? DrainStage::kReleasing : DrainStage::kDrained;
    case DrainStage::kDrained:
    case DrainStage::kCount:
      break;
  }
  return DrainStage::kDrained;
}

}  // namespace isthmus::controller
