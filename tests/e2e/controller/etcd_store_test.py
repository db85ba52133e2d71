# SPDX-License-Identifier: Apache-2.0
"""The store's contract against a real etcd: in plain text, and with TLS and a password."""

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402

PROGRAM = os.path.join(os.environ.get("ISTHMUS_BIN", "build/dev/bin"), "../tests/bin/controller_etcd_tests")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class EtcdStore(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="isthmus-etcd-")
        self.addCleanup(scratch.cleanup)
        self.dir = scratch.name

    def start(self, scheme, *flags):
        client, peer = free_port(), free_port()
        self.url = f"{scheme}://127.0.0.1:{client}"
        with open(f"{self.dir}/log", "wb") as log:
            etcd = subprocess.Popen(["etcd", "--data-dir", f"{self.dir}/data", "--listen-client-urls", self.url,
                                     "--advertise-client-urls", self.url, "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                                     "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster",
                                     f"default=http://127.0.0.1:{peer}", "--unsafe-no-fsync", *flags], stdout=log, stderr=log)
        self.addCleanup(etcd.wait)
        self.addCleanup(etcd.kill)
        self.tls = None
        if scheme == "https":
            self.tls = ssl.create_default_context(cafile=f"{self.dir}/ca.pem")
        deadline = time.monotonic() + 60
        while True:
            try:
                self.post("/v3/kv/range", {"key": "YQ=="})
                return f"127.0.0.1:{client}"
            except OSError:
                if time.monotonic() > deadline:
                    with open(f"{self.dir}/log", encoding="utf-8", errors="replace") as log:
                        self.fail("etcd does not answer:\n" + log.read()[-3000:])
                time.sleep(0.1)

    def post(self, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30, context=self.tls) as answer:
            return json.load(answer)

    def run_contract(self, **environment):
        done = subprocess.run([PROGRAM, "--gtest_brief=1"], env={**os.environ, **environment}, capture_output=True, text=True,
                              timeout=120)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"[1-9]\d* tests from \d+ test suites ran")

    def test_the_contract_holds_in_plain_text(self):
        self.run_contract(ISTHMUS_TEST_ETCD=self.start("http"))

    def test_the_contract_holds_with_tls_and_a_password(self):
        def openssl(*words):
            subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=self.dir)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj",
                "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=etcd", "-addext",
                "subjectAltName=IP:127.0.0.1", "-keyout", "etcd.key", "-out", "etcd.csr")
        openssl("x509", "-req", "-in", "etcd.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "1", "-copy_extensions", "copy",
                "-out", "etcd.pem")
        endpoint = self.start("https", "--cert-file", f"{self.dir}/etcd.pem", "--key-file", f"{self.dir}/etcd.key")
        for user in ("root", "isthmus"):
            self.post("/v3/auth/user/add", {"name": user, "password": "secret"})
        self.post("/v3/auth/role/add", {"name": "root"})
        self.post("/v3/auth/user/grant", {"user": "root", "role": "root"})
        self.post("/v3/auth/user/grant", {"user": "isthmus", "role": "root"})
        self.post("/v3/auth/enable", {})
        self.run_contract(ISTHMUS_TEST_ETCD=endpoint, ISTHMUS_TEST_ETCD_CA=f"{self.dir}/ca.pem", ISTHMUS_TEST_ETCD_USER="isthmus",
                          ISTHMUS_TEST_ETCD_PASSWORD="secret")


if __name__ == "__main__":
    suite.main()
