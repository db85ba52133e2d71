// SPDX-License-Identifier: Apache-2.0
// One thread, its queues of each interface, one translator: receive a burst, translate, find the next hop,
// send. Workers share nothing on the packet path; what they read (runtime, network view) is published whole
// and what they count is read without locks.
#pragma once

#include <poll.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "nat64-svc/core/path_probe.hpp"
#include "nat64-svc/core/translator.hpp"
#include "nat64-svc/shell/capture/capture_tap.hpp"
#include "nat64-svc/shell/event_spool.hpp"
#include "nat64-svc/shell/hand_over_ring.hpp"
#include "nat64-svc/shell/io_counters.hpp"
#include "nat64-svc/shell/mailbox.hpp"
#include "nat64-svc/shell/netlink/netlink_watcher.hpp"
#include "nat64-svc/shell/published.hpp"
#include "nat64-svc/shell/ways.hpp"
#include "nat64-svc/shell/xsk/xsk_socket.hpp"

namespace isthmus::nat64 {

struct WorkerPort {
  std::string interface;  // with the routes and neighbours
  int interface_index = 0;
  std::string device;  // with the queues: the interface or, of a VLAN, its parent
  int device_index = 0;
  std::uint16_t vlan = 0;  // of the tag that its frames on the device bear; 0: none
  // Those that this worker serves; none: the port before has the same device, and its sockets serve both.
  std::vector<std::uint32_t> queues;
};

struct WorkerOptions {
  std::uint16_t index = 0;
  std::vector<WorkerPort> ports;  // one or two
  std::uint32_t frame_size = 2048;
  bool copy_only = false;
  std::uint32_t busy_poll = 0;
  // Node mode: all packets go to the kernel, whose end of the pair has this link address.
  std::optional<MacAddress> kernel_end;
  EventQueue* events = nullptr;  // none: records are not kept; outlives the worker
  TranslatorLimits limits;
  HashKey key;
};

class Worker {
 public:
  // Binds the sockets; the thread starts with start(). The error is a sentence with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<Worker>, std::string> create(WorkerOptions options,
                                                                           NetlinkWatcher& watcher);
  ~Worker();  // stops
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Before start(): all workers of the node, by index; each gets a ring from every other.
  void connect(const std::vector<Worker*>& peers);
  void start();
  void stop();

  // Hands over a runtime; running() reaches the returned generation when the worker uses it. One caller at a
  // time.
  std::uint64_t publish(std::shared_ptr<const Runtime> runtime);
  [[nodiscard]] std::uint64_t running() const { return running_.load(std::memory_order_acquire); }

  // From this time on every packet is dropped: the last guard of STOP leases, should nobody tell us in time.
  void set_stop(TimePoint stop) {
    stop_at_.store(stop.time_since_epoch().count(), std::memory_order_release);
  }
  void wake();  // from sleep, to look at what was published; any thread

  struct BoundSocket {
    std::size_t port;
    std::uint32_t queue;
    std::unique_ptr<XskSocket> socket;
  };
  [[nodiscard]] const std::vector<BoundSocket>& sockets() const { return sockets_; }
  // Any thread: looks into the translator, on the worker's thread and between two bursts; keep it short.
  // False: the worker did not answer in time, and nothing was done.
  [[nodiscard]] bool look(const std::function<void(const Translator&, TimePoint)>& look);
  // Copies of packets go there from now on; null: nowhere. False as for look().
  [[nodiscard]] bool set_tap(std::shared_ptr<CaptureTap> tap);

  [[nodiscard]] const Counters& counters() const { return translator_->counters(); }
  [[nodiscard]] const IoCounters& io() const { return io_; }
  [[nodiscard]] std::uint16_t index() const { return options_.index; }

 private:
  static constexpr std::size_t kBurst = 64;
  static constexpr std::size_t kHeldInAll = 256;
  struct HeldPacket {  // waits for its neighbour's link address; owns its frame
    NetworkView::NeighbourKey neighbour;
    FrameAddress address;  // of the IP header
    std::uint32_t length;
    TimePoint deadline;
  };

  Worker(WorkerOptions options, NetlinkWatcher& watcher);
  [[nodiscard]] Result<void, BindFailure> open_sockets(bool zero_copy);
  void run();
  void refresh(TimePoint now);
  std::size_t receive_from(BoundSocket& bound, TimePoint now);
  void count_gathered();
  void gather(const Received& received);
  void gather(Side from, FrameAddress address, std::size_t length, const FragmentNote& note = {});
  void translate_burst(TimePoint now);
  void dispatch(FrameAddress address, const BurstPacket& done, TimePoint now);
  void hand_over(std::uint16_t owner, Side from, const FragmentNote& note,
                 std::span<const std::uint8_t> packet);
  std::size_t receive_handed_over(TimePoint now);
  void publish_handed_over();
  void send_copy(std::span<const std::uint8_t> packet, TimePoint now);
  // The frame belongs to these: they send it, hold it, or give it back.
  void route(FrameAddress address, std::uint32_t length, TimePoint now, bool may_hold);
  void hold(const NextHop& hop, FrameAddress address, std::uint32_t length, TimePoint now);
  void transmit(const Way& way, FrameAddress address, std::uint32_t length);
  // Null: the port's interface is gone.
  [[nodiscard]] std::optional<Way> way(std::size_t port, const MacAddress& to) const;
  void retry_held(TimePoint now);
  void drop(FrameAddress address, IoDrop reason);
  // Drops it; its sender hears `told`, if anything.
  void refuse(FrameAddress address, std::uint32_t length, IoDrop reason, std::optional<Unreachable> told,
              TimePoint now);
  void probe(TimePoint now);
  void sample_source(const Received& received);
  void sleep();
  static std::uint32_t route_mtu(void* self, Side side, std::span<const std::uint8_t> destination);

  WorkerOptions options_;
  NetlinkWatcher& watcher_;
  std::unique_ptr<Umem> umem_;
  std::vector<BoundSocket> sockets_;      // destroyed before umem_
  std::array<XskSocket*, 2> transmit_{};  // by port: the socket that sends
  std::unique_ptr<Translator> translator_;
  Published<Runtime> runtime_;
  Published<Runtime>::Reader runtime_reader_{runtime_};
  Published<NetworkView>::Reader view_reader_;
  Ways ways_;
  std::array<BurstPacket, kBurst> burst_;
  std::array<FrameAddress, kBurst> gathered_{};  // the frames of the burst
  std::size_t gathered_count_ = 0;
  PathProbe probe_;
  Mailbox mailbox_;
  std::shared_ptr<CaptureTap> tap_;  // null: nobody captures
  std::vector<HeldPacket> held_;
  std::vector<Worker*> peers_;                          // by index; itself included
  std::vector<std::unique_ptr<HandOverRing>> inboxes_;  // by the sender's index; none from itself
  std::atomic<bool> sleeping_{false};
  IoCounters io_;
  UniqueFd wake_;
  std::vector<pollfd> polled_;  // the sockets, then wake_
  std::atomic<std::uint64_t> running_{0};
  std::atomic<Duration::rep> stop_at_{TimePoint::max().time_since_epoch().count()};
  bool lease_over_ = false;  // of a STOP lease, as the loop began; nothing leaves then
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace isthmus::nat64
