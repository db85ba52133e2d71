// SPDX-License-Identifier: Apache-2.0
// Our routes in the kernel: `unreachable` ones, `proto 110`, to every translation prefix, every pool
// address in use and the pools as a whole. While this process lives the steering program takes such packets
// before the kernel sees them; when it is dead they meet these routes, so they are answered, never forwarded
// untranslated and never sent back where they came from (a gateway's default route would do that). They
// survive a crash on purpose; the next start adopts them, a clean exit removes them. Routing daemons may
// announce them.
//
// Their metric is the worst, so an operator's own route to the same destination wins. Not thread-safe.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "common/base/result.hpp"
#include "common/net/prefix.hpp"
#include "nat64-svc/shell/netlink/own_routes.hpp"

struct nl_sock;

namespace isthmus::nat64 {

inline constexpr std::uint32_t kBackstopMetric = 0x7fff'0000;  // 2147418112

class KernelRoutes {
 public:
  // Adopts what a crashed process left. The error is a sentence with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<KernelRoutes>, std::string> open();
  ~KernelRoutes();  // leaves the routes; see clear()
  KernelRoutes(const KernelRoutes&) = delete;
  KernelRoutes& operator=(const KernelRoutes&) = delete;

  [[nodiscard]] Result<void, std::string> add(const std::set<Ipv6Prefix>& prefixes,
                                              const std::set<Ipv4Prefix>& addresses);
  // Removes every route of ours that is not among these.
  void keep_only(const std::set<Ipv6Prefix>& prefixes, const std::set<Ipv4Prefix>& addresses);
  void clear() { keep_only({}, {}); }
  // Compares with what the kernel has, and mends it.
  [[nodiscard]] Result<RouteDifference, std::string> mend();

 private:
  KernelRoutes() = default;
  nl_sock* socket_ = nullptr;
  std::set<Ipv6Prefix> prefixes_;
  std::set<Ipv4Prefix> addresses_;
};

}  // namespace isthmus::nat64
