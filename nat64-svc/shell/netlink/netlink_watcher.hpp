// SPDX-License-Identifier: Apache-2.0
// Keeps a NetworkView current: one thread listens for the kernel's changes of links, addresses, routes and
// neighbours, reads anew what changed (read_pace.hpp), and publishes. To read a table whole is simple and
// cannot drift from the kernel; the routes are left out where only neighbours changed.
//
// The thread also has the kernel resolve the neighbours that workers ask for, and verify those they use.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "nat64-svc/shell/netlink/network_view.hpp"
#include "nat64-svc/shell/netlink/read_pace.hpp"
#include "nat64-svc/shell/published.hpp"

struct nl_msg;
struct nl_sock;

namespace isthmus::nat64 {

class NetlinkWatcher {
 public:
  // `on_change` is called from the watcher's thread after each publication.
  using OnChange = std::function<void(const NetworkView&)>;

  // Reads a first view before it returns. The error is a sentence with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<NetlinkWatcher>, std::string> open();
  ~NetlinkWatcher();  // stops
  NetlinkWatcher(const NetlinkWatcher&) = delete;
  NetlinkWatcher& operator=(const NetlinkWatcher&) = delete;

  // Reads anew what just changed. Before start() only.
  [[nodiscard]] bool refresh() { return read(Reading::kAll); }
  void start(OnChange on_change);
  void stop();
  [[nodiscard]] const Published<NetworkView>& view() const { return view_; }
  // How often the kernel's tables were read, and how long the last reading took. Any thread.
  struct Readings {
    std::uint64_t count = 0;
    Duration last{};
  };
  [[nodiscard]] Readings readings(Reading what) const;

  // Has the kernel find the link address of a neighbour. Any thread; cheap; more than kMaxRequests waiting
  // ones are forgotten (the packet's sender tries again).
  void ask_for(int interface, const IpAddress& address);
  static constexpr std::size_t kMaxRequests = 256;

 private:
  NetlinkWatcher() = default;
  [[nodiscard]] bool read(Reading what);
  [[nodiscard]] bool read_tables(Reading what);
  void run();
  void take_events(TimePoint now);
  void ask_wanted();
  void read_what_is_due();
  static int note_change(nl_msg* message, void* self);
  void solicit(int interface, const IpAddress& address);

  nl_sock* events_ = nullptr;
  nl_sock* requests_ = nullptr;
  UniqueFd wake_;
  std::atomic<bool> stop_{false};
  ReadPace pace_;
  // Routes of older views, until every reader has left them: a million of them are given back here, not by a
  // worker between two packets.
  std::vector<std::shared_ptr<const Routes>> retired_;
  bool changed_all_ = false, changed_neighbours_ = false;  // by the events that take_events() takes
  struct Tally {
    std::atomic<std::uint64_t> count{0};
    std::atomic<std::int64_t> last_ns{0};
  };
  std::array<Tally, 2> tallies_;
  TimePoint next_refresh_;
  std::mutex wanted_mutex_;
  std::vector<NetworkView::NeighbourKey> wanted_;
  Published<NetworkView> view_;
  OnChange on_change_;
  std::thread thread_;
};

}  // namespace isthmus::nat64
