# SPDX-License-Identifier: Apache-2.0
"""Rebinding protection as a client sees it: no name of the outside leads into the site, by an address, by an address inside a
translation prefix, or by a hint; names of the site's own zones and clients of other views are answered as ever."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from dns64_site import PREFIX, ZONE, Site, answers, ask  # noqa: E402
import dns.edns  # noqa: E402
import dns.rcode  # noqa: E402

from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402

RECORDS = """\
mixed     A     10.0.0.2
mixed     A     20.0.1.84
sneaky    CNAME private
detour    CNAME home.corp
ula       AAAA  fd00::1
linklocal AAAA  fe80::1
loopback  AAAA  ::1
inside    AAAA  2001:db8:64::10.0.0.1
wellknown AAAA  64:ff9b::10.0.0.1
outside   AAAA  64:ff9b::20.0.1.80
half      AAAA  fd00::1
half      AAAA  2001:db8:80::80
web       HTTPS 1 . alpn=h2 ipv4hint=10.0.0.1,20.0.1.84 ipv6hint=fd00::1
web       A     20.0.1.84
lure      HTTPS 1 . alpn=h2 ipv4hint=20.0.1.84 ipv6hint=2001:db8:64::10.0.0.1,2001:db8:80::80
must      HTTPS 1 . mandatory=ipv4hint ipv4hint=10.0.0.1
must      HTTPS 2 . alpn=h2
home.corp A     10.0.0.3
home.corp HTTPS 1 . ipv4hint=10.0.0.3
"""
# ::1 is protected, 127.0.0.1 is not.
POLICY = """\
translation_prefixes:
  - {{name: well-known, prefix: "64:ff9b::/96", clients: ["::1/128"]}}
  - {{name: local, prefix: "2001:db8:64::/96", clients: ["::1/128"], ipv4_ranges: [10.0.0.0/8], allow_non_global: true}}
dns64:
  resolvers:
    - name: main
      mode: FORWARD
      dnssec: false
      upstreams: [{{address: 127.0.0.53}}]
      zones: [{{name: corp.test, kind: FORWARD, upstreams: [{{address: 127.0.0.53}}]}}]
  views:
    - {{name: guarded, clients: ["::1/128"], prefixes: [well-known, local], rebinding_protection: {on}}}
    - {{name: open, clients: ["127.0.0.1/32"], prefixes: [well-known, local]}}
"""
OPEN = "127.0.0.1"

site = None


def setUpModule():
    global site
    site = Site(PREFIX, zone=ZONE + RECORDS)
    unittest.addModuleCleanup(site.down)
    site.up()
    site.start_service(POLICY.format(on="true"))


def is_blocked(response):
    return any(option.otype == dns.edns.OptionType.EDE and option.code == 15 for option in response.options)


class Rebinding(unittest.TestCase):
    def expect(self, label, kind, guarded, unguarded, **options):
        """What each of the two clients gets. Withheld is not denied: there is no error, and EDE 15 says why."""
        for server, wanted in (("::1", guarded), (OPEN, unguarded)):
            for _ in ("miss", "hit"):
                response = ask(f"{label}.test.", kind, server=server, use_edns=0, **options)
                self.assertEqual(response.rcode(), dns.rcode.NOERROR)
                self.assertEqual(sorted(answers(response, kind)), sorted(wanted), response.to_text())
                if kind != "AAAA":  # of these A decides, when none is left
                    self.assertEqual(is_blocked(response), server == "::1" and guarded != unguarded, response.to_text())

    def test_private_a_are_withheld(self):
        self.expect("private", "A", [], ["10.0.0.1"])
        self.expect("mixed", "A", ["20.0.1.84"], ["10.0.0.2", "20.0.1.84"])

    def test_a_cname_does_not_help(self):
        response = ask("sneaky.test.", "A")
        self.assertEqual([rrset.name.to_text() for rrset in response.answer], ["sneaky.test."], "the chain alone")
        self.expect("sneaky", "A", [], ["10.0.0.1"])
        # Whoever wrote the name counts, not whose name the end of the chain is.
        self.expect("detour", "A", [], ["10.0.0.3"])

    def test_aaaa_inside_the_site_are_withheld(self):
        for label, address in (("ula", "fd00::1"), ("linklocal", "fe80::1"), ("loopback", "::1")):
            self.expect(label, "AAAA", [], [address])
        self.expect("half", "AAAA", ["2001:db8:80::80"], ["2001:db8:80::80", "fd00::1"])
        self.assertTrue(is_blocked(ask("half.test.", use_edns=0)))

    def test_a_translation_prefix_is_no_way_around(self):
        self.expect("inside", "AAAA", [], ["2001:db8:64::a00:1"])
        self.expect("wellknown", "AAAA", [], ["64:ff9b::a00:1"])
        self.assertEqual(answers(ask("outside.test."), "AAAA"), ["64:ff9b::1400:150"])

    def test_nothing_is_synthesized_that_leads_inside(self):
        for label, wanted in (("private", ["2001:db8:64::a00:1"]), ("mixed", ["2001:db8:64::a00:2", "64:ff9b::1400:154"])):
            self.assertEqual(sorted(answers(ask(f"{label}.test.", server=OPEN), "AAAA")), wanted)
        self.assertEqual(answers(ask("private.test."), "AAAA"), [])
        self.assertEqual(answers(ask("mixed.test."), "AAAA"), ["64:ff9b::1400:154"])

    def test_hints_inside_the_site_are_withheld(self):
        whole = '1 . alpn="h2" ipv4hint="10.0.0.1,20.0.1.84" ipv6hint="fd00::1"'
        self.expect("web", "HTTPS", ['1 . alpn="h2" ipv4hint="20.0.1.84"'], [whole])
        self.expect("web", "HTTPS", ['1 . alpn="h2" ipv4hint="20.0.1.84"'], [whole], want_dnssec=True)
        self.expect("lure", "HTTPS", ['1 . alpn="h2" ipv4hint="20.0.1.84" ipv6hint="2001:db8:80::80"'],
                    ['1 . alpn="h2" ipv4hint="20.0.1.84" ipv6hint="2001:db8:64::a00:1,2001:db8:80::80"'])
        self.expect("must", "HTTPS", ['2 . alpn="h2"'], ['1 . mandatory="ipv4hint" ipv4hint="10.0.0.1"', '2 . alpn="h2"'])

    def test_the_sites_own_names_are_answered(self):
        self.expect("home.corp", "A", ["10.0.0.3"], ["10.0.0.3"])
        self.expect("home.corp", "AAAA", ["2001:db8:64::a00:3"], ["2001:db8:64::a00:3"])
        self.expect("home.corp", "HTTPS", ['1 . ipv4hint="10.0.0.3"'], ['1 . ipv4hint="10.0.0.3"'])

    def test_public_names_are_answered(self):
        self.expect("v4only", "A", ["20.0.1.80"], ["20.0.1.80"])
        self.expect("v4only", "AAAA", ["64:ff9b::1400:150"], ["64:ff9b::1400:150"])
        self.assertEqual(sorted(answers(ask("ipv4only.arpa.", "A"), "A")), ["192.0.0.170", "192.0.0.171"])

    def test_withheld_answers_are_counted(self):
        def counted(view):
            return site.service.metric_sum("isthmus_dns64_view_queries_total", f'view="{view}"', 'outcome="rebinding"')
        before = counted("guarded")
        for kind in ("A", "HTTPS"):
            ask("private.test." if kind == "A" else "web.test.", kind)
        ask("v4only.test.", "A")
        self.assertEqual((counted("guarded") - before, counted("open")), (2, 0))

    def test_z_the_switch_acts_at_once_on_what_is_known_already(self):
        self.assertEqual(answers(ask("private.test.", "A"), "A"), [])
        site.write("policy.yaml", POLICY.format(on="false"))
        eventually(lambda: answers(ask("private.test.", "A"), "A") == ["10.0.0.1"], 5, "protection is off")
        site.write("policy.yaml", POLICY.format(on="true"))
        eventually(lambda: answers(ask("private.test.", "A"), "A") == [], 5, "protection is on again")


if __name__ == "__main__":
    suite.main()
