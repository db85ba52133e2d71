# SPDX-License-Identifier: Apache-2.0
"""dns64-svc over streams, with the clients that people use: TCP, TLS and HTTPS, load balancers and forwarders in front of
it, certificates that change, clients that are slow, idle or many, and its end."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from dns64_site import Site, answers, ask  # noqa: E402
from streams import (ended, exchange, framed, make_certificate, proxy_v2, read_frame,  # noqa: E402
                     tls_connect, tls_context)
import dns.edns  # noqa: E402
import dns.exception  # noqa: E402
import dns.flags  # noqa: E402
import dns.message  # noqa: E402
import dns.query  # noqa: E402
import dns.rcode  # noqa: E402

from lib import suite  # noqa: E402
from lib.daemon import Daemon, eventually  # noqa: E402
from lib.netns import lab_prefix  # noqa: E402
from lib.topology import BIN  # noqa: E402

SYNTHESIZED = "64:ff9b::1400:150"
BALANCER, FORWARDER = "127.0.0.20", "127.0.0.30"
# Clients behind them are in a view that synthesizes; they themselves are in one that does not.
POLICY = """\
translation_prefixes:
  - {name: well-known, prefix: "64:ff9b::/96", clients: ["::1/128", "2001:db8:7::/48"]}
dns64:
  resolvers:
    - {name: main, mode: FORWARD, dnssec: false, upstreams: [{address: 127.0.0.53}]}
  views:
    - {name: default, clients: ["::1/128", "2001:db8:7::/48"], prefixes: [well-known], resolver: main}
    - {name: plain, clients: ["127.0.0.0/8"], prefixes: [], resolver: main}
"""
KEEPALIVE, PADDING = 11, 12

site = None
certificate = None


def flags(directory, idle=2, extra=()):
    listeners = []
    for flag, port in (("--dot-listen", 853), ("--doh-listen", 443)):
        for address in ("[::1]", "127.0.0.1"):
            listeners += [flag, f"{address}:{port}"]
    return ["--listen", "[::1]:53", "--listen", "127.0.0.1:53", *listeners, "--doh-http-listen", "127.0.0.1:8053",
            "--dns-certificate", f"{directory}/dns.pem", "--dns-key", f"{directory}/dns.key",
            "--proxy-from", BALANCER, "--ecs-from", FORWARDER, "--idle-timeout", str(idle), "--drain-timeout", "3", *extra]


def setUpModule():
    global site, certificate
    site = Site(lab_prefix("isthmus-dns64net-"))
    unittest.addModuleCleanup(site.down)
    site.up()
    certificate, _ = make_certificate(site.node, site.dir, "dns")
    site.flags = flags(site.dir)
    site.start_service(POLICY)


def run(*command, check=True, timeout=15, **options):
    done = subprocess.run(command, capture_output=True, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def kdig(*words):
    return run("kdig", "+timeout=3", "+retry=0", "@::1", "v4only.test.", "AAAA", *words).stdout.decode()


def question(name="v4only.test.", kind="AAAA", **options):
    return dns.message.make_query(name, kind, **options)


def counted(name, *labels):
    return site.service.metric_sum(f"isthmus_dns64_{name}", *labels)


class Tcp(unittest.TestCase):
    def test_dig_keeps_its_connection_open(self):
        out = run("dig", "+tcp", "+keepopen", "@::1", "v4only.test.", "AAAA", "dual.test.", "AAAA").stdout.decode()
        self.assertIn(SYNTHESIZED, out)
        self.assertIn("2001:db8:80::81", out)

    def test_the_idle_timeout_is_told_to_those_who_ask_and_kept(self):
        with socket.create_connection(("::1", 53), timeout=5) as stream:
            option = dns.edns.GenericOption(KEEPALIVE, b"")
            response = exchange(stream, question(use_edns=0, options=[option]))
            told = [o.data for o in response.options if o.otype == KEEPALIVE]
            self.assertEqual(told, [b"\x00\x14"])  # 2 s in units of 100 ms (RFC 7828)
            begin = time.monotonic()
            self.assertTrue(ended(stream, 10))
            self.assertGreater(time.monotonic() - begin, 1)
        self.assertFalse([o for o in ask("v4only.test.", use_edns=0, options=[option]).options if o.otype == KEEPALIVE])

    def test_a_hundred_pipelined_questions_are_all_answered(self):
        queries = [question(f"warm{number % 50}.test.") for number in range(100)]
        with socket.create_connection(("::1", 53), timeout=5) as stream:
            stream.sendall(b"".join(framed(query) for query in queries))
            got = {dns.message.from_wire(read_frame(stream)).id for _ in queries}
        self.assertEqual(got, {query.id for query in queries})


class Tls(unittest.TestCase):
    def test_kdig_checks_the_certificate_and_gets_a_padded_answer(self):
        before = counted("tls_handshakes_total", 'transport="tls"')
        out = kdig("+tls-ca=" + certificate, "+tls-hostname=dns.test", "+padding")
        self.assertIn(SYNTHESIZED, out)
        self.assertIn("PADDING", out)
        self.assertEqual(counted("tls_handshakes_total", 'transport="tls"'), before + 1)

    def test_padding_only_for_those_who_pad(self):
        with tls_connect(certificate) as stream:
            padded = question(use_edns=0, options=[dns.edns.GenericOption(PADDING, bytes(20))])
            stream.sendall(framed(padded) + framed(question(use_edns=0)))
            sizes = sorted(len(read_frame(stream)) for _ in range(2))
        self.assertEqual(sizes[1], 468)  # RFC 8467
        self.assertLess(sizes[0], 100)

    def test_old_versions_and_foreign_protocols_are_refused(self):
        def client(*words):
            return run("openssl", "s_client", "-connect", "[::1]:853", "-brief", *words, check=False, input=b"")
        self.assertEqual(client("-tls1_2").returncode, 0)
        self.assertEqual(client("-tls1_3", "-alpn", "dot").returncode, 0)
        self.assertNotEqual(client("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0").returncode, 0)
        self.assertNotEqual(client("-alpn", "h2").returncode, 0)

    def test_a_session_is_resumed(self):
        context = tls_context(certificate)
        sessions = []
        for _ in range(2):
            raw = socket.create_connection(("::1", 853), timeout=5)
            with context.wrap_socket(raw, server_hostname="dns.test", session=sessions[-1] if sessions else None) as stream:
                exchange(stream, question())
                sessions.append(stream.session)
                reused = stream.session_reused
        self.assertTrue(reused)
        self.assertGreater(counted("tls_handshakes_total", 'resumed="yes"'), 0)

    def test_plain_dns_to_the_tls_port_is_turned_away(self):
        with socket.create_connection(("::1", 853), timeout=5) as stream:
            stream.sendall(framed(question()))
            self.assertIn(stream.recv(1)[:1], (b"", b"\x15"))  # an alert at most


class Https(unittest.TestCase):
    URL = "https://dns.test/dns-query"

    def curl(self, *words, check=True, body=None):
        command = ["curl", "-sS", "-m", "10", "--cacert", certificate, "--resolve", "dns.test:443:[::1]", *words]
        return run(*command, check=check, input=body)

    def test_kdig_by_post_and_get(self):
        for way in ("+https", "+https-get"):
            self.assertIn(SYNTHESIZED, kdig(way, "+tls-ca=" + certificate, "+tls-hostname=dns.test"))

    def test_curl_resolves_by_it(self):
        out = self.curl("--doh-url", self.URL, "-v", "-o", "/dev/null", "--connect-timeout", "2", "http://v4only.test/",
                        check=False).stderr.decode()
        self.assertIn(SYNTHESIZED, out)

    def test_both_versions_of_http_say_the_same(self):
        for version in ("--http1.1", "--http2"):
            wire = question(id=0).to_wire()
            out = self.curl(version, "-D", "-", "-H", "content-type: application/dns-message", "--data-binary", "@-",
                            self.URL, body=wire).stdout
            head, body = out.split(b"\r\n\r\n", 1)
            self.assertEqual(answers(dns.message.from_wire(body), "AAAA"), [SYNTHESIZED])
            head = head.decode().lower()
            self.assertIn(" 200", head.splitlines()[0])
            self.assertIn("content-type: application/dns-message", head)
            age = int(head.split("max-age=")[1].split()[0])
            self.assertTrue(0 < age <= 60, head)  # the denial of AAAA lives for 60 s

    def test_get_carries_the_question_in_the_address(self):
        import base64
        name = base64.urlsafe_b64encode(question(id=0).to_wire()).rstrip(b"=").decode()
        for version in ("--http1.1", "--http2"):
            out = self.curl(version, f"{self.URL}?dns={name}").stdout
            self.assertEqual(answers(dns.message.from_wire(out), "AAAA"), [SYNTHESIZED])

    def test_each_mistake_has_its_status(self):
        message = ["-H", "content-type: application/dns-message", "--data-binary"]
        for version in ("--http1.1", "--http2"):
            for words, status in ((["https://dns.test/"], "404"), ([self.URL], "400"), ([self.URL + "?dns=!"], "400"),
                                  (["-X", "PUT", self.URL], "405"), (["--data", "x", self.URL], "415"),
                                  ([*message, "x", self.URL], "400"), ([*message, f"@{site.dir}/large", self.URL], "413")):
                site.write("large", "x" * 70000)
                got = self.curl(version, "-o", "/dev/null", "-w", "%{http_code}", *words, check=False).stdout.decode()
                self.assertEqual(got, status, (version, words))

    def test_without_tls_on_loopback_for_a_proxy_in_front(self):
        wire = question("dual.test.", id=0).to_wire()
        for version in ("--http1.1", "--http2-prior-knowledge"):
            out = run("curl", "-sS", "-m", "10", version, "-H", "content-type: application/dns-message", "--data-binary", "@-",
                      "http://127.0.0.1:8053/dns-query", input=wire).stdout
            self.assertEqual(answers(dns.message.from_wire(out), "AAAA"), ["2001:db8:80::81"])


class BeforeThePolicy(unittest.TestCase):
    HTTP = "127.0.0.1:9466"

    def test_https_says_when_to_come_back_and_it_is_counted(self):
        command = [f"{BIN}/dns64-svc", "--controller", "127.0.0.1:9", "--node-id", "early", "--workers", "1", "--listen", "127.0.0.1:5399",
                   "--doh-http-listen", "127.0.0.1:8054", "--http-listen", self.HTTP, "--grpc-listen", "", "--drain-timeout", "0"]
        early = Daemon(site.node, "early", command, f"{site.dir}/early.log", self.HTTP).start(ready_within=None)
        self.addCleanup(early.kill)
        for version in ("--http1.1", "--http2-prior-knowledge"):
            def ask_early(version=version):
                return run("curl", "-sS", "-m", "5", "-D", "-", version, "-H", "content-type: application/dns-message", "--data-binary", "@-",
                           "http://127.0.0.1:8054/dns-query", input=question().to_wire(), check=False).stdout.decode().lower()
            head = eventually(ask_early, 10, "it listens")
            self.assertRegex(head, r"^http/[12.]+ 503\b")
            self.assertIn("\nretry-after: ", head)
        self.assertEqual(early.metric_sum("isthmus_dns64_drops_total", 'transport="https"', 'reason="not_ready"'), 2)


class InFrontOfUs(unittest.TestCase):
    """Load balancers with the PROXY protocol, forwarders with a client subnet."""

    def test_the_client_that_a_balancer_names_chooses_the_view(self):
        source = (BALANCER, 0)
        with socket.create_connection(("127.0.0.1", 53), timeout=5, source_address=source) as stream:
            stream.sendall(proxy_v2("2001:db8:7::1"))
            self.assertEqual(answers(exchange(stream, question()), "AAAA"), [SYNTHESIZED])
        raw = socket.create_connection(("127.0.0.1", 853), timeout=5, source_address=source)
        raw.sendall(proxy_v2("2001:db8:7::1"))
        with tls_context(certificate).wrap_socket(raw, server_hostname="dns.test") as stream:
            self.assertEqual(answers(exchange(stream, question()), "AAAA"), [SYNTHESIZED])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(source)
            sender.settimeout(3)
            sender.sendto(proxy_v2("2001:db8:7::1", datagram=True) + question().to_wire(), ("127.0.0.1", 53))
            self.assertEqual(answers(dns.message.from_wire(sender.recv(2048)), "AAAA"), [SYNTHESIZED])
        self.assertGreaterEqual(counted("proxied_connections_total"), 2)

    def test_a_client_in_no_view_is_refused_behind_a_balancer_too(self):
        with socket.create_connection(("127.0.0.1", 53), timeout=5, source_address=(BALANCER, 0)) as stream:
            stream.sendall(proxy_v2("2001:db8:8::1"))
            self.assertEqual(exchange(stream, question()).rcode(), dns.rcode.REFUSED)

    def test_a_listed_balancer_must_send_it(self):
        with socket.create_connection(("127.0.0.1", 53), timeout=5, source_address=(BALANCER, 0)) as stream:
            stream.sendall(framed(question()))
            self.assertTrue(ended(stream, 3))
        before = counted("udp_proxy_errors_total")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((BALANCER, 0))
            sender.sendto(question().to_wire(), ("127.0.0.1", 53))
        eventually(lambda: counted("udp_proxy_errors_total") == before + 1, 3, "the datagram is counted")

    def test_nobody_else_may(self):
        with socket.create_connection(("::1", 53), timeout=5) as stream:
            stream.sendall(proxy_v2("2001:db8:7::1") + framed(question()))
            self.assertTrue(ended(stream, 5))

    def subnet_answer(self, source):
        query = question(use_edns=0, options=[dns.edns.ECSOption("2001:db8:7::", 48)])
        return dns.query.udp(query, "127.0.0.1", source=source, timeout=3)

    def test_the_subnet_that_a_forwarder_names_chooses_the_view(self):
        response = self.subnet_answer(FORWARDER)
        self.assertEqual(answers(response, "AAAA"), [SYNTHESIZED])
        echoed = [o for o in response.options if isinstance(o, dns.edns.ECSOption)]
        self.assertEqual([(o.address, o.srclen, o.scopelen) for o in echoed], [("2001:db8:7::", 48, 48)])

    def test_the_subnet_that_anybody_else_names_is_ignored(self):
        response = self.subnet_answer("127.0.0.31")
        self.assertEqual(answers(response, "AAAA"), [])
        self.assertFalse([o for o in response.options if isinstance(o, dns.edns.ECSOption)])


class Certificates(unittest.TestCase):
    def test_a_changed_certificate_is_used_for_new_connections_and_old_ones_go_on(self):
        with tls_connect(certificate) as old:
            before = old.getpeercert()["serialNumber"]
            new_certificate, new_key = make_certificate(site.node, site.dir, "next")
            self.addCleanup(time.sleep, 1.5)  # the last of these: until both are taken up
            for name in ("dns.key", "dns.pem"):
                with open(f"{site.dir}/{name}", encoding="ascii") as file:
                    self.addCleanup(site.write, name, file.read())
            os.rename(new_key, f"{site.dir}/dns.key")
            os.rename(new_certificate, certificate)

            def serial():
                with tls_connect(certificate) as stream:
                    return stream.getpeercert()["serialNumber"]

            def changed():
                try:
                    return serial() != before
                except OSError:  # the old one, which the new file does not vouch for
                    return False
            eventually(changed, 5, "the new certificate is shown", every=0.3)
            self.assertEqual(answers(exchange(old, question()), "AAAA"), [SYNTHESIZED])
        site.write("dns.pem", "not a certificate\n")
        eventually(lambda: counted("reload_failures_total", 'file="certificate"') > 0, 5, "a bad file is refused")
        self.assertIn("the certificate before goes on", site.service.log())


class BadClients(unittest.TestCase):
    def test_slow_senders_lose_their_connections_and_nobody_else_notices(self):
        slow = [(socket.create_connection(("::1", port), timeout=5), first) for port, first in
                ((53, b"\x00\x40"), (853, b"\x16\x03\x01\x02\x00"), (443, b"\x16\x03\x01\x02\x00")) for _ in range(10)]
        slow.append((socket.create_connection(("127.0.0.1", 8053), timeout=5), b"GET /dns"))
        begin = time.monotonic()
        for stream, first in slow:
            stream.sendall(first)
        while time.monotonic() - begin < 1.5:
            for stream, _ in slow:
                stream.send(b"x")
            self.assertEqual(ask("v4only.test.", tcp=True).rcode(), dns.rcode.NOERROR)
            time.sleep(0.2)
        for stream, _ in slow:
            self.assertTrue(ended(stream, 8))
            stream.close()
        self.assertGreater(counted("connections_ended_total", 'reason="handshake"'), 0)
        self.assertGreater(counted("connections_ended_total", 'reason="idle"'), 0)

    def test_noise_on_every_port_is_harmless(self):
        noise = random.Random(8484)
        for _ in range(40):
            for port in (53, 853, 443):
                with socket.create_connection(("::1", port), timeout=3) as stream:
                    stream.sendall(noise.randbytes(noise.randrange(1, 2000)))
            with tls_connect(certificate, ("::1", 443), ["h2"]) as stream:
                try:
                    stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + noise.randbytes(noise.randrange(1, 500)))
                    stream.recv(4096)
                except OSError:
                    pass
        self.assertTrue(site.service.running())
        self.assertIn(SYNTHESIZED, kdig("+tls-ca=" + certificate, "+tls-hostname=dns.test"))


class YMany(unittest.TestCase):
    """A service with other limits."""

    def setUp(self):
        site.service.terminate(10)
        site.flags = flags(site.dir, idle=60, extra=["--max-connections-per-client", "2000"])
        site.service.command = site.command()
        site.service.start()

    def tearDown(self):
        site.service.terminate(10)
        site.flags = flags(site.dir)
        site.service.command = site.command()
        site.service.start()

    def test_a_thousand_idle_connections_cost_little_and_answer_still(self):
        def memory():
            with open(f"/proc/{self.pid()}/status", encoding="ascii") as status:
                return int(next(line.split()[1] for line in status if line.startswith("VmRSS")))
        before = memory()
        streams = [tls_connect(certificate) for _ in range(500)]
        streams += [socket.create_connection(("::1", 53), timeout=5) for _ in range(500)]
        try:
            eventually(lambda: counted("connections") >= 1000, 10, "all are open")
            for stream in streams[::50]:
                self.assertEqual(answers(exchange(stream, question()), "AAAA"), [SYNTHESIZED])
            self.assertLess((memory() - before) / 1000, 64, "KiB per idle connection")
        finally:
            for stream in streams:
                stream.close()
        eventually(lambda: counted("connections") == 0, 10, "all are forgotten")

    @staticmethod
    def pid():
        """nsenter execs the program: it is our own child."""
        return site.service.process.pid


class ZEnd(unittest.TestCase):
    """Last: these end the service."""

    def test_1_kill_9_under_load_and_a_restart(self):
        done = threading.Event()
        good = []

        def load():
            while not done.is_set():
                try:
                    with tls_connect(certificate) as stream:
                        exchange(stream, question(f"warm{random.randrange(50)}.test."))
                        good.append(time.monotonic())
                except (OSError, EOFError):
                    time.sleep(0.05)
        workers = [threading.Thread(target=load) for _ in range(2)]
        for worker in workers:
            worker.start()
        try:
            eventually(lambda: len(good) > 20, 10, "load runs")
            site.service.kill()
            site.service.start()
            restarted = time.monotonic()
            eventually(lambda: good and good[-1] > restarted, 5, "clients are answered again")
        finally:
            done.set()
            for worker in workers:
                worker.join()

    def test_2_sigterm_says_not_ready_first_and_answers_what_is_in_flight(self):
        site.service.terminate(10)
        site.flags = flags(site.dir, extra=["--shutdown-delay", "10"])
        site.service.command = site.command()
        site.service.start()
        with socket.create_connection(("::1", 53), timeout=5) as stream, tls_connect(certificate) as encrypted:
            exchange(encrypted, question())
            site.service.process.send_signal(signal.SIGTERM)
            eventually(lambda: not site.service.is_ready(), 5, "/readyz says no", every=0.02)
            self.assertTrue(site.service.running())
            self.assertEqual(answers(exchange(stream, question()), "AAAA"), [SYNTHESIZED])
            self.assertEqual(answers(ask("dual.test."), "AAAA"), ["2001:db8:80::81"])
            # Asked in the last moment; what has reached the socket is answered.
            os.kill(site.knot.process.pid, signal.SIGSTOP)
            try:
                for attempt in range(4):  # one may be answered already when it is looked for
                    stream.sendall(framed(question(f"late-{attempt}.test.")))
                    with contextlib.suppress(AssertionError):
                        eventually(lambda: counted("pending_queries") > 0, 1.5, "it waits", every=0.02)
                        break
                    read_frame(stream)
                else:
                    self.fail("no query ever waited")
                site.service.process.send_signal(signal.SIGTERM)  # no need to wait for the delay
                time.sleep(0.2)
            finally:
                os.kill(site.knot.process.pid, signal.SIGCONT)
            self.assertEqual(dns.message.from_wire(read_frame(stream)).rcode(), dns.rcode.NXDOMAIN)
            self.assertTrue(ended(stream, 5))
            self.assertEqual(encrypted.recv(10), b"")  # close_notify
        self.assertEqual(site.service.process.wait(6), 0)


if __name__ == "__main__":
    suite.main()
