// SPDX-License-Identifier: Apache-2.0
// The promise of the lease rules, driven at random: no two nodes forward for one address. The real control
// plane plays against model nodes over model streams, with delayed messages, partitions, crashes, reboots,
// pauses, clocks that run slow or fast, second machines with a node_id that is taken, policy changes,
// fencing, and controllers that restart from their store: after a crash in the midst of a commit, and from a
// backup of long ago. The promise is checked after every step.
//
// A model node does what docs/controller.md asks of a service, no more: it applies whole allocations in the
// order of the stream, uses a STOP address only until `term` after sending a renewal that was answered, stops
// what an allocation does not list, and tells releases after the ack.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>

#include "controller/core/control_plane.hpp"

namespace isthmus::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kNames = 4;
constexpr std::size_t kMachines = 6;  // two of them share their names with others
constexpr std::uint32_t kFirstAddress = 0xCB007104;
constexpr std::size_t kAddresses = 6;
constexpr Duration kTerm = seconds{10};
constexpr Duration kQuarantine = milliseconds{200};  // short, so that it hides nothing

struct Random {
  explicit Random(std::uint64_t seed) : engine(seed) {}
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine() % n); }
  bool chance(std::size_t one_in) { return below(one_in) == 0; }
  std::mt19937_64 engine;
};

// What a node uses an address under.
struct Use {
  OnExpiry on_expiry = OnExpiry::kHold;
  Duration term{};
  bool withdrawn = false;
  std::optional<TimePoint> deadline;  // STOP, on the node's clock; none: no renewal was answered yet

  [[nodiscard]] bool lasts(TimePoint clock) const {
    return on_expiry == OnExpiry::kHold || (deadline && clock < *deadline);
  }
};

struct Machine {
  std::string node_id;
  std::string machine;
  int boots = 0;
  int starts = 0;
  double clock_rate = 1;  // of the node's clock against true time: within 1 % by assumption
  bool up = true;
  bool paused = false;       // sends and handles nothing; its workers stand still with it
  bool partitioned = false;  // messages wait; the stream may be seen to die
  bool fenced = false;       // an operator pulled it; it returns only wiped
  std::map<Ipv4Address, Use> uses;
  std::set<Ipv4Address> released;  // withdrawn and given up, until the allocation unlists them
  Version allocation;
  std::map<std::uint64_t, TimePoint> renewals;  // sequence -> when it was sent, own clock
  std::uint64_t sequence = 0;
  SessionId session = kNoSession;

  [[nodiscard]] TimePoint clock(TimePoint now) const {
    return TimePoint{Duration{
        static_cast<Duration::rep>(static_cast<double>(now.time_since_epoch().count()) * clock_rate)}};
  }
  [[nodiscard]] bool forwards(Ipv4Address address, TimePoint now) const {
    if (!up || paused) return false;
    const auto it = uses.find(address);
    return it != uses.end() && it->second.lasts(clock(now));
  }
};

struct ToController {
  enum class Kind { kHello, kAck, kReport, kRenewal, kGoodbye } kind;
  Hello hello;
  Resource resource = Resource::kPolicy;
  std::uint64_t number = 0;
  Version version;
  std::vector<Ipv4Address> addresses;
};

// What a store holds: the state as of the last commit.
struct Stored {
  std::uint64_t epoch = 1;
  bool settling = true;
  std::map<Ipv4Address, Lease> leases;
  std::map<Holder, KnownNode> nodes;

  // As controller/store/ledger.cpp does: the clock keeps the epoch above those of a store that is newer.
  [[nodiscard]] Memory memory(TimePoint now) const {
    const auto clock = static_cast<std::uint64_t>(now.time_since_epoch() / milliseconds{1});
    Memory memory{.epoch = std::max(epoch + 1, clock),
                  .settling = settling,
                  .leases = {},
                  .nodes = {nodes.begin(), nodes.end()}};
    for (const auto& [address, lease] : leases) memory.leases.push_back(lease);
    return memory;
  }
};

// One stream: two ordered queues. What is in them when it dies is lost or, on the way up, may still arrive.
struct Stream {
  std::size_t machine;
  std::deque<ToController> up;
  std::deque<Action> down;
  bool dead_at_node = false;
  bool dead_at_controller = false;
};

class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    for (std::size_t i = 0; i < kMachines; ++i) {
      Machine m;
      m.node_id = "gw" + std::to_string(i % kNames);
      m.machine = "m" + std::to_string(i);
      m.clock_rate = 0.991 + 0.018 * static_cast<double>(i) / (kMachines - 1);
      machines_.push_back(m);
    }
    start_controller();
  }

  void step() {
    now_ += milliseconds{random_.below(100)};
    act();
    plane_->settle(now_);
    auto outcome = plane_->take();
    if (random_.chance(5000)) {  // the power goes while it commits: nobody is told
      ++lost_commits_;
      store(outcome, true);
      restart_controller();
      return;
    }
    store(outcome, false);
    deliver(outcome);
  }

  // The promise. Returns the address that two machines forward for.
  [[nodiscard]] std::optional<Ipv4Address> broken() {
    for (std::uint32_t i = 0; i < kAddresses + 2; ++i) {
      const Ipv4Address address{kFirstAddress - 1 + i};
      int count = 0;
      for (const auto& m : machines_) count += m.forwards(address, now_) ? 1 : 0;
      forwarding_ += static_cast<std::uint64_t>(count);
      if (count > 1) return address;
    }
    return std::nullopt;
  }

  // Evidence that the walk saw something.
  std::uint64_t forwarding_ = 0, grants_ = 0, conflicts_ = 0, restarts_ = 0, fences_ = 0, expiries_ = 0,
                releases_ = 0, duplicates_ = 0, lost_commits_ = 0, restores_ = 0, settled_ = 0, moved_ = 0,
                twins_ = 0;

 private:
  void act() {
    const std::size_t what = random_.below(1000);
    Machine& m = machines_[random_.below(kMachines)];
    if (what < 500) return pump();
    if (what < 700) return node_timer(m);
    if (what < 800) return connect(m);
    if (what < 810) return partition(m);
    if (what < 822) return heal(m);
    if (what < 832) return crash(m);
    if (what < 860) return restart(m);
    if (what < 868) return pause(m);
    if (what < 880) return resume(m);
    if (what < 884) return goodbye(m);
    if (what < 890) return fence(m);
    if (what < 905) return change_policy();
    if (what < 907) return restart_controller();
    if (what < 914) return drop_stream();
    if (what == 914) now_ += seconds{random_.below(30)};
    if (what == 915 && random_.chance(4)) backup_ = stored_;
    if (what == 916 && random_.chance(20)) restore_backup();
  }

  // --- the controller ---

  [[nodiscard]] std::shared_ptr<const Policy> policy() {
    auto p = std::make_shared<Policy>();
    p->pools.resize(1);
    p->pools[0].name = "public";
    const std::size_t skip = random_.below(3);  // sometimes an address leaves the pool
    for (std::size_t i = skip == 2 ? 1 : 0; i < kAddresses; ++i) {
      p->pools[0].addresses.emplace_back(Ipv4Address{kFirstAddress + static_cast<std::uint32_t>(i)}, 32);
    }
    p->pools[0].lease = {.on_expiry = stop_ ? OnExpiry::kStop : OnExpiry::kHold,
                         .term = random_.chance(2) ? kTerm : kTerm * 2,
                         .quarantine = kQuarantine};
    return p;
  }

  void change_policy() {
    if (random_.chance(6)) stop_ = !stop_;
    plane_->set_policy(policy(), now_);
  }

  void start_controller() {
    plane_ = std::make_unique<ControlPlane>(Settings{.adopt_grace = seconds{0},
                                                     .liveness = seconds{5},
                                                     .withdraw_within = seconds{5},
                                                     .idle_after = milliseconds{500}},
                                            stored_.memory(now_), now_);
    plane_->set_policy(policy(), now_);
  }

  // A new process begins with what the store holds.
  void restart_controller() {
    ++restarts_;
    for (auto& [id, stream] : streams_) stream.dead_at_controller = stream.dead_at_node = true;
    for (auto& m : machines_) m.session = kNoSession;
    streams_.clear();
    start_controller();
  }

  // `torn`: what is large takes several commits, in the order of the keys, and only the first got through.
  void store(const Outcome& outcome, bool torn) {
    std::size_t room = outcome.changed_leases.size() + 1 + outcome.changed_nodes.size();
    if (torn) room = random_.below(room);
    const auto fits = [&room] { return room > 0 && room-- > 0; };
    for (const auto address : outcome.changed_leases) {
      if (!fits()) return;
      if (const Lease* lease = plane_->leases().find(address)) {
        stored_.leases[address] = *lease;
      } else {
        stored_.leases.erase(address);
      }
    }
    if (!fits()) return;
    stored_.epoch = plane_->epoch();
    stored_.settling = plane_->settling();
    for (const auto& holder : outcome.changed_nodes) {
      if (!fits()) return;
      const auto known = plane_->known_nodes().find(holder);
      if (known == plane_->known_nodes().end()) {
        stored_.nodes.erase(holder);
      } else {
        stored_.nodes[holder] = known->second;
      }
    }
  }

  // As docs/operations.md says: a gateway that the backup does not know and that is cut off is turned off
  // first and comes back wiped.
  void restore_backup() {
    ++restores_;
    for (auto& m : machines_) {
      if (backup_.nodes.contains(Holder{m.node_id, m.machine}) || m.uses.empty()) continue;
      crash(m);
      m.fenced = true;
    }
    stored_ = backup_;
    stored_.settling = true;
    for (auto& [holder, node] : stored_.nodes) node.last_heard = now_;
    restart_controller();
  }

  void deliver(Outcome& outcome) {
    for (const auto& event : outcome.events) {
      grants_ += event.kind == EventKind::kGranted ? 1 : 0;
      conflicts_ += event.kind == EventKind::kLeaseConflict ? 1 : 0;
      expiries_ += event.kind == EventKind::kExpired ? 1 : 0;
      releases_ += event.kind == EventKind::kReleased ? 1 : 0;
      duplicates_ += event.kind == EventKind::kDuplicateNode ? 1 : 0;
      settled_ += event.kind == EventKind::kSettled ? 1 : 0;
      const bool moved = event.kind == EventKind::kWithdrawn && event.text.ends_with("little use here");
      moved_ += moved ? 1 : 0;
    }
    for (auto& action : outcome.actions) {
      const auto session = std::visit([](const auto& a) { return a.session; }, action);
      const auto it = streams_.find(session);
      if (it == streams_.end()) continue;
      if (std::holds_alternative<EndSession>(action)) it->second.dead_at_controller = true;
      it->second.down.push_back(std::move(action));
    }
  }

  // --- the network: moves one message of one stream, in order, or lets it wait ---

  void pump() {
    if (streams_.empty()) return;
    auto it = streams_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(random_.below(streams_.size())));
    const SessionId session = it->first;
    Stream& stream = it->second;
    Machine& m = machines_[stream.machine];
    if (m.partitioned) return;
    if (random_.chance(2)) {
      if (!stream.up.empty()) {
        const ToController message = std::move(stream.up.front());
        stream.up.pop_front();
        receive(session, message);
      } else if (stream.dead_at_node && !stream.dead_at_controller) {
        stream.dead_at_controller = true;
        plane_->on_closed(session, now_);
      }
    } else if (m.up && !m.paused && !stream.dead_at_node && m.session == session && !stream.down.empty()) {
      const Action action = std::move(stream.down.front());
      stream.down.pop_front();
      handle(m, stream, action);
    }
    if (stream.dead_at_node && stream.dead_at_controller && stream.up.empty()) streams_.erase(session);
  }

  void receive(SessionId session, const ToController& message) {
    switch (message.kind) {
      case ToController::Kind::kHello:
        return plane_->on_hello(session, message.hello, now_);
      case ToController::Kind::kAck:
        return plane_->on_ack(session, message.resource, message.number, message.version, now_);
      case ToController::Kind::kReport:
        return plane_->on_report(session,
                                 {.serving = true,
                                  .blocks_used = random_.below(random_.chance(2) ? 100 : 30),
                                  .blocks_total = 100,
                                  .released = message.addresses},
                                 now_);
      case ToController::Kind::kRenewal:
        return plane_->on_renewal(session, message.number, message.addresses, now_);
      case ToController::Kind::kGoodbye:
        return plane_->on_goodbye(session, message.addresses, now_);
    }
  }

  void drop_stream() {
    if (streams_.empty()) return;
    auto it = streams_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(random_.below(streams_.size())));
    close_at_node(machines_[it->second.machine]);
  }

  // --- nodes ---

  void close_at_node(Machine& m) {
    if (m.session != kNoSession) {
      Stream& stream = streams_.at(m.session);
      stream.dead_at_node = true;
      if (random_.chance(2)) stream.up.clear();  // what was under way is lost; else it still arrives, late
    }
    m.session = kNoSession;
  }

  void say(Machine& m, ToController message) { streams_.at(m.session).up.push_back(std::move(message)); }

  void connect(Machine& m) {
    if (!m.up || m.paused || m.partitioned || m.session != kNoSession) return;
    m.session = ++next_session_;
    streams_[m.session].machine = static_cast<std::size_t>(&m - machines_.data());
    ToController hello{.kind = ToController::Kind::kHello, .hello = {}, .version = {}, .addresses = {}};
    hello.hello.node_id = m.node_id;
    hello.hello.machine = m.machine;
    hello.hello.boot_id = "boot" + std::to_string(m.boots);
    hello.hello.incarnation = std::to_string(m.starts);
    hello.hello.kind = ServiceKind::kNat64;
    hello.hello.running[index_of(Resource::kAllocation)] = m.allocation;
    for (const auto& [address, use] : m.uses) {
      if (use.lasts(m.clock(now_))) hello.hello.leases_held.push_back(address);
    }
    say(m, hello);
  }

  void handle(Machine& m, Stream& stream, const Action& action) {
    if (const auto* p = std::get_if<SendPolicy>(&action)) {
      say(m, {.kind = ToController::Kind::kAck,
              .hello = {},
              .resource = Resource::kPolicy,
              .number = p->nonce,
              .version = p->version,
              .addresses = {}});
    } else if (const auto* a = std::get_if<SendAllocation>(&action)) {
      apply(m, *a);
    } else if (const auto* r = std::get_if<SendRenewed>(&action)) {
      const auto sent = m.renewals.find(r->sequence);
      if (sent == m.renewals.end()) return;
      for (const auto address : r->addresses) {
        const auto use = m.uses.find(address);
        if (use != m.uses.end() && use->second.on_expiry == OnExpiry::kStop)
          use->second.deadline = sent->second + use->second.term;
      }
    } else if (std::holds_alternative<EndSession>(action)) {
      stream.dead_at_node = true;
      m.session = kNoSession;
    }
  }

  void apply(Machine& m, const SendAllocation& update) {
    std::map<Ipv4Address, Use> next;
    std::set<Ipv4Address> released;
    for (const auto& leased : update.allocation.addresses) {
      const auto old = m.uses.find(leased.address);
      if (leased.withdrawn && (old == m.uses.end() || m.released.contains(leased.address))) {
        released.insert(leased.address);  // never used, or given up already
        continue;
      }
      Use use{leased.on_expiry, leased.term, leased.withdrawn, std::nullopt};
      if (old != m.uses.end()) use.deadline = old->second.deadline;
      next.emplace(leased.address, use);
    }
    m.uses = std::move(next);
    m.released = std::move(released);
    m.allocation = update.version;
    say(m, {.kind = ToController::Kind::kAck,
            .hello = {},
            .resource = Resource::kAllocation,
            .number = update.nonce,
            .version = update.version,
            .addresses = {}});
  }

  // Reports, renews, and finishes drains.
  void node_timer(Machine& m) {
    if (!m.up || m.paused) return;
    for (auto it = m.uses.begin(); it != m.uses.end();) {
      if (it->second.withdrawn && random_.chance(4)) {
        m.released.insert(it->first);
        it = m.uses.erase(it);
      } else {
        ++it;
      }
    }
    if (m.session == kNoSession || streams_.at(m.session).up.size() > 20) return;
    ToController report{.kind = ToController::Kind::kReport, .hello = {}, .version = {}, .addresses = {}};
    report.addresses.assign(m.released.begin(), m.released.end());
    say(m, report);
    ToController renewal{.kind = ToController::Kind::kRenewal,
                         .hello = {},
                         .number = ++m.sequence,
                         .version = {},
                         .addresses = {}};
    for (const auto& [address, use] : m.uses) renewal.addresses.push_back(address);
    m.renewals[m.sequence] = m.clock(now_);
    if (m.renewals.size() > 16) m.renewals.erase(m.renewals.begin());
    say(m, renewal);
  }

  void partition(Machine& m) { m.partitioned = true; }
  void heal(Machine& m) { m.partitioned = false; }
  void pause(Machine& m) { m.paused = true; }
  void resume(Machine& m) { m.paused = false; }

  void crash(Machine& m) {
    close_at_node(m);
    m.up = false;
    m.paused = false;
    m.renewals.clear();
  }

  // After a crash: the process, or the whole machine. HOLD leases come back from disk; STOP ones wait for a
  // renewal.
  void restart(Machine& m) {
    if (m.up) return;
    ++m.starts;
    if (random_.chance(2)) ++m.boots;
    if (m.fenced) {  // it returns as a machine that knows nothing
      m.fenced = false;
      m.machine += "'";
      m.uses.clear();
      m.released.clear();
      m.allocation = {};
    }
    for (auto& [address, use] : m.uses) use.deadline.reset();
    m.up = true;
  }

  void goodbye(Machine& m) {
    if (!m.up || m.paused || m.session == kNoSession) return;
    ToController bye{.kind = ToController::Kind::kGoodbye, .hello = {}, .version = {}, .addresses = {}};
    for (const auto& [address, use] : m.uses) bye.addresses.push_back(address);
    bye.addresses.insert(bye.addresses.end(), m.released.begin(), m.released.end());
    m.uses.clear();
    m.released.clear();
    m.allocation = {};
    say(m, bye);
    streams_.at(m.session).dead_at_node = true;
    m.session = kNoSession;
    m.up = false;
    m.renewals.clear();
  }

  // The operator makes sure first: this machine is off, and stays off or comes back wiped. Another one of its
  // name may run on, connected or cut off, and forward for what it holds.
  void fence(Machine& m) {
    if (m.up || !random_.chance(4)) return;
    m.fenced = true;
    ++fences_;
    for (const auto& other : machines_) {
      if (&other != &m && other.node_id == m.node_id && other.up && !other.uses.empty()) ++twins_;
    }
    plane_->fence({m.node_id, m.machine}, now_);
    fence_the_gone(m.node_id);
  }

  // Machines of this name that came back wiped long ago: a backup, or a hello that was late, brought them up
  // again, and the operator finds them among those that are awaited or hold addresses.
  void fence_the_gone(const std::string& node_id) {
    std::set<Holder> gone;
    const auto add = [&](const Holder& holder) {
      const bool there = std::ranges::any_of(
          machines_, [&](const Machine& m) { return holder == Holder{m.node_id, m.machine}; });
      if (holder.node_id == node_id && !there) gone.insert(holder);
    };
    for (const auto& [holder, node] : plane_->known_nodes()) add(holder);
    for (const auto& [holder, addresses] : plane_->leases().holders()) add(holder);
    for (const auto& holder : gone) plane_->fence(holder, now_);
  }

  Random random_;
  TimePoint now_{seconds{1000}};
  Stored stored_;
  Stored backup_;
  SessionId next_session_ = kNoSession;
  bool stop_ = false;
  std::unique_ptr<ControlPlane> plane_;
  std::vector<Machine> machines_;
  std::map<SessionId, Stream> streams_;
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kSteps = 500'000;
#else
constexpr std::uint64_t kSteps = 10'000'000;
#endif

std::uint64_t steps() {
  const char* wish = std::getenv("ISTHMUS_MODEL_STEPS");
  return wish == nullptr ? kSteps : std::strtoull(wish, nullptr, 10);
}

TEST(LeaseModel, NoTwoNodesEverForwardForOneAddress) {
  constexpr std::uint64_t kWalks = 100;
  const std::uint64_t length = steps() / kWalks;
  World total(0);
  for (std::uint64_t seed = 1; seed <= kWalks; ++seed) {
    World world(seed);
    for (std::uint64_t i = 0; i < length; ++i) {
      world.step();
      const auto address = world.broken();
      ASSERT_FALSE(address) << address->to_string() << " has two forwarders: seed " << seed << ", step " << i;
    }
    total.forwarding_ += world.forwarding_;
    total.grants_ += world.grants_;
    total.conflicts_ += world.conflicts_;
    total.restarts_ += world.restarts_;
    total.fences_ += world.fences_;
    total.expiries_ += world.expiries_;
    total.releases_ += world.releases_;
    total.duplicates_ += world.duplicates_;
    total.lost_commits_ += world.lost_commits_;
    total.restores_ += world.restores_;
    total.settled_ += world.settled_;
    total.moved_ += world.moved_;
    total.twins_ += world.twins_;
  }
  RecordProperty("address_steps_forwarding", std::to_string(total.forwarding_));
  std::printf(
      "forwarding %lu, grants %lu, releases %lu, expiries %lu, fences %lu, restarts %lu, duplicates %lu, "
      "conflicts %lu, lost commits %lu, restores %lu, settled %lu, moved for load %lu, fenced beside a twin "
      "that "
      "forwards %lu\n",
      total.forwarding_, total.grants_, total.releases_, total.expiries_, total.fences_, total.restarts_,
      total.duplicates_, total.conflicts_, total.lost_commits_, total.restores_, total.settled_, total.moved_,
      total.twins_);
  // A walk in which nothing happens proves nothing.
  const auto per = [&](std::uint64_t n) { return length * kWalks / n; };
  EXPECT_GT(total.forwarding_, per(2));
  EXPECT_GT(total.grants_, per(1000));
  EXPECT_GT(total.releases_, per(10000));
  EXPECT_GT(total.expiries_, per(10000));
  EXPECT_GT(total.fences_, per(10000));
  EXPECT_GT(total.restarts_, per(2000));
  EXPECT_GT(total.duplicates_, per(10000));
  EXPECT_GT(total.lost_commits_, per(10000));
  EXPECT_GT(total.restores_, per(50000));
  EXPECT_GT(total.settled_, per(50000));
  EXPECT_GT(total.moved_, per(50000));
  EXPECT_GT(total.twins_, per(100000));
}

}  // namespace
}  // namespace isthmus::controller
