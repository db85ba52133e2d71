// SPDX-License-Identifier: Apache-2.0
// Keeps a NetworkView current: one thread listens for the kernel's changes of links, addresses, routes and
// neighbours, reads all anew when something changed, and publishes. Reading all is simple and cannot drift
// from the kernel; changes that come together are read once.
//
// The thread also has the kernel resolve the neighbours that workers ask for, and verify those they use.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "nat64-svc/shell/netlink/network_view.hpp"
#include "nat64-svc/shell/published.hpp"

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
  [[nodiscard]] bool refresh() { return read_all(); }
  void start(OnChange on_change);
  void stop();
  [[nodiscard]] const Published<NetworkView>& view() const { return view_; }

  // Has the kernel find the link address of a neighbour. Any thread; cheap; more than kMaxRequests waiting
  // ones are forgotten (the packet's sender tries again).
  void ask_for(int interface, const IpAddress& address);
  static constexpr std::size_t kMaxRequests = 256;

 private:
  NetlinkWatcher() = default;
  [[nodiscard]] bool read_all();
  void run();
  void solicit(int interface, const IpAddress& address);

  nl_sock* events_ = nullptr;
  nl_sock* requests_ = nullptr;
  UniqueFd wake_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> dirty_{false};
  std::mutex wanted_mutex_;
  std::vector<NetworkView::NeighbourKey> wanted_;
  Published<NetworkView> view_;
  OnChange on_change_;
  std::thread thread_;
};

}  // namespace isthmus::nat64
