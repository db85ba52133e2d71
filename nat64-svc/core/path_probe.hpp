// SPDX-License-Identifier: Apache-2.0
// A question through our own translation (policy: nat64.probe): an ICMPv6 echo request from an address that
// is nobody's, which is translated, routed and sent as a client's would be, and whose answer comes the same
// way back. One worker asks: the one that owns the address. Pure; not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "common/base/clock.hpp"
#include "common/base/enum_names.hpp"
#include "nat64-svc/core/runtime.hpp"

namespace isthmus::nat64 {

class PathProbe {
 public:
  static constexpr std::size_t kLength = 48;
  static constexpr int kPatience = 3;  // questions without an answer in a row

  enum class State : std::uint8_t {
    kOff,       // not wanted, or another worker asks
    kWaiting,   // too early to tell
    kAnswered,  // lately
    kUnanswered,
    kCount
  };

  // A policy that wants the same probe as before disturbs nothing.
  void configure(const Runtime& runtime, TimePoint now);
  // The next question, when it is time for one.
  [[nodiscard]] std::optional<std::array<std::uint8_t, kLength>> ask(TimePoint now);
  // Whether an IPv6 packet that was translated, or made by the translator, is for the asking address: it goes
  // nowhere else. The answer to the last question is noted.
  [[nodiscard]] bool takes(std::span<const std::uint8_t> packet, TimePoint now);

  [[nodiscard]] bool on() const { return policy_.has_value(); }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] Duration round_trip() const { return round_trip_; }  // of the last one that was answered

 private:
  std::optional<ProbePolicy> policy_;
  Ipv6Address server6_;
  State state_ = State::kOff;
  TimePoint next_{};
  TimePoint asked_{};
  std::uint16_t sequence_ = 0;
  int unanswered_ = 0;
  Duration round_trip_{};
};
inline constexpr EnumNames<PathProbe::State> kProbeStateNames{{"off", "waiting", "answered", "unanswered"}};

}  // namespace isthmus::nat64
