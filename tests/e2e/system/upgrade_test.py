# SPDX-License-Identifier: Apache-2.0
"""The controller is replaced under traffic of which every packet and every query is counted: by SIGTERM as an upgrade does, by
kill -9, and with a change of the policy right after it. None is lost, and no lease changes. With either store: ISTHMUS_STORE
(lib/stores.py)."""

import contextlib
import json
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402
from lib.daemon import Daemon, eventually  # noqa: E402
from lib.topology import CONTROLLER, ECHO_PORT, EXCLUDED4, EXCLUSION, NODE6, POLICY, WEB4, ZONE, Lab, embedded  # noqa: E402

COUNTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib/counted.py")
TCP_PORT = ECHO_PORT + 1
TARGET = embedded(WEB4)
lab = None


def setUpModule():
    global lab
    lab = Lab("isthmus-e2e-", store="sqlite")
    unittest.addModuleCleanup(lab.__exit__, None, None, None)
    lab.__enter__()
    Daemon(lab.server, "tcp-echo", ["/usr/bin/python3", COUNTED, "serve", WEB4, TCP_PORT], f"{lab.dir}/tcp-echo.log").start()
    start_controller()
    apply(POLICY)
    lab.start_nat64()
    lab.start_dns64()
    eventually(serves, 20, "service")


def start_controller():
    lab.start_controller("--soak", "1", policy_from_store=True, ready_within=None)


def answers():
    return lab.ctl("history", "--controller", CONTROLLER, check=False).returncode == 0


def apply(text):
    with open(f"{lab.dir}/next.yaml", "w", encoding="utf-8") as file:
        file.write(text)
    eventually(answers, 20, "the controller answers")
    lab.ctl("apply", "-f", f"{lab.dir}/next.yaml", "--controller", CONTROLLER)


def serves():
    return TARGET in lab.dig(f"v4only.{ZONE}") and lab.pings(TARGET)


def reaches_excluded():
    return bool(lab.dig(f"excluded.{ZONE}")), lab.pings(embedded(EXCLUDED4))


def services_are_back():
    done = lab.ctl("get", "nodes", "-o", "json", "--controller", CONTROLLER, check=False)
    nodes = json.loads(done.stdout).get("nodes", []) if done.returncode == 0 else []
    return sorted(node["node_id"] for node in nodes if node.get("connected")) == ["dns1", "gw1"]


def leases():
    return [(lease["address"], lease["node_id"], lease["state"]) for lease in lab.ctl_json("get", "leases")["leases"]]


def drops():
    """What nat64-svc dropped, by reason."""
    return {key: value for key, value in lab.nat64.metrics().items() if "drop" in key and value > 0}


@contextlib.contextmanager
def counted_traffic(test):
    """Around what must cost no packet and no query."""
    before = drops()
    with open(f"{lab.dir}/counted.log", "wb") as log:
        asking = lab.client.popen(["/usr/bin/python3", COUNTED, "ask", TARGET, ECHO_PORT, TCP_PORT, NODE6, ZONE],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    try:
        time.sleep(1)
        yield
        time.sleep(1)
        out, _ = asking.communicate(timeout=60)
    finally:
        asking.kill()
        asking.wait()
    counts = json.loads(out)
    print(", ".join(f"{kind}: {count['sent']}" for kind, count in counts.items()), "counted", file=sys.stderr)
    with open(f"{lab.dir}/counted.log", encoding="utf-8") as log:
        test.assertEqual({}, {kind: count["lost"][:10] for kind, count in counts.items() if count["lost"]}, log.read()[-2000:])
    test.assertGreater(min(count["sent"] for count in counts.values()), 100, "there was traffic")
    test.assertEqual(before, drops(), "nat64-svc dropped something")


class Upgrade(unittest.TestCase):
    def setUp(self):
        eventually(lambda: services_are_back() and serves(), 30, "service before the test")
        self.held = leases()
        self.services = [lab.nat64.process.pid, lab.dns64.process.pid]
        self.addCleanup(self.mend)

    def mend(self):
        if not lab.controller.running():
            start_controller()

    def after(self):
        eventually(services_are_back, 30, "both services are registered with the new controller")
        self.assertEqual(self.held, leases())
        self.assertEqual(self.services, [lab.nat64.process.pid, lab.dns64.process.pid])
        for service in (lab.nat64, lab.dns64):
            self.assertTrue(service.running())

    def test_an_upgrade_costs_no_packet_and_no_query(self):
        with counted_traffic(self):
            lab.controller.terminate(10)
            time.sleep(2)
            start_controller()
            self.after()

    def test_nor_does_a_kill(self):
        with counted_traffic(self):
            lab.controller.kill()
            start_controller()
            self.after()

    def test_nor_does_a_change_of_the_policy_right_after_it(self):
        self.assertEqual((True, True), reaches_excluded())
        with counted_traffic(self):
            lab.controller.kill()
            start_controller()
            apply(POLICY + EXCLUSION)  # before or while the services come back
            eventually(lambda: reaches_excluded() == (False, False), 30, "the exclusion is in effect")
            self.after()
            apply(POLICY)
            eventually(lambda: reaches_excluded() == (True, True), 30, "it is lifted")


if __name__ == "__main__":
    suite.main()
