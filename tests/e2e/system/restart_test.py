# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each program, then its restart: service comes back, the others go on, and no packet gets out untranslated."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402
from lib.topology import CLIENT, CONTROLLER, ECHO_PORT, EXCLUDED4, EXCLUSION, POLICY, WEB4, ZONE, Lab, capture, embedded  # noqa: E402

lab = None


def setUpModule():
    global lab
    lab = Lab("isthmus-e2e-")
    unittest.addModuleCleanup(lab.__exit__, None, None, None)
    lab.__enter__()
    lab.start_programs()


def serves():
    return embedded(WEB4) in lab.dig(f"v4only.{ZONE}") and lab.pings(embedded(WEB4))


def pids(*daemons):
    return [daemon.process.pid for daemon in daemons if daemon.running()]


class Restart(unittest.TestCase):
    def setUp(self):
        eventually(serves, 10, "service before the test")

    def test_without_the_controller_services_go_on_and_it_comes_back(self):
        others = pids(lab.nat64, lab.dns64)
        lab.controller.kill()
        for _ in range(10):
            self.assertTrue(serves(), "service stopped with the controller")
            time.sleep(0.1)
        lab.start_controller()
        eventually(lambda: len([node for node in lab.ctl_json("get", "nodes").get("nodes", []) if node.get("connected", True)]) >= 2,
                   15, "both services are registered again")
        self.assertTrue(serves())
        self.assertEqual(others, pids(lab.nat64, lab.dns64), "a service was restarted")
        # and a change still reaches both
        lab.write_policy(POLICY + EXCLUSION)
        eventually(lambda: not lab.dig(f"excluded.{ZONE}"), 10, "the exclusion reaches dns64-svc")
        eventually(lambda: not lab.pings(embedded(EXCLUDED4)), 10, "the exclusion reaches nat64-svc")
        lab.write_policy(POLICY)
        eventually(lambda: lab.pings(embedded(EXCLUDED4)), 10, "the exclusion is lifted")

    def test_dns64_comes_back_without_touching_the_others(self):
        others = pids(lab.nat64, lab.controller)
        lab.dns64.kill()
        self.assertTrue(lab.pings(embedded(WEB4)), "packets stopped with dns64-svc")
        lab.start_dns64()
        eventually(serves, 10, "service after the restart")
        self.assertEqual(others, pids(lab.nat64, lab.controller), "another program was restarted")

    def test_nat64_comes_back_without_touching_the_others(self):
        others = pids(lab.dns64, lab.controller)
        lab.nat64.kill()
        self.assertIn(embedded(WEB4), lab.dig(f"v4only.{ZONE}"), "answers stopped with nat64-svc")
        lab.start_nat64()
        eventually(serves, 10, "service after the restart")
        self.assertIsNotNone(lab.fetch(f"http://[{embedded(WEB4)}]/index.html"))
        self.assertEqual(others, pids(lab.dns64, lab.controller), "another program was restarted")

    def test_services_start_with_the_last_good_policy_when_the_controller_is_gone(self):
        lab.controller.kill()
        lab.nat64.kill()
        lab.dns64.kill()
        lab.start_nat64()
        lab.start_dns64()
        eventually(serves, 10, "service from the last good policy")
        lab.start_controller()
        eventually(serves, 10, "service after the controller came back")

    def test_packets_never_pass_untranslated_while_nat64_is_dead(self):
        # The kernel of the node forwards both families and has default routes both ways: see lib/topology.py.
        target = embedded(WEB4)
        with capture(lab, lab.server, "eth0", "not arp and not port 53") as at_server, \
                capture(lab, lab.client, "eth0", f"ip6 and not icmp6 and dst net 64:ff9b::/96 and src host {CLIENT}") as at_client, \
                capture(lab, lab.node, "wan", "dst net 203.0.113.0/30") as at_wan:
            lab.nat64.kill()
            lab.client.run(["/usr/bin/python3", os.path.join(os.path.dirname(__file__), "../lib/udp_echo.py"), "ask", target,
                            ECHO_PORT, "50", "0.01"], check=False)
            lab.server.run("ping -c 5 -i 0.05 -W 1 203.0.113.1", check=False)
            time.sleep(0.3)
            self.assertEqual([], [line for line in at_server() if " IP6 " in line and "64:ff9b" in line],
                             "an IPv6 packet reached the IPv4 side")
            self.assertEqual([], [line for line in at_server() if f"> {WEB4}" in line], "something reached the server")
            self.assertIn(len(at_client()), range(10, 51), "the client's own 50 packets, and none that came back: a loop")
            self.assertIn(len([line for line in at_wan() if "echo request" in line]), range(1, 6),
                          "the server's own 5 packets, and none that went back out: a loop")
        lab.start_nat64()
        eventually(serves, 10, "service after the restart")


if __name__ == "__main__":
    suite.main()
