# SPDX-License-Identifier: Apache-2.0
"""SIGTERM with --drain-timeout 0: every program ends within 2 s with status 0 and leaves nothing behind."""

import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402
from lib.topology import WEB4, Lab, embedded  # noqa: E402


def footprint(lab):
    """All that a program could leave in the node: links with their XDP programs, routes, rules, addresses, nft tables."""
    node = lab.node
    links = json.loads(node.run("ip -j -d link show"))
    return {
        "links": sorted((link["ifname"], json.dumps(link.get("xdp", {}).get("prog", {}).get("name"))) for link in links),
        "routes": sorted(line.strip() for line in node.run("ip -4 route show table all").splitlines()),
        "routes6": sorted(line.strip() for line in node.run("ip -6 route show table all").splitlines()),
        "addresses": sorted(line.split()[1] for line in node.run("ip -o address show").splitlines()),
        "nft": node.run("nft list ruleset"),
    }


class Shutdown(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.lab = Lab("isthmus-e2e-")
        self.addCleanup(self.lab.__exit__, None, None, None)
        self.lab.__enter__()

    def test_each_program_ends_within_two_seconds_and_leaves_nothing(self):
        lab = self.lab
        before = footprint(lab)
        lab.start_programs()
        eventually(lambda: lab.pings(embedded(WEB4)), 10, "service")
        self.assertNotEqual(before["links"], footprint(lab)["links"], "no XDP program while it runs: the check would be blind")
        for daemon in (lab.dns64, lab.nat64, lab.controller):
            with self.subTest(daemon.name):
                status, took = daemon.terminate(within=2)
                self.assertEqual(0, status, daemon.log_tail())
                self.assertLess(took, 2)
        after = footprint(lab)
        for what, was in before.items():
            self.assertEqual(was, after[what], f"{what} differ after the end")

    def test_nat64_ends_at_once_when_the_controller_is_gone(self):
        lab = self.lab
        lab.start_programs()
        lab.controller.kill()
        for daemon in (lab.dns64, lab.nat64):
            with self.subTest(daemon.name):
                status, _ = daemon.terminate(within=2)
                self.assertEqual(0, status, daemon.log_tail())


if __name__ == "__main__":
    suite.main()
