# SPDX-License-Identifier: Apache-2.0
"""The real isthmus-controller and isthmusctl on loopback: start, questions, reload, refusal, and the end."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402

BIN = os.environ.get("ISTHMUS_BIN", "build/dev/bin")
POLICY = """
translation_prefixes:
  - {name: well-known, prefix: "64:ff9b::/96", clients: ["2001:db8::/32"]}
pools:
  - {name: public, addresses: [203.0.113.0/30], subscribers: {prefix_length: 64}}
"""
CHANGED = POLICY.replace("203.0.113.0/30", "203.0.113.0/29")
MISSPELT = POLICY.replace("subscribers", "subscriberz")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def eventually(condition, what, within=5):
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.05)


class Running(unittest.TestCase):
    """One controller for each test."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="isthmus-controller-")
        self.addCleanup(scratch.cleanup)
        self.dir = scratch.name
        self.grpc, self.http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        # As Kubernetes mounts a ConfigMap: policy.yaml -> ..data/policy.yaml, ..data -> a directory that is swapped.
        os.symlink("..data/policy.yaml", f"{self.dir}/policy.yaml")
        self.swaps = 0
        self.swap(POLICY)
        self.log = open(f"{self.dir}/log", "ab")
        self.addCleanup(self.log.close)
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=subprocess.STDOUT)
        self.addCleanup(self.kill)
        eventually(lambda: self.get("/readyz") is not None, "/readyz answers")

    def command(self, grpc=None, http=None):
        return [f"{BIN}/isthmus-controller", "--policy-file", f"{self.dir}/policy.yaml",
                "--grpc-listen", grpc or self.grpc, "--http-listen", http or self.http]

    def swap(self, text):
        self.swaps += 1
        os.mkdir(f"{self.dir}/..{self.swaps}")
        with open(f"{self.dir}/..{self.swaps}/policy.yaml", "w", encoding="utf-8") as file:
            file.write(text)
        os.symlink(f"..{self.swaps}", f"{self.dir}/..new")
        os.rename(f"{self.dir}/..new", f"{self.dir}/..data")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.http}{path}", timeout=2) as reply:
                return reply.read().decode()
        except OSError:
            return None

    def metric(self, name):
        for line in self.get("/metrics").splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        raise AssertionError(f"no metric {name}")

    def ctl(self, *words):
        done = subprocess.run([f"{BIN}/isthmusctl", *words, "--controller", self.grpc, "-o", "json"], check=True,
                              capture_output=True, text=True, timeout=10)
        return json.loads(done.stdout)

    def refused(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        self.assertGreater(done.returncode, 0)
        self.assertEqual(1, len((done.stdout + done.stderr).strip().splitlines()), done.stdout + done.stderr)
        return done.stdout + done.stderr


def make_certificates(folder):
    """A CA, a controller's and an operator's certificate, and one of a stranger's CA."""
    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    for ca, names in (("ca", ("controller", "operator")), ("other", ("stranger",))):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                "-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
        for name in names:
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", f"{name}.key", "-out", f"{name}.csr")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-days", "1",
                    "-copy_extensions", "copy", "-out", f"{name}.pem")


class MutualTls(Running):
    """The controller with certificates: whoever has one of its CA is answered, nobody else."""

    def setUp(self):
        keys = tempfile.TemporaryDirectory(prefix="isthmus-tls-")
        self.addCleanup(keys.cleanup)
        self.keys = keys.name
        make_certificates(self.keys)
        super().setUp()

    def certificate(self, name):
        return ["--tls-ca", f"{self.keys}/ca.pem", "--tls-certificate", f"{self.keys}/{name}.pem", "--tls-key",
                f"{self.keys}/{name}.key"]

    def command(self, grpc=None, http=None):
        return [*super().command(grpc, http), *self.certificate("controller")]

    def ask(self, *flags):
        return subprocess.run([f"{BIN}/isthmusctl", "get", "policy", "--controller", self.grpc, *flags], capture_output=True,
                              text=True, timeout=20)

    def test_an_operator_with_a_certificate_is_answered(self):
        done = self.ask(*self.certificate("operator"))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("public", done.stdout)

    def test_a_strangers_certificate_and_plain_text_are_refused(self):
        for flags in (self.certificate("stranger"), []):
            with self.subTest(flags):
                done = self.ask(*flags)
                self.assertEqual(2, done.returncode)
                self.assertEqual("", done.stdout)
                self.assertEqual(1, len(done.stderr.strip().splitlines()), done.stderr)

    def test_a_service_with_a_certificate_registers(self):
        service = subprocess.Popen([f"{BIN}/dns64-svc", "--listen", f"127.0.0.1:{free_port()}", "--http-listen",
                                    f"127.0.0.1:{free_port()}", "--node-id", "dns-tls", "--controller", self.grpc,
                                    *self.certificate("operator")], stdout=self.log, stderr=subprocess.STDOUT)
        self.addCleanup(service.wait)
        self.addCleanup(service.kill)
        eventually(lambda: "dns-tls" in self.ask(*self.certificate("operator")).stdout or
                   'isthmus_service_connected{kind="dns64",node="dns-tls"} 1' in self.get("/metrics"), "it is registered", 10)

    def test_beyond_loopback_needs_no_plain_text_flag(self):
        other = subprocess.Popen(self.command(f"0.0.0.0:{free_port()}", f"127.0.0.1:{free_port()}"), stdout=self.log,
                                 stderr=subprocess.STDOUT)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        time.sleep(1)
        self.assertIsNone(other.poll())

    def test_a_missing_certificate_file_is_one_line(self):
        command = [word.replace("controller.pem", "gone.pem") for word in self.command()]
        self.assertIn("gone.pem", self.refused(*command))


class Controller(Running):
    def test_it_says_what_it_runs(self):
        self.assertIn("203.0.113.0/30", json.dumps(self.ctl("get", "policy")))
        self.assertIn("203.0.113.3", json.dumps(self.ctl("get", "leases")))
        self.assertNotIn("node_id", json.dumps(self.ctl("get", "nodes")))
        self.assertEqual("alive\n", self.get("/healthz"))
        self.assertEqual(1, self.metric("isthmus_controller_policy_version"))
        self.assertEqual(4, self.metric('isthmus_controller_addresses{pool="public",state="free"}'))

    def test_a_swapped_configmap_is_read(self):
        self.swap(CHANGED)
        eventually(lambda: self.metric("isthmus_controller_policy_version") == 2, "the change is read", within=1)
        self.assertEqual(8, self.metric('isthmus_controller_addresses{pool="public",state="free"}'))

    def test_a_refused_file_is_named_and_what_ran_keeps_running(self):
        self.swap(MISSPELT)
        eventually(lambda: self.metric("isthmus_controller_policy_refused") == 1, "the refusal shows")
        self.assertIn("subscriberz", json.dumps(self.ctl("get", "policy")))
        self.assertIn("203.0.113.0/30", json.dumps(self.ctl("get", "policy")))
        with open(f"{self.dir}/log", encoding="utf-8") as log:
            self.assertIn("pools[0].subscriberz", log.read())
        self.swap(POLICY)
        eventually(lambda: self.metric("isthmus_controller_policy_refused") == 0, "the mended file is taken")

    def test_a_port_in_use_is_one_line_that_says_so(self):
        self.assertIn("--grpc-listen", self.refused(*self.command(http=f"127.0.0.1:{free_port()}")))

    def test_plain_text_beyond_loopback_needs_saying_so(self):
        self.assertIn("--allow-plaintext", self.refused(*self.command(grpc=f"0.0.0.0:{free_port()}")))

    def test_sigterm_ends_it_within_two_seconds(self):
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.process.wait(timeout=2))


if __name__ == "__main__":
    suite.main()
