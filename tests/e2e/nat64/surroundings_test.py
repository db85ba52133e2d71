# SPDX-License-Identifier: Apache-2.0
"""nat64-svc in gateway mode and the network around it: interfaces, next hops, routes, routers, and what of it is its own."""

import os
import signal
import socket
import unittest

from gateway_lab import HTTP, GatewayLab
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptMTU, IPv6
from scapy.packet import Raw
from wire import Wire

from lib import suite
from lib.daemon import eventually
from lib.topology import CLIENT, NODE4, NODE6, POLICY, POOL, WEB4, capture, embedded

ECHO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib/udp_echo.py")

lab = None


def setUpModule():
    global lab
    lab = unittest.enterModuleContext(GatewayLab())


class Surroundings(unittest.TestCase):
    def setUp(self):
        self.addCleanup(lambda: lab.nat64 and lab.nat64.kill())

    @staticmethod
    def restore_addresses():
        """What an interface loses that goes down."""
        lab.client.run(f"ip address replace {CLIENT}/64 dev eth0 nodad")
        lab.client.run(f"ip -6 route replace default via {NODE6}")
        lab.server.run(f"ip route replace {POOL} via {NODE4}")

    @staticmethod
    def set_mtu(mtu):
        for namespace, interface in ((lab.client, "eth0"), (lab.node, "lan"), (lab.node, "wan"), (lab.server, "eth0")):
            namespace.run(f"ip link set {interface} mtu {mtu}")

    def test_the_largest_mtu_is_used(self):
        self.addCleanup(self.set_mtu, 1500)
        self.set_mtu(3498)
        lab.start_alone()
        self.assertEqual(2, lab.counter("xdp_mode", 'mode="native"'))
        answer = lab.client.run(f"ping -6 -n -c 4 -i 0.2 -W 1 -M do -s {3478 - 48} {embedded(WEB4)}", check=False).stdout
        self.assertRegex(answer, "[34] received", "3478 bytes do not pass whole")
        lab.check_service(self)

    def test_an_mtu_that_outgrows_the_frames_is_told(self):
        lab.start_alone()
        self.addCleanup(self.set_mtu, 1500)
        lab.node.run("ip link set wan mtu 3000")
        eventually(lambda: "the MTU of wan has become 3000" in lab.nat64.log(), 5, "a line says so")
        self.assertIn("restart nat64-svc", lab.node.run(f"curl -s http://{HTTP}/readyz"))
        lab.node.run("ip link set wan mtu 1500")
        eventually(lambda: "restart" not in lab.node.run(f"curl -s http://{HTTP}/readyz"), 5, "all is well again")

    def readyz(self):
        return lab.node.run(f"curl -s http://{HTTP}/readyz", check=False).stdout

    def test_without_a_carrier_no_client_is_led_here(self):
        lab.start_alone("--announce-routes")
        lab.check_service(self)
        for device, peer in (("wan", lab.server), ("lan", lab.client)):
            with self.subTest(device):
                peer.run("ip link set eth0 down")
                try:
                    eventually(lambda: f"{device} has no carrier" in self.readyz(), 5, "it is not ready")
                    self.assertEqual(0, lab.counter("ready"))
                    for show in ("ip route show", "ip -6 route show"):
                        self.assertNotIn("isthmus0 proto 110", lab.node.run(show), "still announced")
                finally:
                    peer.run("ip link set eth0 up")
                    self.restore_addresses()
                eventually(lab.nat64.is_ready, 5, "ready again")
                self.assertIn("203.0.113.1 dev isthmus0", lab.node.run("ip route show"))
                self.assertIn("64:ff9b::/96 dev isthmus0", lab.node.run("ip -6 route show"))
                eventually(lambda: lab.pings(embedded(WEB4)), 5, "traffic passes again")

    def test_a_start_without_a_carrier_is_not_ready(self):
        lab.server.run("ip link set eth0 down")
        try:
            lab.nat64 = lab._daemon(lab.node, "nat64-svc", lab.alone("--announce-routes"), HTTP).start(None)
            eventually(lambda: "wan has no carrier" in self.readyz(), 5, "it says why")
            self.assertNotIn("isthmus0 proto 110", lab.node.run("ip route show"))
        finally:
            lab.server.run("ip link set eth0 up")
            self.restore_addresses()
        eventually(lab.nat64.is_ready, 5, "ready when the cable is in")
        self.assertIn("203.0.113.1 dev isthmus0", lab.node.run("ip route show"))
        eventually(lambda: lab.pings(embedded(WEB4)), 5, "traffic passes")

    def test_routers_that_announce_another_prefix_are_noticed(self):
        lab.start_alone()
        wire = Wire(lab.client, "eth0")
        self.addCleanup(wire.close)

        def advertise(prefix, code, units):
            option = b"\x26\x02" + (units << 3 | code).to_bytes(2, "big") + socket.inet_pton(socket.AF_INET6, prefix)[:12]
            wire.send("33:33:00:00:00:01", IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA() / ICMPv6NDOptMTU(mtu=1500) / Raw(option))

        def announced(prefix, ours):
            return lab.counter("announced_pref64", f'prefix="{prefix}"', 'router="fe80::1"', f'ours="{ours}"')
        advertise("64:ff9b::", 0, 225)
        advertise("2001:db8:bad::", 1, 225)
        eventually(lambda: announced("64:ff9b::/96", "yes") == 1 and announced("2001:db8:bad::/64", "no") == 1, 3, "both are shown")
        advertise("2001:db8:bad::", 1, 0)
        eventually(lambda: announced("2001:db8:bad::/64", "no") == 0, 3, "a prefix that is no longer announced is forgotten")

    def test_queues_that_came_after_the_start_need_a_restart(self):
        for namespace, device in ((lab.client, "eth0"), (lab.node, "lan")):
            namespace.run(f"ethtool -L {device} rx 1 tx 1")
        # The kernel releases sockets late.
        self.addCleanup(eventually, lambda: lab.node.run("ethtool -L lan rx 1", check=False).returncode == 0, 5, "one queue again")
        self.addCleanup(lambda: lab.nat64 and lab.nat64.kill())
        lab.start_alone()
        lab.node.run("ethtool -L lan rx 2")
        eventually(lambda: "lan has 2 queues now and had 1" in self.readyz(), 20, "it says so")
        lab.nat64.kill()
        lab.start_alone()
        self.assertTrue(lab.pings(embedded(WEB4)))

    def test_announced_routes_end_with_the_process_however_it_ends(self):
        lab.start_alone("--announce-routes")
        lab.check_service(self)
        for show, wanted in (("ip route show", "203.0.113.1 dev isthmus0 proto 110"), ("ip -6 route show", "64:ff9b::/96 dev isthmus0 proto 110")):
            self.assertIn(wanted, lab.node.run(show))
        lab.nat64.kill()
        for show in ("ip route show", "ip -6 route show"):
            self.assertNotIn("isthmus0", lab.node.run(show))
            self.assertIn("unreachable", lab.node.run(show), "nothing is behind them")
        lab.start_alone("--announce-routes", "--drain-timeout", "30")
        lab.check_service(self)
        lab.nat64.process.send_signal(signal.SIGTERM)
        eventually(lambda: "isthmus0" not in lab.node.run("ip route show"), 3, "withdrawn when the drain begins")
        self.assertIn("shutting down", self.readyz())
        self.assertEqual(0, lab.counter("ready"))
        self.assertTrue(lab.pings(embedded(WEB4)), "what still comes is not translated")
        lab.nat64.terminate(within=3)
        self.assertNotIn("proto 110", lab.node.run("ip route show") + lab.node.run("ip -6 route show"))

    def test_routes_that_others_change_are_mended_and_counted(self):
        lab.start_alone()
        lab.node.run("ip route del unreachable 203.0.113.1 proto 110")
        lab.node.run("ip -6 route del unreachable 64:ff9b::/96 proto 110")
        lab.node.run("ip route add unreachable 198.51.100.7 proto 110 metric 2147418112")
        eventually(lambda: lab.counter("routes_mended_total", 'was="missing"') == 2, 20, "what is missing is put back")
        self.assertEqual(1, lab.counter("routes_mended_total", 'was="unexpected"'))
        self.assertIn("unreachable 203.0.113.1", lab.node.run("ip route show proto 110"))
        self.assertIn("unreachable 64:ff9b::/96", lab.node.run("ip -6 route show proto 110"))
        self.assertNotIn("198.51.100.7", lab.node.run("ip route show proto 110"))

    def test_an_unknown_next_hop_is_asked_for_and_the_packets_wait(self):
        lab.start_alone()
        lab.node.run("ip neigh flush dev wan")
        lab.node.run("ip -6 neigh flush dev lan")
        self.assertTrue(lab.pings(embedded(WEB4)), "the first packet was lost")
        self.assertEqual(0, lab.counter("io_dropped_packets_total"))

    def test_no_client_sends_broadcasts_on_a_link_of_the_gateway(self):
        lab.start_alone()
        self.assertIn("broadcast 20.0.0.255", lab.node.run("ip route show table local"))
        with capture(lab, lab.server, "eth0", "dst host 20.0.0.255") as seen:
            for _ in range(3):
                self.assertFalse(lab.pings(embedded("20.0.0.255")))
            self.assertTrue(lab.pings(embedded(WEB4)))
            self.assertEqual([], seen())
        self.assertEqual(3, lab.counter("io_dropped_packets_total", 'reason="local_destination"'))

    def test_a_next_hop_that_does_not_exist_is_counted_and_told_to_the_client(self):
        lab.start_alone()
        told = lab.client.run(f"ping -6 -n -c 1 -W 3 {embedded('20.0.0.77')}", check=False).stdout
        self.assertIn("Destination unreachable", told)
        eventually(lambda: lab.counter("io_dropped_packets_total", 'reason="neighbour_unknown"') == 1, 5, "the drop is counted")
        self.assertEqual(0, lab.counter("held_for_neighbour"))

    def test_a_client_hears_of_routes_that_lead_nowhere_but_nothing_of_a_blackhole(self):
        lab.start_alone()
        route = lab.node.run("ip -4 route show default").strip()
        self.addCleanup(lab.node.run, f"ip route replace {route}")
        ping = f"ping -6 -n -c 1 -W 1 {embedded(WEB4)}"
        dropped = ("io_dropped_packets_total", 'worker="0"')
        lab.node.run("ip route del default")
        eventually(lambda: "Destination unreachable: No route" in lab.client.run(ping, check=False).stdout, 5, "the client is told")
        self.assertGreater(lab.counter(*dropped, 'reason="no_route"'), 0)
        refused = (*dropped, 'reason="route_refused"')
        for kind, told in (("prohibit", "Administratively prohibited"), ("unreachable", "No route")):
            before = lab.counter(*refused)
            lab.node.run(f"ip route add {kind} default")
            eventually(lambda: f"Destination unreachable: {told}" in lab.client.run(ping, check=False).stdout
                       and lab.counter(*refused) > before, 5, f"{kind} is told")
            lab.node.run(f"ip route del {kind} default")
        before = lab.counter(*refused)
        lab.node.run("ip route add blackhole default")
        self.addCleanup(lab.node.run, "ip route del blackhole default")
        eventually(lambda: "nreachable" not in lab.client.run(ping, check=False).stdout, 5, "a blackhole is silent")
        self.assertGreater(lab.counter(*refused), before)

    def test_neighbours_that_change_do_not_have_the_routes_read(self):
        lab.start_alone()
        everything, neighbours = (("network_reads_total", f'what="{what}"') for what in ("all", "neighbours"))
        eventually(lambda: lab.counter(*everything) > 0, 5, "the tables were read")
        self.assertTrue(lab.pings(embedded(WEB4)))  # the neighbours of now are found
        all_before, before = lab.counter(*everything), lab.counter(*neighbours)
        lab.node.run("ip neigh replace 20.0.0.99 lladdr 02:00:00:00:00:99 dev wan nud permanent")
        self.addCleanup(lab.node.run, "ip neigh del 20.0.0.99 dev wan")
        eventually(lambda: lab.counter(*neighbours) > before, 5, "the neighbours were read")
        self.assertEqual(all_before, lab.counter(*everything))
        lab.node.run("ip route add 20.0.9.0/24 via 20.0.0.2")
        self.addCleanup(lab.node.run, "ip route del 20.0.9.0/24")
        eventually(lambda: lab.counter(*everything) > all_before, 5, "the routes were read")
        self.assertTrue(lab.pings(embedded(WEB4)))

    def test_addresses_of_the_gateway_or_of_its_router_are_not_taken(self):
        self.addCleanup(lab.write_policy, POLICY)
        lab.start_alone("--answer-arp")
        for pool, words in ((NODE4, "is an address of this gateway itself"), ("20.0.0.2", "is a router on the link")):
            lab.write_policy(POLICY.replace(POOL, f"{POOL}, {pool}/32"))
            eventually(lambda: f"pools: {pool} {words}" in lab.nat64.log(), 5, "it is refused")
            self.assertTrue(lab.pings(embedded(WEB4)), "what ran no longer runs")
        lab.node.run("ip address add 2001:db8:64::1/128 dev lan nodad")
        self.addCleanup(lab.node.run, "ip address del 2001:db8:64::1/128 dev lan")
        lab.write_policy(POLICY.replace("64:ff9b::/96", "2001:db8:64::/96"))
        eventually(lambda: "2001:db8:64::/96 contains 2001:db8:64::1" in lab.nat64.log(), 5, "it is refused")
        lab.node.run("ip address add 203.0.113.1/32 dev wan")
        self.addCleanup(lab.node.run, "ip address del 203.0.113.1/32 dev wan", check=False)
        eventually(lambda: "203.0.113.1 is an address of this gateway itself" in self.readyz(), 5, "one that comes later is noticed")
        lab.write_policy(POLICY.replace(POOL, "203.0.113.0/31"))
        eventually(lambda: "203.0.113.2" not in lab.node.run("ip route show proto 110"), 5, "what only takes away is not refused")
        lab.node.run("ip address del 203.0.113.1/32 dev wan")
        eventually(lab.nat64.is_ready, 5, "it went")

    def test_a_policy_that_cannot_be_announced_does_not_run(self):
        self.addCleanup(lab.write_policy, POLICY)
        lab.start_alone("--announce-routes")
        self.assertTrue(lab.pings(embedded(WEB4)))
        told = len(lab.nat64.log())
        lab.node.run("ip link set isthmus0 down")
        another = POLICY.replace("pools:", """  - {name: another, prefix: "2001:db8:64::/96", clients: ["2001:db8:1::/64"]}
pools:""") + f"exclusions:\n  ipv4_destinations: [{WEB4}/32]\n"
        lab.write_policy(another)
        eventually(lambda: "cannot announce 2001:db8:64::/96" in lab.nat64.log()[told:], 5, "it is refused")
        self.assertTrue(lab.pings(embedded(WEB4), 3), "its exclusion acts all the same")
        self.assertNotIn("2001:db8:64::", lab.node.run("ip -6 route show proto 110"))
        self.assertTrue(lab.nat64.is_ready())
        lab.node.run("ip link set isthmus0 up")
        lab.write_policy(another + "# again\n")
        eventually(lambda: not lab.pings(embedded(WEB4)), 5, "now it runs")
        eventually(lambda: "2001:db8:64::/96 dev isthmus0" in lab.node.run("ip -6 route show proto 110"), 5, "and is announced")


if __name__ == "__main__":
    suite.main()
