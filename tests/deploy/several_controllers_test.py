#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The chart with several controllers over etcd, and DNS over TLS and HTTPS, on a real cluster.

The tests go from top to bottom through the life of one installation.
"""

import errno
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from installation import DNS64, NAME, NAMESPACE, WEB6, Site  # noqa: E402
from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402

ETCD, ETCD_PEER = "http://[fd00:250::1]:12379", "http://127.0.0.1:12380"
DNS_NAME = "dns64.isthmus.example"
VALUES = {
    "nat64": {"mode": "node"},
    "controller": {"replicas": 3, "store": {"kind": "etcd", "etcd": {"endpoints": ["[fd00:250::1]:12379"]}}},
    "dns64": {"dot": True, "doh": True, "tlsSecret": "dns-tls"},
}


class SeveralControllers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = site = Site()
        cls.addClassCleanup(site.down)
        site.up()
        site.cluster.launch(site.cluster.cp, "isthmus-etcd", [
            "etcd", f"--data-dir={site.dir}/isthmus-etcd", f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}",
            f"--listen-peer-urls={ETCD_PEER}", f"--initial-advertise-peer-urls={ETCD_PEER}", f"--initial-cluster=default={ETCD_PEER}"])
        cls.make_dns_certificate()
        try:
            site.install(VALUES)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{site.describe()}") from None

    @classmethod
    def make_dns_certificate(cls):
        key, certificate = cls.site.dir / "dns.key", cls.site.dir / "dns.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-subj", f"/CN={DNS_NAME}",
                        "-addext", f"subjectAltName=DNS:{DNS_NAME}", "-days", "30"], capture_output=True, check=True)
        cls.site.kubectl("-n", NAMESPACE, "create", "secret", "tls", "dns-tls", f"--cert={certificate}", f"--key={key}")
        cls.site.client("n1", "sh", "-c", "cat > /tmp/dns.crt", input=certificate.read_text())

    def run(self, result=None):
        failed = len(result.failures) + len(result.errors) if result else 0
        super().run(result)
        if result and len(result.failures) + len(result.errors) > failed:
            print(self.site.describe(), flush=True)

    def leaders(self):
        """Names of the controller pods that say they lead."""
        found = []
        for pod in self.site.pods("controller"):
            page = self.site.cluster.cp.run(["curl", "-sf", "-m", "3", f"http://[{pod['address']}]:9460/metrics"], check=False)
            if page.returncode == 0 and "\nisthmus_controller_leads 1\n" in page.stdout:
                found.append(pod["name"])
        return found

    def ctl(self, *words):
        return self.site.kubectl("-n", NAMESPACE, "exec", "statefulset/isthmus-controller", "--", "isthmusctl", *words)

    def test_1_three_controllers_and_one_that_leads(self):
        self.assertEqual(len(self.site.pods("controller")), 3)
        self.assertEqual(len(self.leaders()), 1)
        nodes = self.ctl("get", "nodes")
        for name in self.site.cluster.nodes:
            self.assertIn(self.site.cluster.node_name(name), nodes)
        self.assertTrue(self.site.client("n2", "curl", "-sf", "-m", "10", f"http://{NAME}/whoami").startswith("10.250.0.1"))

    def test_2_dns_over_tls_and_https_with_a_name_that_is_checked(self):
        checked = ("+tls-ca=/tmp/dns.crt", f"+tls-hostname={DNS_NAME}", "+short", "+tries=1", NAME, "AAAA")
        for words in (("+tls", "-p", "853"), ("+https", "-p", "443"), ("+https-get", "-p", "443")):
            self.assertEqual(self.site.client("n1", "dig", f"@{DNS64}", *words, *checked).strip(), WEB6, words)
        wrong = self.site.client("n1", "dig", f"@{DNS64}", "+tls", "-p", "853", "+tls-ca=/tmp/dns.crt", "+tls-hostname=other.example", NAME, "AAAA",
                                 check=False)
        self.assertNotIn(WEB6, wrong.stdout)

    def test_3_the_leader_goes_and_nobody_else_notices(self):
        queries = self.site.probe("n1", "dns", DNS64, NAME, 25)
        session = self.site.probe("n2", "session", WEB6, 7007, 25)
        time.sleep(2)
        dead = self.leaders()[0]
        self.site.kubectl("-n", NAMESPACE, "delete", "pod", dead, "--grace-period=0", "--force")
        begin = time.monotonic()
        eventually(lambda: len(self.leaders()) == 1 and dead not in self.leaders(), 40, "another controller leads", every=0.5)
        print(f"another controller leads {time.monotonic() - begin:.0f} s after the leader's pod was deleted", flush=True)
        heard, went_on = queries.result(), session.result()
        self.assertEqual(heard["unanswered"], 0, heard)
        self.assertIsNone(went_on["broken"], went_on)
        self.site.wait_ready("controller", 3)

    def test_4_a_change_of_the_policy_goes_out_under_the_new_leader(self):
        self.site.upgrade({**VALUES, "cluster": {"serviceCidrs": ["fd00:96::/112", "198.18.7.0/24"]}})
        # The kubelets bring the change to each controller when they next look, within about a minute.
        eventually(lambda: "198.18.7.0/24" in self.ctl("get", "policy", "-o", "json"), 150, "the controllers have read the change", every=1)

        knock = ("import socket\ns = socket.socket(socket.AF_INET6)\ns.settimeout(3)\n"
                 "print(s.connect_ex(('64:ff9b::198.18.7.7', 80)))")

        def refused():
            # ICMPv6 "administratively prohibited", as the kernel tells it to the program
            return self.site.client("n1", "python3", "-c", knock).strip() == str(errno.EACCES)
        eventually(refused, 60, "the new exclusion answers", every=1)


if __name__ == "__main__":
    suite.main()
