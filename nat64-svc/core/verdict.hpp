// SPDX-License-Identifier: Apache-2.0
// What the caller must do with a packet. The default is to drop it.
#pragma once

#include <cstdint>

#include "common/base/enum_names.hpp"
#include "nat64-svc/core/drop_reason.hpp"
#include "nat64-svc/core/fragment_note.hpp"

namespace isthmus::nat64 {

enum class Side : std::uint8_t { kV6, kV4, kCount };
inline constexpr EnumNames<Side> kSideNames{{"ipv6", "ipv4"}};

[[nodiscard]] constexpr Side other(Side side) {
  return side == Side::kV6 ? Side::kV4 : Side::kV6;
}

// Aligned, so that it is copied in whole words.
struct alignas(8) Verdict {
  enum class Action : std::uint8_t {
    kDrop,      // `reason` says why; the buffer's content is undefined
    kForward,   // the buffer holds the translated packet, to be sent on `out`
    kReply,     // the buffer holds an ICMP error of ours, to be sent on `out`; `reason` says what it answers
    kHeld,      // the core keeps a copy (fragment, SYN) and will send or drop it later
    kHandOver,  // belongs to worker `owner`: give it the untouched packet and `note`
    kCount
  };
  Action action = Action::kDrop;
  Side out = Side::kV6;
  DropReason reason = DropReason::kUnclassified;
  std::uint16_t owner = 0;
  FragmentNote note{};

  [[nodiscard]] static constexpr Verdict drop(DropReason reason) {
    return {Action::kDrop, Side::kV6, reason, 0, {}};
  }
  [[nodiscard]] static constexpr Verdict forward(Side out) {
    return {Action::kForward, out, DropReason::kUnclassified, 0, {}};
  }
  [[nodiscard]] static constexpr Verdict reply(Side out, DropReason reason) {
    return {Action::kReply, out, reason, 0, {}};
  }
  [[nodiscard]] static constexpr Verdict held() {
    return {Action::kHeld, Side::kV6, DropReason::kUnclassified, 0, {}};
  }
  [[nodiscard]] static constexpr Verdict hand_over(std::uint16_t owner) {
    return {Action::kHandOver, Side::kV6, DropReason::kWrongWorker, owner, {}};
  }
  // True when the buffer now holds a packet to send on `out`.
  [[nodiscard]] constexpr bool sends() const {
    return action == Action::kForward || action == Action::kReply;
  }
};

inline constexpr EnumNames<Verdict::Action> kVerdictNames{{"drop", "forward", "reply", "held", "hand_over"}};

}  // namespace isthmus::nat64
