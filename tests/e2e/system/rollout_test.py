# SPDX-License-Identifier: Apache-2.0
"""The policy kept by the controller, changed under traffic: prefixes come and go, exclusions, rollback, an upgrade of the
controller, a controller that hangs, a drain. While no test says otherwise, no query and no packet is lost. With either store:
ISTHMUS_STORE (lib/stores.py)."""

import json
import os
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402
from lib.topology import CONTROLLER, EXCLUDED4, EXCLUSION, POLICY, WEB4, ZONE, Lab, embedded  # noqa: E402

TTL = 4  # seconds; how long an answer lives, so how long a prefix that goes must still be translated
FIRST = POLICY + f"  limits: {{max_ttl_seconds: {TTL}}}\n"
SECOND = FIRST.replace("name: well-known", "name: second").replace("64:ff9b::/96", "2001:db8:64::/96").replace(
    "prefixes: [well-known]", "prefixes: [second]")
NAME = f"v4only.{ZONE}"
lab = None


def in_second(ipv4):
    return embedded(ipv4).replace("64:ff9b::", "2001:db8:64::")


def setUpModule():
    global lab
    lab = Lab("isthmus-e2e-", store="sqlite")
    unittest.addModuleCleanup(lab.__exit__, None, None, None)
    lab.__enter__()
    start_controller()
    apply(FIRST)
    lab.start_nat64()
    lab.start_dns64()
    eventually(serves, 20, "service")


def start_controller(*extra):
    lab.start_controller("--soak", "1", *extra, policy_from_store=True, ready_within=None)
    eventually(lambda: lab.ctl("history", "--controller", CONTROLLER, check=False).returncode == 0, 15, "the controller answers")


def ctl(*words):
    return lab.ctl(*words, "--controller", CONTROLLER, check=False)


def apply(text, *options):
    with open(f"{lab.dir}/next.yaml", "w", encoding="utf-8") as file:
        file.write(text)
    done = ctl("apply", "-f", f"{lab.dir}/next.yaml", *options)
    if done.returncode != 0:
        raise AssertionError(done.stderr)


def rollout():
    return lab.ctl_json("get", "policy")["rollout"]


def both_connected():
    """False also while no controller leads: one that hung longer than its lease must first lead again."""
    done = lab.ctl("get", "nodes", "-o", "json", "--controller", CONTROLLER, check=False)
    return done.returncode == 0 and sum(each["connected"] for each in json.loads(done.stdout).get("nodes", [])) == 2


def serves():
    answers = lab.dig(NAME)
    return bool(answers) and lab.pings(answers[0])


class Traffic:
    """Asks and pings all the time, also what was answered within the last TTL; `lost` says what went wrong."""

    def __enter__(self):
        self.lost, self.count, self.recent, self.ended = [], 0, {}, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def run(self):
        while not self.ended.is_set():
            answers = lab.dig(NAME)
            now = time.monotonic()
            self.count += 1
            if not answers:
                self.lost.append("no answer")
            self.recent.update({answer: now for answer in answers})
            for address, told in list(self.recent.items()):
                if now - told > TTL - 1:
                    del self.recent[address]
                elif not lab.pings(address):
                    self.lost.append(f"no echo from {address}, answered {now - told:.1f} s ago")


class Rollout(unittest.TestCase):
    def setUp(self):
        eventually(serves, 15, "service before the test")

    def tearDown(self):
        eventually(lambda: rollout()["phase"] == "done", 30, "the rollout is through")

    def carefully(self, action, until, within, what):
        """Acts under traffic and waits; nothing may be lost."""
        with Traffic() as traffic:
            eventually(lambda: traffic.count >= 3, 10, "traffic flows")
            action()
            eventually(until, within, what, every=0.2)
            seen = traffic.count
            eventually(lambda: traffic.count >= seen + 3, 10, "traffic flows after it")
        self.assertEqual([], traffic.lost)

    def test_1_a_prefix_in_use_does_not_just_go(self):
        with open(f"{lab.dir}/next.yaml", "w", encoding="utf-8") as file:
            file.write(SECOND)
        done = ctl("apply", "-f", f"{lab.dir}/next.yaml")
        self.assertEqual(1, done.returncode)
        self.assertIn("in use", done.stderr)
        self.assertEqual([embedded(WEB4)], lab.dig(NAME))

    def test_2_one_prefix_takes_the_place_of_another_and_back_without_loss(self):
        version = lab.ctl_json("get", "policy")["number"]

        def moved():
            return rollout()["phase"] == "done" and lab.dig(NAME) == [in_second(WEB4)]

        self.carefully(lambda: apply(SECOND, "--drain", "--comment", "move"), moved, 40, "the second prefix has taken over")
        self.assertFalse(lab.pings(embedded(WEB4)), "the first prefix is still translated")
        self.carefully(lambda: self.assertEqual(0, ctl("rollback", str(version), "--drain").returncode),
                       lambda: rollout()["phase"] == "done" and lab.dig(NAME) == [embedded(WEB4)], 40, "the first is back")
        history = lab.ctl_json("history")["versions"]
        self.assertEqual([f"rollback to {version}", "move"], [entry["comment"] for entry in history[:2]])

    def test_3_an_exclusion_is_effective_within_a_second(self):
        target = embedded(EXCLUDED4)
        self.assertTrue(lab.pings(target))
        begin = time.monotonic()
        apply(FIRST + EXCLUSION)
        eventually(lambda: not lab.dig(f"excluded.{ZONE}") and not lab.pings(target), 5, "the exclusion is in effect")
        took = time.monotonic() - begin
        print(f"exclusion in effect after {took:.2f} s, apply and the checks themselves included", file=sys.stderr)
        self.assertLess(took, 3)
        apply(FIRST)
        eventually(lambda: lab.pings(target), 5, "the exclusion is lifted")

    def test_4_nobody_notices_an_upgrade_of_the_controller(self):
        before = lab.ctl_json("history")

        def upgrade():
            lab.controller.kill()
            time.sleep(1)
            start_controller("--log-level", "debug")

        self.carefully(upgrade, both_connected, 20, "both services are back")
        self.assertEqual(before, lab.ctl_json("history"), "the versions are kept")

    def test_5_nobody_notices_a_controller_that_hangs(self):
        def hang():
            lab.controller.process.send_signal(signal.SIGSTOP)
            time.sleep(7)
            lab.controller.process.send_signal(signal.SIGCONT)

        self.carefully(hang, both_connected, 30, "both services are back")

    def test_6_a_drain_empties_a_node_and_an_undrain_takes_it_back(self):
        refused = ctl("drain", "gw1")
        self.assertEqual(1, refused.returncode)
        self.assertIn("--force", refused.stderr)
        self.assertEqual(0, ctl("drain", "gw1", "--force", "--comment", "new kernel").returncode)

        def gw1():
            return next(n for n in lab.ctl_json("get", "nodes")["nodes"] if n["node_id"] == "gw1")

        self.assertIn("waits for", lab.ctl("describe", "node", "gw1", "--controller", CONTROLLER))
        eventually(lambda: not gw1()["healthy"], 2, "it leaves the answers")
        self.addCleanup(ctl, "undrain", "gw1")
        lab.controller.kill()  # a drain is kept
        start_controller()
        eventually(lambda: any(n["node_id"] == "gw1" and n.get("drain") for n in lab.ctl_json("get", "nodes").get("nodes", [])),
                   20, "it still drains")
        eventually(lambda: gw1()["drain"]["stage"] == "drained" or not gw1()["addresses_leased"] or
                   gw1()["drain"]["stage"] == "releasing", 30, "its addresses are withdrawn")
        self.assertEqual(0, ctl("undrain", "gw1").returncode)
        eventually(serves, 20, "service after the undrain")
        self.assertEqual(1, ctl("undrain", "gw1").returncode)

    def test_7_a_fence_wants_the_machine_named(self):
        done = ctl("fence", "gw1", "--machine", "another")
        self.assertEqual(1, done.returncode)
        self.assertIn("--machine", done.stderr)
        self.assertTrue(serves())


if __name__ == "__main__":
    suite.main()
