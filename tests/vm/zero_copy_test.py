# SPDX-License-Identifier: Apache-2.0
"""nat64-svc on network cards whose driver hands it the packets without a copy, in gateway mode. tests/vm/run_in_vm.py brings
them: virtio-net has zero copy since Linux 6.13."""

import glob
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e/nat64"))

from gateway_lab import GatewayLab  # noqa: E402
from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402
from lib.topology import ECHO_PORT, WEB4, embedded  # noqa: E402

ECHO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e/lib/udp_echo.py")
SERVER6 = embedded(WEB4)
FLOOD = """
import socket, sys
family, *_, to = socket.getaddrinfo(sys.argv[1], 9, type=socket.SOCK_DGRAM)[0]
with socket.socket(family, socket.SOCK_DGRAM) as peer:
    for i in range(int(sys.argv[2])):
        peer.sendto(bytes(i % 1400), to)
"""
CARDS = {"lan": ("52:54:00:00:00:0a", "52:54:00:00:00:0b"), "wan": ("52:54:00:00:00:0c", "52:54:00:00:00:0d")}


def card_of(mac):
    """It may be on its way back from a namespace that has just gone."""
    def found():
        for path in glob.glob("/sys/class/net/*/address"):
            with open(path, encoding="ascii") as file:
                if file.read().strip() == mac:
                    return path.split("/")[4]
        return None

    return eventually(found, 10, f"there is a network card {mac}")


class ZeroCopyLab(GatewayLab):
    """`cards`: which sides of the node are cards with zero copy; the others are veth pairs, which have none."""

    def __init__(self, cards):
        super().__init__()
        self.cards = cards

    def _devices(self):
        for side, end in (("lan", self.client), ("wan", self.server)):
            if side not in self.cards:
                self.node.run(f"ip link add {side} type veth peer name eth0 netns {end.name}")
                continue
            for mac, (namespace, name) in zip(CARDS[side], ((self.node, side), (end, "eth0"))):
                subprocess.run(["ip", "link", "set", card_of(mac), "netns", namespace.name, "name", name], check=True)


class ZeroCopyTest(unittest.TestCase):
    cards = ()

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(ZeroCopyLab(cls.cards))

    def setUp(self):
        self.addCleanup(lambda: self.lab.nat64 and self.lab.nat64.kill())

    def check_service(self, how):
        lab = self.lab
        for side in ("lan", "wan"):
            self.assertIn(f"{side} queue 0: worker 0, XDP native, {how}", lab.nat64.log())
        lab.check_service(self)
        lab.client.run(["/usr/bin/python3", ECHO, "ask", SERVER6, ECHO_PORT, "200", "0.001"])
        for size in (0, 1400, 3000):
            answer = lab.client.run(f"ping -6 -n -c 4 -i 0.2 -W 2 -s {size} {SERVER6}", check=False).stdout
            self.assertRegex(answer, "[34] received", f"pings of {size} bytes")
        self.assertEqual(0, lab.counter("io_dropped_packets_total"))


class BothSides(ZeroCopyTest):
    cards = ("lan", "wan")

    def test_packets_pass_without_a_copy(self):
        self.lab.start_alone()
        self.check_service("zero copy")

    def test_busy_polling_serves_as_well(self):
        self.lab.start_alone("--busy-poll", "64")
        self.check_service("zero copy")

    def test_large_frames_pass_without_a_copy(self):
        lab = self.lab
        ends = ((lab.client, "eth0"), (lab.node, "lan"), (lab.node, "wan"), (lab.server, "eth0"))
        for namespace, device in ends:
            self.addCleanup(namespace.run, f"ip link set {device} mtu 1500")
            namespace.run(f"ip link set {device} mtu 3498")
        lab.start_alone()
        self.check_service("zero copy")
        self.assertTrue(lab.client.run(f"ping -6 -n -c 2 -i 0.2 -W 2 -M do -s 3400 {SERVER6}"))

    def test_all_packet_memory_comes_back_after_floods(self):
        lab = self.lab
        lab.start_alone()
        self.assertTrue(lab.pings(SERVER6))
        before = lab.nat64.metric_sum("isthmus_nat64_free_frames")
        for namespace, to in ((lab.client, SERVER6), (lab.server, "203.0.113.1")):
            namespace.run(["/usr/bin/python3", "-c", FLOOD, to, "20000"])
        self.assertEqual(lab.body_sha256, lab.fetch(f"http://[{SERVER6}]/body.bin"))
        # The card has some at work, not always as many.
        eventually(lambda: abs(lab.nat64.metric_sum("isthmus_nat64_free_frames") - before) < 300, 5, "all frames come back")
        self.assertGreater(lab.counter("translated_packets_total", 'protocol="udp"'), 5000)

    def test_the_cards_are_free_again_after_a_clean_end_and_after_a_kill(self):
        lab = self.lab
        for end in (lambda: lab.nat64.terminate(within=5), lambda: lab.nat64.kill()):
            lab.start_alone()
            self.assertTrue(lab.pings(SERVER6))
            end()
        lab.start_alone()
        self.check_service("zero copy")


class OneSide(ZeroCopyTest):
    """Both sides of a worker have one packet memory, so zero copy is for both or for none."""

    def test_a_side_without_zero_copy_takes_it_from_the_other(self):
        self.lab.start_alone()
        self.check_service("copy")


class Inside(OneSide):
    cards = ("lan",)


class Outside(OneSide):
    cards = ("wan",)


del OneSide

if __name__ == "__main__":
    suite.main()
