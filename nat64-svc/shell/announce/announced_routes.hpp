// SPDX-License-Identifier: Apache-2.0
// Routes for a routing daemon (BIRD, FRR, GoBGP) to announce: one for each translation prefix and each pool
// address, `proto 110 metric 512`, by way of a TUN interface that this process holds open. However the
// process ends, the interface goes with it and the routes with the interface, so the daemon withdraws them at
// once; the `unreachable` routes of KernelRoutes stay behind and answer what still comes.
//
// Nobody reads from the interface: what the machine itself sends to these destinations is lost there.
// Not thread-safe.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "common/net/prefix.hpp"
#include "nat64-svc/shell/netlink/own_routes.hpp"

struct nl_sock;

namespace isthmus::nat64 {

inline constexpr std::uint32_t kAnnouncedMetric = 512;

class AnnouncedRoutes {
 public:
  // Errors are sentences with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<AnnouncedRoutes>, std::string> open(
      const std::string& interface);
  ~AnnouncedRoutes();  // withdraws all
  AnnouncedRoutes(const AnnouncedRoutes&) = delete;
  AnnouncedRoutes& operator=(const AnnouncedRoutes&) = delete;

  [[nodiscard]] Result<void, std::string> add(const std::set<Ipv6Prefix>& prefixes,
                                              const std::set<Ipv4Prefix>& addresses);
  void keep_only(const std::set<Ipv6Prefix>& prefixes, const std::set<Ipv4Prefix>& addresses);
  // Compares with what the kernel has, and mends it.
  [[nodiscard]] Result<RouteDifference, std::string> mend();

 private:
  AnnouncedRoutes() = default;
  UniqueFd device_;
  nl_sock* socket_ = nullptr;
  int interface_ = 0;
  std::set<Ipv6Prefix> prefixes_;
  std::set<Ipv4Prefix> addresses_;
};

}  // namespace isthmus::nat64
