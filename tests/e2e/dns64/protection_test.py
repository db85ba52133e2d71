# SPDX-License-Identifier: Apache-2.0
"""What keeps dns64-svc from being a reflector: DNS cookies whose secrets change, and limits of equal answers to one network."""

import os
import random
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from dns64_site import POLICY, ZONE, Site, answers, ask  # noqa: E402
import dns.edns  # noqa: E402
import dns.flags  # noqa: E402
import dns.message  # noqa: E402
import dns.query  # noqa: E402
import dns.rcode  # noqa: E402

from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402
from lib.netns import lab_prefix  # noqa: E402

SECRETS = ["445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715"]
COOKIE = 10

site = None


def setUpModule():
    global site
    site = Site(lab_prefix("isthmus-dns64lim-"), zone=ZONE + "*.wild    A     20.0.1.90\n")
    unittest.addModuleCleanup(site.down)
    site.up()
    site.write("secrets", SECRETS[0] + "\n")
    site.flags = ["--listen", "[::1]:53", "--cookie-secrets", f"{site.dir}/secrets", "--responses-per-second", "40"]
    site.start_service(POLICY)


def question(name="warm1.test.", kind="AAAA", **options):
    return dns.message.make_query(name, kind, **options)


def counted(name, *labels):
    return site.service.metric_sum(f"isthmus_dns64_{name}", *labels)


class Protection(unittest.TestCase):
    @staticmethod
    def with_cookie(cookie):
        query = question(use_edns=0, options=[dns.edns.GenericOption(COOKIE, cookie)])
        return dns.query.udp(query, "::1", timeout=3)

    @staticmethod
    def cookie_of(response):
        return next(o.data for o in response.options if o.otype == COOKIE)

    def test_cookies_outlive_a_rotation_of_the_secrets(self):
        first = self.cookie_of(self.with_cookie(b"8 bytes!"))
        self.assertEqual((len(first), first[:8]), (24, b"8 bytes!"))
        before = site.service.log().count("cookie secrets")
        site.write("secrets", SECRETS[1] + "\n" + SECRETS[0] + "\n")
        eventually(lambda: site.service.log().count("cookie secrets") > before, 5, "the new secrets are used")
        self.addCleanup(time.sleep, 1.5)  # the last of these: until the file is taken up
        self.addCleanup(site.write, "secrets", SECRETS[0] + "\n")
        site.write("secrets", "nonsense\n")
        eventually(lambda: counted("reload_failures_total", 'file="cookie_secrets"') > 0, 5, "a bad file is refused")
        self.assertIn("line 1", site.service.log())
        self.assertEqual(len(self.cookie_of(self.with_cookie(first))), 24)

    def test_equal_answers_to_one_network_are_limited_but_not_for_a_valid_cookie(self):
        cookie = self.cookie_of(self.with_cookie(b"8 bytes?"))
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0.5)
            sender.connect(("::1", 53))

            def flood(**options):
                codes = []
                for _ in range(100):
                    sender.send(question(**options).to_wire())
                for _ in range(100):
                    try:
                        codes.append(dns.message.from_wire(sender.recv(2048)))
                    except TimeoutError:
                        break
                return codes
            eventually(lambda: any(r.flags & dns.flags.TC for r in flood()), 5, "some replies are truncated")
            option = dns.edns.GenericOption(COOKIE, b"8 bytes?")
            refused = [r for r in flood(use_edns=0, options=[option]) if r.rcode() == dns.rcode.BADCOOKIE]
            self.assertTrue(refused, "a client that speaks cookies is told to use one")
            self.assertEqual(len(self.cookie_of(refused[0])), 24)
            for _ in range(60):
                self.assertEqual(self.with_cookie(cookie).rcode(), dns.rcode.NOERROR)
        self.assertEqual(ask("warm1.test.", tcp=True).rcode(), dns.rcode.NOERROR)
        self.assertGreater(counted("drops_total", 'reason="response_rate_limited"'), 0)

    def test_random_names_under_a_wildcard_have_an_end(self):
        """Each name has a limit of its own; all of a zone together have ten times as much."""
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE
            sender.settimeout(1)
            sender.connect(("::1", 53))

            def flood():
                asked = [question(f"r{random.random()}.wild.test.", "A").to_wire() for _ in range(800)]
                begin, took, replies = time.monotonic(), 0, []
                for wire in asked:
                    sender.send(wire)
                try:
                    while len(replies) < len(asked):
                        replies.append(dns.message.from_wire(sender.recv(2048)))
                        took = time.monotonic() - begin
                except TimeoutError:
                    pass
                # The share of one of two workers, saved up and earned meanwhile.
                self.assertLessEqual(sum(answers(reply, "A") == ["20.0.1.90"] for reply in replies), 200 * (took + 1) + 1)
                return replies
            eventually(lambda: any(reply.flags & dns.flags.TC for reply in flood()), 10, "some replies are truncated")
        self.assertEqual(answers(ask(f"r{random.random()}.wild.test.", "A", tcp=True), "A"), ["20.0.1.90"])
        self.assertEqual(answers(ask("warm2.test.", "A"), "A"), ["20.0.2.3"], "another zone has its own")


if __name__ == "__main__":
    suite.main()
