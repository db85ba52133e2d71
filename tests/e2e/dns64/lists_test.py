# SPDX-License-Identifier: Apache-2.0
"""Large lists of domains through a controller: brought by isthmusctl, fetched in pieces, kept over restarts of both."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from dns64_site import HTTP, POLICY, PREFIX, Site, answers, ask  # noqa: E402

from lib import suite  # noqa: E402
from lib.daemon import Daemon, eventually  # noqa: E402
from lib.topology import BIN  # noqa: E402

GRPC, ADMIN_HTTP = "127.0.0.1:7400", "127.0.0.1:9400"
WITH_LIST = POLICY + "exclusions: {never_synthesize_lists: [{file: never.txt}]}\n"
NAMES = 1_000_000

site = None


def setUpModule():
    global site
    site = Site(PREFIX)
    unittest.addModuleCleanup(lambda: site.down())
    site.up()


def controller():
    return Daemon(site.node, "controller", [f"{BIN}/isthmus-controller", "--policy-from", "store", "--store",
                                            f"sqlite:{site.dir}/controller.db", "--grpc-listen", GRPC, "--http-listen", ADMIN_HTTP,
                                            "--allow-plaintext"], f"{site.dir}/controller.log", ADMIN_HTTP)


def service():
    return Daemon(site.node, "dns64-svc", [f"{BIN}/dns64-svc", "--workers", "2", "--http-listen", HTTP, "--controller", GRPC,
                                           "--node-id", "dns-1", "--state-dir", f"{site.dir}/state", "--drain-timeout", "0"],
                  f"{site.dir}/dns64-svc.log", HTTP)


def isthmusctl(*arguments, check=True):
    return site.node.run([f"{BIN}/isthmusctl", "--controller", GRPC, *arguments], check=check, timeout=60)


def is_synthesized(name):
    return answers(ask(name), "AAAA") != []


def pieces():
    return set(os.listdir(f"{site.dir}/state/chunks"))


def at_rest():
    before = pieces()
    time.sleep(0.5)
    return pieces() == before


class Lists(unittest.TestCase):
    def write_list(self, *more):
        site.write("never.txt", "# made by a test\n" + "".join(f"host{n}.ads.example\n" for n in range(NAMES))
                   + "".join(f"{name}\n" for name in more))

    def test_a_million_names_travel_in_pieces_and_outlive_both_programs(self):
        boss = controller()
        boss.launch()
        eventually(lambda: isthmusctl("history", check=False).returncode == 0, 15, "the controller answers")
        self.write_list("warm7.test", "bad name")
        policy = site.write("policy.yaml", WITH_LIST)
        refused = isthmusctl("apply", "-f", policy, check=False)
        self.assertEqual(1, refused.returncode)
        self.assertIn(f"never.txt line {NAMES + 3}", refused.stdout + refused.stderr)

        self.write_list("warm7.test")
        isthmusctl("validate", policy)
        isthmusctl("apply", "-f", policy)
        resolver = service().start(60)
        self.assertFalse(is_synthesized("warm7.test."))
        self.assertFalse(is_synthesized("www.warm7.test."))
        self.assertTrue(is_synthesized("warm8.test."))
        named = eventually(lambda: isthmusctl("get", "policy", "-o", "json"), 10, "the policy is shown").count('"chunks"')
        self.assertEqual(1, named)
        eventually(lambda: len(pieces()) > 40, 30, "the pieces are on disk")
        eventually(at_rest, 10, "all of them")
        before = pieces()

        # A line more: one or two pieces travel, no more.
        self.write_list("warm7.test", "warm8.test")
        self.assertIn("exclusions.never_synthesize_lists", isthmusctl("apply", "-f", policy))
        eventually(lambda: not is_synthesized("warm8.test."), 30, "the longer list runs")
        eventually(lambda: len(pieces()) <= len(before) + 1, 10, "old pieces go")
        self.assertLessEqual(len(pieces() - before), 2)

        # The controller has them from its store, the service from its state directory.
        boss.terminate(15)
        resolver.terminate(15)
        resolver = service().start(60)
        self.assertFalse(is_synthesized("warm8.test."))
        resolver.terminate(15)
        for entry in os.listdir(f"{site.dir}/state"):
            os.system(f"rm -r {site.dir}/state/{entry}")
        boss = controller().start(30)
        resolver = service().start(60)
        self.assertFalse(is_synthesized("warm8.test."))
        self.assertTrue(is_synthesized("warm9.test."))

        # Back to the shorter one: the pieces of both versions are in the store.
        isthmusctl("rollback", "1")
        eventually(lambda: is_synthesized("warm8.test."), 30, "the first version runs again")
        self.assertFalse(is_synthesized("warm7.test."))
        resolver.terminate(15)
        boss.terminate(15)


if __name__ == "__main__":
    suite.main()
