# SPDX-License-Identifier: Apache-2.0
"""Bad input at every door: refused with every violation and its path, and what ran keeps running."""

import os
import re
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402
from lib.topology import BIN, CONTROLLER, NODE6, POLICY, WEB4, ZONE, Lab, embedded  # noqa: E402

MISSPELT = POLICY.replace("subscribers:", "subscriberz:")
CONTRADICTORY = POLICY.replace("64:ff9b::/96", "2001:db8::/72").replace("prefixes: [well-known]", "prefixes: [wel-known]")
PROGRAMS = ["isthmus-controller", "nat64-svc", "dns64-svc"]

lab = None


def setUpModule():
    global lab
    lab = Lab("isthmus-e2e-")
    unittest.addModuleCleanup(lab.__exit__, None, None, None)
    lab.__enter__()


def refusal(command):
    """Runs a command that must refuse to start; returns what it said."""
    done = lab.node.run(command, check=False, timeout=10)
    said = (done.stdout + done.stderr).strip()
    if done.returncode == 0:
        raise AssertionError(f"accepted: {command}\n{said}")
    if done.returncode < 0 or done.returncode > 127:
        raise AssertionError(f"ended by a signal ({done.returncode}): {command}\n{said}")
    return said


def base_command(program):
    return {"isthmus-controller": [f"{BIN}/isthmus-controller", "--policy-file", lab.policy_file, "--grpc-listen", CONTROLLER,
                                   "--http-listen", "127.0.0.1:9460", "--store", "memory"],
            "nat64-svc": lab.nat64_command(), "dns64-svc": lab.dns64_command()}[program]


class BadStart(unittest.TestCase):
    """Refusals at the start: what is wrong in one line, status not 0."""

    def setUp(self):
        lab.write_policy(POLICY)

    def assert_one_line(self, said, *words):
        complaint = [line for line in said.splitlines() if not re.match(r"\d{4}-\d\d-\d\dT.* info ", line)]
        self.assertEqual(1, len(complaint), f"not one line:\n{said}")
        for word in words:
            self.assertIn(word, complaint[0])

    def test_a_wrong_flag(self):
        for program in PROGRAMS:
            with self.subTest(program):
                self.assert_one_line(refusal([*base_command(program), "--no-such-flag"]), "--no-such-flag")

    def test_a_missing_interface(self):
        command = [word.replace("lan", "lan7") if word == "lan" else word for word in lab.nat64_command()]
        self.assert_one_line(refusal([*command, "--policy-file", lab.policy_file]), "lan7")

    def test_a_port_in_use(self):
        taker = lab.node.popen(["/usr/bin/python3", "-c",
                                "import socket,time\ns=socket.create_server(('127.0.0.1',9499))\ntime.sleep(60)"])
        self.addCleanup(taker.wait)
        self.addCleanup(taker.kill)
        eventually(lambda: "9499" in lab.node.run("ss -lnt"), 5, "the port is taken")
        for program in PROGRAMS:
            with self.subTest(program):
                command = [word.replace("127.0.0.1:946", "127.0.0.1:949") for word in base_command(program)]
                command = ["127.0.0.1:9499" if word.startswith("127.0.0.1:949") else word for word in command]
                if program != "isthmus-controller":
                    command += ["--policy-file", lab.policy_file]
                self.assert_one_line(refusal(command), "9499")

    def test_a_policy_file_that_is_missing(self):
        for program in PROGRAMS:
            with self.subTest(program):
                command = [word for word in base_command(program) if word not in ("--policy-file", lab.policy_file)]
                self.assertIn("/no/such/policy.yaml", refusal([*command, "--policy-file", "/no/such/policy.yaml"]))

    def test_a_misspelt_policy(self):
        lab.write_policy(MISSPELT)
        self.assertIn("subscriberz", refusal([f"{BIN}/isthmusctl", "validate", lab.policy_file]))
        for program in PROGRAMS:
            with self.subTest(program):
                extra = [] if program == "isthmus-controller" else ["--policy-file", lab.policy_file]
                self.assertIn("subscriberz", refusal([*base_command(program), *extra]))

    def test_a_contradictory_policy_is_refused_with_every_violation(self):
        lab.write_policy(CONTRADICTORY)
        said = refusal([f"{BIN}/isthmusctl", "validate", lab.policy_file])
        self.assertIn("translation_prefixes[0].prefix", said)
        self.assertIn("dns64.views[0].prefixes[0]", said)

    def test_a_good_policy_is_accepted(self):
        lab.ctl("validate", lab.policy_file)


class BadChange(unittest.TestCase):
    """Refusals while all runs: what ran keeps running."""

    def setUp(self):
        lab.start_programs()
        self.addCleanup(lab.stop_programs)
        eventually(self.serves, 10, "service")

    def serves(self):
        return embedded(WEB4) in lab.dig(f"v4only.{ZONE}") and lab.pings(embedded(WEB4))

    def test_the_controller_refuses_a_misspelt_file_and_goes_on(self):
        lab.write_policy(MISSPELT)
        eventually(lambda: "subscriberz" in lab.controller.log(), 5, "the controller names the misspelt field")
        time.sleep(0.5)
        self.assertTrue(all(daemon.running() for daemon in lab.programs()))
        self.assertTrue(self.serves())
        self.assertIn("public", lab.ctl("get", "policy", "--controller", CONTROLLER))

    def test_the_api_refuses_a_misspelt_and_a_contradictory_policy(self):
        for text, path in ((MISSPELT, "subscriberz"), (CONTRADICTORY, "translation_prefixes[0].prefix")):
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as other:
                other.write(text)
                other.flush()
                self.assertIn(path, refusal([f"{BIN}/isthmusctl", "validate", "--remote", other.name, "--controller", CONTROLLER]))
        lab.ctl("validate", "--remote", lab.policy_file, "--controller", CONTROLLER)
        self.assertTrue(self.serves())

    def test_a_service_that_runs_alone_refuses_a_misspelt_file_and_goes_on(self):
        lab.stop_programs()
        lab.write_policy(POLICY)
        lab.nat64 = lab._daemon(lab.node, "nat64-svc", lab.nat64_command("--policy-file", lab.policy_file), "127.0.0.1:9464").start()
        lab.dns64 = lab._daemon(lab.node, "dns64-svc", lab.dns64_command("--policy-file", lab.policy_file), "127.0.0.1:9461").start()
        eventually(self.serves, 10, "service without a controller")
        lab.write_policy(MISSPELT)
        for daemon in (lab.nat64, lab.dns64):
            eventually(lambda log=daemon.log: "subscriberz" in log(), 5, f"{daemon.name} names the misspelt field")
        self.assertTrue(self.serves())

    def test_malformed_queries_and_packets_are_counted_and_harmless(self):
        script = ("import socket,random\nr=random.Random(1)\ns=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM)\n"
                  f"for n in range(300): s.sendto(r.randbytes(r.randrange(1,200)),('{NODE6}',53))\n")
        lab.client.run(["/usr/bin/python3", "-c", script])
        raw = ("import random\nfrom scapy.all import IPv6,TCP,UDP,ICMPv6EchoRequest,Raw,send,conf\nr=random.Random(2)\n"
               "conf.verb=0\n"
               f"send([IPv6(dst='{embedded(WEB4)}',nh=r.choice([0,6,17,43,44,58,60]))/Raw(r.randbytes(r.randrange(0,60))) "
               "for _ in range(300)])\n")
        lab.client.run(["/usr/bin/python3", "-c", raw], timeout=60)
        self.assertTrue(all(daemon.running() for daemon in lab.programs()))
        self.assertTrue(self.serves())
        dropped = [key for key, value in {**lab.dns64.metrics(), **lab.nat64.metrics()}.items() if "reason=" in key and value > 0]
        self.assertTrue(any("dns64" in key for key in dropped), f"no named reason counted by dns64-svc: {dropped}")
        self.assertTrue(any("nat64" in key for key in dropped), f"no named reason counted by nat64-svc: {dropped}")


if __name__ == "__main__":
    suite.main()
