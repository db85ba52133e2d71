# SPDX-License-Identifier: Apache-2.0
"""The lab with nat64-svc running alone from a policy file."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib.topology import POLICY, WEB4, Lab, embedded  # noqa: E402

HTTP = "127.0.0.1:9464"


class GatewayLab(Lab):
    def __init__(self):
        super().__init__("isthmus-e2e-", body_bytes=2 << 20)

    def up(self):
        super().up()
        self.write_policy(POLICY)

    def alone(self, *extra, lan="lan", wan="wan"):
        return self.nat64_command("--policy-file", self.policy_file, "--interface6", lan, "--interface4", wan,
                                  *extra)

    def nat64_command(self, *extra):
        drain = [] if "--drain-timeout" in extra else ["--drain-timeout", "0"]
        return [super(GatewayLab, self).nat64_command()[0], "--http-listen", HTTP, *drain, *extra]

    def start_alone(self, *extra, ready_within=15, **interfaces):
        self.nat64 = self._daemon(self.node, "nat64-svc", self.alone(*extra, **interfaces), HTTP).start(ready_within)

    def counter(self, name, *labels):
        return self.nat64.metric_sum(f"isthmus_nat64_{name}", *labels)

    def check_service(self, test):
        test.assertTrue(self.pings(embedded(WEB4)), "no ping")
        test.assertEqual(self.body_sha256, self.fetch(f"http://[{embedded(WEB4)}]/body.bin"), "the body differs")
