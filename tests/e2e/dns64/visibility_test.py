# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of dns64-svc: metrics by view and prefix, the query log, dnstap, explanations, the cache."""

import json
import os
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from authority import AuthoritySite  # noqa: E402
from dns64_site import HTTP, answers, ask  # noqa: E402
from frame_streams import Collector, DeafCollector  # noqa: E402
import dns.message  # noqa: E402

from lib import suite  # noqa: E402
from lib.daemon import PATIENCE, Daemon, eventually  # noqa: E402
from lib.topology import BIN  # noqa: E402

GRPC = "127.0.0.1:7465"
site = collector = None


def setUpModule():
    global site, collector
    site = AuthoritySite()
    unittest.addModuleCleanup(site.down)
    site.up()
    collector = Collector(f"{site.dir}/dnstap.sock")
    unittest.addModuleCleanup(collector.close)
    site.write("policy.yaml", site.policy())
    command = [*site.command(), "--query-log", f"{site.dir}/queries.json", "--dnstap", f"unix:{site.dir}/dnstap.sock",
               "--grpc-listen", GRPC, "--node-id", "dns-1"]
    site.service = Daemon(site.node, "dns64-svc", command, f"{site.dir}/dns64-svc.log", HTTP).start()


def ctl(*words, check=True):
    done = subprocess.run([f"{BIN}/isthmusctl", *words, "--dns64", GRPC], capture_output=True, text=True, timeout=20)
    if check and done.returncode != 0:
        raise AssertionError(f"isthmusctl {words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def explain(name, kind="AAAA", client="::1", *options):
    return json.loads(ctl("explain-dns", name, kind, "--client", client, "-o", "json", *options).stdout)


def log_lines():
    with open(f"{site.dir}/queries.json", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class Metrics(unittest.TestCase):
    def test_views_and_prefixes_are_counted_by_name(self):
        def counted(name, *labels):
            return site.service.metric_sum(name, *labels)
        before = (counted("isthmus_dns64_view_queries_total", 'view="default"', 'outcome="synthesized"'),
                  counted("isthmus_dns64_prefix_answers_total", 'prefix="well-known"'))
        for _ in range(3):
            ask("plain.test.")
        self.assertEqual(counted("isthmus_dns64_view_queries_total", 'view="default"', 'outcome="synthesized"'), before[0] + 3)
        self.assertEqual(counted("isthmus_dns64_prefix_answers_total", 'prefix="well-known"'), before[1] + 3)


class QueryLog(unittest.TestCase):
    def test_a_query_is_one_line_that_says_what_and_why(self):
        for count in (1, 2):  # one after the other: each worker writes its own
            ask("v4.sec.test.", use_edns=0)
            eventually(lambda: sum(line["name"] == "v4.sec.test." for line in log_lines()) >= count, 3, "the line is written")
        line = [line for line in log_lines() if line["name"] == "v4.sec.test."][-1]
        self.assertEqual({key: line[key] for key in ("client", "transport", "type", "rcode", "outcome", "view", "prefix", "ede", "cache")},
                         {"client": "::1", "transport": "udp", "type": "AAAA", "rcode": "NOERROR", "outcome": "synthesized",
                          "view": "default", "prefix": "well-known", "ede": 29, "cache": "hit"})
        self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_a_log_that_was_moved_away_is_begun_anew(self):
        ask("plain.test.")
        eventually(log_lines, 3, "a line is written")
        os.rename(f"{site.dir}/queries.json", f"{site.dir}/queries.json.1")

        def is_new():
            ask("plain.test.")
            return os.path.exists(f"{site.dir}/queries.json") and log_lines()
        eventually(is_new, 3, "the new file has a line")
        self.assertEqual(site.service.metric_sum("isthmus_dns64_tap_lost_total"), 0)


class Dnstap(unittest.TestCase):
    def test_a_collector_gets_the_query_and_the_reply_as_they_were(self):
        query = dns.message.make_query("dual.sec.test.", "AAAA").to_wire()
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.settimeout(3)
            client.sendto(query, ("::1", 53))
            response = client.recv(4096)

        def found(kind, field, wire):
            return [m for m in collector.messages(kind) if m.get(field) == wire]
        eventually(lambda: found(5, 10, query) and found(6, 14, response), 8, "both frames came")
        message = found(6, 14, response)[0]
        self.assertEqual((message[2], message[3], message[4]), (2, 1, b"\0" * 15 + b"\1"), "IPv6, UDP, ::1")


class Explain(unittest.TestCase):
    def sections(self, explained):
        return [step["section"] for step in explained["steps"]]

    def test_a_synthesized_answer_is_explained_by_its_rfc_sections(self):
        explained = explain("plain.test")
        self.assertEqual((explained["outcome"], explained["rcode"], explained["view"], explained["prefix"]),
                         ("synthesized", "NOERROR", "default", "well-known"))
        self.assertIn("RFC 6147 §5.1.7", self.sections(explained))
        self.assertTrue(any(line.endswith("AAAA 64:ff9b::1400:101") for line in explained["answer"]), explained)

    def test_why_there_is_no_synthesis(self):
        for name, section, outcome in (("dual.sec.test", "RFC 6147 §5.1.1", "real_aaaa"), ("missing.test", "RFC 6147 §5.1.2", "nxdomain"),
                                       ("private.test", "RFC 6052 §3.1 and policy", "no_usable_a"),
                                       ("bogusdenial.evil.test", "RFC 4035 §5.5", "bogus")):
            explained = explain(name)
            self.assertEqual(explained["outcome"], outcome, explained)
            self.assertIn(section, self.sections(explained), explained)
        self.assertIn("RFC 6147 §5.5", self.sections(explain("v4.sec.test", "AAAA", "::1", "--dnssec-ok", "--checking-disabled")))
        self.assertEqual(explain("plain.test", "AAAA", "2001:db8::1")["outcome"], "no_view")

    def test_it_counts_as_no_clients_query(self):
        before = site.service.metric_sum("isthmus_dns64_queries_total")
        explain("plain.test")
        self.assertEqual(site.service.metric_sum("isthmus_dns64_queries_total"), before)

    def test_bad_questions_get_a_clear_word(self):
        for words in (("explain-dns", "a..b", "--client", "::1"), ("explain-dns", "a.b", "NOTATYPE", "--client", "::1"),
                      ("explain-dns", "a.b", "--client", "somebody")):
            done = ctl(*words, check=False)
            self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), done)

    def test_the_table_is_for_people(self):
        out = ctl("explain-dns", "plain.test", "--client", "::1").stdout
        self.assertIn("AAAA synthesized from A", out)
        self.assertIn("NOERROR, synthesized, view default, prefix well-known", out)


class Cache(unittest.TestCase):
    def test_it_can_be_listed(self):
        ask("v4.sec.test.")
        out = ctl("cache", "dump", "--under", "sec.test").stdout
        self.assertRegex(out, r"(?m)^\d+ +A +answer +secure .* v4\.sec\.test\.$")
        self.assertRegex(out, r"(?m)^\d+ +AAAA +nodata +secure .* v4\.sec\.test\.$")
        self.assertNotIn("plain.test.", out)

    def test_what_leads_past_a_name_is_listed_under_it_as_a_flush_would_take_it(self):
        ask("hop2.odd.test.")
        self.assertRegex(ctl("cache", "dump", "--under", "hop1.odd.test").stdout, r"(?m) hop2\.odd\.test\.$")

    def asked(self, name):
        return len(site.fake.questions(name))

    def test_a_flushed_name_is_asked_anew_and_others_are_not(self):
        for name in ("flush1.odd.test.", "flush2.odd.test."):
            ask(name)
        before = self.asked("flush1.odd.test."), self.asked("flush2.odd.test.")
        self.assertIn("2 entries flushed", ctl("cache", "flush", "flush1.odd.test").stdout)
        for name in ("flush1.odd.test.", "flush2.odd.test."):
            self.assertEqual(answers(ask(name), "AAAA"), ["64:ff9b::1400:401"])
        self.assertGreaterEqual(self.asked("flush1.odd.test."), before[0] + 2)
        self.assertEqual(self.asked("flush2.odd.test."), before[1])

    def test_a_flushed_alias_follows_its_new_target(self):
        """What the resolver keeps of its own must not bring the old CNAME back."""
        self.assertEqual(len(ask("hop2.odd.test.").answer), 3)
        before = self.asked("hop2.odd.test.")
        ctl("cache", "flush", "--subtree", "odd.test")
        ask("hop2.odd.test.")
        self.assertGreater(self.asked("hop2.odd.test."), before)

    def test_all_can_be_flushed_and_one_must_say_what(self):
        ask("plain.test.")
        ctl("cache", "flush", "--all")
        self.assertEqual(ctl("cache", "dump").stdout.count("\n"), 1)
        self.assertEqual(answers(ask("plain.test."), "AAAA"), ["64:ff9b::1400:101"])
        self.assertEqual(ctl("cache", "flush", check=False).returncode, 2)


class ZOtherTaps(unittest.TestCase):
    """The same service with a collector by TCP and a log of one query in three."""

    def test_dnstap_over_tcp_and_a_sampled_log(self):
        site.service.kill()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.collector = Collector(("127.0.0.1", port))
        self.addCleanup(self.collector.close)
        path = f"{site.dir}/sampled.json"
        command = [*site.command(), "--query-log", path, "--query-log-sample", "3", "--dnstap", f"tcp:127.0.0.1:{port}"]
        site.service = Daemon(site.node, "dns64-svc", command, f"{site.dir}/dns64-svc.log", HTTP).start()
        for _ in range(60):
            ask("plain.test.")
        eventually(lambda: len(self.collector.messages(5)) == 60 and len(self.collector.messages(6)) == 60, 8, "all were tapped")

        def lines():
            with open(path, encoding="utf-8") as file:
                return len(file.readlines())
        # Each worker takes its own third query.
        eventually(lambda: 16 <= lines() <= 20, 5, "one in three is written")


class ZStuckTaps(unittest.TestCase):
    def test_those_who_read_nothing_cost_records_and_do_not_hold_up_the_end(self):
        site.service.kill()
        path, fifo = f"{site.dir}/deaf.sock", f"{site.dir}/queries.fifo"
        deaf = DeafCollector(path)
        self.addCleanup(deaf.close)
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        command = [*site.command(), "--query-log", fifo, "--dnstap", f"unix:{path}"]
        site.service = Daemon(site.node, "dns64-svc", command, f"{site.dir}/dns64-svc.log", HTTP).start()
        ask("plain.test.")
        query = dns.message.make_query("plain.test.", "AAAA").to_wire()
        client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.addCleanup(client.close)

        def is_lost():
            for _ in range(1000):
                client.sendto(query, ("::1", 53))
            return site.service.metric_sum("isthmus_dns64_tap_lost_total") > 0
        eventually(is_lost, 20, "what nobody reads is counted")
        site.service.process.send_signal(signal.SIGTERM)
        self.assertEqual(site.service.process.wait(5 * PATIENCE), 0)


if __name__ == "__main__":
    suite.main()
