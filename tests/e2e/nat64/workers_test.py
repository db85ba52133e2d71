# SPDX-License-Identifier: Apache-2.0
"""Two queues, two workers: whoever's queue a packet comes by, it is translated by the worker that owns it."""

import unittest

from packet_lab import (POLICY, PREFIX, SERVER6, PacketTest, at_client, at_server, counted, from_client, from_server, start)
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment)
from scapy.packet import Raw

from lib import suite
from lib.topology import WEB4

CLIENTS = [f"2001:db8:1::1{digit}" for digit in range(6)]

lab = None


def setUpModule():
    global lab
    lab = start(POLICY.replace("prefix_length: 64", "prefix_length: 128"), "--workers", "2", queues=2)
    for address in CLIENTS:
        lab.client.run(f"ip address add {address}/64 dev eth0 nodad")


def tearDownModule():
    for worker in ("0", "1"):
        assert lab.counter("interface_received_packets_total", f'worker="{worker}"') > 0, f"worker {worker} got nothing"
    assert lab.counter("handed_over_packets_total", 'from="ipv6"') > 0, "no IPv6 packet came by the wrong queue"
    assert lab.counter("handed_over_packets_total", 'from="ipv4"') > 0, "no IPv4 packet came by the wrong queue"
    assert counted("ipv4", "no_mapping") == 0, "a packet came to a worker that does not know it"


class Workers(PacketTest):
    def open(self, address, port, text=b"out"):
        from_client(IPv6(src=address, dst=SERVER6, hlim=64) / UDP(sport=port, dport=7) / Raw(text))
        out = at_server(17, wanted=lambda p: UDP in p and bytes(p[UDP].payload) == text)
        self.assertIsNotNone(out, f"nothing of {address} came")
        return out

    def test_udp_and_its_errors(self):
        for address in CLIENTS:
            for port in (40001, 40003, 40005, 40007):
                out = self.open(address, port, f"{address} {port}".encode())
                from_server(IP(src=WEB4, dst=out.src, ttl=64) / UDP(sport=7, dport=out[UDP].sport) / Raw(b"back"))
                self.same(IPv6(src=SERVER6, dst=address, hlim=63) / UDP(sport=7, dport=port) / Raw(b"back"),
                          at_client(lambda p: UDP in p, address=address))
                from_server(IP(src=WEB4, dst=out.src, ttl=64) / ICMP(type=3, code=3) / out)
                got = at_client(lambda p: ICMPv6DestUnreach in p, address=address)
                self.assertIsNotNone(got, "the error does not find its owner")
                self.assertIn(f"{address} {port}".encode(), bytes(got))

    def test_both_workers_own_clients(self):
        for number in range(24):
            self.open(f"2001:db8:1::2{number:02x}", 44001, f"client {number}".encode())
        for worker in ("0", "1"):
            self.assertGreater(lab.counter("bib_entries", f'worker="{worker}"'), 0, f"worker {worker} owns nothing")

    def test_tcp_handshakes(self):
        for address in CLIENTS:
            from_client(IPv6(src=address, dst=SERVER6, hlim=64) / TCP(sport=50001, dport=81, flags="S", seq=1))
            out = at_server(6)
            self.assertIsNotNone(out, f"no SYN of {address}")
            from_server(IP(src=WEB4, dst=out.src, ttl=64) / TCP(sport=81, dport=out[TCP].sport, flags="SA", seq=9, ack=2))
            self.same(IPv6(src=SERVER6, dst=address, hlim=63) / TCP(sport=81, dport=50001, flags="SA", seq=9, ack=2),
                      at_client(lambda p: TCP in p, address=address))

    def test_pings(self):
        for number, address in enumerate(CLIENTS):
            from_client(IPv6(src=address, dst=SERVER6, hlim=64) / ICMPv6EchoRequest(id=0x100 + number, seq=1, data=b"ping"))
            out = at_server(1)
            self.assertIsNotNone(out, f"no ping of {address}")
            from_server(IP(src=WEB4, dst=out.src, ttl=64) / ICMP(type=0, id=out[ICMP].id, seq=1) / Raw(b"ping"))
            self.same(IPv6(src=SERVER6, dst=address, hlim=63) / ICMPv6EchoReply(id=0x100 + number, seq=1, data=b"ping"),
                      at_client(lambda p: ICMPv6EchoReply in p, address=address))

    def test_clients_of_both_workers_meet_by_hairpin(self):
        publics = {address: self.open(address, 41001) for address in CLIENTS}
        for source, target in zip(CLIENTS, CLIENTS[1:] + CLIENTS[:1]):
            octets = [int(part) for part in publics[target].src.split(".")]
            inside = f"{PREFIX}{octets[0] << 8 | octets[1]:x}:{octets[2] << 8 | octets[3]:x}"
            text = f"{source} to {target}".encode()
            from_client(IPv6(src=source, dst=inside, hlim=64) / UDP(sport=41001, dport=publics[target][UDP].sport) / Raw(text))
            got = at_client(lambda p, text=text: UDP in p and bytes(p[UDP].payload) == text, address=target)
            self.assertIsNotNone(got, f"{source} does not reach {target}")

    def test_fragments_from_ipv6(self):
        payload = bytes(range(256)) * 8
        for number, address in enumerate(CLIENTS):
            whole = bytes(IPv6(bytes(IPv6(src=address, dst=SERVER6) / UDP(sport=42001, dport=7) / Raw(payload)))[UDP])
            pieces = [(0, whole[:1200], 1), (1200, whole[1200:], 0)]
            for offset, data, more in reversed(pieces):
                from_client(IPv6(src=address, dst=SERVER6, hlim=64, nh=44)
                            / IPv6ExtHdrFragment(nh=17, offset=offset // 8, m=more, id=0x5000 + number) / Raw(data))
            got = [at_server(17, wanted=lambda p, number=number: p.id == 0x5000 + number) for _ in pieces]
            self.assertNotIn(None, got, f"not every fragment of {address} came")
            self.assertEqual({0, 150}, {p.frag for p in got})

    def test_fragments_from_ipv4(self):
        payload = bytes(range(256)) * 8
        for number, address in enumerate(CLIENTS):
            out = self.open(address, 43001)
            pieces = fragment(IP(src=WEB4, dst=out.src, ttl=64, id=0x6000 + number) / UDP(sport=7, dport=out[UDP].sport) / Raw(payload),
                              fragsize=1000)
            for piece in reversed(pieces):
                from_server(piece)
            got = [at_client(lambda p: IPv6ExtHdrFragment in p, address=address) for _ in pieces]
            self.assertNotIn(None, got, f"not every fragment to {address} came")
            got.sort(key=lambda p: p[IPv6ExtHdrFragment].offset)
            self.assertEqual(payload, b"".join(bytes(p[IPv6ExtHdrFragment].payload) for p in got)[8:])


if __name__ == "__main__":
    suite.main()
