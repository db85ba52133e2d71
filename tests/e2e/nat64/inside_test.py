# SPDX-License-Identifier: Apache-2.0
"""What a NAT64 node shows of itself: its tables, the fate of a packet, captures; all while it translates."""

import datetime
import json
import os
import re
import signal
import unittest

from gateway_lab import GatewayLab

from lib import suite
from lib.daemon import eventually
from lib.topology import BIN, CLIENT, ECHO_PORT, WEB4, capture, embedded

lab = None


def setUpModule():
    global lab
    lab = unittest.enterModuleContext(GatewayLab())


def ctl(*words, check=True):
    return lab.node.run([f"{BIN}/isthmusctl", *words], check=check)


def ask_echo(count=1):
    echo = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib/udp_echo.py")
    lab.client.run(["/usr/bin/python3", echo, "ask", embedded(WEB4), ECHO_PORT, str(count), "0.01"])


class Collector:
    """A syslog collector in the node's namespace: octet-counted messages over TCP (RFC 6587)."""

    def __init__(self, port):
        self.path = f"{lab.dir}/collected"
        script = ("import socket,sys\n"
                  "listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
                  "print('listening', flush=True)\n"
                  "peer = listener.accept()[0].makefile('rb')\n"
                  "while (digits := peer.read(1)):\n"
                  "    while digits[-1:] != b' ': digits += peer.read(1)\n"
                  "    print(peer.read(int(digits)).decode(), flush=True)\n")
        with open(self.path, "wb") as out:
            self.process = lab.node.popen(["/usr/bin/python3", "-c", script, str(port)], stdout=out)
        eventually(lambda: "listening" in self.text(), 10, "the collector listens")

    def text(self):
        with open(self.path, encoding="utf-8") as file:
            return file.read()


class Events(unittest.TestCase):
    def test_who_had_an_address_and_port_is_answered_from_the_records_across_rotation_and_restart(self):
        path = f"{lab.dir}/events.json"
        lab.start_alone("--events", path, "--node-id", "gw7")
        self.addCleanup(lambda: lab.nat64.kill())
        ask_echo()
        mapping = json.loads(ctl("mappings", "--protocol", "udp", "-o", "json"))["mappings"][0]
        endpoint = f"{mapping['public4']}:{mapping['port4']}"
        eventually(lambda: "block_taken" in self.read(path), 5, "the record is on disk")
        moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        os.rename(path, f"{path}.1")
        lab.nat64.process.send_signal(signal.SIGHUP)
        eventually(lambda: os.path.exists(path), 5, "a new file is begun")
        self.assertTrue(lab.nat64.running())
        lab.nat64.kill()  # frees nothing: only the start of the next run says that it ended
        lab.start_alone("--events", path, "--node-id", "gw7")
        eventually(lambda: "service_started" in self.read(path), 5, "the new run is on disk")
        files = ["--events", path, "--events", f"{path}.1"]
        told = ctl("who-had", *files, "--at", moment, endpoint)
        self.assertIn("2001:db8:1::/64", told)
        self.assertIn("at the latest", told)
        later = "2999-01-01T00:00:00Z"
        self.assertEqual(1, ctl("who-had", *files, "--at", later, endpoint, check=False).returncode)

    def test_records_reach_a_syslog_collector(self):
        collector = Collector(5514)
        self.addCleanup(collector.process.kill)
        lab.start_alone("--events-syslog", "tcp:127.0.0.1:5514", "--node-id", "gw7")
        self.addCleanup(lab.nat64.kill)
        ask_echo()
        eventually(lambda: "block_taken" in collector.text(), 5, "the record comes")
        line = next(line for line in collector.text().splitlines() if "block_taken" in line)
        self.assertRegex(line, r'^<134>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z gw7 nat64-svc \d+ block_taken - \{"time":')
        eventually(lambda: lab.counter("event_syslog_sent_total") >= 2, 5, "the collector's machine acknowledges")
        self.assertEqual(0, lab.counter("event_syslog_lost_total"))

    @staticmethod
    def read(path):
        with open(path, encoding="utf-8") as file:
            return file.read()


class Listening(unittest.TestCase):
    def test_an_address_that_others_reach_is_refused_without_tls(self):
        done = lab.node.run(lab.alone("--grpc-listen", "0.0.0.0:9465"), check=False)
        self.assertNotEqual(0, done.returncode)
        self.assertIn("without TLS", done.stderr)
        self.assertNotIn("prog/xdp", lab.node.run("ip -d link show lan"), "something was left behind")

    def test_without_an_address_there_is_no_status_service(self):
        lab.start_alone("--grpc-listen", "")
        self.addCleanup(lab.nat64.kill)
        asked = ctl("status", check=False)
        self.assertEqual(2, asked.returncode)
        self.assertIn("is it running there?", asked.stderr)


class Inside(unittest.TestCase):
    def setUp(self):
        lab.start_alone()
        self.addCleanup(lab.nat64.kill)

    def udp_mapping(self):
        ask_echo()
        mappings = json.loads(ctl("mappings", "--protocol", "udp", "-o", "json"))["mappings"]
        self.assertEqual(1, len(mappings))
        return mappings[0]

    def test_mappings_and_sessions_are_listed_and_filtered(self):
        mapping = self.udp_mapping()
        self.assertEqual(CLIENT, mapping["client6"])
        self.assertTrue(lab.pings(embedded(WEB4)))
        sessions = json.loads(ctl("sessions", "-o", "json"))["sessions"]
        self.assertEqual({"UDP_FLOW", "ICMP_FLOW"}, {session["protocol"] for session in sessions})
        self.assertTrue(all(session["server4"] == WEB4 and session["expires_in"] > 50 for session in sessions))
        self.assertEqual([], json.loads(ctl("sessions", "--server4", "192.0.2.0/24", "-o", "json"))["sessions"])
        self.assertIn(f"{WEB4}:{ECHO_PORT}", ctl("sessions", "--protocol", "udp"))
        self.assertIn("translates", ctl("status"))

    def test_the_whole_policy_that_runs_is_shown_and_is_a_policy(self):
        shown = ctl("status", "--policy")
        self.assertIn('prefix: "64:ff9b::/96"', shown)
        self.assertIn("tcp_established: 7440s", shown, "a default that nobody wrote")
        path = f"{lab.dir}/shown.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(shown)
        self.assertIn("valid", ctl("validate", path))

    def test_who_has_a_public_port_now(self):
        mapping = self.udp_mapping()
        found = ctl("find", f"{mapping['public4']}:{mapping['port4']}")
        self.assertIn(f"[{CLIENT}]:{mapping['port6']}", found)
        self.assertIn("belong to subscriber 2001:db8:1::/64", found)
        self.assertIn(f"{mapping['public4']}:{mapping['port4']}", ctl("find", f"[{CLIENT}]:{mapping['port6']}"))
        self.assertIn(f"{mapping['public4']}:{mapping['port4']}", ctl("find", CLIENT))
        nobody = ctl("find", "203.0.113.99:1", check=False)
        self.assertEqual(1, nobody.returncode)
        self.assertIn("no mapping now", nobody.stdout)

    def test_a_packet_is_explained_and_nothing_happens(self):
        told = ctl("explain-packet", "--from", f"[{CLIENT}]:4000", "--to", f"[{embedded(WEB4)}]:80")
        self.assertIn("verdict: forward", told)
        self.assertIn("RFC 6146 §3.5.1.1", told)
        self.assertEqual(0, lab.counter("sessions"))
        self.assertEqual(0, lab.counter("received_packets_total"))
        refused = ctl("explain-packet", "--from", f"[{CLIENT}]:4000", "--to", "[64:ff9b::10.0.0.1]:80", check=False)
        self.assertEqual(1, refused.returncode)
        self.assertIn("verdict: reply, non_global, answered with ICMP type 1 code 1", refused.stdout)
        lost = ctl("explain-packet", "--protocol", "udp", "--from", f"{WEB4}:53", "--to", "203.0.113.1:2000", check=False)
        self.assertIn("no_mapping", lost.stdout)

    def test_a_packet_in_no_sense_is_refused_with_the_field(self):
        wrong = ctl("explain-packet", "--from", "nowhere", "--to", "203.0.113.1:80", check=False)
        self.assertEqual(2, wrong.returncode)
        self.assertIn('source: "nowhere"', wrong.stderr)
        wrong = ctl("mappings", "--client6", "2001:db8::1/32", check=False)
        self.assertIn("client6", wrong.stderr)

    def test_a_capture_shows_packets_before_and_after_translation(self):
        path = f"{lab.dir}/capture.pcapng"
        tap = lab.node.popen([f"{BIN}/isthmusctl", "capture", "--server4", WEB4, "--protocol", "icmp", "--packets", "4",
                              "--seconds", "20", "-w", path], stderr=-1, text=True)
        eventually(lambda: os.path.exists(path) and os.path.getsize(path) > 0, 10, "the capture runs")
        ask_echo(3)  # not of the chosen protocol
        lab.client.run(f"ping -6 -n -c 2 -i 0.1 -W 1 {embedded(WEB4)}")
        _, said = tap.communicate(timeout=25)
        self.assertEqual("4 packets captured, 0 copies lost\n", said)
        lines = lab.node.run(["tcpdump", "-n", "-r", path]).splitlines()
        self.assertEqual(8, len(lines), "\n".join(lines))
        requests = [line for line in lines if "echo request" in line]
        self.assertRegex(requests[0], rf"IP6 {CLIENT} > {embedded(WEB4)}: ICMP6, echo request")
        self.assertRegex(requests[1], rf"IP 203\.0\.113\.\d > {re.escape(WEB4)}: ICMP echo request")
        replies = [line for line in lines if "echo reply" in line]
        self.assertRegex(replies[0], rf"IP {re.escape(WEB4)} > 203")
        self.assertRegex(replies[1], rf"IP6 {embedded(WEB4)} > {CLIENT}")

    def test_a_capture_says_why_a_packet_was_dropped(self):
        path = f"{lab.dir}/dropped.pcapng"
        tap = lab.node.popen([f"{BIN}/isthmusctl", "capture", "--client6", CLIENT, "--packets", "1", "--seconds", "20",
                              "-w", path], stderr=-2, stdout=-1)
        eventually(lambda: os.path.exists(path) and os.path.getsize(path) > 0, 10, "the capture runs")
        self.assertFalse(lab.pings("64:ff9b::10.0.0.1", 1))
        tap.communicate(timeout=25)
        with open(path, "rb") as file:
            self.assertIn(b"reply non_global", file.read())

    def test_listing_does_not_disturb_the_packets(self):
        with capture(lab, lab.client, "eth0", "icmp6 and ip6[40] == 129") as replies:
            probe = lab.client.popen(["ping", "-6", "-n", "-q", "-i", "0.01", "-c", "100", embedded(WEB4)], stdout=-1, text=True)
            for _ in range(5):
                ctl("sessions")
            out, _ = probe.communicate(timeout=20)
        self.assertIn(" 100 received", out)


if __name__ == "__main__":
    suite.main()
