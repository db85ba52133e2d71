# SPDX-License-Identifier: Apache-2.0
"""dns64-svc as a client sees it: exact messages, both transports, bad input, policy changes, a dead upstream, restarts."""

import concurrent.futures
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from dns64_site import EXCLUSION, POLICY, Site, answers, ask  # noqa: E402
import dns.edns  # noqa: E402
import dns.exception  # noqa: E402
import dns.flags  # noqa: E402
import dns.message  # noqa: E402
import dns.rcode  # noqa: E402
import dns.rdatatype  # noqa: E402

from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402

site = None


def setUpModule():
    global site
    site = Site()
    unittest.addModuleCleanup(site.down)
    site.up()
    site.start_service()


class Answers(unittest.TestCase):
    def test_aaaa_is_synthesized_with_the_smaller_ttl_and_nothing_else(self):
        for _ in ("miss", "hit"):
            response = ask("v4only.test.", use_edns=False)
            self.assertEqual(response.rcode(), dns.rcode.NOERROR)
            self.assertEqual(answers(response, "AAAA"), ["64:ff9b::1400:150"])
            # RFC 6147 §5.1.7: the A has 300 s, the denial of AAAA 60 s.
            self.assertTrue(55 <= response.answer[0].ttl <= 60, response)
            self.assertEqual(len(response.answer), 1)
            self.assertTrue(response.flags & dns.flags.RA)
            self.assertFalse(response.flags & (dns.flags.AA | dns.flags.AD | dns.flags.TC))

    def test_every_a_gives_one_aaaa(self):
        self.assertEqual(sorted(answers(ask("two.test."), "AAAA")), ["64:ff9b::1400:150", "64:ff9b::1400:151"])

    def test_the_name_comes_back_as_it_was_written(self):
        response = ask("V4oNLy.TeSt.")
        self.assertEqual(response.question[0].name.to_text(), "V4oNLy.TeSt.")

    def test_a_real_aaaa_is_left_alone(self):
        self.assertEqual(answers(ask("dual.test."), "AAAA"), ["2001:db8:80::81"])

    def test_a_mapped_aaaa_counts_as_none(self):
        self.assertEqual(answers(ask("mapped.test."), "AAAA"), ["64:ff9b::1400:152"])

    def test_a_private_address_is_not_put_under_the_well_known_prefix(self):
        response = ask("private.test.")
        self.assertEqual((response.rcode(), answers(response, "AAAA")), (dns.rcode.NOERROR, []))

    def test_no_address_at_all_is_nodata_with_one_soa(self):
        response = ask("text.test.")
        self.assertEqual((response.rcode(), response.answer), (dns.rcode.NOERROR, []))
        self.assertEqual([rrset.rdtype for rrset in response.authority], [dns.rdatatype.SOA])

    def test_a_name_that_does_not_exist_is_nxdomain(self):
        response = ask("nothing.test.")
        self.assertEqual(response.rcode(), dns.rcode.NXDOMAIN)
        self.assertEqual([rrset.rdtype for rrset in response.authority], [dns.rdatatype.SOA])

    def test_a_cname_chain_comes_in_order_with_its_own_owners(self):
        response = ask("alias.test.")
        self.assertEqual([(rrset.name.to_text(), dns.rdatatype.to_text(rrset.rdtype)) for rrset in response.answer],
                         [("alias.test.", "CNAME"), ("middle.test.", "CNAME"), ("v4only.test.", "AAAA")])

    def test_other_types_pass(self):
        self.assertEqual(answers(ask("v4only.test.", "A"), "A"), ["20.0.1.80"])

    def test_ipv4only_arpa_is_answered_here(self):
        self.assertEqual(sorted(answers(ask("ipv4only.arpa."), "AAAA")), ["64:ff9b::c000:aa", "64:ff9b::c000:ab"])

    def test_an_ipv4_client_of_the_view_is_answered_too(self):
        self.assertEqual(answers(ask("v4only.test.", server="127.0.0.1"), "AAAA"), ["64:ff9b::1400:150"])
        self.assertEqual(answers(ask("v4only.test.", "A", server="127.0.0.1"), "A"), ["20.0.1.80"])

    def test_a_client_in_no_view_is_refused(self):
        query = dns.message.make_query("v4only.test.", "AAAA")
        response = dns.query.udp(query, "127.0.0.1", source="127.0.0.9", timeout=3)
        self.assertEqual(response.rcode(), dns.rcode.REFUSED)


class Tcp(unittest.TestCase):
    def test_the_same_answer_over_tcp(self):
        for server in ("::1", "127.0.0.1"):
            self.assertEqual(ask("v4only.test.", "A", server=server, tcp=True).rcode(), dns.rcode.NOERROR)
        self.assertEqual(answers(ask("alias.test.", tcp=True), "AAAA"), ["64:ff9b::1400:150"])

    def test_what_does_not_fit_a_datagram_is_cut_and_whole_over_tcp(self):
        cut = ask("big.test.", "TXT")
        self.assertTrue(cut.flags & dns.flags.TC)
        self.assertLessEqual(len(cut.to_wire()), 1232)
        self.assertEqual(len(answers(ask("big.test.", "TXT", tcp=True), "TXT")), 20)

    def test_a_pipelined_hit_overtakes_a_miss(self):
        ask("warm1.test.")
        with socket.create_connection(("::1", 53), timeout=5) as stream:
            slow = dns.message.make_query(f"fresh{random.random()}.test.", "AAAA")
            fast = dns.message.make_query("warm1.test.", "AAAA")
            stream.sendall(b"".join(struct.pack("!H", len(wire)) + wire for wire in (slow.to_wire(), fast.to_wire())))
            ids = [dns.message.from_wire(self.frame(stream)).id for _ in range(2)]
        self.assertEqual(ids, [fast.id, slow.id])

    @staticmethod
    def frame(stream):
        def exactly(count):
            data = b""
            while len(data) < count:
                piece = stream.recv(count - len(data))
                if not piece:
                    raise EOFError("the stream ended")
                data += piece
            return data
        return exactly(struct.unpack("!H", exactly(2))[0])

    def test_one_client_cannot_take_all_connections(self):
        streams = [socket.create_connection(("::1", 53), timeout=2) for _ in range(200)]
        try:
            eventually(lambda: site.service.metric_sum("isthmus_dns64_connections_ended_total", 'transport="tcp"', 'reason="limit"') > 0,
                       5, "connections are refused")
        finally:
            for stream in streams:
                stream.close()
        eventually(lambda: site.service.metric_sum("isthmus_dns64_connections") == 0, 5, "closed streams are forgotten")
        self.assertEqual(ask("v4only.test.", tcp=True).rcode(), dns.rcode.NOERROR)


class BadInput(unittest.TestCase):
    def drops(self, reason):
        return site.service.metric_sum("isthmus_dns64_drops_total", f'reason="{reason}"')

    def test_each_kind_of_nonsense_is_counted_under_its_reason(self):
        whole = dns.message.make_query("v4only.test.", "AAAA").to_wire()
        answer = bytearray(whole)
        answer[2] |= 0x80
        for payload, reason in ((b"", "too_short"), (whole[:11], "too_short"), (bytes(answer), "not_a_query")):
            before = self.drops(reason)
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
                sender.settimeout(0.3)
                sender.connect(("::1", 53))
                sender.send(payload)
                self.assertRaises(TimeoutError, sender.recv, 512)
            self.assertEqual(self.drops(reason), before + 1, payload)

    def test_a_broken_question_is_a_format_error(self):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.settimeout(2)
            sender.connect(("::1", 53))
            sender.send(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x1c\x00\x01")
            reply = sender.recv(512)
        self.assertEqual((reply[:2], reply[3] & 15), (b"\x12\x34", dns.rcode.FORMERR))

    def test_random_and_mutated_datagrams_and_streams_are_harmless(self):
        noise = random.Random(6147)
        whole = dns.message.make_query("alias.test.", "AAAA", use_edns=0, payload=4096).to_wire()
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            for _ in range(3000):
                data = bytearray(whole if noise.random() < 0.7 else noise.randbytes(noise.randrange(0, 600)))
                for _ in range(noise.randrange(1, 6)):
                    if data:
                        data[noise.randrange(len(data))] = noise.randrange(256)
                sender.sendto(bytes(data[:noise.randrange(0, len(data) + 1)] if noise.random() < 0.3 else data), ("::1", 53))
        for _ in range(100):
            with socket.create_connection(("::1", 53), timeout=2) as stream:
                stream.sendall(noise.randbytes(noise.randrange(1, 3000)))
        self.assertTrue(site.service.running())
        self.assertEqual(answers(ask("v4only.test."), "AAAA"), ["64:ff9b::1400:150"])


class PolicyChange(unittest.TestCase):
    def tearDown(self):
        site.write("policy.yaml", POLICY)
        eventually(lambda: answers(ask("blocked.test."), "AAAA"), 5, "the first policy is back")

    def test_an_exclusion_takes_effect_at_once_also_on_what_is_cached(self):
        self.assertEqual(answers(ask("blocked.test."), "AAAA"), ["64:ff9b::1400:909"])
        site.write("policy.yaml", POLICY + EXCLUSION)
        eventually(lambda: not answers(ask("blocked.test."), "AAAA"), 5, "the exclusion is in force")
        self.assertEqual(answers(ask("v4only.test."), "AAAA"), ["64:ff9b::1400:150"])

    def test_no_query_is_lost_while_policies_change(self):
        done = threading.Event()

        def load(number):
            lost = []
            turn = 0
            while not done.is_set():
                turn += 1
                for name, rcode in ((f"warm{number}.test.", dns.rcode.NOERROR), (f"change{number}x{turn}.test.", dns.rcode.NXDOMAIN)):
                    try:
                        if (got := ask(name, timeout=3).rcode()) != rcode:
                            lost.append(f"{name}: {dns.rcode.to_text(got)}")
                    except dns.exception.Timeout:
                        lost.append(f"{name}: no answer")
            return lost
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            loads = [pool.submit(load, number) for number in range(4)]
            for change in range(12):
                policy = POLICY + (EXCLUSION if change % 2 else "")
                # Every second one has another resolver: the workers take it up one after the other.
                site.write("policy.yaml", policy if change % 2 else policy.replace("name: main,", f"name: main, negative_trust_anchors: [x{change}.example],"))
                time.sleep(0.4)
            done.set()
            self.assertEqual([result.result() for result in loads], [[], [], [], []])
        self.assertGreaterEqual(site.service.metrics()["isthmus_feed_policy_version"], 3)

    def test_a_resolver_that_changes_is_replaced_while_queries_go_on(self):
        site.write("policy.yaml", POLICY.replace("{address: 127.0.0.53}", "{address: 127.0.0.53}, {address: 127.0.0.54}"))
        eventually(lambda: site.service.log().count(" runs") >= 2, 5, "the policy runs")
        self.assertEqual(answers(ask("two.test.", timeout=5), "AAAA").__len__(), 2)

    def limited(self, **limits):
        before = site.service.metrics()["isthmus_feed_policy_version"]
        site.write("policy.yaml", POLICY + "  limits: {" + ", ".join(f"{name}: {value}" for name, value in limits.items()) + "}\n")
        eventually(lambda: site.service.metrics()["isthmus_feed_policy_version"] > before, 10, "the limits are in force")

    def test_limits_hold_at_once_and_whether_they_are_raised_or_lowered(self):
        """The names are those that no other test has brought into the cache."""
        self.limited(max_ttl_seconds=20, max_negative_ttl_seconds=10)
        self.assertLessEqual(ask("middle.test.", "A").answer[0].ttl, 20)
        self.assertLessEqual(ask("limits1.test.").authority[0].ttl, 10)
        self.assertLessEqual(ask("ipv4only.arpa.").answer[0].ttl, 20)
        self.limited(max_ttl_seconds=200, max_negative_ttl_seconds=50)
        self.assertGreater(ask("ns.test.", "A").answer[0].ttl, 180)
        self.assertGreater(ask("limits2.test.").authority[0].ttl, 40)
        self.limited(max_ttl_seconds=15, max_negative_ttl_seconds=10)
        self.assertLessEqual(ask("ns.test.", "A").answer[0].ttl, 15, "it is in the cache for longer")
        self.assertLessEqual(ask("limits3.test.").authority[0].ttl, 10)

    def test_a_policy_that_breaks_rules_is_refused_and_the_old_one_runs(self):
        site.write("policy.yaml", POLICY.replace("::1/128", "not a prefix"))
        eventually(lambda: "not a prefix" in site.service.log() or "clients[0]" in site.service.log(), 5, "the refusal is logged")
        self.assertEqual(answers(ask("v4only.test."), "AAAA"), ["64:ff9b::1400:150"])


class ClientLimit(unittest.TestCase):
    def tearDown(self):
        site.write("policy.yaml", POLICY)
        eventually(lambda: self.flood() == 100, 10, "the limit is gone")

    @staticmethod
    def flood():
        """How many of 100 quick queries are answered."""
        answered = 0
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0.3)
            sender.connect(("::1", 53))
            for _ in range(100):
                sender.send(dns.message.make_query("warm1.test.", "AAAA").to_wire())
            try:
                while sender.recv(2048):
                    answered += 1
            except TimeoutError:
                return answered

    def test_one_client_gets_no_more_than_its_rate_and_the_rest_is_counted(self):
        ask("warm1.test.")
        self.assertEqual(self.flood(), 100)
        # One socket's queries all reach one of the two workers: 10 per second there, and two seconds' worth at once.
        site.write("policy.yaml", POLICY + "  limits: {client_queries_per_second: 20}\n")
        eventually(lambda: self.flood() < 50, 5, "the limit is in force")
        self.assertGreater(site.service.metric_sum("isthmus_dns64_drops_total", 'reason="rate_limited"'), 0)


class DeadUpstream(unittest.TestCase):
    def setUp(self):
        for number in range(50):
            ask(f"warm{number}.test.")
        site.knot.kill()

    def tearDown(self):
        site.start_knot()
        # libunbound remembers for a while that a server is down; nothing that we have may wait for that.
        eventually(lambda: self.rcode(f"new{random.random()}.test.") == dns.rcode.NXDOMAIN, 90, "the upstream is found again")

    @staticmethod
    def rcode(name):
        return ask(name, timeout=4).rcode()

    def test_hits_go_on_and_misses_end_in_time(self):
        begin = time.monotonic()
        missing = ask("uncached.test.", timeout=4)
        self.assertEqual(missing.rcode(), dns.rcode.SERVFAIL)
        self.assertLess(time.monotonic() - begin, 2.2)
        slowest = 0.0
        for number in range(50):
            begin = time.monotonic()
            self.assertEqual(len(answers(ask(f"warm{number}.test."), "AAAA")), 1)
            slowest = max(slowest, time.monotonic() - begin)
        self.assertLess(slowest, 0.5)
        self.assertTrue(site.service.is_ready(), "a dead upstream is no reason to take the cache away from clients")


class ZLife(unittest.TestCase):
    """Last: these end the service."""

    def test_1_a_port_in_use_is_one_line_with_a_remedy(self):
        second = subprocess.run(site.command(http="127.0.0.1:9466"), capture_output=True, text=True, timeout=10)
        self.assertNotEqual(second.returncode, 0)
        self.assertEqual(len(second.stderr.strip().splitlines()), 1, second.stderr)
        self.assertIn("--listen", second.stderr)

    def test_2_kill_9_and_a_restart_restore_service(self):
        for _ in range(3):
            site.service.kill()
            site.service.start()
            self.assertEqual(answers(ask("v4only.test."), "AAAA"), ["64:ff9b::1400:150"])

    def test_3_sigterm_ends_within_two_seconds_also_with_queries_waiting(self):
        site.knot.kill()
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            for number in range(200):
                sender.sendto(dns.message.make_query(f"waiting{number}.test.", "AAAA").to_wire(), ("::1", 53))
            eventually(lambda: site.service.metrics()["isthmus_dns64_pending_queries"] > 0, 2, "queries wait")
            status, took = site.service.terminate(2)
        self.assertEqual(status, 0, site.service.log_tail())
        self.assertLess(took, 2)


if __name__ == "__main__":
    suite.main()
