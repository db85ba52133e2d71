// SPDX-License-Identifier: Apache-2.0
// What goes in and out of the control plane as values: the messages of control.proto without protobuf, so
// that whole conversations are played in tests. The shell converts at the door.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/enum_names.hpp"
#include "common/config/allocation.hpp"
#include "common/config/policy.hpp"

namespace isthmus::v1 {
class Policy;  // carried, never looked into
}

namespace isthmus::controller {

using SessionId = std::uint64_t;  // one stream; never used twice by one process. 0: none
inline constexpr SessionId kNoSession = 0;

enum class ServiceKind : std::uint8_t { kDns64, kNat64, kCount };
inline constexpr EnumNames<ServiceKind> kServiceKindNames{{"dns64", "nat64"}};

enum class Resource : std::uint8_t { kPolicy, kAllocation, kHealth, kCount };
inline constexpr EnumNames<Resource> kResourceNames{{"policy", "allocation", "health"}};

template <class T>
using PerResource = std::array<T, kEnumSize<Resource>>;

constexpr std::size_t index_of(Resource r) {
  return static_cast<std::size_t>(r);
}

// Whose fault a refusal is.
enum class NackKind : std::uint8_t {
  kInvalidConfig,  // of the text: the same again would be refused again
  kNodeCannot,     // of the node, or of the moment: it may take it later
};

struct Hello {
  std::string node_id;
  std::string incarnation;
  std::string boot_id;
  std::string machine;  // empty: the service keeps no state, boot_id stands in
  ServiceKind kind = ServiceKind::kDns64;
  std::string build;
  std::vector<std::string> capabilities;
  PerResource<Version> running;
  std::vector<Ipv4Address> leases_held;
  std::string peer;  // where the stream comes from; informational
};

// The part of a service's report that decisions depend on.
struct NodeReport {
  bool serving = false;
  bool fit =
      true;  // NAT64: both uplinks are up and the probe through the translation is answered, if there is one
  std::uint64_t blocks_used = 0;
  std::uint64_t blocks_total = 0;
  std::vector<Ipv4Address> released;
};

// A node that only uses NODE_LOCAL pools says so, and gets no leases.
inline constexpr std::string_view kNodeModeCapability = "node-mode";

// --- out ---

struct SendPolicy {
  SessionId session;
  std::uint64_t nonce;
  Version version;
  std::shared_ptr<const v1::Policy> wire;
};
struct SendAllocation {
  SessionId session;
  std::uint64_t nonce;
  Version version;
  Allocation allocation;
};
struct SendHealth {
  SessionId session;
  std::uint64_t nonce;
  Version version;
  std::shared_ptr<const HealthySet> health;
};
struct SendRenewed {
  SessionId session;
  std::uint64_t sequence;
  std::vector<Ipv4Address> addresses;
};
// Ends the stream; with a reason it is told first.
struct EndSession {
  SessionId session;
  std::string reason;
  Duration retry_after{};
};

using Action = std::variant<SendPolicy, SendAllocation, SendHealth, SendRenewed, EndSession>;

// Something an operator may want to know, in the order it happened.
enum class EventKind : std::uint8_t {
  kConnected,
  kSilent,
  kClosed,
  kGoodbye,
  kDuplicateNode,
  kApplied,
  kRejected,
  kGranted,
  kWithdrawn,
  kReleased,
  kExpired,
  kFenced,
  kLeaseConflict,
  kHealthHeld,
  kHealthNormal,
  kPolicy,
  kDrain,
  kSettled,
  kAwaited,
  kRollout,
  kRolloutStopped,
  kCount
};
inline constexpr EnumNames<EventKind> kEventKindNames{
    {"connected",      "silent",      "closed",         "goodbye",  "duplicate_node", "applied",
     "rejected",       "granted",     "withdrawn",      "released", "expired",        "fenced",
     "lease_conflict", "health_held", "health_normal",  "policy",   "drain",          "settled",
     "awaited",        "rollout",     "rollout_stopped"}};

// An operator should look.
constexpr bool is_odd(EventKind kind) {
  return kind == EventKind::kDuplicateNode || kind == EventKind::kRejected ||
         kind == EventKind::kLeaseConflict || kind == EventKind::kSilent || kind == EventKind::kHealthHeld ||
         kind == EventKind::kExpired || kind == EventKind::kRolloutStopped || kind == EventKind::kAwaited;
}

struct Event {
  EventKind kind;
  std::string node_id;  // may be empty
  std::string text;
};

}  // namespace isthmus::controller
