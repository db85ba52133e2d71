# SPDX-License-Identifier: Apache-2.0
"""STOP leases: a gateway whose controller does not answer stops by itself, and goes on when it is back."""

import os
import re
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402
from lib.topology import POLICY, WEB4, Lab, embedded  # noqa: E402

TERM = 10  # seconds, the shortest allowed
STOP_POLICY = POLICY.replace("    subscribers:", f"    lease: {{on_expiry: STOP, term: {TERM}s}}\n    subscribers:")


class Lease(unittest.TestCase):
    def setUp(self):
        self.lab = Lab("isthmus-e2e-", body_bytes=1 << 16)
        self.addCleanup(self.lab.__exit__, None, None, None)
        self.lab.__enter__()

    def test_without_renewals_forwarding_ends_with_the_term_and_comes_back_with_the_controller(self):
        lab = self.lab
        lab.write_policy(STOP_POLICY)
        lab.start_controller()
        lab.start_nat64()
        eventually(lambda: lab.pings(embedded(WEB4)), 10, "service under a renewed lease")
        time.sleep(TERM / 2)
        self.assertTrue(lab.pings(embedded(WEB4)), "stopped although the controller renews")
        lab.controller.kill()
        gone = time.monotonic()
        self.assertTrue(lab.pings(embedded(WEB4)), "stopped before the term was over")
        eventually(lambda: not lab.pings(embedded(WEB4)), TERM + 1, "the gateway makes no new mappings, then stops")
        self.assertGreater(time.monotonic() - gone, 2, "it stopped at once, not at the deadline")
        eventually(lambda: not re.search(r"203\.0\.113\.\d ", lab.node.run("ip route show proto 110")), TERM, "the routes of its addresses go")
        self.assertFalse(lab.nat64.is_ready())
        lab.start_controller()
        eventually(lambda: lab.pings(embedded(WEB4)), 20, "service under a new lease")


if __name__ == "__main__":
    suite.main()
