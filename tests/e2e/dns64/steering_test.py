# SPDX-License-Identifier: Apache-2.0
"""Answers in a PER_NODE prefix live no longer than the view's steering_ttl, since clients must leave a node soon; others live as
long as their data says. Without a controller the only node has the first /96 of the parent."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from dns64_site import PREFIX, ZONE, Site, ask  # noqa: E402
import dns.rdatatype  # noqa: E402

from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402

# 300 s for what exists, 60 s for what does not: both longer than any steering_ttl here.
RECORDS = """\
web       A     20.0.1.83
web       HTTPS 1 . alpn=h2 ipv4hint=20.0.1.83
"""
# The clients: ::1 is steered, 127.0.0.1 is not, 127.0.0.2 has both kinds of prefixes, 127.0.0.3 the default of steering_ttl.
POLICY = """\
translation_prefixes:
  - {{name: steered, prefix: "2001:db8:64::/64", assignment: PER_NODE, clients: ["::1/128"]}}
  - {{name: well-known, prefix: "64:ff9b::/96", clients: ["::1/128"]}}
dns64:
  resolvers:
    - {{name: main, mode: FORWARD, dnssec: false, upstreams: [{{address: 127.0.0.53}}]}}
  views:
    - {{name: steered, clients: ["::1/128"], prefixes: [steered], steering_ttl: {ttl}, synthesize_https_hints: true}}
    - {{name: shared, clients: ["127.0.0.1/32"], prefixes: [well-known], steering_ttl: {ttl}, synthesize_https_hints: true}}
    - {{name: both, clients: ["127.0.0.2/32"], prefixes: [well-known, steered], steering_ttl: {ttl}}}
    - {{name: usual, clients: ["127.0.0.3/32"], prefixes: [steered]}}
"""
STEERED, SHARED = "2001:db8:64::1400:1", "64:ff9b::1400:1"

site = None


def setUpModule():
    global site
    site = Site(PREFIX, flags=["--listen", "[::1]:53", *(word for n in (1, 2, 3) for word in ("--listen", f"127.0.0.{n}:53"))],
                zone=ZONE + RECORDS)
    unittest.addModuleCleanup(site.down)
    site.up()
    site.start_service(POLICY.format(ttl="7s"))


def rrset(name, kind="AAAA", server="::1"):
    """The only set of records of an answer. Who asks 127.0.0.N does it from that address."""
    found = [each for each in ask(name, kind, server=server, source=None if ":" in server else server).answer
             if each.rdtype == dns.rdatatype.from_text(kind)]
    assert len(found) == 1, found
    return found[0]


def texts(records):
    return sorted(str(record) for record in records)


class Steering(unittest.TestCase):
    def test_a_synthesized_answer_is_capped_and_stays_at_the_cap_while_its_data_ages(self):
        for wait in (0, 1.5):
            time.sleep(wait)
            answer = rrset("v4only.test.")
            self.assertEqual((texts(answer), answer.ttl), ([STEERED + "50"], 7))

    def test_the_same_data_in_a_shared_prefix_lives_as_long_as_it_may(self):
        answer = rrset("v4only.test.", server="127.0.0.1")
        self.assertEqual(texts(answer), [SHARED + "50"])
        self.assertTrue(30 < answer.ttl <= 60, answer)

    def test_one_set_has_one_ttl_when_a_view_has_both_kinds_of_prefixes(self):
        answer = rrset("two.test.", server="127.0.0.2")
        self.assertEqual(texts(answer), sorted(prefix + host for prefix in (STEERED, SHARED) for host in ("50", "51")))
        self.assertEqual(answer.ttl, 7)

    def test_thirty_seconds_are_the_default(self):
        answer = rrset("v4only.test.", server="127.0.0.3")
        self.assertEqual((texts(answer), answer.ttl), ([STEERED + "50"], 30))

    def test_what_is_not_synthesized_is_not_capped(self):
        self.assertGreater(rrset("dual.test.").ttl, 250)
        self.assertGreater(rrset("v4only.test.", "A").ttl, 250)

    def test_the_prefix_that_clients_discover_is_capped_too(self):
        """RFC 7050: who finds its prefix by ipv4only.arpa must notice that it is another one now."""
        answer = rrset("ipv4only.arpa.")
        self.assertEqual((texts(answer), answer.ttl), (["2001:db8:64::c000:aa", "2001:db8:64::c000:ab"], 7))
        self.assertGreater(rrset("ipv4only.arpa.", server="127.0.0.1").ttl, 60)

    def test_hints_are_capped_too(self):
        answer = rrset("web.test.", "HTTPS")
        self.assertEqual((texts(answer), answer.ttl), ([f'1 . alpn="h2" ipv4hint="20.0.1.83" ipv6hint="{STEERED}53"'], 7))
        self.assertGreater(rrset("web.test.", "HTTPS", server="127.0.0.1").ttl, 40)

    def test_z_a_new_steering_ttl_holds_for_what_is_known_already(self):
        rrset("v4only.test.")
        site.write("policy.yaml", POLICY.format(ttl="3s"))
        try:
            eventually(lambda: rrset("v4only.test.").ttl == 3, 5, "the new cap")
        finally:
            site.write("policy.yaml", POLICY.format(ttl="7s"))
            eventually(lambda: rrset("v4only.test.").ttl == 7, 5, "the old cap again")


if __name__ == "__main__":
    suite.main()
