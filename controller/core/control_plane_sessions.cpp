// SPDX-License-Identifier: Apache-2.0
// What services say: who comes in on which stream, what it acks, refuses, reports.
#include <algorithm>
#include <utility>

#include "controller/core/control_plane.hpp"
#include "controller/core/event_text.hpp"

namespace isthmus::controller {
namespace {

using std::chrono::seconds;

constexpr std::size_t kMaxRivals = 16;
constexpr std::uint64_t kSaneEpoch = std::uint64_t{1} << 62;  // a service cannot push us into overflow

}  // namespace

ServiceRecord* ControlPlane::heard(SessionId session, TimePoint now) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return nullptr;  // superseded or refused: nothing it says counts
  ServiceRecord& service = services_.at(it->second);
  service.last_heard = now;
  if (const auto known = known_nodes_.find(service.holder());
      known != known_nodes_.end() && service.hello.kind == ServiceKind::kNat64)
    known->second.last_heard = now;
  return &service;
}

bool ControlPlane::refuse_rival(SessionId session, const Hello& hello, ServiceRecord& known, TimePoint now) {
  if (!known.connected() || known.holder() == holder_of(hello)) return false;
  if (known.rivals.size() < kMaxRivals) known.rivals[hello.incarnation] = now;
  out_.actions.emplace_back(EndSession{session,
                                       "node_id " + hello.node_id + " is in use by another machine at " +
                                           known.hello.peer + ": give each machine a node_id of its own",
                                       std::chrono::seconds{5}});
  note(EventKind::kDuplicateNode, hello.node_id,
       "second machine with this node_id at " + hello.peer + " refused; the first is at " + known.hello.peer);
  return true;
}

bool ControlPlane::refuse(SessionId session, const Hello& hello, TimePoint now) {
  const auto known = services_.find({hello.kind, hello.node_id});
  if (known == services_.end() && services_.size() >= settings_.max_services) {
    out_.actions.emplace_back(
        EndSession{session, "this controller serves as many services as it may", seconds{30}});
    return true;
  }
  if (known != services_.end()) {
    // Its hello was long on the way: what it says is of the past.
    if (session < known->second.newest) {
      out_.actions.emplace_back(EndSession{session, "a newer stream of this node came before", {}});
      return true;
    }
    if (refuse_rival(session, hello, known->second, now)) return true;
  }
  const auto wait = admission_.wait(now);
  if (!wait) return false;
  out_.actions.emplace_back(EndSession{session, "many services connect at once: come again", *wait});
  ++turned_away_;
  return true;
}

void ControlPlane::raise_epoch(const Hello& hello) {
  std::uint64_t seen = 0;
  for (const auto& version : hello.running) seen = std::max(seen, version.epoch);
  if (seen <= epoch_ || seen >= kSaneEpoch) return;
  epoch_ = seen + 1;
  policy_.raise_epoch(epoch_);
  if (health_version_.counter > 0) health_version_.epoch = epoch_;
}

// A machine that takes over the node_id of one that holds nothing and that nobody waits for.
void ControlPlane::forget_former(const ServiceRecord& known, const Hello& hello) {
  const auto former = known.holder();
  if (known.hello.kind == ServiceKind::kNat64 && former != holder_of(hello) && !known_nodes_.contains(former))
    leases_.forget(former);
}

void ControlPlane::on_hello(SessionId session, const Hello& hello, TimePoint now) {
  if (session == kNoSession || sessions_.contains(session)) return;  // one hello per stream
  if (refuse(session, hello, now)) return;
  raise_epoch(hello);

  const Key key{hello.kind, hello.node_id};
  ServiceRecord& service = services_[key];
  if (service.connected()) {  // the same machine again: the older stream is dead or will be
    out_.actions.emplace_back(EndSession{service.session, "replaced by a newer stream of this node", {}});
    disconnect(service);
  }
  if (service.hello.incarnation != hello.incarnation) service.report = {};
  forget_former(service, hello);
  service.hello = hello;
  service.session = service.newest = session;
  service.last_heard = service.connected_since = service.busy_at = now;
  service.left = false;
  service.acked_allocation = 0;
  sessions_[session] = key;
  for (std::size_t i = 0; i < service.rollout.size(); ++i) service.rollout[i].connected(hello.running[i]);
  if (hello.kind == ServiceKind::kNat64) {
    remember(service, now);
    reconcile_leases(service, now);
  }
  // A sign of life: without a policy there is nothing to say yet, and who hears nothing connects again.
  if (policy_.target().empty()) out_.actions.emplace_back(SendRenewed{session, 0, {}});
  replan_ = true;
  note(EventKind::kConnected, hello.node_id,
       std::string(kServiceKindNames[hello.kind]) + " " + hello.build + " from " + hello.peer);
}

void ControlPlane::on_ack(SessionId session, Resource resource, std::uint64_t nonce, Version running,
                          TimePoint now) {
  ServiceRecord* service = heard(session, now);
  if (service == nullptr) return;
  Rollout& rollout = service->rollout[index_of(resource)];
  if (!rollout.on_ack(nonce, running)) return;
  if (resource == Resource::kAllocation && rollout.last_sent().epoch == epoch_) {
    service->acked_allocation = std::max(service->acked_allocation, rollout.last_sent().counter);
    leases_.on_ack(service->holder(), service->acked_allocation, now);
  }
  note(EventKind::kApplied, service->hello.node_id,
       std::string(kResourceNames[resource]) + " " + running.to_string() + " runs");
}

void ControlPlane::on_nack(SessionId session, Resource resource, std::uint64_t nonce, Version running,
                           NackKind kind, std::vector<Violation> violations, TimePoint now) {
  ServiceRecord* service = heard(session, now);
  if (service == nullptr) return;
  std::string why = violations.empty() ? "no reason given" : "";
  for (const auto& v : violations) why += (why.empty() ? "" : "; ") + v.path + ": " + v.message;
  if (!service->rollout[index_of(resource)].on_nack(nonce, running, kind, std::move(violations), now)) return;
  note(EventKind::kRejected, service->hello.node_id,
       std::string(kResourceNames[resource]) + " refused, " + running.to_string() + " keeps running: " + why);
}

void ControlPlane::on_renewal(SessionId session, std::uint64_t sequence,
                              const std::vector<Ipv4Address>& addresses, TimePoint now) {
  ServiceRecord* service = heard(session, now);
  if (service == nullptr) return;
  out_.actions.emplace_back(
      SendRenewed{session, sequence, leases_.on_renewal(service->holder(), addresses, now)});
}

void ControlPlane::on_report(SessionId session, const NodeReport& report, TimePoint now) {
  ServiceRecord* service = heard(session, now);
  if (service == nullptr) return;
  service->report = report;
  service->use = report.blocks_total == 0
                     ? 0
                     : static_cast<double>(report.blocks_used) / static_cast<double>(report.blocks_total);
  if (service->use > kLittleUse) service->busy_at = now;
  const auto freed = leases_.on_released(service->holder(), report.released, service->acked_allocation, now);
  if (!freed.empty()) note(EventKind::kReleased, service->hello.node_id, listed(freed));
}

void ControlPlane::on_goodbye(SessionId session, const std::vector<Ipv4Address>& released, TimePoint now) {
  ServiceRecord* service = heard(session, now);
  if (service == nullptr) return;
  const auto freed = leases_.on_goodbye(service->holder(), released, now);
  service->left = true;
  service->report.serving = false;
  note(EventKind::kGoodbye, service->hello.node_id,
       freed.empty() ? "left" : "left; released " + listed(freed));
  disconnect(*service);
}

void ControlPlane::on_closed(SessionId session, TimePoint now) {
  ServiceRecord* service = heard(session, now);
  if (service == nullptr) return;
  note(EventKind::kClosed, service->hello.node_id, "the stream ended");
  disconnect(*service);
}

void ControlPlane::disconnect(ServiceRecord& service) {
  sessions_.erase(service.session);
  service.session = kNoSession;
  service.use = 0;
  replan_ = true;
}

}  // namespace isthmus::controller
