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
                "--store", "memory", "--grpc-listen", grpc or self.grpc, "--http-listen", http or self.http]

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
    """What `isthmusctl certs` makes, and in `stranger` the same of another authority."""
    for top in (folder, f"{folder}/strange"):
        subprocess.run([f"{BIN}/isthmusctl", "certs", top, "--identity", "operator/alice", "reader/grafana", "dns64/dns-tls",
                        "nat64/*"], check=True, capture_output=True)


class MutualTls(Running):
    """The controller with certificates: whoever has one of its CA is answered, nobody else."""

    def setUp(self):
        keys = tempfile.TemporaryDirectory(prefix="isthmus-tls-")
        self.addCleanup(keys.cleanup)
        self.keys = keys.name
        make_certificates(self.keys)
        super().setUp()

    def certificate(self, name):
        return ["--tls-ca", f"{self.keys}/{name}/ca.crt", "--tls-certificate", f"{self.keys}/{name}/tls.crt", "--tls-key",
                f"{self.keys}/{name}/tls.key"]

    def command(self, grpc=None, http=None):
        return [*super().command(grpc, http), *self.certificate("controller")]

    def ask(self, *flags):
        return subprocess.run([f"{BIN}/isthmusctl", "get", "policy", "--controller", self.grpc, *flags], capture_output=True,
                              text=True, timeout=20)

    def start_service(self, node_id, who):
        service = subprocess.Popen([f"{BIN}/dns64-svc", "--listen", f"127.0.0.1:{free_port()}", "--http-listen",
                                    f"127.0.0.1:{free_port()}", "--grpc-listen", "", "--node-id", node_id, "--controller", self.grpc,
                                    *self.certificate(who)], stdout=self.log, stderr=subprocess.STDOUT)
        self.addCleanup(service.wait)
        self.addCleanup(service.kill)

    def in_log(self, *words):
        with open(f"{self.dir}/log", encoding="utf-8") as log:
            return any(all(word in line for word in words) for line in log)

    def test_an_operator_and_a_reader_are_answered(self):
        for who in ("operator-alice", "reader-grafana"):
            done = self.ask(*self.certificate(who))
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertIn("public", done.stdout)

    def test_a_strangers_certificate_and_plain_text_are_refused(self):
        for flags in (self.certificate("strange/operator-alice"), []):
            with self.subTest(flags):
                done = self.ask(*flags)
                self.assertEqual(2, done.returncode)
                self.assertEqual("", done.stdout)
                self.assertEqual(1, len(done.stderr.strip().splitlines()), done.stderr)

    def test_a_services_certificate_does_not_read(self):
        done = self.ask(*self.certificate("nat64"))
        self.assertEqual(2, done.returncode)
        self.assertIn("reader or operator", done.stderr)

    def test_a_service_registers_under_the_name_in_its_certificate(self):
        self.start_service("dns-tls", "dns64-dns-tls")
        eventually(lambda: 'isthmus_service_connected{kind="dns64",node="dns-tls"} 1' in self.get("/metrics"),
                   "it is registered", 10)

    def test_a_service_under_another_name_or_of_another_kind_is_refused(self):
        self.start_service("dns-other", "dns64-dns-tls")
        eventually(lambda: self.in_log("refused a service", "dns-other.dns64.isthmus.internal"), "the name is refused", 10)
        self.start_service("dns-kind", "nat64")
        eventually(lambda: self.in_log("refused a service", "dns-kind.dns64.isthmus.internal"), "the kind is refused", 10)
        self.assertNotIn('node="dns-', self.get("/metrics"))

    def test_certificates_are_renewed_by_a_second_run_under_the_same_authority(self):
        def text(name):
            with open(f"{self.keys}/{name}", encoding="utf-8") as file:
                return file.read()
        before = text("ca/tls.crt"), text("controller/tls.crt")
        make_certificates(self.keys)
        self.assertEqual(before[0], text("ca/tls.crt"))
        self.assertNotEqual(before[1], text("controller/tls.crt"))
        self.assertEqual(0, self.ask(*self.certificate("operator-alice")).returncode)

    def test_the_admin_api_as_rest_asks_for_the_same_certificates(self):
        rest = f"127.0.0.1:{free_port()}"
        other = subprocess.Popen([*self.command(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"), "--rest-listen", rest],
                                 stdout=self.log, stderr=subprocess.STDOUT)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)

        def curl(who, path, *flags):
            keys = f"{self.keys}/{who}"
            return subprocess.run(["curl", "-s", "-m", "5", "--cacert", f"{keys}/ca.crt", "--cert", f"{keys}/tls.crt", "--key",
                                   f"{keys}/tls.key", f"https://{rest}{path}", *flags], capture_output=True, text=True,
                                  check=False).stdout

        eventually(lambda: "paths" in curl("reader-grafana", "/api/v1/openapi.json"), "it answers")
        self.assertIn("203.0.113.0/30", curl("reader-grafana", "/api/v1/policy"))
        self.assertIn("poolz", curl("operator-alice", "/api/v1/validate", "--json", json.dumps({"yaml": "poolz: []"})))
        self.assertIn("permission_denied", curl("nat64", "/api/v1/policy"))
        self.assertEqual("", curl("strange/operator-alice", "/api/v1/policy"))
        self.assertEqual("", subprocess.run(["curl", "-sk", "-m", "5", f"https://{rest}/api/v1/policy"], capture_output=True,
                                            text=True, check=False).stdout)

    def test_beyond_loopback_needs_no_plain_text_flag(self):
        other = subprocess.Popen(self.command(f"0.0.0.0:{free_port()}", f"127.0.0.1:{free_port()}"), stdout=self.log,
                                 stderr=subprocess.STDOUT)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        time.sleep(1)
        self.assertIsNone(other.poll())

    def test_a_missing_certificate_file_is_one_line(self):
        command = [word.replace("controller/tls.crt", "gone.pem") for word in self.command()]
        self.assertIn("gone.pem", self.refused(*command))


class Controller(Running):
    def grpc_call(self, method, message):
        """A call of one message each way, as any gRPC client makes it without our proto files: HTTP/2 in plain text."""
        body = b"\0" + len(message).to_bytes(4, "big") + message
        done = subprocess.run(["curl", "-s", "-m", "5", "--http2-prior-knowledge", "-H", "content-type: application/grpc", "-H",
                               "te: trailers", "--data-binary", "@-", f"http://{self.grpc}/{method}"], input=body,
                              capture_output=True, check=True)
        return done.stdout[5:]

    def test_it_tells_its_health_and_its_services_to_any_grpc_client(self):
        self.assertEqual(b"\x08\x01", self.grpc_call("grpc.health.v1.Health/Check", b""), "SERVING")
        services = self.grpc_call("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", b"\x3a\0")
        for service in (b"isthmus.v1.Admin", b"isthmus.v1.ControlPlane"):
            self.assertIn(service, services)

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

    def test_events_are_followed_over_a_restart_of_the_controller(self):
        follower = subprocess.Popen([f"{BIN}/isthmusctl", "events", "-w", "-o", "json", "--controller", self.grpc],
                                    stdout=open(f"{self.dir}/events", "wb"), stderr=subprocess.DEVNULL)
        self.addCleanup(follower.wait)
        self.addCleanup(follower.kill)

        def kinds():
            with open(f"{self.dir}/events", encoding="utf-8") as lines:
                return [json.loads(line)["kind"] for line in lines if line.endswith("\n")]

        eventually(lambda: kinds().count("policy") == 1, "the first policy is told")
        self.swap(CHANGED)
        eventually(lambda: kinds().count("policy") == 2, "the change is told")
        self.process.kill()
        self.process.wait()
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=subprocess.STDOUT)
        eventually(lambda: kinds().count("policy") == 3, "the policy of the next controller is told", within=15)
        table = subprocess.run([f"{BIN}/isthmusctl", "events", "--controller", self.grpc], check=True, capture_output=True,
                               text=True, timeout=10).stdout
        self.assertRegex(table, r"(?m)^\d{4}-\d\d-\d\dT\S+Z   policy: policy ")

    def test_a_port_in_use_is_one_line_that_says_so(self):
        self.assertIn("--grpc-listen", self.refused(*self.command(http=f"127.0.0.1:{free_port()}")))

    def test_plain_text_beyond_loopback_needs_saying_so(self):
        self.assertIn("--allow-plaintext", self.refused(*self.command(grpc=f"0.0.0.0:{free_port()}")))

    def test_sigterm_ends_it_within_two_seconds(self):
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(0, self.process.wait(timeout=2))


if __name__ == "__main__":
    suite.main()
