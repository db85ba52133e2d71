// SPDX-License-Identifier: Apache-2.0
// Which services may have a new policy already: first a canary, then, each time the wave before has applied
// it and lived with it for a while, another share of the rest. One refusal stops it, and so does a service
// that was lost before it answered: it may have died of what it was sent. The stop ends when the refusal does
// (the service takes it when it is asked again, or is gone), or with another policy.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.hpp"
#include "controller/core/messages.hpp"

namespace isthmus::controller {

struct WaveSettings {
  std::size_t canary = 1;                    // services in the first wave; 0: all at once, always
  unsigned wave_percent = 25;                // of all services of the kind in each further wave, at least one
  Duration soak = std::chrono::seconds{10};  // between the last ack of a wave and the next one
};

class Waves {
 public:
  using Key = std::pair<ServiceKind, std::string>;  // kind, node_id
  enum class State : std::uint8_t { kWaits, kApplied, kRejected, kLost };
  struct Member {
    Key key;
    State state;  // toward the new policy; kWaits: it runs something else, or has not answered
  };

  explicit Waves(WaveSettings settings) : settings_(settings) {}

  // A new policy: nobody may have it yet, unless waves are off.
  void start();
  // Admits who may have it now. True when every member that is connected runs it.
  [[nodiscard]] bool step(const std::vector<Member>& members, TimePoint now);

  [[nodiscard]] bool admitted(const Key& key) const {
    return settings_.canary == 0 || admitted_.contains(key);
  }
  [[nodiscard]] std::size_t admitted_count() const { return admitted_.size(); }
  // Who stops it, with why; none: it goes on.
  [[nodiscard]] const std::map<Key, State>& stopped_by() const { return stopped_by_; }
  // When the next wave may go; TimePoint{}: acks of this one are missing.
  [[nodiscard]] TimePoint soaks_until() const { return soaks_until_; }

 private:
  void admit_next(const std::vector<Member>& members);

  WaveSettings settings_;
  std::set<Key> admitted_;
  std::set<Key> wave_;  // admitted, and not yet soaked
  std::map<Key, State> stopped_by_;
  TimePoint soaks_until_;
};

}  // namespace isthmus::controller
