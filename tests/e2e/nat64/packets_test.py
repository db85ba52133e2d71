# SPDX-License-Identifier: Apache-2.0
"""Exact bytes through the real nat64-svc: what goes in on one side is compared with what comes out on the other."""

import unittest

from gateway_lab import GatewayLab
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig,
                                ICMPv6TimeExceeded, IPv6)
from scapy.packet import Raw
from wire import Wire

from lib import suite
from lib.daemon import eventually
from lib.topology import CLIENT, NODE6, WEB4, embedded

PREFIX = "2001:db8:64::"  # may carry addresses that are not global, as those of the pool here
POLICY = """\
translation_prefixes:
  - {name: well-known, prefix: "64:ff9b::/96", clients: ["2001:db8:1::/64"]}
  - {name: own, prefix: "2001:db8:64::/96", clients: ["2001:db8:1::/64"], allow_non_global: true}
pools:
  - {name: public, addresses: [203.0.113.0/30], subscribers: {prefix_length: 64}}
"""
SERVER6 = embedded(WEB4)

lab = client = server = None


def setUpModule():
    global lab, client, server
    lab = GatewayLab()
    unittest.addModuleCleanup(lab.__exit__, None, None, None)
    lab.__enter__()
    lab.write_policy(POLICY)
    lab.start_alone()
    client, server = Wire(lab.client, "eth0"), Wire(lab.server, "eth0")
    unittest.addModuleCleanup(client.close)
    unittest.addModuleCleanup(server.close)
    # No kernel answers for the addresses that the tests speak for.
    lab.client.run("nft add table ip6 quiet")
    lab.client.run(["nft", "add chain ip6 quiet out { type filter hook output priority 0; }"])
    lab.client.run(["nft", "add rule ip6 quiet out icmpv6 type { destination-unreachable, echo-reply } drop"])
    lab.client.run(["nft", "add rule ip6 quiet out tcp flags rst drop"])
    lab.server.run("nft add table ip quiet")
    lab.server.run(["nft", "add chain ip quiet out { type filter hook output priority 0; }"])
    lab.server.run(["nft", "add rule ip quiet out icmp type { destination-unreachable, echo-reply } drop"])
    lab.server.run(["nft", "add rule ip quiet out tcp flags rst drop"])
    lab.pings(SERVER6)  # link addresses are known from here on


def node_mac(device):
    words = lab.node.run(f"ip -o link show {device}").split()
    return words[words.index("link/ether") + 1]


def from_client(packet, ethertype=None):
    client.send(node_mac("lan"), packet, ethertype)


def from_server(packet, ethertype=None):
    server.send(node_mac("wan"), packet, ethertype)


def at_server(proto, within=2.0):
    frame = server.receive(lambda f: IP in f and f[IP].proto == proto and f[IP].src.startswith("203.0.113."), within)
    return frame[IP] if frame else None


def at_client(wanted, within=2.0):
    frame = client.receive(lambda f: IPv6 in f and f[IPv6].dst == CLIENT and wanted(f[IPv6]), within)
    return frame[IPv6] if frame else None


class Packets(unittest.TestCase):
    ports = iter(range(40001, 41000, 2))

    def same(self, expected, got):
        """Byte for byte; shows both as scapy reads them."""
        self.assertIsNotNone(got, "nothing came")
        if bytes(expected) != bytes(got):
            self.fail(f"expected {type(got)(bytes(expected))!r}\n     got {got!r}")

    def mapping(self, port, text=b"hello"):
        """Sends one datagram out; returns the public address and port it got."""
        from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=64) / UDP(sport=port, dport=7) / Raw(text))
        out = at_server(17)
        self.assertIsNotNone(out, "no datagram at the server")
        return out.src, out[UDP].sport, out

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
                def count(side=side, reason=reason):
                    labels = (f'from="{side}"', f'reason="{reason}"')
                    return lab.counter("dropped_packets_total", *labels) + lab.counter("answered_packets_total", *labels)
                before = count()
                send()
                eventually(lambda: count() == before + 1, 2, f"{reason} is counted once")
        self.assertTrue(lab.nat64.is_ready())


if __name__ == "__main__":
    suite.main()
