// SPDX-License-Identifier: Apache-2.0
// The map of the controller: what services say comes in by the on_...() functions, what follows from it goes
// out by settle() as messages to send and events to log. No sockets, no clock, no threads: a test plays whole
// conversations. Not thread-safe: the shell calls it under one lock.
//
//   on_hello ... on_report, tick          what happened
//   settle(now)                           plan leases, judge health, decide what each service should run
//   take()                                lease changes (to be stored first), then messages, then events
//
// Six files: control_plane.cpp is the map, control_plane_sessions.cpp what services say,
// control_plane_policy.cpp how a policy goes out, control_plane_leases.cpp who gets which address,
// control_plane_drains.cpp how a gateway leaves, control_plane_health.cpp who may appear in answers.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controller/core/admission.hpp"
#include "controller/core/drain.hpp"
#include "controller/core/health.hpp"
#include "controller/core/lease_planner.hpp"
#include "controller/core/lease_table.hpp"
#include "controller/core/messages.hpp"
#include "controller/core/node_prefixes.hpp"
#include "controller/core/policy_rollout.hpp"
#include "controller/core/rollout.hpp"

namespace isthmus::controller {

struct Settings {
  // After a start with a store that is new or was restored no address is granted for this long, at least:
  // nodes that live tell first what they hold. Longer than a service's longest wait between two tries to
  // connect.
  Duration adopt_grace = std::chrono::seconds{15};
  // For the shell: how long a stream may be that of no service, because it has not said hello or was refused
  // and does not go.
  Duration hello_within = std::chrono::seconds{10};
  // For the shell: how long pieces of lists are kept that no policy names.
  Duration unnamed_lists_wait = std::chrono::hours{1};
  // Services report every two seconds; two missed reports and a margin.
  Duration liveness = std::chrono::seconds{5};
  // How long a withdrawn address may serve what runs over it.
  Duration withdraw_within = std::chrono::seconds{300};
  // A gateway that had little use for so long gives addresses to those that run short.
  Duration idle_after = std::chrono::minutes{5};
  // A service that holds nothing is forgotten this long after it was last heard.
  Duration forget_after = std::chrono::minutes{10};
  std::size_t max_services = 20000;
  // That come in within a second; who is too many is told when to come again. 0: no limit.
  unsigned hellos_per_second = 1000;
  WaveSettings waves{};
};

[[nodiscard]] inline Holder holder_of(const Hello& hello) {
  return {hello.node_id, hello.machine.empty() ? hello.boot_id : hello.machine};
}

// All that is known about one service.
struct ServiceRecord {
  Hello hello;
  SessionId session = kNoSession;  // kNoSession: not connected
  SessionId newest = kNoSession;   // the newest stream that said hello, whatever became of it
  TimePoint last_heard;
  TimePoint connected_since;
  PerResource<Rollout> rollout;
  std::uint64_t acked_allocation = 0;  // highest allocation counter acked on this stream
  NodeReport report;
  double use = 0;           // of port blocks, when reported since the last plan
  TimePoint busy_at;        // when it last had more than little use, or came
  bool left = false;        // said goodbye
  std::uint64_t nonce = 0;  // the last used
  std::map<std::string, TimePoint>
      rivals;  // other live incarnations of this node_id, by when they last knocked

  [[nodiscard]] bool connected() const { return session != kNoSession; }
  [[nodiscard]] Holder holder() const { return holder_of(hello); }
};

// A NAT64 node that may hold addresses. Stored, so that a controller that was restored knows for whom to
// wait.
struct KnownNode {
  std::string boot_id;
  std::string incarnation;
  TimePoint last_heard;
};

// What a controller knows at its start, from its store.
struct Memory {
  std::uint64_t epoch = 1;  // higher than any before
  // The store is new or was restored: nodes may hold what it does not know.
  bool settling = true;
  std::vector<Lease> leases;
  std::vector<std::pair<Holder, KnownNode>> nodes;
  std::vector<Drain> drains{};
};

struct Outcome {
  // To be durable before an action leaves; the values are in leases(), known_nodes(), epoch() and settling().
  std::set<Ipv4Address> changed_leases;
  std::set<Holder> changed_nodes;
  std::set<std::string> changed_drains;  // by node_id; one that is not in drains() any more was ended
  std::vector<Action> actions;
  std::vector<Event> events;
};

class ControlPlane {
 public:
  ControlPlane(Settings settings, Memory memory, TimePoint start);
  // One that remembers nothing.
  ControlPlane(Settings settings, std::uint64_t epoch, TimePoint start)
      : ControlPlane(settings, Memory{.epoch = epoch, .settling = true, .leases = {}, .nodes = {}}, start) {}

  // To all at once: the first policy, or one whose way does not matter.
  void set_policy(std::shared_ptr<const Policy> policy, TimePoint now);
  // In the order of policy_rollout.hpp.
  void set_policy(PolicySteps steps, TimePoint now);
  // Of a controller that begins: goes on with a rollout as far as the store knows it. `rollout` began as a
  // copy of rollout().
  void resume_policy(PolicyRollout rollout, TimePoint now);

  // An operator vouches that this machine of a NAT64 node is gone, or returns wiped. Its stream ends. What
  // other machines with its node_id hold stays theirs: nobody vouched for them.
  void fence(const Holder& holder, TimePoint now);
  // A NAT64 node leaves service, or comes back. What the shell checked: the node is known; undrain: it
  // drains.
  void drain(Drain drain, TimePoint now);
  void undrain(const std::string& node_id, TimePoint now);

  void on_hello(SessionId session, const Hello& hello, TimePoint now);
  void on_ack(SessionId session, Resource resource, std::uint64_t nonce, Version running, TimePoint now);
  void on_nack(SessionId session, Resource resource, std::uint64_t nonce, Version running, NackKind kind,
               std::vector<Violation> violations, TimePoint now);
  void on_renewal(SessionId session, std::uint64_t sequence, const std::vector<Ipv4Address>& addresses,
                  TimePoint now);
  void on_report(SessionId session, const NodeReport& report, TimePoint now);
  void on_goodbye(SessionId session, const std::vector<Ipv4Address>& released, TimePoint now);
  void on_closed(SessionId session, TimePoint now);

  void settle(TimePoint now);
  [[nodiscard]] Outcome take();

  // --- reading ---
  using Key = std::pair<ServiceKind, std::string>;  // kind, node_id
  [[nodiscard]] const std::map<Key, ServiceRecord>& services() const { return services_; }
  [[nodiscard]] const LeaseTable& leases() const { return leases_; }
  [[nodiscard]] const HealthJudge& health() const { return health_; }
  [[nodiscard]] Version policy_version() const { return policy_.target_version(); }
  [[nodiscard]] const Policy* policy() const { return policy_.target().policy.get(); }
  [[nodiscard]] const PolicyRollout& rollout() const { return policy_; }
  [[nodiscard]] const std::map<std::string, Drain>& drains() const { return drains_; }
  [[nodiscard]] const Drain* drain_of(const std::string& node_id) const;
  // Of a node that has left the answers: when the last one that names it is gone. Answers in a SHARED prefix
  // name no node.
  [[nodiscard]] TimePoint answers_until(const Drain& drain) const;
  [[nodiscard]] std::uint64_t lease_conflicts() const { return lease_conflicts_; }
  // Services that were told to come again, because too many came at once.
  [[nodiscard]] std::uint64_t turned_away() const { return turned_away_; }
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  // Names this controller's time of deciding: no other begins with the same.
  [[nodiscard]] std::uint64_t epoch_at_start() const { return epoch_at_start_; }
  [[nodiscard]] bool settling() const { return settling_; }
  [[nodiscard]] const std::map<Holder, KnownNode>& known_nodes() const { return known_nodes_; }
  // Has this stream said hello, and is it the one of its service?
  [[nodiscard]] bool serves(SessionId session) const { return sessions_.contains(session); }
  // Known to the store and not heard since the start.
  [[nodiscard]] const std::set<Holder>& awaited() const { return awaited_; }

 private:
  ServiceRecord* heard(SessionId session, TimePoint now);
  void policy_begins(TimePoint now);
  [[nodiscard]] bool refuse(SessionId session, const Hello& hello, TimePoint now);
  [[nodiscard]] bool refuse_rival(SessionId session, const Hello& hello, ServiceRecord& known, TimePoint now);
  void forget_former(const ServiceRecord& known, const Hello& hello);
  [[nodiscard]] TimePoint all_could_come() const { return std::max(start_, admission_.busy_until()); }
  void disconnect(ServiceRecord& service);
  void raise_epoch(const Hello& hello);
  void remember(const ServiceRecord& service, TimePoint now);
  void forget_node(const Holder& holder);
  void settle_down(TimePoint now);
  void tell_awaited(TimePoint now);
  void reconcile_leases(ServiceRecord& service, TimePoint now);
  void expire(TimePoint now);
  void advance_policy(TimePoint now);
  void use_pools_and_prefixes(TimePoint now);
  void advance_drains(TimePoint now);
  [[nodiscard]] bool in_answers(const std::string& node_id) const;
  void plan(TimePoint now);
  void publish_health();
  void update(ServiceRecord& service, TimePoint now);
  void send(ServiceRecord& service, Resource resource);
  [[nodiscard]] std::vector<NodePrefix> prefixes_in_answers(const std::string& node_id);
  [[nodiscard]] Allocation allocation_of(const ServiceRecord& service);
  [[nodiscard]] bool able(const ServiceRecord& service) const;
  void note(EventKind kind, const std::string& node_id, std::string text);

  Settings settings_;
  std::uint64_t epoch_;
  const std::uint64_t epoch_at_start_;
  const TimePoint start_;
  bool settling_;
  std::map<Holder, KnownNode> known_nodes_;
  std::set<Holder> changed_nodes_;
  std::set<Holder> awaited_;
  PolicyRollout policy_;
  std::shared_ptr<const Policy> pools_of_;  // whose pools are leased from
  TimePoint rollout_from_;                  // not before
  TimePoint tell_awaited_at_;
  bool stopped_noted_ = false;
  std::map<std::string, Drain> drains_;
  LeaseTable leases_;
  NodePrefixes prefixes_;
  HealthJudge health_;
  std::shared_ptr<const HealthySet> healthy_set_;
  Version health_version_;
  Admission admission_;
  std::map<Key, ServiceRecord> services_;
  std::map<SessionId, Key> sessions_;
  std::uint64_t planned_generation_ = ~std::uint64_t{0};
  bool replan_ = true;
  std::uint64_t lease_conflicts_ = 0;
  std::uint64_t turned_away_ = 0;
  Outcome out_;
};

}  // namespace isthmus::controller
