// SPDX-License-Identifier: Apache-2.0
#include "controller/store/records.hpp"

#include "common/base/utf8.hpp"

namespace isthmus::controller {
namespace {

using std::chrono::milliseconds;

milliseconds whole_ms(Duration duration) {
  return std::chrono::duration_cast<milliseconds>(duration);
}

v1::LeaseRecord::State to_record(LeaseState state) {
  switch (state) {
    case LeaseState::kFree:
      return v1::LeaseRecord::FREE;
    case LeaseState::kGranted:
      return v1::LeaseRecord::GRANTED;
    case LeaseState::kWithdrawing:
      return v1::LeaseRecord::WITHDRAWING;
    case LeaseState::kQuarantined:
      return v1::LeaseRecord::QUARANTINED;
    case LeaseState::kCount:
      break;
  }
  return v1::LeaseRecord::STATE_UNSPECIFIED;
}

std::optional<LeaseState> from_record(v1::LeaseRecord::State state) {
  if (state == v1::LeaseRecord::FREE) return LeaseState::kFree;
  if (state == v1::LeaseRecord::GRANTED) return LeaseState::kGranted;
  if (state == v1::LeaseRecord::WITHDRAWING) return LeaseState::kWithdrawing;
  if (state == v1::LeaseRecord::QUARANTINED) return LeaseState::kQuarantined;
  return std::nullopt;
}

void set(v1::StoredTerms& out, const LeaseTerms& terms) {
  out.set_stop(terms.on_expiry == OnExpiry::kStop);
  out.set_term_ms(whole_ms(terms.term).count());
}

LeaseTerms terms_from(const v1::StoredTerms& in) {
  return {in.stop() ? OnExpiry::kStop : OnExpiry::kHold, milliseconds{in.term_ms()}};
}

void set(v1::StoredHolder& out, const Holder& holder) {
  out.set_node_id(holder.node_id);
  out.set_machine(holder.machine);
}

}  // namespace

std::int64_t Clocks::wall_ms(TimePoint time) const {
  return (wall + whole_ms(time - boot)).time_since_epoch().count();
}

TimePoint Clocks::boot_time(std::int64_t ms) const {
  return boot + (WallTime{milliseconds{ms}} - wall);
}

v1::LeaseRecord to_record(const Lease& lease, const Clocks& clocks) {
  v1::LeaseRecord record;
  record.set_address(lease.address.to_string());
  record.set_pool(lease.pool);
  record.set_in_policy(lease.in_policy);
  record.set_state(to_record(lease.state));
  set(*record.mutable_holder(), lease.holder);
  set(*record.mutable_offered(), lease.offered);
  set(*record.mutable_in_force(), lease.in_force);
  record.set_may_return(lease.may_return);
  record.set_since_ms(clocks.wall_ms(lease.since));
  if (lease.state == LeaseState::kQuarantined) record.set_until_ms(clocks.wall_ms(lease.until));
  record.set_quarantine_ms(whole_ms(lease.quarantine).count());
  return record;
}

Result<Lease, StoreError> from_record(const v1::LeaseRecord& record, const Clocks& clocks) {
  const auto address = Ipv4Address::parse(record.address());
  const auto state = from_record(record.state());
  if (!address || !state) {
    return failure(StoreError{StoreFailure::kUnusable, "the lease record of \"" + record.address() +
                                                           "\" cannot be read: restore a backup"});
  }
  Lease lease;
  lease.address = *address;
  lease.pool = record.pool();
  lease.in_policy = record.in_policy();
  lease.state = *state;
  lease.holder = holder_from(record.holder());
  lease.offered = terms_from(record.offered());
  lease.in_force = terms_from(record.in_force());
  lease.may_return = record.may_return();
  lease.since = clocks.boot_time(record.since_ms());
  lease.until = record.until_ms() == 0 ? TimePoint{} : clocks.boot_time(record.until_ms());
  lease.quarantine = milliseconds{record.quarantine_ms()};
  return lease;
}

v1::NodeRecord to_record(const Holder& holder, const KnownNode& node) {
  v1::NodeRecord record;
  set(*record.mutable_holder(), holder);
  record.set_boot_id(node.boot_id);
  record.set_incarnation(node.incarnation);
  return record;
}

Holder holder_from(const v1::StoredHolder& holder) {
  return {holder.node_id(), holder.machine()};
}

v1::DrainRecord to_record(const Drain& drain, const Clocks& clocks) {
  v1::DrainRecord record;
  record.set_node_id(drain.node_id);
  record.set_stage(std::string(kDrainStageNames[drain.stage]));
  record.set_since_ms(clocks.wall_ms(drain.since));
  record.set_began_ms(drain.began.time_since_epoch().count());
  record.set_author(drain.author);
  record.set_comment(drain.comment);
  return record;
}

Result<Drain, StoreError> from_record(const v1::DrainRecord& record, const Clocks& clocks) {
  const auto stage = kDrainStageNames.find(record.stage());
  if (!stage || record.node_id().empty()) {
    return failure(StoreError{StoreFailure::kUnusable,
                              "the stored drain of " + record.node_id() + " is damaged: restore a backup"});
  }
  return Drain{.node_id = record.node_id(),
               .stage = *stage,
               .since = clocks.boot_time(record.since_ms()),
               .began = WallTime{milliseconds{record.began_ms()}},
               .author = utf8_within(record.author(), kMaxNote),
               .comment = utf8_within(record.comment(), kMaxNote)};
}

}  // namespace isthmus::controller
