// SPDX-License-Identifier: Apache-2.0
// The service's end of the control protocol as plain state: a message in, messages out. No sockets, threads
// or clocks; ControlClient feeds it, and tests play whole conversations against it.
//
// Rules kept here:
//  - each resource has its own version, nonce and ack; a refused policy holds back neither leases nor health;
//  - an ack is sent when the handler said that every worker runs it, a nack names what still runs;
//  - allocation and health wait until a first policy runs, because they refer to it by name;
//  - the controller's word is law: what a live stream sends is applied, whatever its version. The same
//  version
//    with the same content is acked without applying it again (a reconnect disturbs nothing);
//  - a policy whose lists have pieces that are not here waits until the controller has sent them; pieces are
//    asked for a few at a time, and those that are here are never asked for again;
//  - withdrawn addresses that are no longer used are told in every report until the allocation unlists them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/control/service_handlers.hpp"
#include "isthmus/v1/control.pb.h"

namespace isthmus {

// The parts of Hello that do not change while the process lives.
struct ServiceIdentity {
  std::string node_id;
  std::string incarnation;
  std::string boot_id;
  std::string machine;
  v1::ServiceKind kind = v1::SERVICE_KIND_UNSPECIFIED;
  std::string build;
  std::vector<std::string> addresses;
  std::vector<std::string> capabilities;
};

// The last good state, as it came; what a restart begins with.
struct GoodState {
  std::optional<v1::PolicyUpdate> policy;
  std::optional<v1::AllocationUpdate> allocation;
  std::optional<v1::HealthUpdate> health;
  std::map<std::string, ListData> chunks;  // that the policy's lists name, by hash
};

class Subscription {
 public:
  struct Step {
    std::vector<v1::ServiceMessage> send;  // in this order
    bool state_changed = false;            // good_state() wants to be saved
    bool end_stream = false;               // the controller refused us
    std::optional<Duration> retry_after;   // with end_stream, when the controller gave one
  };

  Subscription(ServiceIdentity identity, ServiceHandlers handlers, Duration report_every);

  // Before the first stream: runs what was saved. STOP leases are left out: their deadline may have passed
  // while nobody counted it, so the controller must renew them first. Returns what could not be used and why.
  [[nodiscard]] std::vector<std::string> restore(GoodState saved, TimePoint now);

  // A stream was opened: Hello. Versions stay, nonces of the old stream are forgotten with it.
  [[nodiscard]] Step on_stream_opened(TimePoint now);
  [[nodiscard]] Step on_message(const v1::ControllerMessage& message, TimePoint now);
  // Sends what is due at `now`; call it again at next_timer().
  [[nodiscard]] Step on_timer(TimePoint now);
  [[nodiscard]] TimePoint next_timer() const;
  // The service has stopped forwarding for good: gives its leases back and forgets them.
  [[nodiscard]] Step goodbye();

  [[nodiscard]] const GoodState& good_state() const { return good_; }
  // Versions, rejected_total, last_heard and last_error; `connected` is the caller's to know.
  [[nodiscard]] FeedStatus status() const;

 private:
  template <class Update>
  void receive(const Update& update, std::optional<Update>& running, Step& step);
  template <class Update>
  void refuse(const Update& update, Version running, const Rejection& rejection, Step& step);
  template <class Update>
  void decide(const Update& update, std::optional<Update>& running, Step& step);
  void receive_waiting(Step& step);
  void receive_policy(const v1::PolicyUpdate& update, Step& step);
  void receive_chunk(const v1::Chunk& chunk, Step& step);
  void ask_for_chunks(Step& step);
  void forget_chunks();
  [[nodiscard]] ListData chunk(const std::string& hash) const;
  [[nodiscard]] Applied apply(const v1::PolicyUpdate& update);
  [[nodiscard]] Applied apply(const v1::AllocationUpdate& update);
  [[nodiscard]] Applied apply(const v1::HealthUpdate& update);
  void on_lease_renewed(const v1::LeaseRenewed& renewed);
  void tell_deadlines() const;
  void add_report(Step& step, TimePoint now);
  void add_renewal(Step& step, TimePoint now);
  struct Leases {
    std::vector<std::string> in_use, given_up;  // given up: withdrawn and no longer used
  };
  [[nodiscard]] Leases split_leases() const;
  [[nodiscard]] std::vector<Ipv4Address> leases_held() const;
  [[nodiscard]] std::optional<Duration> renew_every() const;

  ServiceIdentity identity_;
  ServiceHandlers handlers_;
  Duration report_every_;
  GoodState good_;
  std::optional<v1::PolicyUpdate> waiting_policy_;          // for pieces of its lists
  std::set<std::string> asked_;                             // of these
  std::optional<v1::AllocationUpdate> waiting_allocation_;  // came before a policy ran
  std::optional<v1::HealthUpdate> waiting_health_;
  TimePoint next_report_;
  std::optional<TimePoint> next_renewal_;
  std::uint64_t renewal_sequence_ = 0;
  LeaseClock lease_clock_;
  TimePoint last_heard_;
  std::uint64_t rejected_total_ = 0;
  std::string error_;  // of the last update that was refused; empty once one of its kind is applied
  v1::Resource error_of_ = v1::RESOURCE_UNSPECIFIED;
};

}  // namespace isthmus
