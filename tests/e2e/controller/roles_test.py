# SPDX-License-Identifier: Apache-2.0
"""Two controllers on one etcd, everything with TLS: each certificate may do what its role says, whichever controller it asks, and
goes on doing it when the one that decides is killed. When every certificate and the CA are replaced, nothing is restarted but etcd."""

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402

BIN = os.environ.get("ISTHMUS_BIN", "build/dev/bin")
POLICY = """
translation_prefixes:
  - {name: well-known, prefix: "64:ff9b::/96", clients: ["2001:db8::/32"]}
pools:
  - {name: public, addresses: [203.0.113.0/30], subscribers: {prefix_length: 64}}
dns64:
  resolvers: [{name: main, mode: FORWARD, upstreams: [{address: 192.0.2.53}]}]
  views: [{name: default, clients: ["::1/128"], prefixes: [well-known]}]
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Roles(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="isthmus-roles-")
        self.addCleanup(scratch.cleanup)
        self.dir = scratch.name
        self.make_certificates("pki")
        self.policy = self.write("policy.yaml", POLICY)
        self.start_etcd()
        self.controllers = []
        for i in range(2):
            self.controllers.append(self.start_controller(i))

    def make_certificates(self, directory):
        subprocess.run([f"{BIN}/isthmusctl", "certs", f"{self.dir}/{directory}", "--identity", "operator/alice", "--identity",
                        "reader/bob", "--identity", "dns64/dns-1", "--identity", "nat64/*"], check=True, capture_output=True)

    def write(self, name, text):
        with open(f"{self.dir}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
        return f"{self.dir}/{name}"

    def spawn(self, name, command):
        log = open(f"{self.dir}/{name}.log", "wb")
        self.addCleanup(log.close)
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def files(self, identity, prefix="--tls"):
        pki = f"{self.dir}/pki"
        return [f"{prefix}-ca", f"{pki}/{identity}/ca.crt", f"{prefix}-certificate", f"{pki}/{identity}/tls.crt",
                f"{prefix}-key", f"{pki}/{identity}/tls.key"]

    def start_etcd(self):
        self.etcd_ports = free_port(), free_port()
        self.etcd = f"localhost:{self.etcd_ports[0]}"
        self.run_etcd()

    def run_etcd(self):
        client, peer = self.etcd_ports
        pki, url = f"{self.dir}/pki", f"https://localhost:{client}"
        self.etcd_process = self.spawn("etcd", ["etcd", "--data-dir", f"{self.dir}/etcd", "--listen-client-urls", f"https://127.0.0.1:{client}",
                            "--advertise-client-urls", url, "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                            "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster",
                            f"default=http://127.0.0.1:{peer}", "--unsafe-no-fsync", "--client-cert-auth", "--trusted-ca-file",
                            f"{pki}/controller/ca.crt", "--cert-file", f"{pki}/controller/tls.crt", "--key-file", f"{pki}/controller/tls.key"])
        context = ssl.create_default_context(cafile=f"{pki}/controller/ca.crt")
        context.load_cert_chain(f"{pki}/controller/tls.crt", f"{pki}/controller/tls.key")

        def answers():
            try:
                request = urllib.request.Request(f"{url}/v3/kv/range", json.dumps({"key": "YQ=="}).encode())
                return urllib.request.urlopen(request, timeout=5, context=context).status == 200
            except OSError:
                return False

        eventually(answers, 60, "etcd answers")

    def start_controller(self, i):
        grpc, http = f"localhost:{free_port()}", f"127.0.0.1:{free_port()}"
        process = self.spawn(f"controller{i}", [
            f"{BIN}/isthmus-controller", "--policy-from", "store", "--store", f"etcd:{self.etcd}", *self.files("controller", "--etcd"),
            "--grpc-listen", grpc.replace("localhost", "127.0.0.1"), "--http-listen", http, "--advertise", grpc, "--adopt-grace", "1",
            *self.files("controller")])
        return grpc, process

    def logs(self):
        text = ""
        for i in range(2):
            with open(f"{self.dir}/controller{i}.log", encoding="utf-8", errors="replace") as log:
                text += log.read()
        return text

    def ctl(self, i, identity, *words):
        return subprocess.run([f"{BIN}/isthmusctl", "--controller", self.controllers[i][0], *self.files(identity), *words],
                              capture_output=True, text=True, timeout=30)

    def denied(self, i, identity, *words):
        done = self.ctl(i, identity, *words)
        self.assertNotEqual(done.returncode, 0, f"{identity} may {words} at controller {i}")
        return done.stderr

    def leader(self):
        """The controller whose log says last that it decides."""
        for i in range(2):
            with open(f"{self.dir}/controller{i}.log", encoding="utf-8", errors="replace") as log:
                if self.controllers[i][1].poll() is None and "leads from now on" in log.read():
                    return i
        return None

    def check_roles(self, i):
        self.assertEqual(self.ctl(i, "reader-bob", "get", "nodes").returncode, 0)
        self.assertIn("reader", self.denied(i, "reader-bob", "apply", "-f", self.policy))
        self.denied(i, "dns64-dns-1", "get", "nodes")
        self.denied(i, "dns64-dns-1", "drain", "gw1")
        self.denied(i, "nat64", "apply", "-f", self.policy)
        done = self.ctl(i, "operator-alice", "history")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("alice", done.stdout, "the author is who the certificate says, by every door")
        self.assertRegex(self.logs(), r"audit: alice[^\n]*: policy version 1 applied", "each change leaves a line")
        self.assertNotIn("PRIVATE KEY", self.logs())

    def test_roles_hold_at_every_controller_and_after_the_leader_died(self):
        eventually(lambda: self.ctl(0, "operator-alice", "apply", "-f", self.policy).returncode == 0, 60, "the policy is applied")
        eventually(lambda: self.ctl(1, "operator-alice", "history").returncode == 0, 30, "the other controller answers as well")
        for i in range(2):
            self.check_roles(i)

        service = [f"{BIN}/dns64-svc", "--listen", f"127.0.0.1:{free_port()}", "--workers", "1", "--http-listen", f"127.0.0.1:{free_port()}",
                   "--drain-timeout", "0", "--grpc-listen", ""]
        good = self.spawn("dns64", [*service, "--controller", self.controllers[1][0], "--node-id", "dns-1", *self.files("dns64-dns-1")])

        def registered(i):
            done = self.ctl(i, "operator-alice", "get", "nodes", "-o", "json")
            nodes = json.loads(done.stdout).get("nodes", []) if done.returncode == 0 else []
            return [node["node_id"] for node in nodes if node.get("connected")]

        eventually(lambda: registered(0) == ["dns-1"], 30, "the service is registered through the other controller")
        # A certificate of one node is no passport for another's name, nor for another kind.
        service[2], service[6] = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self.spawn("impostor", [*service, "--controller", self.controllers[0][0], "--node-id", "dns-2", *self.files("dns64-dns-1")])

        def refusal():
            with open(f"{self.dir}/impostor.log", encoding="utf-8", errors="replace") as log:
                return "dns-2" in log.read()

        eventually(refusal, 30, "the impostor is told")
        self.assertEqual(registered(0), ["dns-1"])

        first = eventually(lambda: (self.leader() is not None) and [self.leader()], 10, "one leads")[0]
        self.controllers[first][1].kill()
        other = 1 - first
        eventually(lambda: self.ctl(other, "operator-alice", "history").returncode == 0, 60, "the other one decides now")
        self.check_roles(other)
        if other == 1:  # whose door the service uses
            eventually(lambda: registered(other) == ["dns-1"], 60, "the service is back")
        self.assertIsNone(good.poll())

    def test_every_certificate_and_the_ca_are_replaced_while_all_runs(self):
        eventually(lambda: self.ctl(0, "operator-alice", "apply", "-f", self.policy).returncode == 0, 60, "the policy is applied")
        eventually(lambda: self.ctl(1, "operator-alice", "history").returncode == 0, 30, "the other controller answers as well")
        self.make_certificates("renewed")
        os.rename(f"{self.dir}/pki", f"{self.dir}/old")
        os.rename(f"{self.dir}/renewed", f"{self.dir}/pki")
        self.etcd_process.kill()
        self.etcd_process.wait()
        self.run_etcd()
        with open(self.policy, "a", encoding="utf-8") as file:
            file.write("exclusions: {ipv4_destinations: [192.0.2.0/24]}\n")
        for i in range(2):
            eventually(lambda: self.ctl(i, "operator-alice", "apply", "-f", self.policy).returncode == 0, 60,
                       f"a change through controller {i} is written to etcd")
            self.check_roles(i)
        for _, process in self.controllers:
            self.assertIsNone(process.poll(), "a controller was not restarted")


if __name__ == "__main__":
    suite.main()
