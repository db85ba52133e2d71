# SPDX-License-Identifier: Apache-2.0
"""Exact bytes for what is rare: extension headers, source routes, fragments, odd checksums, errors with extensions, and the
rules of RFC 6146 about who may open what."""

import time
import unittest

from packet_lab import (POLICY, PREFIX, SERVER6, PacketTest, at_client, at_server, at_server_any, change_policy, counted, from_client, from_server,
                        start)
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_LSRR, fragment
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6PacketTooBig, ICMPv6ParamProblem, ICMPv6TimeExceeded, IPv6,
                                IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN)
from scapy.packet import Raw

from lib import suite
from lib.daemon import eventually
from lib.topology import CLIENT, NODE4, NODE6, WEB4, embedded


def setUpModule():
    start()


class FromIpv6(PacketTest):
    def test_extension_headers_are_walked_and_dropped(self):
        port = next(self.ports)
        chain = IPv6ExtHdrHopByHop(options=PadN(optdata=b"\0" * 4)) / IPv6ExtHdrDestOpt(options=PadN(optdata=b"\0" * 12))
        from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=64) / chain / UDP(sport=port, dport=7) / Raw(b"behind two headers"))
        out = at_server(17)
        self.assertIsNotNone(out, "nothing came")
        self.same(IP(src=out.src, dst=WEB4, ttl=63, flags=out.flags, id=out.id) / UDP(sport=out[UDP].sport, dport=7)
                  / Raw(b"behind two headers"), out)

    def test_a_routing_header_with_nothing_left_is_skipped(self):
        port = next(self.ports)
        from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=64) / IPv6ExtHdrRouting(type=0, segleft=0, addresses=["2001:db8::9"])
                    / UDP(sport=port, dport=7) / Raw(b"routed already"))
        out = at_server(17)
        self.assertIsNotNone(out, "nothing came")
        self.assertEqual(b"routed already", bytes(out[UDP].payload))

    def test_a_routing_header_with_segments_left_is_a_parameter_problem(self):
        sent = (IPv6(src=CLIENT, dst=SERVER6, hlim=64) / IPv6ExtHdrHopByHop(options=PadN(optdata=b"\0" * 4))
                / IPv6ExtHdrRouting(type=0, segleft=1, addresses=["2001:db8::9"]) / UDP(sport=next(self.ports), dport=7) / Raw(b"x"))
        from_client(sent)
        got = at_client(lambda p: ICMPv6ParamProblem in p)
        self.assertIsNotNone(got, "nothing came")
        # RFC 7915 5.1: code 0, the pointer at the segments left field: 40 + 8 + 3
        self.same(IPv6(src=NODE6, dst=CLIENT, hlim=got.hlim) / ICMPv6ParamProblem(code=0, ptr=51) / sent, got)
        self.assertIsNone(at_server(17, within=0.2))

    def test_fragments_out_of_order_wait_for_the_first(self):
        port = next(self.ports)
        payload = bytes(range(256)) * 9
        whole = bytes(UDP(sport=port, dport=9, len=8 + len(payload)) / Raw(payload))
        # the checksum of the whole datagram, as its sender would make it
        check = IPv6(bytes(IPv6(src=CLIENT, dst=SERVER6) / UDP(sport=port, dport=9) / Raw(payload)))[UDP].chksum
        whole = whole[:6] + check.to_bytes(2, "big") + whole[8:]
        pieces = [(0, whole[:1200]), (1200, whole[1200:1800]), (1800, whole[1800:])]

        def piece(index):
            offset, data = pieces[index]
            return (IPv6(src=CLIENT, dst=SERVER6, hlim=64, nh=44)
                    / IPv6ExtHdrFragment(nh=17, offset=offset // 8, m=int(index < 2), id=0xabcd1234) / Raw(data))

        for index in (2, 1):
            from_client(piece(index))
        self.assertIsNone(at_server(17, within=0.3), "a later fragment passed before the first")
        from_client(piece(0))
        got = [at_server(17) for _ in pieces]
        self.assertNotIn(None, got)
        got.sort(key=lambda p: p.frag)
        for (offset, data), out, more in zip(pieces, got, ("MF", "MF", "")):
            self.assertEqual((offset // 8, more, 0x1234, 63), (out.frag, str(out.flags), out.id, out.ttl))
            if offset:
                self.assertEqual(data, bytes(out.payload))
        first = bytes(got[0].payload)
        self.assertEqual(whole[8:1200], first[8:])
        again = IP(bytes(IP(src=got[0].src, dst=WEB4) / UDP(sport=int.from_bytes(first[:2], "big"), dport=9) / Raw(payload)))
        self.assertEqual(again[UDP].chksum, int.from_bytes(first[6:8], "big"), "the checksum of the whole datagram")

    def test_large_packets_are_refused_with_the_mtu_of_the_way_they_leave_by(self):
        self.lab.node.run("ip route add 20.0.1.90/32 via 20.0.0.2 mtu 1300")
        self.addCleanup(self.lab.node.run, "ip route del 20.0.1.90/32")
        target = embedded("20.0.1.90")
        sent = IPv6(src=CLIENT, dst=target, hlim=64) / UDP(sport=next(self.ports), dport=7) / Raw(b"x" * 1400)

        def told():
            from_client(sent)
            return at_client(lambda p: ICMPv6PacketTooBig in p, within=0.2)

        got = eventually(told, 3, "Packet Too Big")
        self.assertEqual(1320, got[ICMPv6PacketTooBig].mtu)  # 1300 and the 20 bytes between the headers
        from_client(IPv6(src=CLIENT, dst=target, hlim=64) / UDP(sport=next(self.ports), dport=7) / Raw(b"x" * (1320 - 48)))
        out = at_server(17, wanted=lambda packet: packet.len <= 1300)  # a larger one may have passed before the MTU was known
        self.assertIsNotNone(out, "what fits does not pass")
        self.assertEqual((1300, "DF"), (out.len, str(out.flags)))

    def test_sources_inside_a_prefix_and_clients_of_others_are_not_served(self):
        before = counted("ipv6", "source_in_prefix")
        from_client(IPv6(src=PREFIX + "14.0.1.9", dst=SERVER6) / UDP(sport=9, dport=9) / Raw(b"z"))
        eventually(lambda: counted("ipv6", "source_in_prefix") == before + 1, 2, "counted")
        self.assertIsNone(at_server(17, within=0.2))

    def test_vlan_tagged_frames_are_left_to_the_kernel(self):
        inner = IPv6(src=CLIENT, dst=SERVER6, hlim=64) / UDP(sport=next(self.ports), dport=7) / Raw(b"tagged")
        before = self.lab.counter("interface_received_packets_total", 'interface="lan"')
        from_client(b"\x00\x05\x86\xdd" + bytes(inner), 0x8100)
        self.assertIsNone(at_server(17, within=0.3))
        self.assertEqual(before, self.lab.counter("interface_received_packets_total", 'interface="lan"'))
        # A tag without a VLAN, only with a priority, says nothing.
        from_client(b"\xe0\x00\x86\xdd" + bytes(inner), 0x8100)
        self.assertIsNotNone(at_server(17), "a priority tag hides a packet")

    def test_an_unknown_protocol_is_answered(self):
        sent = IPv6(src=CLIENT, dst=SERVER6, hlim=64, nh=132) / Raw(b"\x12\x34\x56\x78" * 4)  # SCTP
        from_client(sent)
        got = at_client(lambda p: ICMPv6DestUnreach in p)
        self.assertIsNotNone(got, "nothing came")
        self.same(IPv6(src=NODE6, dst=CLIENT, hlim=got.hlim) / ICMPv6DestUnreach(code=4) / sent, got)

    def test_icmp_errors_are_not_answered_with_errors(self):
        self.assertIsNone(self.answer_to(IPv6(src=CLIENT, dst=SERVER6, hlim=1) / ICMPv6DestUnreach(code=4)
                                         / IPv6(src=SERVER6, dst=CLIENT) / UDP(sport=7, dport=7) / Raw(b"inner")))
        self.assertIsNotNone(self.answer_to(IPv6(src=CLIENT, dst=SERVER6, hlim=1) / ICMPv6EchoRequest(id=1)))

    @staticmethod
    def answer_to(packet):
        from_client(packet)
        return at_client(lambda p: ICMPv6TimeExceeded in p, within=0.4)


class FromIpv4(PacketTest):
    def test_an_unexpired_source_route_is_refused(self):
        public, port, _ = self.mapping(next(self.ports))
        sent = IP(src=WEB4, dst=public, ttl=64, options=[IPOption_LSRR(routers=["20.0.0.9"], pointer=4)]) / UDP(sport=7, dport=port) / Raw(b"x")
        from_server(sent)
        got = at_server_any(lambda p: ICMP in p and p[ICMP].type == 3 and p[ICMP].code == 5)
        self.assertIsNotNone(got, "no 'source route failed'")  # RFC 7915 4.1
        self.assertEqual((NODE4, WEB4), (got.src, got.dst))
        self.assertIsNone(at_client(lambda p: UDP in p, within=0.2))

    def test_other_options_are_skipped(self):
        mine = next(self.ports)
        public, port, _ = self.mapping(mine)
        from_server(IP(src=WEB4, dst=public, ttl=64, options=b"\x01\x01\x01\x00") / UDP(sport=7, dport=port) / Raw(b"with options"))
        self.same(IPv6(src=SERVER6, dst=CLIENT, hlim=63) / UDP(sport=7, dport=mine) / Raw(b"with options"),
                  at_client(lambda p: UDP in p and p[UDP].dport == mine))

    def test_a_zero_checksum_is_calculated(self):
        mine = next(self.ports)
        public, port, _ = self.mapping(mine)
        from_server(IP(src=WEB4, dst=public, ttl=64) / UDP(sport=7, dport=port, chksum=0) / Raw(b"unchecked"))
        # RFC 7915 4.5; scapy computes the expected one
        self.same(IPv6(src=SERVER6, dst=CLIENT, hlim=63) / UDP(sport=7, dport=mine) / Raw(b"unchecked"),
                  at_client(lambda p: UDP in p and p[UDP].dport == mine))

    def test_fragments_out_of_order_wait_for_the_first(self):
        mine = next(self.ports)
        public, port, _ = self.mapping(mine)
        payload = bytes(range(256)) * 10
        pieces = fragment(IP(src=WEB4, dst=public, ttl=64, id=0x4321) / UDP(sport=7, dport=port) / Raw(payload), fragsize=1000)
        for piece in reversed(pieces[1:]):
            from_server(piece)
        self.assertIsNone(at_client(lambda p: IPv6ExtHdrFragment in p, within=0.3), "a later fragment passed before the first")
        from_server(pieces[0])
        got = sorted((at_client(lambda p: IPv6ExtHdrFragment in p) for _ in pieces), key=lambda p: p[IPv6ExtHdrFragment].offset)
        self.assertEqual({0x4321}, {p[IPv6ExtHdrFragment].id for p in got})
        whole = b"".join(bytes(p[IPv6ExtHdrFragment].payload) for p in got)
        self.same(UDP(bytes(IPv6(bytes(IPv6(src=SERVER6, dst=CLIENT) / UDP(sport=7, dport=mine) / Raw(payload)))[UDP])), UDP(whole))

    def test_what_is_too_large_is_cut_without_df_and_refused_with_it(self):
        mine = next(self.ports)
        public, port, _ = self.mapping(mine)
        payload = b"y" * 1440
        from_server(IP(src=WEB4, dst=public, ttl=64, id=0x77) / UDP(sport=7, dport=port) / Raw(payload))
        got = [at_client(lambda p: IPv6ExtHdrFragment in p) for _ in range(2)]
        self.assertNotIn(None, got)
        got.sort(key=lambda p: p[IPv6ExtHdrFragment].offset)
        self.assertLessEqual(max(len(bytes(p)) for p in got), 1280)
        self.assertEqual(payload, b"".join(bytes(p[IPv6ExtHdrFragment].payload) for p in got)[8:])
        sent = IP(src=WEB4, dst=public, ttl=64, flags="DF") / UDP(sport=7, dport=port) / Raw(b"z" * 1470)
        from_server(sent)
        told = at_server_any(lambda p: ICMP in p and p[ICMP].type == 3 and p[ICMP].code == 4)
        self.assertIsNotNone(told, "no 'fragmentation needed'")
        self.assertEqual(1480, told[ICMP].nexthopmtu)  # 1500 less the 20 bytes between the headers

    def test_the_last_hop_is_answered(self):
        public, port, _ = self.mapping(next(self.ports))
        sent = IP(src=WEB4, dst=public, ttl=1) / UDP(sport=7, dport=port) / Raw(b"traceroute")
        from_server(sent)
        got = at_server_any(lambda p: ICMP in p and p[ICMP].type == 11)
        self.assertIsNotNone(got, "nothing came")
        self.same(IP(src=NODE4, dst=WEB4, ttl=got.ttl, id=got.id, tos=0xc0) / ICMP(type=11, code=0) / IP(bytes(sent)), got)

    def test_an_error_with_extensions_keeps_them_behind_the_padded_packet(self):
        mine = next(self.ports)
        _, _, out = self.mapping(mine, b"q" * 60)
        quoted = bytes(out)
        padded = quoted + b"\0" * (128 - len(quoted))
        # RFC 4884: length 32 words of 4 bytes, then version 2 and one MPLS object (RFC 4950)
        extension = bytes.fromhex("2000") + b"\0\0" + bytes.fromhex("0008010104d2ff01")
        icmp = ICMP(type=11, code=0, length=32) / Raw(padded + extension)
        from_server(IP(src="20.0.0.2", dst=out.src, ttl=64) / icmp)
        got = at_client(lambda p: ICMPv6TimeExceeded in p)
        self.assertIsNotNone(got, "nothing came")
        inner = IPv6(src=CLIENT, dst=SERVER6, hlim=out.ttl) / UDP(sport=mine, dport=7) / Raw(b"q" * 60)
        body = bytes(got[ICMPv6TimeExceeded])
        # RFC 4884: 108 bytes padded to 128, which are 16 words of 8 bytes; the extensions are as they were.
        self.assertEqual(bytes(inner) + b"\0" * 20 + extension, body[8:])
        self.assertEqual(16, body[4])
        self.assertEqual(embedded("20.0.0.2"), got.src)

    def test_every_unreachable_code_becomes_the_right_one(self):
        # RFC 7915 4.2: IPv4 type 3 code -> ICMPv6 (type, code)
        table = {0: (1, 0), 1: (1, 0), 3: (1, 4), 5: (1, 0), 6: (1, 0), 9: (1, 1), 10: (1, 1), 11: (1, 0), 12: (1, 0), 13: (1, 1), 15: (1, 1)}
        mine = next(self.ports)
        _, _, out = self.mapping(mine)
        for code, wanted in table.items():
            with self.subTest(code=code):
                from_server(IP(src="20.0.0.2", dst=out.src, ttl=64) / ICMP(type=3, code=code) / out)
                got = at_client(lambda p: ICMPv6DestUnreach in p)
                self.assertIsNotNone(got, "nothing came")
                self.assertEqual(wanted, (got[ICMPv6DestUnreach].type, got[ICMPv6DestUnreach].code))
        from_server(IP(src="20.0.0.2", dst=out.src, ttl=64) / ICMP(type=3, code=2) / out)
        got = at_client(lambda p: ICMPv6ParamProblem in p)
        self.assertIsNotNone(got, "protocol unreachable: nothing came")
        self.assertEqual((1, 6), (got[ICMPv6ParamProblem].code, got[ICMPv6ParamProblem].ptr))  # next header field


class ManyTargets(PacketTest):
    """More prefixes and address ranges than the steering program compares before it walks its tries."""

    def test_each_prefix_and_each_address_is_ours_until_it_goes(self):
        prefixes = [f"2001:db8:6{i}::" for i in range(7)]
        addresses = [f"203.0.113.{i}" for i in (1, 3, 5, 7, 9, 11, 13)]
        self.addCleanup(change_policy, POLICY)
        self.use(prefixes, addresses)
        for prefix in prefixes:
            self.assertTrue(self.taken("6", prefix), f"{prefix} is not steered")
        for address in addresses:
            self.assertTrue(self.taken("4", address), f"{address} is not steered")
        for address in ("203.0.113.0", "203.0.113.4", "203.0.113.14"):
            self.assertFalse(self.taken("4", address), f"{address} is nobody's")
        self.use(prefixes[1:], addresses[1:])
        self.assertFalse(self.taken("6", prefixes[0]), "the prefix is gone, but steered")
        self.assertTrue(all(self.taken("6", prefix) for prefix in prefixes[1:]))
        self.assertTrue(all(self.taken("4", address) for address in addresses[1:]))

    def use(self, prefixes, addresses):
        change_policy("translation_prefixes:\n" + "".join(
            f'  - {{name: p{i}, prefix: "{prefix}/96", clients: ["2001:db8:1::/64"]}}\n' for i, prefix in enumerate(prefixes))
            + f"pools:\n  - {{name: public, subscribers: {{prefix_length: 64}}, "
            f"addresses: [{', '.join(a + '/32' for a in addresses)}]}}\n")

    def taken(self, side, target):
        def received():
            return self.lab.counter("interface_received_packets_total", f'interface="{device}"')

        device = "lan" if side == "6" else "wan"
        before = received()
        if side == "6":
            from_client(IPv6(src=CLIENT, dst=f"{target}{WEB4}", hlim=64) / UDP(sport=next(self.ports), dport=7) / Raw(b"six"))
        else:
            from_server(IP(src=WEB4, dst=target, ttl=64) / UDP(sport=7, dport=7) / Raw(b"four"))
        try:
            eventually(lambda: received() > before, 0.5, "the packet is taken")
        except AssertionError:
            return False
        return True


class WhoMayOpenWhat(PacketTest):
    def test_an_exclusion_ends_a_live_session(self):
        mine = next(self.ports)
        public, port, _ = self.mapping(mine)
        back = IP(src=WEB4, dst=public, ttl=64) / UDP(sport=7, dport=port) / Raw(b"answer")
        from_server(back)
        self.assertIsNotNone(at_client(lambda p: UDP in p and p[UDP].dport == mine), "no answer before")
        self.addCleanup(change_policy, POLICY)
        change_policy(POLICY + f"exclusions:\n  ipv4_destinations: [{WEB4}/32]\n")
        before = counted("ipv4", "excluded") + counted("ipv4", "no_mapping")
        from_server(back)
        self.assertIsNone(at_client(lambda p: UDP in p and p[UDP].dport == mine, within=0.3), "the session lives on")
        self.assertGreater(counted("ipv4", "excluded") + counted("ipv4", "no_mapping"), before)

    def test_filtering_by_address_lets_only_known_peers_answer(self):
        mine = next(self.ports)
        public, port, _ = self.mapping(mine)
        stranger = IP(src="20.0.1.99", dst=public, ttl=64) / UDP(sport=7, dport=port) / Raw(b"stranger")
        from_server(stranger)  # endpoint-independent, the default
        self.assertIsNotNone(at_client(lambda p: UDP in p and p[UDP].dport == mine), "an unknown peer is filtered by default")
        self.addCleanup(change_policy, POLICY)
        change_policy(POLICY + "nat64: {filtering: ADDRESS_DEPENDENT}\n")
        other = IP(src="20.0.1.98", dst=public, ttl=64) / UDP(sport=7, dport=port) / Raw(b"another stranger")
        before = counted("ipv4", "filtered")
        from_server(other)
        self.assertIsNone(at_client(lambda p: UDP in p and bytes(p[UDP].payload) == b"another stranger", within=0.3))
        self.assertEqual(before + 1, counted("ipv4", "filtered"))
        from_server(IP(src=WEB4, dst=public, ttl=64) / UDP(sport=99, dport=port) / Raw(b"the peer, another port"))
        self.assertIsNotNone(at_client(lambda p: UDP in p and bytes(p[UDP].payload) == b"the peer, another port"))

    def test_an_unsolicited_syn_is_held_six_seconds_then_answered(self):
        mine = next(self.ports)
        from_client(IPv6(src=CLIENT, dst=SERVER6, hlim=64) / TCP(sport=mine, dport=81, flags="S", seq=1))
        out = at_server(6)
        self.assertIsNotNone(out, "no SYN at the server")
        self.addCleanup(change_policy, POLICY)
        change_policy(POLICY + "nat64: {filtering: ADDRESS_DEPENDENT}\n")
        syn = IP(src="20.0.1.97", dst=out.src, ttl=64) / TCP(sport=4444, dport=out[TCP].sport, flags="S", seq=7)
        begin = time.monotonic()
        from_server(syn)
        self.assertIsNone(at_client(lambda p: TCP in p and p[TCP].dport == mine, within=0.5), "it came through at once")
        got = at_server_any(lambda p: ICMP in p and p[ICMP].type == 3 and p.dst == "20.0.1.97", within=9)
        took = time.monotonic() - begin
        self.assertIsNotNone(got, "it is never answered")
        self.assertEqual(3, got[ICMP].code)  # RFC 6146 3.5.2.2: port unreachable
        self.assertGreater(took, 5.5)  # RFC 5382 REQ-4: not before 6 s


if __name__ == "__main__":
    suite.main()
