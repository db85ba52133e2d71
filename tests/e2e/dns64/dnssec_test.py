# SPDX-License-Identifier: Apache-2.0
"""DNSSEC and DNS64 (RFC 6147 §5.5) with signed zones: what is synthesized, what keeps its AD, and what is never believed."""

import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from authority import AuthoritySite  # noqa: E402
from dns64_site import answers, ask  # noqa: E402
import dns.edns  # noqa: E402
import dns.flags  # noqa: E402
import dns.message  # noqa: E402
import dns.query  # noqa: E402
import dns.rcode  # noqa: E402
import dns.rdatatype  # noqa: E402

from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402

site = None


def setUpModule():
    global site
    site = AuthoritySite()
    unittest.addModuleCleanup(site.down)
    site.up()
    site.start_service(site.policy())


def query(name, kind="AAAA", do=False, cd=False, ad=False):
    message = dns.message.make_query(name, kind, use_edns=0, payload=1232, want_dnssec=do)
    message.flags = (message.flags & ~dns.flags.AD) | (dns.flags.CD if cd else 0) | (dns.flags.AD if ad else 0)
    return dns.query.udp(message, "::1", timeout=4)


def types(section):
    return [dns.rdatatype.to_text(rrset.rdtype) for rrset in section]


def ede_codes(response):
    return [int(option.code) for option in response.options if option.otype == dns.edns.OptionType.EDE]


class Secure(unittest.TestCase):
    """A-only name in a validated zone: 64:ff9b::1400:201."""

    def test_without_do_the_client_gets_synthesis_and_ad_only_when_it_asks(self):
        plain, asking = query("v4.sec.test."), query("v4.sec.test.", ad=True)
        for response in (plain, asking):
            self.assertEqual(answers(response, "AAAA"), ["64:ff9b::1400:201"])
            self.assertEqual((types(response.answer), types(response.authority)), (["AAAA"], []))
        self.assertFalse(plain.flags & dns.flags.AD)
        self.assertTrue(asking.flags & dns.flags.AD)

    def test_with_do_synthesis_carries_no_signature_of_other_data(self):
        response = query("v4.sec.test.", do=True)
        self.assertEqual((types(response.answer), types(response.authority)), (["AAAA"], []))
        self.assertEqual(answers(response, "AAAA"), ["64:ff9b::1400:201"])
        self.assertTrue(response.flags & dns.flags.AD)
        self.assertEqual(ede_codes(response), [29])

    def test_with_do_and_cd_nothing_is_translated_and_the_proof_is_whole(self):
        response = query("v4.sec.test.", do=True, cd=True)
        self.assertEqual(response.answer, [])
        self.assertEqual(sorted(types(response.authority)), ["NSEC", "RRSIG", "RRSIG", "SOA"])

    def test_cd_without_do_may_be_translated(self):
        self.assertEqual(answers(query("v4.sec.test.", cd=True), "AAAA"), ["64:ff9b::1400:201"])

    def test_real_aaaa_keep_signatures_and_ad(self):
        response = query("dual.sec.test.", do=True)
        self.assertEqual(types(response.answer), ["AAAA", "RRSIG"])
        self.assertTrue(response.flags & dns.flags.AD)
        self.assertEqual(types(query("dual.sec.test.").answer), ["AAAA"], "no RRSIG without DO")

    def test_an_excluded_aaaa_is_replaced_but_not_for_who_validates(self):
        self.assertEqual(answers(query("mapped.sec.test.", do=True), "AAAA"), ["64:ff9b::1400:203"])
        self.assertEqual(answers(query("mapped.sec.test.", do=True, cd=True), "AAAA"), ["::ffff:20.0.2.3"])

    def test_an_excluded_aaaa_alone_leaves_an_empty_answer_that_no_proof_contradicts(self):
        response = query("mapped6.sec.test.", do=True)
        self.assertEqual((response.rcode(), response.answer, types(response.authority)), (dns.rcode.NOERROR, [], ["SOA"]))
        self.assertFalse(response.flags & dns.flags.AD)

    def test_a_chain_that_leaves_the_signed_zone_has_no_ad(self):
        response = query("outside.sec.test.", ad=True)
        self.assertEqual(types(response.answer), ["CNAME", "AAAA"])
        self.assertFalse(response.flags & dns.flags.AD)
        inside = query("alias.sec.test.", ad=True)
        self.assertEqual(types(inside.answer), ["CNAME", "AAAA"])
        self.assertTrue(inside.flags & dns.flags.AD)

    def test_wildcards_and_dnames_are_synthesized_in_order(self):
        self.assertEqual(answers(query("any.wild.sec.test."), "AAAA"), ["64:ff9b::1400:204"])
        response = query("x.tree.sec.test.")
        self.assertEqual(types(response.answer), ["DNAME", "CNAME", "AAAA"])
        self.assertEqual([rrset.name.to_text() for rrset in response.answer], ["tree.sec.test.", "x.tree.sec.test.", "x.target.sec.test."])

    def test_below_a_dname_questions_for_cname_and_dname_get_it_with_its_signature(self):
        # With CD: libunbound finds a signature missing at a CNAME that a DNAME made when CNAME or DNAME is asked for.
        for kind in ("CNAME", "DNAME"):
            self.assertEqual(types(query("x.tree.sec.test.", kind, do=True, cd=True).answer), ["DNAME", "CNAME", "RRSIG"], kind)
            self.assertFalse(query("x.tree.sec.test.", kind, ad=True).flags & dns.flags.AD, kind)

    def test_a_name_that_a_dname_makes_too_long_is_yxdomain(self):
        owner = ".".join(["a" * 60, "b" * 60, "c" * 60, "long.sec.test."])
        for number in range(20):  # libunbound says it of DNAMEs that it knows, else SERVFAIL; each worker has its own
            query(f"short{number}.long.sec.test.")
        for kind in ("AAAA", "A", "AAAA"):
            response = query(owner, kind)
            self.assertEqual((response.rcode(), types(response.answer)), (dns.rcode.YXDOMAIN, ["DNAME"]), response.to_text())

    def test_name_errors_and_empty_answers_keep_ad_and_one_soa(self):
        for owner, rcode in (("missing.sec.test.", dns.rcode.NXDOMAIN), ("text.sec.test.", dns.rcode.NOERROR)):
            response = query(owner, ad=True)
            self.assertEqual((response.rcode(), types(response.authority)), (rcode, ["SOA"]))
            self.assertTrue(response.flags & dns.flags.AD, owner)

    def test_an_unsigned_name_never_has_ad(self):
        response = query("plain.test.", do=True)
        self.assertEqual(answers(response, "AAAA"), ["64:ff9b::1400:101"])
        self.assertFalse(response.flags & dns.flags.AD)

    def test_drill_gets_a_synthesized_answer_and_sees_what_was_validated(self):
        out = subprocess.run(["drill", "-o", "AD", "v4.sec.test.", "AAAA", "@::1"], capture_output=True, text=True, check=True,
                             timeout=20).stdout
        self.assertRegex(out, r"(?m)^v4\.sec\.test\.\s+\d+\s+IN\s+AAAA\s+64:ff9b::")
        self.assertRegex(out, r"(?m)^;; flags: .*\bad\b")

    def test_delv_validates_what_we_pass_on(self):
        anchor = site.write("anchors", 'trust-anchors { "sec.test." static-ds %s; };\n' % self.quoted_ds())

        def delv(*words):
            done = subprocess.run(["delv", "@::1", "-a", anchor, "+root=sec.test", *words], capture_output=True, text=True,
                                  timeout=20)
            return done.stdout + done.stderr
        self.assertIn("; fully validated", delv("+cd", "v4.sec.test.", "A"))
        denial = delv("+cd", "v4.sec.test.", "AAAA")
        self.assertIn("negative response, fully validated", denial)
        self.assertNotIn("64:ff9b", denial)

    @staticmethod
    def quoted_ds():
        tag, algorithm, digest_type, digest = site.sec_ds().split(" DS ")[1].split()
        return f'{tag} {algorithm} {digest_type} "{digest}"'


class Bogus(unittest.TestCase):
    """Zone evil.test: the authority spoils one thing at a time."""

    def expect_servfail(self, owner, kind="AAAA"):
        for options in ({}, {"do": True}, {"ad": True}):
            response = query(owner, kind, **options)
            self.assertEqual((response.rcode(), response.answer), (dns.rcode.SERVFAIL, []), (owner, options, response.to_text()))
            self.assertFalse(response.flags & dns.flags.AD)
            self.assertIn(6, ede_codes(response), response.to_text())

    def test_the_zone_is_good_where_nothing_is_spoiled(self):
        response = query("good.evil.test.", ad=True)
        self.assertEqual(answers(response, "AAAA"), ["64:ff9b::1400:301"])
        self.assertTrue(response.flags & dns.flags.AD)

    def test_a_bogus_denial_is_no_reason_to_synthesize(self):
        self.expect_servfail("bogusdenial.evil.test.")

    def test_a_bogus_a_is_not_synthesized_from(self):
        self.expect_servfail("bogusa.evil.test.")
        response = query("bogusa.evil.test.", cd=True)
        self.assertEqual(answers(response, "AAAA"), [], "nor with CD")

    def test_a_bogus_aaaa_is_an_error_not_an_absence(self):
        self.expect_servfail("bogusaaaa.evil.test.")

    def test_expired_signatures_are_bogus(self):
        self.expect_servfail("expired.evil.test.")

    def test_missing_signatures_are_bogus(self):
        self.expect_servfail("stripped.evil.test.")

    def test_who_checks_for_himself_gets_the_bogus_data(self):
        response = query("bogusa.evil.test.", "A", do=True, cd=True)
        self.assertEqual(answers(response, "A"), ["20.0.3.1"])
        self.assertFalse(response.flags & dns.flags.AD)
        response = query("bogusdenial.evil.test.", do=True, cd=True)
        self.assertEqual((response.rcode(), response.answer), (dns.rcode.NOERROR, []))


class Spoiled(unittest.TestCase):
    """An answer was good, then the authority's signatures are wrong."""

    def test_the_old_answer_serves_stale_and_the_spoiled_one_only_who_checks_for_himself(self):
        owner = "ttl1-turns.evil.test."
        first = query(owner, "A", ad=True)
        self.assertEqual(answers(first, "A"), ["20.0.3.1"])
        self.assertTrue(first.flags & dns.flags.AD)
        site.fake.moved[owner] = "20.0.3.66"
        site.fake.spoiled.add(owner)
        time.sleep(2.1)
        self.assertEqual(answers(query(owner, "A", do=True, cd=True), "A"), ["20.0.3.66"])
        for response in (query(owner, "A", ad=True), query(owner, "A", ad=True)):
            self.assertEqual((answers(response, "A"), ede_codes(response)), (["20.0.3.1"], [3]), response.to_text())
            self.assertLessEqual(response.answer[0].ttl, 30)
            self.assertFalse(response.flags & dns.flags.AD)
        self.assertGreater(site.service.metric_sum("isthmus_dns64_lookup_failures_total", 'reason="bogus"'), 0)


class NegativeTrustAnchor(unittest.TestCase):
    def test_a_zone_on_the_list_is_not_validated(self):
        site.write("policy.yaml", site.policy(more='negative_trust_anchors: ["evil.test"]'))
        try:
            def is_answered():
                return answers(query("bogusa.evil.test."), "AAAA") == ["64:ff9b::1400:301"]
            eventually(is_answered, 10, "the zone is not validated any more")
            self.assertFalse(query("bogusa.evil.test.", ad=True).flags & dns.flags.AD)
        finally:
            site.write("policy.yaml", site.policy())
            eventually(lambda: query("bogusa.evil.test.").rcode() == dns.rcode.SERVFAIL, 10, "the zone is validated again")


if __name__ == "__main__":
    suite.main()
