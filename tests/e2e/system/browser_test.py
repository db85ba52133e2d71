# SPDX-License-Identifier: Apache-2.0
"""A real browser on an IPv6-only host whose only DNS is our DNS over HTTPS opens a page that only IPv4 has."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import suite  # noqa: E402
from lib.topology import NODE6, POLICY, ZONE, Lab  # noqa: E402

BROWSER = shutil.which("chromium")
PNG = b"\x89PNG\r\n\x1a\n"
lab = None


def setUpModule():
    if BROWSER is None:
        raise unittest.SkipTest("no chromium: './dev test browser' installs it")
    global lab
    lab = Lab("isthmus-web-", body_bytes=1024)
    unittest.addModuleCleanup(lab.__exit__, None, None, None)
    lab.__enter__()
    certificate, key = f"{lab.dir}/dns.pem", f"{lab.dir}/dns.key"
    lab.node.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                  "-subj", "/CN=dns.test", "-addext", f"subjectAltName=IP:{NODE6}", "-keyout", key, "-out", certificate])
    lab.write_policy(POLICY)
    lab.start_controller()
    lab.start_nat64()
    lab.start_dns64("--doh-listen", f"[{NODE6}]:443", "--dns-certificate", certificate, "--dns-key", key)


def key_hash(certificate):
    """What Chromium calls a certificate that it is told to trust: SHA-256 of its public key."""
    pem = subprocess.run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"], capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem, capture_output=True, check=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def browse(url, *options):
    """A fresh profile whose resolver is ours alone."""
    profile = f"{lab.dir}/profile"
    shutil.rmtree(profile, ignore_errors=True)
    os.makedirs(profile)
    with open(f"{profile}/Local State", "w", encoding="utf-8") as file:
        json.dump({"dns_over_https": {"mode": "secure", "templates": f"https://[{NODE6}]/dns-query"}}, file)
    return lab.client.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-dev-shm-usage",
         f"--user-data-dir={profile}", f"--ignore-certificate-errors-spki-list={key_hash(lab.dir + '/dns.pem')}",
         "--virtual-time-budget=10000", *options, url],
        timeout=90, env={**os.environ, "HOME": profile})


class Browser(unittest.TestCase):
    def test_a_page_of_the_ipv4_internet_opens(self):
        def asked():
            return lab.dns64.metric_sum("isthmus_dns64_queries_total", 'transport="https"', 'outcome="synthesized"')

        def translated():
            return lab.nat64.metric_sum("isthmus_nat64_translated_packets_total", 'protocol="tcp"')
        before = asked(), translated()
        page = browse(f"http://v4only.{ZONE}/", "--dump-dom")
        self.assertIn("Hello from the IPv4-only internet.", page)
        self.assertGreater(asked(), before[0], "the name was asked over HTTPS and its address synthesized")
        self.assertGreater(translated(), before[1], "the page came through the translator")
        self.assertGreater(lab.dns64.metric_sum("isthmus_dns64_tls_handshakes_total", 'transport="https"'), 0)

    def test_it_can_be_seen(self):
        picture = f"{lab.dir}/page.png"
        browse(f"http://v4only.{ZONE}/", f"--screenshot={picture}", "--window-size=400,200")
        with open(picture, "rb") as file:
            self.assertEqual(file.read(8), PNG)

    def test_a_name_that_does_not_exist_is_an_error_page(self):
        page = browse(f"http://nothing.{ZONE}/", "--dump-dom")
        self.assertNotIn("Hello", page)


if __name__ == "__main__":
    suite.main()
