# SPDX-License-Identifier: Apache-2.0
"""nat64-svc on VLANs, in gateway mode. Needs a kernel that has them: tests/vm/run_in_vm.py brings one."""

import os
import unittest

from vlan_lab import UNTAGGED, WIRE, VlanLab
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q
from scapy.packet import Raw
from wire import Wire

from lib import suite
from lib.daemon import eventually
from lib.topology import CLIENT, ECHO_PORT, NODE4, NODE6, POLICY, WEB4, capture, embedded

ECHO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e/lib/udp_echo.py")
SERVER6 = embedded(WEB4)


class VlanTest(unittest.TestCase):
    """One lab for a class, made from its `sides`."""

    sides = {}

    @classmethod
    def setUpClass(cls):
        cls.lab = VlanLab(**cls.sides)
        cls.addClassCleanup(cls.lab.__exit__, None, None, None)
        cls.lab.__enter__()

    def setUp(self):
        self.addCleanup(lambda: self.lab.nat64 and self.lab.nat64.kill())

    def check_service(self, modes):
        """TCP, UDP and ICMP both ways, whole and in fragments; `modes` of lan and wan."""
        lab = self.lab
        for name, mode in zip(("lan", "wan"), modes):
            self.assertEqual(1, lab.counter("xdp_mode", f'interface="{name}"', f'mode="{mode}"'), lab.nat64.log())
        self.assertTrue(lab.pings(SERVER6), f"no ping\n{lab.nat64.log()}")
        self.assertEqual(lab.body_sha256, lab.fetch(f"http://[{SERVER6}]/body.bin"), "the body differs")
        lab.client.run(["/usr/bin/python3", ECHO, "ask", SERVER6, ECHO_PORT, "20", "0.01"])
        for size in (1400, 3000):
            # The first of a size may be what tells a host the MTU of the way.
            answer = lab.client.run(f"ping -6 -n -c 4 -i 0.2 -W 2 -s {size} {SERVER6}", check=False).stdout
            self.assertRegex(answer, "[34] received", f"pings of {size} bytes")
        for protocol in ("tcp", "udp", "icmp"):
            for side in ("ipv6", "ipv4"):
                self.assertGreater(lab.counter("translated_packets_total", f'protocol="{protocol}"', f'from="{side}"'), 0)
        for name in ("lan", "wan"):
            for way in ("received", "transmitted"):
                self.assertGreater(lab.counter(f"interface_{way}_packets_total", f'interface="{name}"'), 100, f"{name} {way}")


class RouterOnAStick(VlanTest):
    """VLAN 10 has the clients, VLAN 20 of the same trunk the IPv4 internet."""

    def test_both_vlans_are_served_from_the_trunk_in_native_mode(self):
        lab = self.lab
        lab.start_alone()
        self.assertIn("trunk queue 0: worker 0, XDP native", lab.nat64.log())
        self.assertNotIn("sends VLAN tags beside the packets", lab.nat64.log())
        with capture(lab, lab.far, "trunk", f"vlan 20 and dst host {WEB4}") as outside, \
                capture(lab, lab.far, "trunk", f"vlan 10 and src host {SERVER6}") as inside:
            self.check_service(("native", "native"))
            eventually(lambda: outside() and inside(), 5, "what leaves bears the tags of its VLAN")

    def test_a_trunk_that_hides_tags_is_warned_of(self):
        lab = self.lab
        lab.node.run("ethtool -K trunk rxvlan on")
        self.addCleanup(lab.node.run, "ethtool -K trunk rxvlan off")
        lab.start_alone(lan="trunk", wan="trunk")
        for vlan in (10, 20):
            self.assertRegex(lab.nat64.log(), f"that come by its VLAN {vlan} are translated .*PEER txvlan off")

    def test_generic_mode_uses_the_interfaces_of_the_vlans(self):
        self.lab.start_alone("--xdp-mode", "generic")
        self.assertIn("lan queue 0: worker 0, XDP generic", self.lab.nat64.log())
        self.check_service(("generic", "generic"))

    def test_two_workers_share_the_trunk(self):
        lab = self.lab
        lab.start_alone("--workers", "2")
        self.check_service(("native", "native"))
        self.assertEqual(0, lab.counter("io_dropped_packets_total", 'reason="no_socket"'))
        self.assertEqual(0, lab.counter("dropped_packets_total", 'reason="wrong_worker"'))

    def test_one_vlan_serves_both_sides(self):
        lab = self.lab
        lab.client.run("ip address add 20.0.2.2/24 dev eth0")
        lab.node.run("ip address add 20.0.2.1/24 dev lan")
        lab.client.run("ip route add 203.0.113.0/30 via 20.0.2.1")
        self.addCleanup(lab.client.run, "ip address del 20.0.2.2/24 dev eth0")
        self.addCleanup(lab.node.run, "ip address del 20.0.2.1/24 dev lan")
        lab.start_alone(lan="lan", wan="lan")
        self.assertTrue(lab.pings(embedded("20.0.2.2"), 3))

    def test_other_vlans_and_frames_without_a_tag_are_left_to_the_kernel(self):
        lab = self.lab
        for namespace, host in ((lab.node, 1), (lab.far, 2)):
            namespace.run("ip link add link trunk name v30 type vlan id 30")
            self.addCleanup(namespace.run, "ip link del v30")
            namespace.run("ip link set v30 up")
            namespace.run(f"ip address add 20.0.30.{host}/24 dev v30")
            namespace.run(f"ip address add 20.0.31.{host}/24 dev trunk")
            self.addCleanup(namespace.run, f"ip address del 20.0.31.{host}/24 dev trunk")
        lab.start_alone()
        for address in ("20.0.30.1", "20.0.31.1", NODE4):
            self.assertEqual(0, lab.far.run(f"ping -n -c 2 -i 0.2 -W 2 {address}", check=False).returncode, address)
        lab.client.run("ip -6 neigh flush dev eth0")
        self.assertTrue(lab.pings(NODE6), "neighbour discovery broke")

    def test_only_the_vlan_of_a_side_brings_its_traffic(self):
        lab = self.lab
        lab.start_alone()
        self.assertTrue(lab.pings(SERVER6))
        words = lab.node.run("ip -o link show lan").split()
        mac = words[words.index("link/ether") + 1]
        wire = Wire(lab.far, "trunk")
        self.addCleanup(wire.close)
        packet = IPv6(src=CLIENT, dst=SERVER6, hlim=64) / UDP(sport=5000, dport=9) / Raw(b"x")

        def translated():
            return lab.counter("translated_packets_total", 'protocol="udp"', 'from="ipv6"')
        before = translated()
        for tag in (Dot1Q(vlan=30), Dot1Q(vlan=20), Dot1Q(vlan=10) / Dot1Q(vlan=10), Dot1Q(vlan=0)):
            wire.send(mac, tag / packet)
        wire.send(mac, packet)
        wire.send(mac, Dot1Q(vlan=10, prio=5) / packet)
        eventually(lambda: translated() == before + 1, 5, "the one of VLAN 10 is translated")
        self.assertEqual(0, lab.counter("io_dropped_packets_total"))

    def test_packets_wait_for_a_neighbour_and_hop_limits_are_answered(self):
        lab = self.lab
        lab.start_alone()
        lab.node.run("ip neigh flush dev wan")
        lab.node.run("ip -6 neigh flush dev lan")
        self.assertTrue(lab.pings(SERVER6), "the first packet was lost")
        self.assertEqual(0, lab.counter("io_dropped_packets_total"))
        answer = lab.client.run(f"ping -6 -n -c 1 -W 2 -t 1 {SERVER6}", check=False).stdout
        self.assertIn(f"From {NODE6}", answer)

    def test_pool_addresses_on_the_vlan_are_answered_by_arp(self):
        lab = self.lab
        self.addCleanup(lab.write_policy, POLICY)
        lab.write_policy(POLICY.replace("203.0.113.0/30", "20.0.0.64/31"))
        with capture(lab, lab.server, "trunk", "vlan 20 and arp src host 20.0.0.64") as seen:
            lab.start_alone("--answer-arp")
            eventually(lambda: any("Request who-has 20.0.0.64" in line for line in seen()), 5, "the address is announced")
            self.assertTrue(lab.pings(SERVER6, 2))

    def test_a_clean_end_leaves_nothing_and_a_vlan_that_goes_ends_the_program(self):
        lab = self.lab
        lab.start_alone()
        self.assertIn("prog/xdp", lab.node.run("ip -d link show trunk"))
        self.assertEqual(0, lab.nat64.terminate(within=5)[0])
        self.assertNotIn("prog/xdp", lab.node.run("ip -d link show trunk"))
        lab.node.run("ip link add link trunk name v40 type vlan id 40")
        lab.node.run("ip link set v40 up")
        lab.start_alone(lan="v40")
        lab.node.run("ip link del v40")
        self.assertEqual(1, lab.nat64.process.wait(10))
        self.assertIn("v40", lab.nat64.log_tail(5))

    def test_vlans_that_are_no_single_tag_of_a_parent_here_serve_by_themselves(self):
        lab = self.lab
        lab.node.run("ip link add link trunk name outer type vlan proto 802.1ad id 50")
        lab.node.run("ip link add link lan name inner type vlan id 51")
        lab.far.run("ip link add link trunk name elsewhere type vlan id 52")
        lab.far.run(f"ip link set elsewhere netns {lab.node.name}")
        for name in ("outer", "inner", "elsewhere"):
            self.addCleanup(lab.node.run, f"ip link del {name}")
            lab.node.run(f"ip link set {name} up")
            with self.subTest(name):
                lab.start_alone(lan=name)
                self.assertIn(f"{name} queue 0: worker 0, XDP generic", lab.nat64.log())
                self.assertNotIn("prog/xdp", lab.node.run("ip -d link show lan"))
                lab.nat64.terminate(within=5)

    def test_a_parent_whose_frames_are_too_large_leaves_it_to_the_vlans(self):
        lab = self.lab
        lab.node.run("ip link set trunk mtu 9000")
        self.addCleanup(lab.node.run, "ip link set trunk mtu 1500")
        lab.start_alone()
        self.check_service(("generic", "generic"))


class TaggedAndUntagged(VlanTest):
    """VLAN 10 and the trunk itself."""

    sides = {"lan": 10, "wan": UNTAGGED}

    def test_both_are_served_in_native_mode(self):
        self.lab.start_alone()
        self.check_service(("native", "native"))


class UntaggedAndTagged(VlanTest):
    sides = {"lan": UNTAGGED, "wan": 20}

    def test_both_are_served_in_native_mode(self):
        self.lab.start_alone()
        self.check_service(("native", "native"))


class VlanAndWire(VlanTest):
    """A VLAN inside, an interface of its own outside."""

    sides = {"lan": 10, "wan": WIRE}

    def test_both_are_served_in_native_mode(self):
        self.lab.start_alone()
        self.check_service(("native", "native"))


class CardWithNativeXdp(VlanTest):
    """No veth, but the driver of a network card."""

    sides = {"cards": "virtio_net"}

    def test_both_vlans_are_served_in_native_mode(self):
        self.lab.start_alone()
        self.assertNotIn("rxvlan", self.lab.nat64.log())
        self.check_service(("native", "native"))


class CardWithoutNativeXdp(VlanTest):
    """It takes the tags off besides."""

    sides = {"cards": "e1000"}

    def test_the_interfaces_of_the_vlans_serve_in_generic_mode(self):
        self.lab.start_alone()
        self.assertIn("lan itself serves, in generic mode", self.lab.nat64.log())
        self.check_service(("generic", "generic"))


class TagsBeside(VlanTest):
    """A peer that hands over tags beside the packets, where XDP does not see them."""

    sides = {"tags_beside": True}

    def test_it_is_told_at_start_and_mended_by_ethtool(self):
        lab = self.lab
        lab.start_alone()
        self.assertIn("ethtool -K PEER txvlan off", lab.nat64.log())
        self.assertFalse(lab.pings(SERVER6), "the warning is wrong")
        lab.far.run("ethtool -K trunk txvlan off")
        self.addCleanup(lab.far.run, "ethtool -K trunk txvlan on")
        self.check_service(("native", "native"))

    def test_generic_mode_does_not_mind(self):
        self.lab.start_alone("--xdp-mode", "generic")
        self.check_service(("generic", "generic"))


if __name__ == "__main__":
    suite.main()
