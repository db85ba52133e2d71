# SPDX-License-Identifier: Apache-2.0
"""Exact bytes for the rules that a policy chooses, the tables of ICMP errors, and what our own errors are limited to."""

import unittest

from packet_lab import (POLICY, PREFIX, SERVER6, PacketTest, at_client, at_server, change_policy, counted, from_client, from_server, start)
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6ParamProblem, ICMPv6TimeExceeded, IPv6
from scapy.packet import Raw

from lib import suite
from lib.topology import CLIENT, WEB4

ROUTER4 = "20.0.0.2"
WEB4_BYTES = bytes(int(part) for part in WEB4.split("."))
# RFC 6052 2.2: where the octets of the IPv4 address stand, by prefix length; octet 8 is zero
EMBEDDING = {32: (4, 5, 6, 7), 40: (5, 6, 7, 9), 48: (6, 7, 9, 10), 56: (7, 9, 10, 11), 64: (9, 10, 11, 12), 96: (12, 13, 14, 15)}


def setUpModule():
    start()


def under(length, ipv4=WEB4_BYTES):
    """An address under the prefix of that length, made here by RFC 6052's figure; the prefixes do not overlap."""
    octets = bytearray(16)
    octets[:4] = bytes.fromhex("20010dc0")
    octets[3] += sorted(EMBEDDING).index(length)
    for place, octet in zip(EMBEDDING[length], ipv4):
        octets[place] = octet
    return ":".join(octets[i:i + 2].hex() for i in range(0, 16, 2))


class RuleTest(PacketTest):
    def use(self, nat64="", subscribers=""):
        self.addCleanup(change_policy, POLICY)
        change_policy(POLICY.replace("prefix_length: 64", "prefix_length: 64" + subscribers) + (f"nat64: {{{nat64}}}\n" if nat64 else ""))

    @staticmethod
    def inside(public):
        octets = [int(part) for part in public.split(".")]
        return f"{PREFIX}{octets[0] << 8 | octets[1]:x}:{octets[2] << 8 | octets[3]:x}"


class Prefixes(RuleTest):
    def test_all_six_lengths_at_once_there_and_back(self):
        self.addCleanup(change_policy, POLICY)
        change_policy("translation_prefixes:\n" + "".join(
            f'  - {{name: p{length}, prefix: "{under(length, bytes(4))}/{length}", clients: ["2001:db8:1::/64"]}}\n' for length in EMBEDDING)
            + POLICY[POLICY.index("pools:"):])
        for length in EMBEDDING:
            with self.subTest(length=length):
                port = next(self.ports)
                from_client(IPv6(src=CLIENT, dst=under(length), hlim=64) / UDP(sport=port, dport=7) / Raw(b"there"))
                out = at_server(17)
                self.assertIsNotNone(out, "nothing came")
                self.same(IP(src=out.src, dst=WEB4, ttl=63, flags=0, id=out.id) / UDP(sport=out[UDP].sport, dport=7) / Raw(b"there"), out)
                from_server(IP(src=WEB4, dst=out.src, ttl=64) / UDP(sport=7, dport=out[UDP].sport) / Raw(b"back"))
                self.same(IPv6(src=under(length), dst=CLIENT, hlim=63) / UDP(sport=7, dport=port) / Raw(b"back"),
                          at_client(lambda p, port=port: UDP in p and p[UDP].dport == port))


class Switches(RuleTest):
    def test_the_traffic_class_is_zero_both_ways_when_it_is_not_trusted(self):
        self.use("traffic_class: ZERO")
        port = next(self.ports)
        from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=64, tc=0xb8) / UDP(sport=port, dport=7) / Raw(b"out"))
        out = at_server(17)
        self.assertIsNotNone(out, "nothing came")
        self.same(IP(src=out.src, dst=WEB4, tos=0, ttl=63, flags=0, id=out.id) / UDP(sport=out[UDP].sport, dport=7) / Raw(b"out"), out)
        from_server(IP(src=WEB4, dst=out.src, tos=0xb8, ttl=64) / UDP(sport=7, dport=out[UDP].sport) / Raw(b"in"))
        self.same(IPv6(src=SERVER6, dst=CLIENT, tc=0, hlim=63) / UDP(sport=7, dport=port) / Raw(b"in"),
                  at_client(lambda p: UDP in p and p[UDP].dport == port))

    def test_the_mss_is_clamped_to_what_passes_both_sides(self):
        self.use("mss_clamp: true")
        port = next(self.ports)
        for told, wanted in ((9000, 1440), (1200, 1200)):  # 1500 less 60; smaller ones stay
            with self.subTest(told=told):
                from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=64) / TCP(sport=port, dport=81, flags="S", seq=1, options=[("MSS", told)]))
                out = at_server(6)
                self.assertIsNotNone(out, "nothing came")
                self.same(IP(src=out.src, dst=WEB4, ttl=63, flags=out.flags, id=out.id)
                          / TCP(sport=out[TCP].sport, dport=81, flags="S", seq=1, options=[("MSS", wanted)]), out)
        from_server(IP(src=WEB4, dst=out.src, ttl=64) / TCP(sport=81, dport=out[TCP].sport, flags="SA", seq=2, ack=2, options=[("MSS", 1460)]))
        self.same(IPv6(src=SERVER6, dst=CLIENT, hlim=63) / TCP(sport=81, dport=port, flags="SA", seq=2, ack=2, options=[("MSS", 1440)]),
                  at_client(lambda p: TCP in p and p[TCP].dport == port))

    def test_udp_without_a_checksum_gets_one_or_is_dropped(self):
        port = next(self.ports)
        public, public_port, _ = self.mapping(port)
        bare = IP(src=WEB4, dst=public, ttl=64) / UDP(sport=7, dport=public_port, chksum=0) / Raw(b"bare")
        from_server(bare)
        self.same(IPv6(src=SERVER6, dst=CLIENT, hlim=63) / UDP(sport=7, dport=port) / Raw(b"bare"),
                  at_client(lambda p: UDP in p and p[UDP].dport == port))
        self.use("udp_zero_checksum: DROP")
        before = counted("ipv4", "udp_zero_checksum")
        from_server(bare)
        self.assertIsNone(at_client(lambda p: UDP in p and p[UDP].dport == port, within=0.3), "it passed")
        self.assertEqual(before + 1, counted("ipv4", "udp_zero_checksum"))


class Errors(RuleTest):
    def test_without_an_mtu_the_plateau_below_the_length_is_told(self):
        _, port, out = self.mapping(next(self.ports))
        # RFC 1191 7.1: below 2000 it is 1492, which is 1512 in IPv6, more than this side's 1500; below 1492 it is 1006: never under 1280
        for length, mtu in ((2000, 1500), (1492, 1280)):
            with self.subTest(length=length):
                quoted = IP(src=out.src, dst=WEB4, ttl=9, len=length) / UDP(sport=port, dport=7, len=length - 20, chksum=1) / Raw(b"x" * 8)
                from_server(IP(src=ROUTER4, dst=out.src, ttl=64) / ICMP(type=3, code=4, nexthopmtu=0) / quoted)
                got = at_client(lambda p: ICMPv6PacketTooBig in p)
                self.assertIsNotNone(got, "nothing came")
                self.assertEqual(mtu, got[ICMPv6PacketTooBig].mtu)

    def test_pointers_of_parameter_problems_move_to_the_same_field(self):
        _, _, out = self.mapping(next(self.ports))
        # RFC 7915 figure 3
        for four, six in {0: 0, 1: 1, 2: 4, 3: 4, 8: 7, 9: 6, 12: 8, 15: 8, 16: 24, 19: 24}.items():
            with self.subTest(pointer4=four):
                from_server(IP(src=ROUTER4, dst=out.src, ttl=64) / ICMP(type=12, code=0, ptr=four) / out)
                got = at_client(lambda p: ICMPv6ParamProblem in p)
                self.assertIsNotNone(got, "nothing came")
                self.assertEqual((0, six), (got[ICMPv6ParamProblem].code, got[ICMPv6ParamProblem].ptr))
        for four in (4, 6, 10, 11, 20):  # identification, flags, checksum, options: nothing of them in IPv6
            from_server(IP(src=ROUTER4, dst=out.src, ttl=64) / ICMP(type=12, code=0, ptr=four) / out)
        self.assertIsNone(at_client(lambda p: ICMPv6ParamProblem in p, within=0.3))

    def received(self):
        """A datagram of the server as the client got it, and the public address and port it was sent to."""
        port = next(self.ports)
        public, public_port, _ = self.mapping(port)
        from_server(IP(src=WEB4, dst=public, ttl=64) / UDP(sport=7, dport=public_port) / Raw(b"unwanted"))
        got = at_client(lambda p: UDP in p and p[UDP].dport == port)
        self.assertIsNotNone(got, "nothing came")
        return got, public, public_port

    def test_pointers_of_the_clients_parameter_problems_too(self):
        got, public, _ = self.received()
        # RFC 7915 figure 6
        for six, four in {0: 0, 1: 1, 4: 2, 5: 2, 6: 9, 7: 8, 8: 12, 23: 12, 24: 16, 39: 16}.items():
            with self.subTest(pointer6=six):
                from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=64) / ICMPv6ParamProblem(code=0, ptr=six) / got)
                out = at_server(1)
                self.assertIsNotNone(out, "nothing came")
                self.assertEqual((public, 12, 0, four), (out.src, out[ICMP].type, out[ICMP].code, out[ICMP].ptr))
        from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=64) / ICMPv6ParamProblem(code=0, ptr=2) / got)  # the flow label
        self.assertIsNone(at_server(1, within=0.3))

    def test_a_clients_error_reaches_the_server_with_its_own_packet_inside(self):
        got, public, public_port = self.received()
        from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=64) / ICMPv6DestUnreach(code=4) / got)
        out = at_server(1)
        self.assertIsNotNone(out, "nothing came")
        inside = IP(bytes(out[ICMP].payload))
        quoted = (IP(src=WEB4, dst=public, ttl=got.hlim, id=inside.id, flags=inside.flags) / UDP(sport=7, dport=public_port)
                  / Raw(b"unwanted"))
        self.same(IP(src=public, dst=WEB4, ttl=63, id=out.id, flags=out.flags) / ICMP(type=3, code=3) / quoted, out)

    def test_an_error_between_two_clients_comes_back_by_hairpin(self):
        left, right = next(self.ports), next(self.ports)
        public, public_left, _ = self.mapping(left)
        self.mapping(right)
        there = self.inside(public)
        from_client(IPv6(src=CLIENT, dst=there, hlim=64) / UDP(sport=right, dport=public_left) / Raw(b"neighbour"))
        arrived = at_client(lambda p: UDP in p and p[UDP].dport == left)
        self.assertIsNotNone(arrived, "nothing came")
        from_client(IPv6(src=CLIENT, dst=arrived.src, hlim=64) / ICMPv6DestUnreach(code=4) / arrived)
        quoted = IPv6(src=CLIENT, dst=there, hlim=arrived.hlim) / UDP(sport=right, dport=public_left) / Raw(b"neighbour")
        self.same(IPv6(src=there, dst=CLIENT, hlim=62) / ICMPv6DestUnreach(code=4) / quoted, at_client(lambda p: ICMPv6DestUnreach in p))

    def test_a_hairpin_that_finds_nobody_is_answered(self):
        public, port, _ = self.mapping(next(self.ports))
        sent = IPv6(src=CLIENT, dst=self.inside(public), hlim=64) / UDP(sport=next(self.ports), dport=port ^ 0x4000) / Raw(b"anybody?")
        from_client(sent)
        got = at_client(lambda p: ICMPv6DestUnreach in p)
        self.assertIsNotNone(got, "nothing came")
        self.same(IPv6(src=got.src, dst=CLIENT, hlim=got.hlim) / ICMPv6DestUnreach(code=0) / sent, got)


class Limits(RuleTest):
    def test_our_errors_are_limited(self):
        self.use("icmp_errors_per_second: 5")
        limited = self.lab.counter("events_total", 'event="icmp_error_limited"')
        for _ in range(40):
            from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=1) / UDP(sport=next(self.ports), dport=7) / Raw(b"traceroute"))
        answers = 0
        while at_client(lambda p: ICMPv6TimeExceeded in p, within=0.3) is not None:
            answers += 1
        self.assertIn(answers, range(10, 21))  # ten at once, and what a second or two allow
        self.assertEqual(40 - answers, self.lab.counter("events_total", 'event="icmp_error_limited"') - limited)

    def test_a_client_without_a_port_left_is_told(self):
        self.use(subscribers=", ports_per_block: 16, max_blocks: 1")
        for _ in range(16):
            self.mapping(next(self.ports))
        sent = IPv6(src=CLIENT, dst=SERVER6, hlim=64) / UDP(sport=next(self.ports), dport=7) / Raw(b"one too many")
        from_client(sent)
        got = at_client(lambda p: ICMPv6DestUnreach in p)
        self.assertIsNotNone(got, "nothing came")
        # RFC 6146 3.5.1.1: address unreachable
        self.same(IPv6(src=got.src, dst=CLIENT, hlim=got.hlim) / ICMPv6DestUnreach(code=3) / sent, got)
        self.assertIsNone(at_server(17, within=0.2))

    def test_an_idle_connection_is_probed_before_it_goes(self):
        self.use("allow_short_timeouts: true, timeouts: {tcp_established: 1s, tcp_transitory: 1s}")
        port = next(self.ports)
        from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=64) / TCP(sport=port, dport=81, flags="S", seq=1))
        out = at_server(6)
        self.assertIsNotNone(out, "nothing came")
        from_server(IP(src=WEB4, dst=out.src, ttl=64) / TCP(sport=81, dport=out[TCP].sport, flags="SA", seq=2, ack=2))
        self.assertIsNotNone(at_client(lambda p: TCP in p and p[TCP].dport == port), "no SYN+ACK")
        got = at_client(lambda p: TCP in p and p[TCP].dport == port, within=4)
        # RFC 6146 3.5.2.2: a packet without data that the client answers if it still has the connection
        self.same(IPv6(src=SERVER6, dst=CLIENT, hlim=got.hlim) / TCP(sport=81, dport=port, flags="A", seq=0, ack=0, window=got[TCP].window), got)


if __name__ == "__main__":
    suite.main()
