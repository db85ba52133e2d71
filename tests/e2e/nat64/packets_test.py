# SPDX-License-Identifier: Apache-2.0
"""Exact bytes through the real nat64-svc: what goes in on one side is compared with what comes out on the other."""

import unittest

from packet_lab import PREFIX, SERVER6, PacketTest, at_client, at_server, counted, from_client, from_server, start
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig,
                                ICMPv6TimeExceeded, IPv6, IPv6ExtHdrFragment)
from scapy.packet import Raw

from lib import suite
from lib.daemon import eventually
from lib.topology import CLIENT, NODE6, WEB4, embedded


def setUpModule():
    start()


class Packets(PacketTest):
    def test_udp_out_and_back(self):
        port = next(self.ports)
        from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=61, tc=0xb8, fl=0x12345)
                    / UDP(sport=port, dport=5353) / Raw(b"odd length payload."))
        out = at_server(17)
        self.assertIsNotNone(out, "nothing came")
        # RFC 7915 5.1: traffic class copied, flow label dropped, TTL one less, DF clear and an identification up to 1260 bytes
        self.same(IP(src=out.src, dst=WEB4, tos=0xb8, ttl=60, flags=0, id=out.id)
                  / UDP(sport=out[UDP].sport, dport=5353) / Raw(b"odd length payload."), out)
        from_server(IP(src=WEB4, dst=out.src, tos=0x2e, ttl=57, id=7) / UDP(sport=5353, dport=out[UDP].sport) / Raw(b"answer"))
        # RFC 7915 4.1: flow label zero, hop limit one less
        self.same(IPv6(src=SERVER6, dst=CLIENT, hlim=56, tc=0x2e, fl=0) / UDP(sport=5353, dport=port) / Raw(b"answer"),
                  at_client(lambda p: UDP in p and p[UDP].dport == port))

    def test_tcp_syn_keeps_its_options(self):
        port = next(self.ports)
        options = [("MSS", 1440), ("SAckOK", b""), ("NOP", None), ("WScale", 7)]
        from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=64) / TCP(sport=port, dport=81, flags="S", seq=0x01020304, options=options))
        out = at_server(6)
        self.assertIsNotNone(out, "nothing came")
        self.same(IP(src=out.src, dst=WEB4, ttl=63, flags=out.flags, id=out.id)
                  / TCP(sport=out[TCP].sport, dport=81, flags="S", seq=0x01020304, options=options), out)

    def test_ping_out_and_back(self):
        from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=64) / ICMPv6EchoRequest(id=0x1234, seq=3, data=b"abcdefg"))
        out = at_server(1)
        self.assertIsNotNone(out, "nothing came")
        self.same(IP(src=out.src, dst=WEB4, ttl=63, flags=out.flags, id=out.id)
                  / ICMP(type=8, id=out[ICMP].id, seq=3) / Raw(b"abcdefg"), out)
        from_server(IP(src=WEB4, dst=out.src, ttl=64) / ICMP(type=0, id=out[ICMP].id, seq=3) / Raw(b"abcdefg"))
        self.same(IPv6(src=SERVER6, dst=CLIENT, hlim=63) / ICMPv6EchoReply(id=0x1234, seq=3, data=b"abcdefg"),
                  at_client(lambda p: ICMPv6EchoReply in p and p[ICMPv6EchoReply].id == 0x1234))

    def test_a_port_unreachable_comes_back_with_its_inner_packet_translated(self):
        port = next(self.ports)
        _, _, out = self.mapping(port, b"is anybody there")
        from_server(IP(src=WEB4, dst=out.src, ttl=64) / ICMP(type=3, code=3) / out)
        got = at_client(lambda p: ICMPv6DestUnreach in p)
        self.assertIsNotNone(got, "nothing came")
        # RFC 7915 4.2: type 1 code 4; 4.3: the packet inside as it was sent
        inner = IPv6(src=CLIENT, dst=SERVER6, hlim=out.ttl) / UDP(sport=port, dport=7) / Raw(b"is anybody there")
        self.same(IPv6(src=SERVER6, dst=CLIENT, hlim=63) / ICMPv6DestUnreach(code=4) / inner, got)

    def test_fragmentation_needed_becomes_packet_too_big(self):
        port = next(self.ports)
        _, _, out = self.mapping(port)
        # RFC 7915 4.2: the MTU grows by the 20 bytes between the headers
        from_server(IP(src="20.0.0.2", dst=out.src, ttl=64) / ICMP(type=3, code=4, nexthopmtu=1400) / out)
        got = at_client(lambda p: ICMPv6PacketTooBig in p)
        self.assertIsNotNone(got, "nothing came")
        self.assertEqual(1420, got[ICMPv6PacketTooBig].mtu)
        self.assertEqual(embedded("20.0.0.2"), got.src)

    def test_udp_without_checksum_in_fragments_gets_one(self):
        port = next(self.ports)
        public, public_port, _ = self.mapping(port)
        payload = bytes(range(256)) * 9 + b"odd"
        pieces = fragment(IP(src=WEB4, dst=public, ttl=64, id=0x7777) / UDP(sport=7, dport=public_port, chksum=0) / Raw(payload), 1000)
        for piece in reversed(pieces):  # RFC 6146 3.4: whatever the order
            from_server(piece)
        got = [at_client(lambda p: IPv6ExtHdrFragment in p) for _ in pieces]
        self.assertNotIn(None, got, "fragments are missing")
        got.sort(key=lambda p: p[IPv6ExtHdrFragment].offset)
        self.assertEqual([(0, 0x7777), (125, 0x7777), (250, 0x7777)],
                         [(p[IPv6ExtHdrFragment].offset, p[IPv6ExtHdrFragment].id) for p in got])
        bytes_of = b"".join(bytes(p[IPv6ExtHdrFragment].payload) for p in got)
        self.assertEqual(bytes(IPv6(bytes(IPv6(src=SERVER6, dst=CLIENT) / UDP(sport=7, dport=port) / Raw(payload)))[UDP]), bytes_of)

    def test_the_last_hop_is_answered_by_the_gateway_itself(self):
        port = next(self.ports)
        sent = IPv6(src=CLIENT, dst=SERVER6, hlim=1) / UDP(sport=port, dport=7) / Raw(b"traceroute")
        from_client(sent)
        got = at_client(lambda p: ICMPv6TimeExceeded in p)
        self.assertIsNotNone(got, "nothing came")
        self.same(IPv6(src=NODE6, dst=CLIENT, hlim=got.hlim) / ICMPv6TimeExceeded(code=0) / sent, got)
        self.assertIsNone(at_server(17, within=0.2), "it went out all the same")

    def test_two_clients_of_one_pool_meet_by_hairpin(self):
        left, right = next(self.ports), next(self.ports)
        public, public_left, _ = self.mapping(left)
        _, public_right, _ = self.mapping(right)
        octets = [int(part) for part in public.split(".")]
        inside = f"{PREFIX}{octets[0] << 8 | octets[1]:x}:{octets[2] << 8 | octets[3]:x}"
        from_client(IPv6(src=CLIENT, dst=inside, hlim=64) / UDP(sport=right, dport=public_left) / Raw(b"neighbour"))
        got = at_client(lambda p: UDP in p and p[UDP].dport == left)
        self.assertIsNotNone(got, "nothing came")
        self.assertEqual((inside, public_right, b"neighbour"), (got.src, got[UDP].sport, bytes(got[UDP].payload)))

    def test_bad_packets_are_dropped_under_a_name(self):
        public, port, _ = self.mapping(next(self.ports))
        good6 = IPv6(src=CLIENT, dst=SERVER6, hlim=64) / UDP(sport=9, dport=9) / Raw(b"x" * 32)
        good4 = IP(src=WEB4, dst=public, ttl=64) / UDP(sport=9, dport=port) / Raw(b"y" * 32)
        rows = [
            ("ipv6", "truncated", lambda: from_client(bytes(good6)[:60], 0x86dd)),
            ("ipv6", "client_not_allowed", lambda: from_client(IPv6(src="2001:db8:2::2", dst=SERVER6) / UDP() / Raw(b"z"))),
            ("ipv6", "source_in_prefix", lambda: from_client(IPv6(src=embedded("20.0.1.9"), dst=SERVER6) / UDP() / Raw(b"z"))),
            ("ipv6", "non_global", lambda: from_client(IPv6(src=CLIENT, dst=embedded("10.0.0.1")) / UDP() / Raw(b"z"))),
            ("ipv4", "truncated", lambda: from_server(bytes(good4)[:40], 0x0800)),
            ("ipv4", "bad_ip_checksum", lambda: from_server(IP(src=WEB4, dst=public, chksum=0x1234) / UDP() / Raw(b"z"))),
            ("ipv4", "no_mapping", lambda: from_server(IP(src=WEB4, dst="203.0.113.3") / UDP(sport=9, dport=1) / Raw(b"z"))),
        ]
        for side, reason, send in rows:
            with self.subTest(f"{side} {reason}"):
                before = counted(side, reason)
                send()
                eventually(lambda side=side, reason=reason, before=before: counted(side, reason) == before + 1, 2,
                           f"{reason} is counted once")
        self.assertTrue(self.lab.nat64.is_ready())


if __name__ == "__main__":
    suite.main()
