// SPDX-License-Identifier: Apache-2.0
// A NetworkView that a test builds route by route.
#pragma once

#include "nat64-svc/shell/netlink/network_view.hpp"

namespace isthmus::nat64::test {

class BuiltView : public NetworkView {
 public:
  BuiltView() : BuiltView(std::make_shared<Routes>()) {}

  using NetworkView::add;
  void add(const Ipv4Prefix& prefix, const Route& route) { built_->four.add(prefix, route); }
  void add(const Ipv6Prefix& prefix, const Route& route) { built_->six.add(prefix, route); }

 private:
  explicit BuiltView(std::shared_ptr<Routes> routes) : NetworkView(routes), built_(std::move(routes)) {}
  std::shared_ptr<Routes> built_;
};

}  // namespace isthmus::nat64::test
