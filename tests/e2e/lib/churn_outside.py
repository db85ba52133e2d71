# SPDX-License-Identifier: Apache-2.0
"""What the IPv4 internet sends a NAT64 unasked, run in a server's namespace:  churn_outside.py SECONDS SEED DEVICE GATEWAY POOL

Noise behind every protocol, packets cut short or with lengths that lie, scans of the pool, fragments whole, reordered, overlapping
and incomplete, and, of flows that pass by, answers and ICMP errors. Prints how many packets were sent.
"""

import collections
import ipaddress
import random
import socket
import struct
import subprocess
import sys
import time

ICMP, TCP, UDP = 1, 6, 17
EVERY = 0.001  # seconds: the load is the clients'


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(source, destination, protocol, payload, fragment=0, ident=0, length=None, ihl=5):
    length = 20 + len(payload) if length is None else length
    head = struct.pack("!BBHHHBBH", 0x40 | ihl, 0, length, ident, fragment, 64, protocol, 0)
    head += source + destination
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + payload


def transport(source, destination, protocol, ports, payload=b""):
    """A TCP SYN or a UDP datagram with a right checksum."""
    if protocol == TCP:
        segment, at = struct.pack("!HHIIBBHHH", *ports, 1, 0, 5 << 4, 2, 1000, 0, 0), 16
    else:
        segment, at = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload, 6
    total = checksum(source + destination + struct.pack("!HH", protocol, len(segment)) + segment)
    return segment[:at] + total.to_bytes(2, "big") + segment[at + 2:]


class Outside:
    def __init__(self, rng, pool):
        self.rng, self.pool = rng, [address.packed for address in ipaddress.ip_network(pool)]
        self.seen = collections.deque(maxlen=64)  # of the pool: (bytes, protocol, source and port, peer and port)

    def note(self, packet):
        start = (packet[0] & 15) * 4
        whole = len(packet) >= start + 8 and packet[6:8] in (b"\0\0", b"\x40\0")
        if whole and packet[12:16] in self.pool and packet[9] in (TCP, UDP):
            ports = struct.unpack_from("!HH", packet, start)
            self.seen.append((packet, packet[9], (packet[12:16], ports[0]), (packet[16:20], ports[1])))

    def anybody(self):
        return bytes([20, 0, 1, self.rng.randrange(256)])

    def noise(self):
        protocol = self.rng.choice([ICMP, TCP, UDP, 41, 47, 50, 58, 132, 255])
        payload = self.rng.randbytes(self.rng.choice([0, 1, 8, 20, 60, 600]))
        return [ipv4(self.anybody(), self.rng.choice(self.pool), protocol, payload)]

    def liar(self):
        payload = self.rng.randbytes(40)
        packet = ipv4(self.anybody(), self.rng.choice(self.pool), self.rng.choice([ICMP, TCP, UDP]), payload,
                      length=self.rng.choice([None, 0, 19, 21, 59, 61, 65535]), ihl=self.rng.choice([0, 4, 5, 5, 6, 15]))
        return [packet[:self.rng.randrange(1, len(packet) + 1)]]

    def scan(self):
        source, destination = self.anybody(), self.rng.choice(self.pool)
        protocol, ports = self.rng.choice([TCP, UDP]), (self.rng.randrange(1, 65536), self.rng.randrange(1, 65536))
        return [ipv4(source, destination, protocol, transport(source, destination, protocol, ports))]

    def fragments(self):
        """Of a datagram, to a flow that is there if one is."""
        to, peer = (self.rng.choice(self.pool), 1024), (self.anybody(), 7)
        flows = [flow for flow in self.seen if flow[1] == UDP]
        if flows:
            _, _, to, peer = self.rng.choice(flows)
        whole = transport(peer[0], to[0], UDP, (peer[1], to[1]), self.rng.randbytes(1600))
        size, ident = self.rng.choice([64, 536, 1200]), self.rng.randrange(65536)
        parts = [ipv4(peer[0], to[0], UDP, whole[at:at + size], at // 8 | (0x2000 if at + size < len(whole) else 0), ident)
                 for at in range(0, len(whole), size)]
        fault = self.rng.choice(["none", "none", "order", "one lost", "overlap"])
        if fault == "order":
            self.rng.shuffle(parts)
        elif fault == "one lost":
            parts.pop(self.rng.randrange(len(parts)))
        elif fault == "overlap":
            parts.append(ipv4(peer[0], to[0], UDP, whole[8:72], 1 | 0x2000, ident))
        return parts

    def answer(self):
        if not self.seen:
            return []
        _, protocol, to, peer = self.rng.choice(self.seen)
        return [ipv4(peer[0], to[0], protocol, transport(peer[0], to[0], protocol, (peer[1], to[1])))]

    def error(self):
        if not self.seen:
            return []
        packet, _, to, peer = self.rng.choice(self.seen)
        kind, code = self.rng.choice([(3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (4, 0), (11, 0), (11, 1), (12, 0), (5, 1)])
        rest = self.rng.choice([0, 68, 576, 1280, 1500])  # the MTU, when it is of that kind
        inside = bytearray(packet[:self.rng.choice([8, 20, 24, 28, 60, len(packet)])])
        if self.rng.random() < 0.3:
            inside[self.rng.randrange(len(inside))] ^= 1 << self.rng.randrange(8)
        body = struct.pack("!BBHI", kind, code, 0, rest) + bytes(inside)
        body = body[:2] + checksum(body).to_bytes(2, "big") + body[4:]
        return [ipv4(self.rng.choice([peer[0], self.anybody()]), to[0], ICMP, body)]


def link_address(gateway):
    neighbour = subprocess.run(["ip", "neighbour", "show", gateway], capture_output=True, text=True, check=True).stdout.split()
    return bytes.fromhex(neighbour[neighbour.index("lladdr") + 1].replace(":", ""))


def main():
    seconds, seed, device, gateway, pool = sys.argv[1:]
    until = time.monotonic() + float(seconds)
    outside = Outside(random.Random(int(seed)), pool)
    kinds = [outside.noise, outside.liar, outside.scan, outside.fragments, outside.answer, outside.error]
    to = (device, 0x0800, 0, 0, link_address(gateway))
    sent = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)) as wire:
        wire.bind((device, 0x0800))
        wire.setblocking(False)
        while time.monotonic() < until:
            try:
                for _ in range(16):
                    outside.note(wire.recv(65535))
            except BlockingIOError:
                pass
            for packet in outside.rng.choice(kinds)():
                wire.sendto(packet, to)
                sent += 1
            time.sleep(EVERY)
    print(sent)


if __name__ == "__main__":
    main()
