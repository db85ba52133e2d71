// SPDX-License-Identifier: Apache-2.0
// control.proto messages <-> the values of the core. What a peer sends is checked and bounded here.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/config/policy_diff.hpp"
#include "controller/core/messages.hpp"
#include "isthmus/v1/admin.pb.h"
#include "isthmus/v1/control.pb.h"

namespace isthmus::controller {

inline constexpr std::size_t kMaxAddressesPerMessage = 65536;

// The error is a sentence for the peer.
[[nodiscard]] Result<Hello, std::string> hello_from_proto(const v1::Hello& hello, std::string peer);
[[nodiscard]] std::optional<Resource> resource_from_proto(v1::Resource resource);
[[nodiscard]] v1::Resource to_proto(Resource resource);
[[nodiscard]] v1::ServiceKind to_proto(ServiceKind kind);
[[nodiscard]] NackKind kind_from_proto(v1::Nack::Kind kind);
// Texts that are not addresses are left out: they cannot be leases.
[[nodiscard]] std::vector<Ipv4Address> addresses_from_proto(
    const google::protobuf::RepeatedPtrField<std::string>& texts);
[[nodiscard]] NodeReport report_from_proto(const v1::Report& report);
[[nodiscard]] std::vector<Violation> violations_from_proto(
    const google::protobuf::RepeatedPtrField<v1::Violation>& violations);
void fill_violations(const std::vector<Violation>& violations,
                     google::protobuf::RepeatedPtrField<v1::Violation>& out);
[[nodiscard]] google::protobuf::Duration to_proto(Duration duration);
void set_time(google::protobuf::Timestamp& out, WallTime time);
// A boot-clock time as the wall clock shows it now.
[[nodiscard]] WallTime on_the_wall(TimePoint time, TimePoint now);
void fill_changes(const std::vector<PolicyChange>& changes,
                  google::protobuf::RepeatedPtrField<v1::FieldChange>& out);

}  // namespace isthmus::controller
