# SPDX-License-Identifier: Apache-2.0
"""Where answers come from: stub and forward zones, DNS over TLS upstream, stale data, refreshes, and lists of a million names."""

import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from authority import FAKE, AuthoritySite  # noqa: E402
from dns64_site import HTTP, KNOT, answers, ask  # noqa: E402
import dns.edns  # noqa: E402
import dns.flags  # noqa: E402
import dns.rcode  # noqa: E402

from lib import suite  # noqa: E402
from lib.daemon import Daemon, eventually  # noqa: E402
from lib.topology import BIN  # noqa: E402

DOT = "127.0.0.55"
site = None

DOT_SERVER = """\
server:
    interface: {dot}@853
    tls-service-key: "{dir}/dot.key"
    tls-service-pem: "{dir}/dot.crt"
    do-daemonize: no
    use-syslog: no
    username: ""
    chroot: ""
    pidfile: ""
    directory: "{dir}"
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    module-config: "iterator"
    local-zone: "test." nodefault
stub-zone:
    name: "test."
    stub-addr: {knot}
remote-control:
    control-enable: no
"""

FORWARD = """\
translation_prefixes:
  - {{name: well-known, prefix: "64:ff9b::/96", clients: ["::1/128"]}}
dns64:
  resolvers:
    - name: main
      mode: FORWARD
      dnssec: false
      upstreams: [{upstream}]
      {zones}
  views:
    - {{name: default, clients: ["::1/128"], prefixes: [well-known]}}
{more}"""


def setUpModule():
    global site
    site = AuthoritySite()
    unittest.addModuleCleanup(site.down)
    site.up()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=dot.example", "-addext", "subjectAltName=DNS:dot.example", "-keyout", f"{site.dir}/dot.key",
                    "-out", f"{site.dir}/dot.crt"], check=True, capture_output=True)
    site.write("policy.yaml", site.policy())
    # The authorities that upstreams are checked by are the system's, or those of SSL_CERT_FILE.
    site.service = Daemon(site.node, "dns64-svc", ["env", f"SSL_CERT_FILE={site.dir}/dot.crt", *site.command()],
                          f"{site.dir}/dns64-svc.log", HTTP).start()


def run_policy(text):
    """Puts a policy in force. All tests do it by this, for each waits until its own is taken up."""
    with open(site.policy_file, encoding="utf-8") as file:
        if file.read() == text:
            return
    before = site.service.metrics()["isthmus_feed_policy_version"]
    site.write("policy.yaml", text)
    eventually(lambda: site.service.metrics()["isthmus_feed_policy_version"] > before, 60, "the policy runs")


def forward(upstream, zones="", more=""):
    return FORWARD.format(upstream=upstream, zones=zones, more=more)


class UpstreamTls(unittest.TestCase):
    """A real DNS over TLS server (unbound) whose certificate is for dot.example."""

    @classmethod
    def setUpClass(cls):
        config = site.write("dot.conf", DOT_SERVER.format(dot=DOT, dir=site.dir, knot=KNOT))
        cls.server = Daemon(site.node, "unbound", f"unbound -d -c {config}", f"{site.dir}/dot.log").start()
        eventually(lambda: site.node.run(f"kdig +tls +noall +answer +timeout=1 +retry=0 @{DOT} plain.test A", check=False)
                   .stdout.strip(), 10, "the DoT server answers")

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        run_policy(site.policy())

    def test_1_the_right_name_is_answered(self):
        run_policy(forward(f"{{address: {DOT}, tls: true, tls_name: dot.example}}"))
        eventually(lambda: answers(ask("plain.test."), "AAAA") == ["64:ff9b::1400:101"], 5, "an answer over TLS")

    def test_2_a_certificate_for_another_name_is_refused(self):
        run_policy(forward(f"{{address: {DOT}, tls: true, tls_name: other.example}}"))
        begin = time.monotonic()
        response = ask(f"n{time.time()}.plain.test.", timeout=4)
        self.assertEqual(response.rcode(), dns.rcode.SERVFAIL)
        self.assertLess(time.monotonic() - begin, 2.2)
        self.assertEqual(ask("plain.test.", timeout=4).rcode(), dns.rcode.SERVFAIL)


class Zones(unittest.TestCase):
    def tearDown(self):
        run_policy(site.policy())

    def test_a_stub_zone_goes_to_its_own_server_and_the_rest_to_the_forwarder(self):
        # The forwarder is an authority that knows odd.test alone and answers NXDOMAIN to the rest.
        run_policy(forward(f"{{address: {FAKE}}}", zones=f"zones: [{{name: test, kind: STUB, upstreams: [{{address: {KNOT}}}]}}]"))
        eventually(lambda: answers(ask("plain.test."), "AAAA") == ["64:ff9b::1400:101"], 5, "the stub zone answers")
        self.assertEqual(ask("elsewhere.example.").rcode(), dns.rcode.NXDOMAIN)
        self.assertTrue(any(entry[0].lower().endswith("example.") for entry in site.fake.seen))
        self.assertFalse(site.fake.questions("plain.test."))


    def test_a_forward_zone_goes_to_its_own_forwarder(self):
        run_policy(forward(f"{{address: {KNOT}}}", zones=f"zones: [{{name: odd.test, kind: FORWARD, upstreams: [{{address: {FAKE}}}]}}]"))
        before = len(site.fake.questions("forwarded.odd.test."))
        eventually(lambda: answers(ask("forwarded.odd.test."), "AAAA") == ["64:ff9b::1400:401"], 5, "the forward zone answers")
        self.assertGreater(len(site.fake.questions("forwarded.odd.test.")), before)
        self.assertEqual(answers(ask("plain.test."), "AAAA"), ["64:ff9b::1400:101"])
        self.assertFalse(site.fake.questions("plain.test."))

    def test_a_private_zone_that_its_signed_parent_denies_needs_a_negative_trust_anchor(self):
        zones = f"zones: [{{name: hidden.sec.test, kind: STUB, upstreams: [{{address: {FAKE}}}]}}]"
        run_policy(site.policy(more=zones))
        response = ask("a.hidden.sec.test.", use_edns=0, timeout=4)
        self.assertEqual(response.rcode(), dns.rcode.SERVFAIL)
        said = [int(option.code) for option in response.options if option.otype == dns.edns.OptionType.EDE]
        self.assertEqual(said, [6], "EDE: bogus")
        self.assertIn("negative_trust_anchors", self.warnings())
        run_policy(site.policy(more=zones + "\n      negative_trust_anchors: [hidden.sec.test]"))
        eventually(lambda: answers(ask("b.hidden.sec.test.", timeout=4), "AAAA") == ["64:ff9b::1400:401"], 5, "the zone answers")
        self.assertEqual(self.warnings(), "")
        self.assertTrue(ask("v4.sec.test.", use_edns=0, want_dnssec=True).flags & dns.flags.AD, "its parent is validated as before")

    @staticmethod
    def warnings():
        return subprocess.run([f"{BIN}/isthmusctl", "validate", site.policy_file], capture_output=True, text=True, check=True).stderr

    def test_private_reverse_zones_end_here_or_go_upstream_as_the_policy_says(self):
        """RFC 6303: answered here, names of a private network are not told to the world."""
        for number, switch in enumerate((True, False)):
            name = f"{number}.0.0.10.in-addr.arpa."
            run_policy(forward(f"{{address: {FAKE}}}", zones=f"local_zones: {str(switch).lower()}"))
            asked = len(site.fake.questions(name))
            self.assertEqual(ask(name, "PTR").rcode(), dns.rcode.NXDOMAIN)
            self.assertEqual(len(site.fake.questions(name)) > asked, not switch, f"local_zones {switch}")


class Age(unittest.TestCase):
    def tearDown(self):
        run_policy(site.policy())

    def test_a_popular_name_is_asked_again_before_it_expires(self):
        run_policy(forward(f"{{address: {FAKE}}}"))
        name = "ttl10-popular.odd.test."
        ask(name)
        asked = len(site.fake.questions(name))
        misses = site.service.metrics()['isthmus_dns64_answer_seconds_count{cache="miss"}']
        end = time.monotonic() + 12
        while time.monotonic() < end:
            self.assertEqual(answers(ask(name), "AAAA"), ["64:ff9b::1400:401"])
            time.sleep(0.2)
        self.assertGreaterEqual(len(site.fake.questions(name)), asked + 2, "AAAA and A were asked in the background")
        self.assertEqual(site.service.metrics()['isthmus_dns64_answer_seconds_count{cache="miss"}'], misses, "no client waited")
        self.assertGreater(site.service.metrics()["isthmus_dns64_refreshes_total"], 0)

    def test_under_recursion_popular_names_take_their_new_values_while_the_old_ones_live(self):
        run_policy(site.policy(more="# refreshed under recursion"))
        # Name as asked: (name of its A, address before, address after); the second one is validated.
        names = {"ttl10-moves.odd.test.": ("ttl10-moves.odd.test.", "64:ff9b::1400:401", "64:ff9b::1400:402"),
                 "ttl10-moves.evil.test.": ("ttl10-moves.evil.test.", "64:ff9b::1400:301", "64:ff9b::1400:302"),
                 "uneven.odd.test.": ("ttl14-uneven.odd.test.", "64:ff9b::1400:401", "64:ff9b::1400:402")}
        for name in names:
            ask(name)
        begin = time.monotonic()
        misses = site.service.metrics()['isthmus_dns64_answer_seconds_count{cache="miss"}']
        site.fake.moved = {"ttl10-moves.odd.test.": "20.0.4.2", "ttl10-moves.evil.test.": "20.0.3.2", "ttl14-uneven.odd.test.": "20.0.4.2"}
        asked = {owner: len(site.fake.questions(owner)) for owner, _, _ in names.values()}
        delegations = len(site.fake.questions("odd.test."))
        turns = 0
        while (age := time.monotonic() - begin) < 32:
            turns += 1
            for name, (_, old, new) in names.items():
                response = ask(name, want_dnssec=True)
                seen = answers(response, "AAAA")
                self.assertIn(seen, [[old]] if age < 8 else [[new]] if age > 11 else [[old], [new]], f"{name} after {age:.1f} s")
                self.assertEqual(bool(response.flags & dns.flags.AD), ".evil." in name, f"{name} after {age:.1f} s")
            time.sleep(0.2)
        self.assertGreater(turns, 64, "names are popular when they are asked all the time; this machine stood still")
        self.assertEqual(site.service.metrics()['isthmus_dns64_answer_seconds_count{cache="miss"}'], misses, "no client waited")
        for owner, _, _ in names.values():  # A, and AAAA with the A before it that hides the type (RFC 9156)
            rounds = len([entry for entry in site.fake.questions(owner)[asked[owner]:]])
            self.assertGreaterEqual(rounds, 3, owner)
            self.assertLessEqual(rounds, 4 * 3 + 3, f"{owner}: a refresh every nine seconds, and no more")
        self.assertLessEqual(len(site.fake.questions("odd.test.")) - delegations, 3, "delegations come from the cache")

    def test_expired_data_is_better_than_none_when_the_servers_are_dead(self):
        run_policy(site.policy(more="# recursion"))
        name = "ttl1-stale.odd.test."
        ask(name)
        time.sleep(2.1)
        site.fake.is_dead = True
        try:
            begin = time.monotonic()
            response = ask(name, timeout=4, use_edns=0)
            self.assertLess(time.monotonic() - begin, 2.2)
            self.assertEqual(answers(response, "AAAA"), ["64:ff9b::1400:401"])
            self.assertLessEqual(response.answer[0].ttl, 30)
            codes = [int(option.code) for option in response.options if option.otype == dns.edns.OptionType.EDE]
            self.assertEqual(codes, [3], "EDE: stale answer")
            begin = time.monotonic()
            self.assertEqual(answers(ask(name), "AAAA"), ["64:ff9b::1400:401"])
            self.assertLess(time.monotonic() - begin, 0.3, "the next client need not wait")
        finally:
            site.fake.is_dead = False


class MillionNames(unittest.TestCase):
    def tearDown(self):
        run_policy(site.policy())

    def test_a_list_of_a_million_domains_loads_while_answers_go_on(self):
        run_policy(site.policy(more="# small"))
        for number in range(20):
            ask(f"calm{number}.odd.test.")
        site.write("never.txt", "calm7.odd.test\n" + "".join(f"host{n}.ads.example\n" for n in range(1_000_000)))
        before = site.service.metrics()["isthmus_feed_policy_version"]
        site.write("policy.yaml", site.policy() + "exclusions: {never_synthesize_lists: [{file: never.txt}]}\n")
        slow, end = [], time.monotonic() + 120
        while time.monotonic() < end:
            begin = time.monotonic()
            ask(f"calm{len(slow) % 20}.odd.test.")
            slow.append(time.monotonic() - begin)
            if len(slow) % 50 == 0 and site.service.metrics()["isthmus_feed_policy_version"] > before:
                break
            time.sleep(0.005)
        self.assertGreater(site.service.metrics()["isthmus_feed_policy_version"], before, site.service.log_tail())
        slow.sort()
        self.assertLess(slow[int(len(slow) * 0.99)], 0.25, slow[-10:])
        self.assertEqual(answers(ask("calm7.odd.test."), "AAAA"), [])
        self.assertEqual(answers(ask("calm8.odd.test."), "AAAA"), ["64:ff9b::1400:401"])
        site.write("never.txt", "calm8.odd.test\n")  # the list changes, the policy does not
        eventually(lambda: answers(ask("calm8.odd.test."), "AAAA") == [], 30, "the new list runs")
        self.assertEqual(answers(ask("calm7.odd.test."), "AAAA"), ["64:ff9b::1400:401"])


if __name__ == "__main__":
    suite.main()
