// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/convert.hpp"

#include <algorithm>
#include <utility>

#include "common/base/utf8.hpp"
#include "common/config/wire.hpp"
#include "controller/store/store.hpp"

namespace isthmus::controller {
namespace {

constexpr std::size_t kMaxName = 253;
constexpr int kMaxCapabilities = 64;
constexpr int kMaxViolations = 1000;

// Names become labels, log fields and keys: printable, no spaces.
bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= kMaxName &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

// In a key of the store each '/' and '%' becomes three characters, and a key takes two names.
constexpr std::size_t kMaxNameInKey = 500;
static_assert(2 * kMaxNameInKey + 20 <= kMaxKey);

bool fits_a_key(const std::string& name) {
  const auto escapes = std::ranges::count_if(name, [](char c) { return c == '/' || c == '%'; });
  return name.size() + 2 * static_cast<std::size_t>(escapes) <= kMaxNameInKey;
}

}  // namespace

std::optional<Resource> resource_from_proto(v1::Resource resource) {
  if (resource == v1::POLICY) return Resource::kPolicy;
  if (resource == v1::ALLOCATION) return Resource::kAllocation;
  if (resource == v1::HEALTH) return Resource::kHealth;
  return std::nullopt;
}

NackKind kind_from_proto(v1::Nack::Kind kind) {
  return kind == v1::Nack::NODE_CANNOT ? NackKind::kNodeCannot : NackKind::kInvalidConfig;
}

v1::Resource to_proto(Resource resource) {
  switch (resource) {
    case Resource::kPolicy:
      return v1::POLICY;
    case Resource::kAllocation:
      return v1::ALLOCATION;
    case Resource::kHealth:
      return v1::HEALTH;
    case Resource::kCount:
      break;
  }
  return v1::RESOURCE_UNSPECIFIED;
}

v1::ServiceKind to_proto(ServiceKind kind) {
  return kind == ServiceKind::kDns64 ? v1::DNS64 : v1::NAT64;
}

Result<Hello, std::string> hello_from_proto(const v1::Hello& in, std::string peer) {
  if (!is_name(in.node_id())) {
    return failure(
        std::string("node_id must be 1 to 253 printable characters without spaces: set --node-id"));
  }
  if (in.kind() != v1::DNS64 && in.kind() != v1::NAT64)
    return failure(std::string("kind must be DNS64 or NAT64"));
  if (!is_name(in.incarnation()) || !is_name(in.boot_id())) {
    return failure(std::string("incarnation and boot_id must be given"));
  }
  if (!in.machine().empty() && !is_name(in.machine()))
    return failure(std::string("machine must be printable"));
  for (const auto* name : {&in.node_id(), &in.machine(), &in.boot_id()}) {
    if (!fits_a_key(*name))
      return failure("\"" + *name + "\" has too many of the characters / and %: use others");
  }
  if (in.capabilities_size() > kMaxCapabilities ||
      static_cast<std::size_t>(in.leases_held_size()) > kMaxAddressesPerMessage) {
    return failure(std::string("too many capabilities or leases in one hello"));
  }
  Hello hello;
  hello.node_id = in.node_id();
  hello.incarnation = in.incarnation();
  hello.boot_id = in.boot_id();
  hello.machine = in.machine();
  hello.kind = in.kind() == v1::DNS64 ? ServiceKind::kDns64 : ServiceKind::kNat64;
  hello.build = utf8_within(in.build(), kMaxName);
  hello.capabilities.assign(in.capabilities().begin(), in.capabilities().end());
  hello.leases_held = addresses_from_proto(in.leases_held());
  hello.peer = std::move(peer);
  for (const auto& running : in.running()) {
    if (const auto resource = resource_from_proto(running.resource())) {
      hello.running[index_of(*resource)] = from_proto(running.version());
    }
  }
  return hello;
}

std::vector<Ipv4Address> addresses_from_proto(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::vector<Ipv4Address> addresses;
  for (const auto& text : texts) {
    if (addresses.size() >= kMaxAddressesPerMessage) break;
    if (const auto address = Ipv4Address::parse(text)) addresses.push_back(*address);
  }
  return addresses;
}

NodeReport report_from_proto(const v1::Report& report) {
  return {.serving = report.serving(),
          .fit = !report.has_nat64() ||
                 (report.nat64().uplink6() && report.nat64().uplink4() && !report.nat64().probe_unanswered()),
          .blocks_used = report.nat64().blocks_used(),
          .blocks_total = report.nat64().blocks_total(),
          .released = addresses_from_proto(report.addresses_released())};
}

std::vector<Violation> violations_from_proto(const google::protobuf::RepeatedPtrField<v1::Violation>& in) {
  std::vector<Violation> violations;
  for (const auto& v : in) {
    if (violations.size() >= kMaxViolations) break;
    violations.push_back({utf8_within(v.path(), 1000), utf8_within(v.message(), 1000)});
  }
  return violations;
}

void fill_violations(const std::vector<Violation>& violations,
                     google::protobuf::RepeatedPtrField<v1::Violation>& out) {
  for (const auto& violation : violations) {
    auto* v = out.Add();
    v->set_path(violation.path);
    v->set_message(violation.message);
  }
}

google::protobuf::Duration to_proto(Duration duration) {
  google::protobuf::Duration out;
  out.set_seconds(duration / std::chrono::seconds{1});
  out.set_nanos(static_cast<std::int32_t>((duration % std::chrono::seconds{1}).count()));
  return out;
}

void set_time(google::protobuf::Timestamp& out, WallTime time) {
  const auto ms = time.time_since_epoch().count();
  out.set_seconds(ms / 1000);
  out.set_nanos(static_cast<std::int32_t>(ms % 1000 * 1000000));
}

WallTime on_the_wall(TimePoint time, TimePoint now) {
  return wall_now() - std::chrono::duration_cast<std::chrono::milliseconds>(now - time);
}

void fill_changes(const std::vector<PolicyChange>& changes,
                  google::protobuf::RepeatedPtrField<v1::FieldChange>& out) {
  for (const auto& change : changes) {
    auto* to = out.Add();
    to->set_path(change.path);
    to->set_before(change.before);
    to->set_after(change.after);
  }
}

}  // namespace isthmus::controller
