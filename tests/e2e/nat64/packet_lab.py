# SPDX-License-Identifier: Apache-2.0
"""nat64-svc alone between two wires that tests hold: every packet is made and read by scapy."""

import unittest

from gateway_lab import GatewayLab
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw
from wire import Wire

from lib.daemon import eventually
from lib.topology import CLIENT, WEB4, embedded

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


def start(policy=POLICY, *flags):
    """For setUpModule: the lab, our program, and two wires on which no kernel answers."""
    global lab, client, server
    lab = GatewayLab()
    unittest.addModuleCleanup(lab.__exit__, None, None, None)
    lab.__enter__()
    lab.write_policy(policy)
    lab.start_alone(*flags)
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
    PacketTest.lab = lab
    return lab


def node_mac(device):
    words = lab.node.run(f"ip -o link show {device}").split()
    return words[words.index("link/ether") + 1]


def from_client(packet, ethertype=None):
    client.send(node_mac("lan"), packet, ethertype)


def from_server(packet, ethertype=None):
    server.send(node_mac("wan"), packet, ethertype)


def at_server(proto, within=2.0, wanted=lambda packet: True):
    frame = server.receive(lambda f: IP in f and f[IP].proto == proto and f[IP].src.startswith("203.0.113.") and wanted(f[IP]),
                           within)
    return frame[IP] if frame else None


def at_client(wanted, within=2.0):
    frame = client.receive(lambda f: IPv6 in f and f[IPv6].dst == CLIENT and wanted(f[IPv6]), within)
    return frame[IPv6] if frame else None


def at_server_any(wanted, within=2.0):
    frame = server.receive(lambda f: IP in f and wanted(f[IP]), within)
    return frame[IP] if frame else None


def change_policy(text):
    """Returns when it runs."""
    before = lab.nat64.log().count("runs policy")
    lab.write_policy(text)
    eventually(lambda: lab.nat64.log().count("runs policy") > before, 5, "the policy is taken")


def counted(side, reason):
    """Packets dropped or answered for one reason."""
    labels = (f'from="{side}"', f'reason="{reason}"')
    return lab.counter("dropped_packets_total", *labels) + lab.counter("answered_packets_total", *labels)


class PacketTest(unittest.TestCase):
    lab = None
    ports = iter(range(40001, 41000, 2))

    def setUp(self):
        client.drain()
        server.drain()

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
