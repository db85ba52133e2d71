#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The images of the Dockerfile: small, labelled, read-only, with exactly the rights they declare, and well-behaved as process 1."""

import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402
from lib.netns import NamespaceSet, lab_prefix  # noqa: E402

CAPABILITIES = ["NET_ADMIN", "NET_RAW", "BPF", "PERFMON", "IPC_LOCK"]
PREFIX = lab_prefix("image-")
POLICY = """\
translation_prefixes: [{name: well-known, prefix: "64:ff9b::/96", clients: ["2001:db8:1::/64"]}]
pools: [{name: public, addresses: [203.0.113.0/30], subscribers: {prefix_length: 64}}]
dns64:
  resolvers: [{name: main, mode: FORWARD, dnssec: false, upstreams: [{address: 192.0.2.53}]}]
  views: [{name: default, clients: ["2001:db8:1::/64"], prefixes: [well-known], resolver: main}]
"""


def podman(*arguments, check=True, timeout=120):
    environment = {**os.environ, "CONTAINERS_CONF": str(HERE / "image/containers.conf")}
    return subprocess.run(["podman", *arguments], capture_output=True, text=True, check=check, timeout=timeout, env=environment)


def image(program):
    return f"localhost/isthmus/{program}:test"


def inspect(program):
    return json.loads(podman("image", "inspect", image(program)).stdout)[0]


class Images(unittest.TestCase):
    PROGRAMS = {"controller": "isthmus-controller", "nat64-svc": "nat64-svc", "dns64-svc": "dns64-svc", "isthmusctl": "isthmusctl"}

    def test_each_runs_without_any_right_on_a_read_only_root(self):
        for name, program in self.PROGRAMS.items():
            done = podman("run", "--rm", "--read-only", "--cap-drop=ALL", "--network=none", "--security-opt=no-new-privileges", image(name), "--help")
            self.assertIn("--help", done.stdout, program)

    def test_only_nat64_is_root(self):
        users = {name: inspect(name)["Config"].get("User", "") for name in self.PROGRAMS}
        self.assertEqual(users, {"controller": "65532:65532", "nat64-svc": "", "dns64-svc": "65532:65532", "isthmusctl": "65532:65532"})

    def test_each_says_what_it_is(self):
        for name, program in self.PROGRAMS.items():
            labels = inspect(name)["Labels"]
            self.assertEqual(labels["org.opencontainers.image.title"], program)
            for key in ("description", "version", "revision", "licenses"):
                self.assertTrue(labels[f"org.opencontainers.image.{key}"], key)

    def test_each_is_small(self):
        base = json.loads(podman("image", "inspect", "docker.io/library/debian:bookworm-slim").stdout)[0]["Size"]
        for name in self.PROGRAMS:
            size = inspect(name)["Size"]
            print(f"{name}: {size / 1e6:.0f} MB, of which the base {base / 1e6:.0f} MB", flush=True)
            self.assertLess(size - base, 80e6)


class Running(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.namespaces = NamespaceSet(PREFIX, ["node"])
        cls.namespaces.lock()
        cls.addClassCleanup(cls.namespaces.unlock)
        cls.addClassCleanup(cls.namespaces.remove)
        cls.namespaces.create()
        cls.node = cls.namespaces.of["node"]
        for line in ("link add lan type veth peer name lan-far", "link set lan up", "link set lan-far up", "link add wan type veth peer name wan-far",
                     "link set wan up", "link set wan-far up", "addr add 2001:db8:1::1/64 dev lan nodad", "addr add 20.0.0.1/24 dev wan",
                     "route add default via 20.0.0.2"):
            cls.node.run(f"ip {line}")
        cls.policy = pathlib.Path(f"/run/{PREFIX}policy.yaml")
        cls.policy.write_text(POLICY)
        cls.policy.chmod(0o644)
        cls.addClassCleanup(cls.policy.unlink)

    def start(self, program, capabilities, *arguments, detach=True):
        name = f"{PREFIX}{program}"
        podman("rm", "--force", "--time=1", name, check=False)
        self.addCleanup(podman, "rm", "--force", "--time=1", name, check=False)
        # Debian's podman refuses bpf(2) by seccomp even with CAP_BPF; Kubernetes' RuntimeDefault does not.
        rights = [f"--cap-add={each}" for each in capabilities]
        return name, podman("run", "--name", name, *(["--detach"] if detach else []), "--read-only", "--cap-drop=ALL", *rights,
                            "--security-opt=seccomp=unconfined", "--security-opt=no-new-privileges", f"--network=ns:{self.node.path}",
                            f"--volume={self.policy}:/etc/isthmus/policy.yaml:ro", image(program), "--policy-file=/etc/isthmus/policy.yaml",
                            *arguments, check=False)

    def health(self, name, program):
        return podman("exec", name, program, "health", check=False)

    def stop(self, name):
        """(exit status, seconds) of an orderly stop of process 1."""
        begin = time.monotonic()
        podman("stop", "--time=20", name)
        took = time.monotonic() - begin
        return json.loads(podman("inspect", name).stdout)[0]["State"]["ExitCode"], took

    def test_nat64_translates_with_exactly_its_capabilities_and_leaves_nothing(self):
        name, _ = self.start("nat64-svc", CAPABILITIES, "--interface6=lan", "--interface4=wan", "--max-sessions=65536")
        eventually(lambda: self.health(name, "nat64-svc").returncode == 0, 30,
                   "nat64-svc is ready", every=0.3)
        self.assertIn("xdp", self.node.run("ip link show lan"))
        status, took = self.stop(name)
        self.assertEqual(status, 0, podman("logs", name).stderr)
        self.assertLess(took, 10)
        self.assertNotIn("xdp", self.node.run("ip link show lan") + self.node.run("ip link show wan"))
        self.assertEqual(self.node.run("ip -6 route show proto 110") + self.node.run("ip route show proto 110"), "")

    def test_nat64_names_the_capability_that_is_missing(self):
        for missing in CAPABILITIES:
            _, done = self.start("nat64-svc", [each for each in CAPABILITIES if each != missing], "--interface6=lan", "--interface4=wan", detach=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(f"this process lacks CAP_{missing}:", done.stderr)

    def test_dns64_serves_as_nobody_and_says_why_it_is_not_ready(self):
        name, _ = self.start("dns64-svc", [], "--listen=[2001:db8:1::1]:1053", "--workers=1")
        eventually(lambda: "nobody answers" not in self.health(name, "dns64-svc").stderr, 20, "dns64-svc answers to health", every=0.3)
        health = self.health(name, "dns64-svc")
        self.assertEqual(health.returncode, 1)
        self.assertIn("no upstream", health.stderr)
        self.assertEqual(self.stop(name)[0], 0)

    def test_controller_serves_as_nobody(self):
        name, _ = self.start("controller", [])
        eventually(lambda: self.health(name, "isthmus-controller").returncode == 0, 20, "the controller is ready", every=0.3)
        nodes = podman("exec", name, "isthmusctl", "get", "nodes", check=False)
        self.assertEqual(nodes.returncode, 0, nodes.stderr)
        self.assertEqual(self.stop(name)[0], 0)


if __name__ == "__main__":
    suite.main()
