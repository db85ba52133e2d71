# SPDX-License-Identifier: Apache-2.0
"""Three controllers on three etcd members; the one that decides is killed while a policy is on its way: its successor brings the
policy on, from the canary again and not to all at once; what the canary refused, it gives to nobody else."""

import json
import os
import shutil
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402
from lib.daemon import Daemon, eventually  # noqa: E402
from lib.netns import NamespaceSet, lab_prefix  # noqa: E402
from lib.stores import MEMBERS, etcd_members  # noqa: E402
from lib.topology import BIN  # noqa: E402

PREFIX = "isthmus-heir-"
SERVICES = 4
SOAK = 6
OLD, NEW = "64:ff9b::", "2001:db8:64::"


def policy(prefix, trust_anchor=None):
    resolver = f"dnssec: true, trust_anchors: ['{trust_anchor}']" if trust_anchor else "dnssec: false"
    return f"""\
translation_prefixes:
  - {{name: all, prefix: "{prefix}/96", clients: ["2001:db8::/32"]}}
pools:
  - {{name: public, addresses: [203.0.113.0/30], subscribers: {{prefix_length: 64}}}}
dns64:
  resolvers: [{{name: main, mode: FORWARD, {resolver}, upstreams: [{{address: 127.0.0.9}}]}}]
  views: [{{name: default, clients: ["127.0.0.0/8"], prefixes: [all], resolver: main}}]
  limits: {{max_ttl_seconds: 2}}
"""


class Succession(unittest.TestCase):
    def setUp(self):
        self.namespaces = NamespaceSet(lab_prefix(PREFIX), ["control"])
        self.namespaces.lock()
        self.addCleanup(self.namespaces.unlock)
        self.control = self.namespaces.of["control"]
        self.dir = f"/run/{lab_prefix(PREFIX).rstrip('-')}"
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.namespaces.create()
        self.addCleanup(self.namespaces.remove)
        self.daemons = []
        self.addCleanup(self.print_logs)
        for member in etcd_members(self.control, self.dir):
            self.daemons.append(member.start())
        store = "etcd:" + ",".join(f"127.0.0.1:{2380 + i}" for i in range(MEMBERS))
        self.controllers = []
        for i in range(3):
            self.controllers.append(self.start_controller(i, store))
            eventually(lambda: self.leader() is not None, 30, "the first leads")  # ready they are when there is a policy
        # Of the services nobody is at the door of the one that leads first.
        self.services = [self.start_service(i, self.controllers[1 + i % 2]) for i in range(SERVICES)]
        self.apply(policy(OLD))
        eventually(lambda: self.told() == [OLD] * SERVICES, 30, "all run the first policy")

    def print_logs(self):
        if any(failure for _, failure in getattr(self._outcome.result, "failures", []) + self._outcome.result.errors):
            for daemon in self.daemons:
                print(daemon.log_tail(20), file=sys.stderr)

    def start(self, name, command, http):
        daemon = Daemon(self.control, name, command, f"{self.dir}/{name}.log", http)
        self.daemons.append(daemon)
        return daemon.start(None)

    def start_controller(self, i, store):
        address = f"127.0.0.1:{7460 + i}"
        daemon = self.start(f"controller{i}", [
            f"{BIN}/isthmus-controller", "--policy-from", "store", "--store", store, "--grpc-listen", address, "--advertise", address,
            "--http-listen", f"127.0.0.1:{9460 + i}", "--adopt-grace", "8", "--canary", "1", "--soak", str(SOAK)],
            f"127.0.0.1:{9460 + i}")
        daemon.address = address
        return daemon

    def start_service(self, i, controller):
        os.makedirs(f"{self.dir}/dns{i}")
        return self.start(f"dns{i}", [
            f"{BIN}/dns64-svc", "--listen", f"127.0.0.1:{5300 + i}", "--workers", "1", "--node-id", f"dns{i}", "--controller",
            controller.address, "--state-dir", f"{self.dir}/dns{i}", "--http-listen", f"127.0.0.1:{9470 + i}", "--grpc-listen", "",
            "--drain-timeout", "0"], None)

    # --- questions ------------------------------------------------------------------------------------------------------

    def ctl(self, *words):
        """By any controller that lives."""
        for controller in self.controllers:
            if controller.running():
                done = self.control.run([f"{BIN}/isthmusctl", *words, "--controller", controller.address], check=False)
                if done.returncode == 0:
                    return done.stdout
        return None

    def apply(self, text):
        with open(f"{self.dir}/next.yaml", "w", encoding="utf-8") as file:
            file.write(text)
        eventually(lambda: self.ctl("apply", "-f", f"{self.dir}/next.yaml") is not None, 30, "the policy is applied")

    def rollout(self):
        out = self.ctl("get", "policy", "-o", "json")
        return json.loads(out)["rollout"] if out else None

    def told(self):
        """The prefix that each service runs, by its own answer."""
        answers = []
        for i in range(SERVICES):
            out = self.control.run(["dig", "@127.0.0.1", "-p", str(5300 + i), "+short", "+timeout=1", "+tries=1", "ipv4only.arpa",
                                    "AAAA"], check=False).stdout
            answers.append(next((prefix for prefix in (OLD, NEW) if prefix in out), None))
        return answers

    def leader(self):
        for controller in self.controllers:
            if controller.running() and controller.log().rfind("leads from now on") > controller.log().rfind("leads no more"):
                return controller
        return None

    def kill_the_leader(self):
        leader = self.leader()
        self.assertIs(leader, self.controllers[0], "the one that came first leads")
        leader.kill()
        return time.monotonic()

    # --- what must hold --------------------------------------------------------------------------------------------------

    def test_the_successor_goes_on_from_the_canary(self):
        self.apply(policy(NEW))
        eventually(lambda: self.told() == [NEW] + [OLD] * (SERVICES - 1), 10, "the canary runs the second policy, alone", every=0.1)
        self.kill_the_leader()
        eventually(lambda: self.leader() is not None, 30, "another leads")
        began = time.monotonic()
        most = 0
        while time.monotonic() < began + SOAK:  # its services are not back and have not soaked before
            most = max(most, self.told().count(NEW))
            self.assertNotIn(None, self.told(), "a service does not answer")
        self.assertLessEqual(most, 1, "more than the canary had it before it had soaked")
        eventually(lambda: self.told() == [NEW] * SERVICES, 90, "the rollout goes on to its end")
        eventually(lambda: self.rollout()["phase"] == "done", 10, "it is done")

    def test_what_the_canary_refused_the_successor_gives_to_nobody_else(self):
        self.apply(policy(NEW, "this is no trust anchor"))
        stopped = eventually(lambda: (self.rollout() or {}).get("stopped_by"), 20, "the canary refuses it")
        self.assertIn("dns0", stopped[0])
        self.kill_the_leader()
        eventually(lambda: self.leader() is not None, 30, "another leads")
        eventually(lambda: any("dns0" in why for why in (self.rollout() or {}).get("stopped_by", [])), 60,
                   "the canary refuses it from the successor, too")
        until = time.monotonic() + 2 * SOAK
        while time.monotonic() < until:
            self.assertEqual([OLD] * SERVICES, self.told())
        self.assertNotEqual("done", self.rollout()["phase"])
        for i in range(1, SERVICES):
            self.assertNotIn("trust anchor", self.services[i].log(), "it was sent what the canary refused")
        self.apply(policy(NEW))
        eventually(lambda: self.told() == [NEW] * SERVICES, 90, "one without the fault goes out")


if __name__ == "__main__":
    suite.main()
