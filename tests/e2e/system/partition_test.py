# SPDX-License-Identifier: Apache-2.0
"""The network between the controller and one service drops everything, both ways and without a word: the service goes on with
what it has, the other one and the controller go on, the loss is shown, and a change made meanwhile arrives after it. (nat64-svc and
dns64-svc do not talk to each other.)"""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402
from lib.topology import CONTROLLER, EXCLUDED4, EXCLUSION, POLICY, WEB4, ZONE, Lab, embedded  # noqa: E402

PORT = int(CONTROLLER.rsplit(":", 1)[1])
NAT64_WAY, DNS64_WAY = "127.0.0.2", "127.0.0.3"  # by which address each service reaches the controller

lab = None


class PartitionedLab(Lab):
    """Each service has a way of its own to the controller."""

    def start_controller(self, *extra, **options):
        super().start_controller("--allow-plaintext", *extra, listen=f"0.0.0.0:{PORT}", **options)

    def start_nat64(self, *extra):
        os.makedirs(f"{self.dir}/nat64", exist_ok=True)
        self.nat64 = self._daemon(self.node, "nat64-svc", self.nat64_command("--controller", f"{NAT64_WAY}:{PORT}", *extra),
                                  "127.0.0.1:9464").start()

    def start_dns64(self, *extra):
        os.makedirs(f"{self.dir}/dns64", exist_ok=True)
        self.dns64 = self._daemon(self.node, "dns64-svc", self.dns64_command("--controller", f"{DNS64_WAY}:{PORT}", *extra),
                                  "127.0.0.1:9461").start()

    def cut(self, way):
        self.node.run("nft -f -", input=f"table ip cut {{ chain in {{ type filter hook input priority 0; ip saddr {way} drop; "
                                        f"ip daddr {way} drop; }}; }}")

    def heal(self):
        self.node.run("nft destroy table ip cut", check=False)
        self.node.run("nft delete table ip cut", check=False)

    def connected(self):
        return {node["node_id"]: node.get("connected", False) for node in self.ctl_json("get", "nodes").get("nodes", [])}


def setUpModule():
    global lab
    lab = PartitionedLab("isthmus-cut-")
    unittest.addModuleCleanup(lab.__exit__, None, None, None)
    lab.__enter__()
    lab.start_programs()


def serves():
    return embedded(WEB4) in lab.dig(f"v4only.{ZONE}") and lab.pings(embedded(WEB4))


def answers_excluded():
    return bool(lab.dig(f"excluded.{ZONE}"))


def translates_excluded():
    return lab.pings(embedded(EXCLUDED4))


class Partition(unittest.TestCase):
    def setUp(self):
        lab.heal()
        self.addCleanup(lab.heal)
        lab.write_policy(POLICY)
        eventually(serves, 20, "service before the test")
        eventually(lambda: answers_excluded() and translates_excluded(), 20, "nothing is excluded before the test")

    def check(self, way, node, cut_off, others):
        """`cut_off` and `others`: whether an excluded destination is still served by the one and by the other service."""
        lab.cut(way)
        lab.write_policy(POLICY + EXCLUSION)
        eventually(lambda: not others(), 15, "the exclusion reaches the service that is not cut off")
        eventually(lambda: lab.connected()[node] is False, 40, "the controller shows who is gone")
        for _ in range(10):
            self.assertTrue(serves(), "service stopped in the partition")
            time.sleep(0.1)
        self.assertTrue(cut_off(), "the service that is cut off cannot know of the exclusion")
        feed = lab.nat64 if node == "gw1" else lab.dns64
        eventually(lambda: feed.metric_sum("isthmus_feed_connected") == 0, 40, "the service shows that it is cut off")
        lab.heal()
        eventually(lambda: not cut_off(), 20, "the exclusion arrives after the partition")
        eventually(lambda: lab.connected()[node], 20, "the service is connected again")
        self.assertEqual(feed.metric_sum("isthmus_feed_connected"), 1)
        self.assertTrue(serves())

    def test_between_controller_and_nat64(self):
        self.check(NAT64_WAY, "gw1", translates_excluded, answers_excluded)

    def test_between_controller_and_dns64(self):
        self.check(DNS64_WAY, "dns1", answers_excluded, translates_excluded)


if __name__ == "__main__":
    suite.main()
