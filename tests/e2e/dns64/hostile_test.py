# SPDX-License-Identifier: Apache-2.0
"""Authorities that die, lie, cut answers short and lead in circles: what a client of dns64-svc gets then, and how soon."""

import os
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from authority import AuthoritySite  # noqa: E402
from dns64_site import answers, ask  # noqa: E402
import dns.edns  # noqa: E402
import dns.exception  # noqa: E402
import dns.message  # noqa: E402
import dns.rcode  # noqa: E402
import dns.rdatatype  # noqa: E402
import dns.reversename  # noqa: E402

from lib import suite  # noqa: E402
from lib.daemon import PATIENCE, eventually  # noqa: E402

site = None


def setUpModule():
    global site
    site = AuthoritySite()
    unittest.addModuleCleanup(site.down)
    site.up()
    site.start_service(site.policy())


def timed(owner, kind="AAAA"):
    begin = time.monotonic()
    response = ask(owner, kind, timeout=4, use_edns=0)
    return response, time.monotonic() - begin


def ede_codes(response):
    return [int(option.code) for option in response.options if option.otype == dns.edns.OptionType.EDE]


class AaaaFails(unittest.TestCase):
    """RFC 6147 §5.1.2, §5.1.3: any error but a name error counts as an empty answer; at most 30 s of it are believed."""

    def expect_synthesis(self, label):
        response, took = timed(f"{label}.odd.test.")
        self.assertEqual(answers(response, "AAAA"), ["64:ff9b::1400:401"], response.to_text())
        self.assertLessEqual(response.answer[0].ttl, 30)
        self.assertLess(took, 2)
        return took

    def test_servfail(self):
        self.expect_synthesis("servfailaaaa")

    def test_refused(self):
        self.expect_synthesis("refusedaaaa")

    def test_silence(self):
        took = self.expect_synthesis("silentaaaa")
        self.assertGreaterEqual(took, 0.8, "AAAA has its time")
        self.assertLessEqual(took, 1.4 * PATIENCE)

    def test_a_late_aaaa_is_awaited_when_there_is_no_a_to_stand_in(self):
        response, took = timed("slowaaaa.odd.test.")
        self.assertEqual(answers(response, "AAAA"), ["2001:db8::6"], response.to_text())
        self.assertGreater(took, 0.8, "it came after the deadline of AAAA")

    def test_without_a_and_aaaa_the_answer_is_an_error_and_no_denial(self):
        response, _ = timed("servfailaaaa-alone.odd.test.")
        self.assertEqual((response.rcode(), response.authority), (dns.rcode.SERVFAIL, []), response.to_text())

    def test_a_name_error_ends_it_even_where_an_a_would_be(self):
        response, _ = timed("nxaaaa.odd.test.")
        self.assertEqual((response.rcode(), response.answer), (dns.rcode.NXDOMAIN, []))

    def test_a_view_may_pass_the_error(self):
        site.write("policy.yaml", site.policy(view=", aaaa_failure: PASS_ERROR"))
        try:
            eventually(lambda: timed("servfailaaaa.odd.test.")[0].rcode() == dns.rcode.SERVFAIL, 5, "the error is passed")
        finally:
            site.write("policy.yaml", site.policy())
            eventually(lambda: timed("servfailaaaa.odd.test.")[0].rcode() == dns.rcode.NOERROR, 5, "the first policy is back")


class Shapes(unittest.TestCase):
    def test_without_a_soa_the_answer_lives_600_seconds_at_most(self):
        response, _ = timed("ttl5000-nosoa.odd.test.")
        self.assertEqual(answers(response, "AAAA"), ["64:ff9b::1400:401"])
        self.assertLessEqual(response.answer[0].ttl, 600)
        self.assertGreater(response.answer[0].ttl, 590)

    def test_a_foreign_soa_or_a_second_one_does_not_reach_the_client(self):
        for owner in ("wrongsoa.odd.test.", "twosoa.odd.test."):
            response, _ = timed(owner)
            self.assertEqual(answers(response, "AAAA"), ["64:ff9b::1400:401"], response.to_text())
            self.assertEqual(response.authority, [], response.to_text())

    def test_long_chains_are_kept_whole_and_in_order(self):
        response, _ = timed("hop6.odd.test.")
        self.assertEqual([rrset.name.to_text() for rrset in response.answer], [f"hop{n}.odd.test." for n in range(6, -1, -1)])
        self.assertEqual(answers(response, "AAAA"), ["64:ff9b::1400:401"])

    def test_circles_and_endless_chains_end(self):
        for owner in ("loop1.odd.test.", "hop60.odd.test."):
            response, took = timed(owner)
            self.assertEqual(answers(response, "AAAA"), [], response.to_text())
            self.assertLess(took, 2.2)

    def test_an_answer_that_is_cut_is_fetched_whole(self):
        response, _ = timed("cut.odd.test.")
        self.assertEqual(answers(response, "AAAA"), ["64:ff9b::1400:401"])
        self.assertTrue(any(entry[2] == "tcp" for entry in site.fake.questions("cut.odd.test.")))

    def test_a_server_that_cuts_and_then_refuses_tcp_costs_its_own_names_only(self):
        ask("plain.test.")
        response, took = timed("cutforever.odd.test.")
        self.assertEqual(response.rcode(), dns.rcode.SERVFAIL)
        self.assertLess(took, 2.2)
        self.assertLess(timed("plain.test.")[1], 0.5)


class Lies(unittest.TestCase):
    def test_records_that_were_not_asked_for_are_not_believed(self):
        self.assertEqual(answers(timed("poison.odd.test.")[0], "AAAA"), ["64:ff9b::1400:401"])
        self.assertEqual(answers(timed("plain.test.", "A")[0], "A"), ["20.0.1.1"])
        self.assertEqual(answers(timed("victim.odd.test.", "A")[0], "A"), ["20.0.4.1"])

    def test_a_reply_with_another_id_or_question_is_not_ours(self):
        response, _ = timed("forged.odd.test.", "A")
        self.assertIn((response.rcode(), answers(response, "A")), [(dns.rcode.NOERROR, ["20.0.4.1"]), (dns.rcode.SERVFAIL, [])])

    def test_private_addresses_are_not_put_under_the_well_known_prefix(self):
        response, _ = timed("private.test.")
        self.assertEqual((response.rcode(), answers(response, "AAAA")), (dns.rcode.NOERROR, []))

    def test_questions_upstream_are_hard_to_guess(self):
        for number in range(20):
            timed(f"guess{number}.odd.test.", "A")
        seen = [entry for entry in site.fake.seen if entry[0].lower().startswith("guess")]
        self.assertTrue(any(entry[0] != entry[0].lower() for entry in seen), "0x20: mixed case")
        ports = {entry[3] for entry in seen if entry[2] == "udp"}
        self.assertGreater(len(ports), 15, "a port of its own for each question")


class Reverse(unittest.TestCase):
    """RFC 6147 §5.3.1: PTR under the prefix."""

    def test_where_there_is_a_ptr_a_cname_leads_to_it(self):
        owner = dns.reversename.from_address("64:ff9b::20.0.4.1").to_text()
        response, _ = timed(owner, "PTR")
        self.assertEqual([(rrset.name.to_text(), str(rrset[0])) for rrset in response.answer],
                         [(owner, "1.4.0.20.in-addr.arpa."), ("1.4.0.20.in-addr.arpa.", "host.odd.test.")], response.to_text())

    def test_where_there_is_none_the_denial_may_be_kept(self):
        response, _ = timed(dns.reversename.from_address("64:ff9b::20.0.9.9").to_text(), "PTR")
        self.assertEqual((response.rcode(), response.answer), (dns.rcode.NXDOMAIN, []))
        self.assertEqual([rrset.rdtype for rrset in response.authority], [dns.rdatatype.SOA])
        self.assertLessEqual(response.authority[0].ttl, 60)


class NeverAsked(unittest.TestCase):
    def test_ipv4only_arpa_and_what_belongs_to_it_stay_here(self):
        for owner, kind in (("ipv4only.arpa.", "AAAA"), ("ipv4only.arpa.", "A"), ("ipv4only.arpa.", "TXT"),
                            ("x.ipv4only.arpa.", "AAAA"), ("170.0.0.192.in-addr.arpa.", "PTR"), ("171.0.0.192.in-addr.arpa.", "PTR")):
            timed(owner, kind)
        asked = [entry[:2] for entry in site.fake.seen if "ipv4only" in entry[0].lower() or "0.0.192.in-addr" in entry[0].lower()]
        self.assertEqual(asked, [])
        # RFC 4035 §3.1.4.1: DS is the parent's.
        response, _ = timed("ipv4only.arpa.", "DS")
        self.assertEqual([rrset.name.to_text() for rrset in response.authority], ["arpa."], response.to_text())
        self.assertIn("DS", [entry[1] for entry in site.fake.questions("ipv4only.arpa.")])
        self.assertEqual(sorted(answers(timed("ipv4only.arpa.")[0], "AAAA")), ["64:ff9b::c000:aa", "64:ff9b::c000:ab"])

    def test_any_is_answered_without_asking(self):
        response, _ = timed("any.odd.test.", "ANY")
        self.assertEqual([dns.rdatatype.to_text(rrset.rdtype) for rrset in response.answer], ["HINFO"])
        self.assertEqual(site.fake.questions("any.odd.test."), [])


class Silence(unittest.TestCase):
    def test_1_every_client_has_its_answer_in_two_seconds(self):
        response, took = timed("silent.odd.test.")
        self.assertEqual((response.rcode(), response.answer), (dns.rcode.SERVFAIL, []))
        self.assertLess(took, 2.2)
        self.assertIn(22, ede_codes(response), "EDE 22: no reachable authority")
        response, took = timed("refuseall.odd.test.", "A")
        self.assertEqual((response.rcode(), ede_codes(response)), (dns.rcode.SERVFAIL, [22]))
        response, took = timed("refuseall.odd.test.", "A")
        self.assertEqual((response.rcode(), ede_codes(response)), (dns.rcode.SERVFAIL, [13]), "EDE 13: cached error")

    def test_2_an_answer_that_comes_too_late_serves_the_next_client(self):
        response, took = timed("late.odd.test.", "A")
        self.assertEqual(response.rcode(), dns.rcode.SERVFAIL)
        self.assertLess(took, 2.2)
        eventually(lambda: answers(timed("late.odd.test.", "A")[0], "A") == ["20.0.4.1"], 5, "the late answer is there")
        asked = len(site.fake.questions("late.odd.test."))
        response, took = timed("late.odd.test.", "A")
        self.assertEqual(answers(response, "A"), ["20.0.4.1"])
        self.assertLess(took, 0.3)
        self.assertEqual(len(site.fake.questions("late.odd.test.")), asked, "from the cache")

    def test_3_an_attack_on_a_silent_zone_leaves_hits_and_other_zones_alone(self):
        for number in range(20):
            ask(f"calm{number}.odd.test.")
        done = threading.Event()

        def attack():
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
                sender.connect(("::1", 53))
                number = 0
                while not done.is_set():
                    for _ in range(20):
                        number += 1
                        sender.send(dns.message.make_query(f"silent.x{number}.odd.test.", "AAAA").to_wire())
                    time.sleep(0.01)
        thread = threading.Thread(target=attack)
        thread.start()
        try:
            time.sleep(1)
            slow = sorted(timed(f"calm{number % 20}.odd.test.")[1] for number in range(100))
            self.assertLess(slow[-5], 0.3, slow[-10:])
            self.assertEqual(answers(timed("private.test.", "A")[0], "A"), ["10.0.0.1"])
            response, took = timed(f"dual{time.time()}.sec.test.")
            self.assertLess(took, 2.2)
            self.assertEqual(response.rcode(), dns.rcode.NXDOMAIN)
        finally:
            done.set()
            thread.join()


if __name__ == "__main__":
    suite.main()
