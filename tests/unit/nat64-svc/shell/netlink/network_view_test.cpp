// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/netlink/network_view.hpp"

#include <gtest/gtest.h>

#include "tests/support/built_view.hpp"

namespace isthmus::nat64 {
namespace {

using test::BuiltView;

constexpr int kLan = 3;
constexpr int kWan = 7;
constexpr MacAddress kRouterMac{{0x02, 0, 0, 0, 0x04, 0x01}};
constexpr MacAddress kHostMac{{0x02, 0, 0, 0, 0x04, 0x21}};

Ipv4Address v4(const char* text) {
  return *Ipv4Address::parse(text);
}
Ipv6Address v6(const char* text) {
  return *Ipv6Address::parse(text);
}
Ipv4Prefix p4(const char* text) {
  return *Ipv4Prefix::parse(text);
}
Ipv6Prefix p6(const char* text) {
  return *Ipv6Prefix::parse(text);
}

Route unicast(int interface, std::optional<IpAddress> gateway = std::nullopt, std::uint32_t metric = 0) {
  return {RouteKind::kUnicast, metric, interface, gateway};
}

TEST(NetworkView, WithoutRoutesNothingIsReachable) {
  const BuiltView view;
  EXPECT_EQ(view.next_hop(v4("192.0.2.33")).reach, Reach::kNoRoute);
  EXPECT_EQ(view.next_hop(v6("2001:db8::33")).reach, Reach::kNoRoute);
}

TEST(NetworkView, AGatewayIsTheNextHopOfItsRoute) {
  BuiltView view;
  view.add(p4("0.0.0.0/0"), unicast(kWan, v4("198.51.100.1")));
  view.add_neighbour(kWan, v4("198.51.100.1"), kRouterMac, false);
  const auto hop = view.next_hop(v4("192.0.2.33"));
  EXPECT_EQ(hop.reach, Reach::kReady);
  EXPECT_EQ(hop.interface, kWan);
  EXPECT_EQ(hop.mac, kRouterMac);
}

TEST(NetworkView, ADestinationOnTheLinkIsItsOwnNextHop) {
  BuiltView view;
  view.add(p6("2001:db8:6::/64"), unicast(kLan));
  view.add_neighbour(kLan, v6("2001:db8:6::21"), kHostMac, false);
  EXPECT_EQ(view.next_hop(v6("2001:db8:6::21")).mac, kHostMac);
  const auto unknown = view.next_hop(v6("2001:db8:6::22"));
  EXPECT_EQ(unknown.reach, Reach::kUnresolved);
  EXPECT_EQ(unknown.neighbour, IpAddress{v6("2001:db8:6::22")});
}

TEST(NetworkView, ANeighbourOfAnotherInterfaceIsAnotherNeighbour) {
  BuiltView view;
  view.add(p6("2001:db8:6::/64"), unicast(kLan, v6("fe80::1")));
  view.add_neighbour(kWan, v6("fe80::1"), kRouterMac, false);
  EXPECT_EQ(view.next_hop(v6("2001:db8:6::21")).reach, Reach::kUnresolved);
}

TEST(NetworkView, AnIpv4RouteMayHaveAnIpv6Gateway) {
  BuiltView view;
  view.add(p4("0.0.0.0/0"), unicast(kWan, v6("fe80::1")));
  view.add_neighbour(kWan, v6("fe80::1"), kRouterMac, false);
  EXPECT_EQ(view.next_hop(v4("192.0.2.33")).mac, kRouterMac);
}

TEST(NetworkView, TheLongestPrefixWins) {
  BuiltView view;
  view.add(p4("0.0.0.0/0"), unicast(kWan, v4("198.51.100.1")));
  view.add(p4("192.0.2.0/24"), unicast(kLan, v4("10.0.0.1")));
  view.add(p4("192.0.2.33/32"), Route{RouteKind::kLocal, 0, kLan, std::nullopt});
  view.add(p4("192.0.2.64/26"), Route{RouteKind::kUnreachable, 0, 0, std::nullopt});
  EXPECT_EQ(view.next_hop(v4("192.0.3.1")).interface, kWan);
  EXPECT_EQ(view.next_hop(v4("192.0.2.1")).interface, kLan);
  EXPECT_EQ(view.next_hop(v4("192.0.2.33")).reach, Reach::kLocal);
  EXPECT_EQ(view.next_hop(v4("192.0.2.65")).reach, Reach::kUnreachable);
}

TEST(NetworkView, ARouteThatRefusesSaysHow) {
  for (const auto& [kind, reach] : {std::pair{RouteKind::kUnreachable, Reach::kUnreachable},
                                    std::pair{RouteKind::kProhibited, Reach::kProhibited},
                                    std::pair{RouteKind::kBlackhole, Reach::kBlackhole}}) {
    BuiltView view;
    view.add(p6("2001:db8:6::/64"), Route{kind, 0, 0, std::nullopt});
    EXPECT_EQ(view.next_hop(v6("2001:db8:6::21")).reach, reach);
  }
}

TEST(NetworkView, OfTwoRoutesToOnePrefixTheLowerMetricWins) {
  for (const bool better_first : {true, false}) {
    BuiltView view;
    const auto better = unicast(kLan, std::nullopt, 100);
    const auto worse = unicast(kWan, std::nullopt, 200);
    view.add(p4("192.0.2.0/24"), better_first ? better : worse);
    view.add(p4("192.0.2.0/24"), better_first ? worse : better);
    EXPECT_EQ(view.next_hop(v4("192.0.2.1")).interface, kLan);
  }
}

TEST(NetworkView, AStaleNeighbourIsToldOnceAfterEachUse) {
  BuiltView view;
  view.add(p4("192.0.2.0/24"), unicast(kWan));
  view.add_neighbour(kWan, v4("192.0.2.33"), kHostMac, true);
  EXPECT_TRUE(view.take_used_stale().empty());
  EXPECT_TRUE(view.next_hop(v4("192.0.2.33")).stale);  // so that no worker remembers it
  EXPECT_EQ(view.next_hop(v4("192.0.2.33")).reach, Reach::kReady);
  ASSERT_EQ(view.take_used_stale().size(), 1U);
  EXPECT_TRUE(view.take_used_stale().empty());
}

TEST(NetworkView, AGroupsLinkAddressIsNoNeighbours) {
  BuiltView view;
  view.add(p4("192.0.2.0/24"), unicast(kWan));
  view.add_neighbour(kWan, v4("192.0.2.255"), MacAddress{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, false);
  view.add_neighbour(kWan, v4("192.0.2.33"), MacAddress{{0x01, 0x00, 0x5e, 0, 0, 1}}, false);
  EXPECT_EQ(view.next_hop(v4("192.0.2.255")).reach, Reach::kUnresolved);
  EXPECT_EQ(view.next_hop(v4("192.0.2.33")).reach, Reach::kUnresolved);
}

TEST(NetworkView, AFreshNeighbourNeedsNoVerification) {
  BuiltView view;
  view.add(p4("192.0.2.0/24"), unicast(kWan));
  view.add_neighbour(kWan, v4("192.0.2.33"), kHostMac, false);
  EXPECT_FALSE(view.next_hop(v4("192.0.2.33")).stale);
  EXPECT_EQ(view.next_hop(v4("192.0.2.33")).reach, Reach::kReady);
  EXPECT_TRUE(view.take_used_stale().empty());
}

Interface up(int index, std::uint32_t mtu) {
  Interface interface;
  interface.index = index;
  interface.mtu = mtu;
  interface.up = interface.running = true;
  return interface;
}

TEST(NetworkView, TheMtuOfAWayIsThatOfItsRouteWithinThatOfItsInterface) {
  BuiltView view;
  view.add(up(kWan, 1500));
  auto narrow = unicast(kWan, v4("198.51.100.1"));
  narrow.mtu = 1300;
  auto wide = narrow;
  wide.mtu = 9000;
  view.add(p4("0.0.0.0/0"), unicast(kWan, v4("198.51.100.1")));
  view.add(p4("192.0.2.0/25"), narrow);
  view.add(p4("192.0.2.128/25"), wide);
  EXPECT_EQ(view.next_hop(v4("203.0.113.1")).mtu, 1500U);
  EXPECT_EQ(view.next_hop(v4("192.0.2.1")).mtu, 1300U);
  EXPECT_EQ(view.next_hop(v4("192.0.2.129")).mtu, 1500U);
}

TEST(NetworkView, TheUplinkIsTheDefaultRouteElseARouteByARouter) {
  BuiltView view;
  view.add(up(kWan, 1500));
  view.add(up(kLan, 1400));
  view.add(p4("198.51.100.0/24"), unicast(kWan));
  EXPECT_EQ(view.uplink_route4(), nullptr) << "a link alone leads nowhere";
  view.add(p4("192.0.2.0/24"), unicast(kLan, v4("198.51.100.2")));
  ASSERT_NE(view.uplink_route4(), nullptr);
  EXPECT_EQ(view.uplink_route4()->interface, kLan);
  view.add(p4("0.0.0.0/0"), unicast(kWan, v4("198.51.100.1")));
  EXPECT_EQ(view.uplink_route4()->interface, kWan);
}

TEST(NetworkView, AnUplinkWhoseInterfaceHasNoCarrierIsNone) {
  BuiltView view;
  auto down = up(kWan, 1500);
  down.running = false;
  view.add(down);
  view.add(p4("0.0.0.0/0"), unicast(kWan, v4("198.51.100.1")));
  EXPECT_EQ(view.uplink_route4(), nullptr);
}

TEST(NetworkView, ItKnowsTheMachinesOwnAddresses) {
  BuiltView view;
  auto lan = up(kLan, 1500);
  lan.addresses6 = {v6("2001:db8::1")};
  view.add(lan);
  EXPECT_TRUE(view.is_own(v6("2001:db8::1")));
  EXPECT_FALSE(view.is_own(v6("2001:db8::2")));
}

}  // namespace
}  // namespace isthmus::nat64
