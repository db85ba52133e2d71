# SPDX-License-Identifier: Apache-2.0
"""Traffic of which every packet and every query is counted:

    counted.py serve ADDRESS PORT                              echoes on TCP (udp_echo.py does on UDP)
    counted.py ask SERVER6 UDP_PORT TCP_PORT RESOLVER ZONE     until stdin ends

`ask` sends one of each kind fifty times a second, numbered, and prints a line of JSON: how many of each kind were sent and the
numbers of those that had no answer, or a wrong one. Nothing is sent twice; what TCP had to send again is counted as lost, unless it
had arrived.
"""

import json
import os
import selectors
import socket
import struct
import sys
import threading
import time

INTERVAL = 0.02
PATIENCE = 5.0  # for the last answers
RECORD = 8


def connected(kind, *address, protocol=0):
    s = socket.socket(socket.AF_INET6, kind, protocol)
    s.connect(address)
    s.setblocking(False)
    return s


class Kind:
    """One kind of question over one socket. `ask` returns the socket it used; `answers` the numbers read from it."""

    def __init__(self):
        self.sent, self.answered = 0, set()

    def sockets(self):
        return [self.socket]

    def lost(self):
        return sorted(set(range(self.sent)) - self.answered)


class Udp(Kind):
    def __init__(self, server, port):
        super().__init__()
        self.server, self.port = server, port
        self.socket = connected(socket.SOCK_DGRAM, server, port)

    def ask(self, number):
        self.socket.send(b"%d" % number)
        return self.socket

    def answers(self, s):
        return [int(s.recv(100))]


class NewUdpSessions(Udp):
    """Each datagram from a port of its own."""

    def ask(self, number):
        fresh = connected(socket.SOCK_DGRAM, self.server, self.port)
        fresh.send(b"%d" % number)
        return fresh

    def answers(self, s):
        number = int(s.recv(100))
        s.close()
        return [number]


class Tcp(Kind):
    """One connection."""

    def __init__(self, server, port):
        super().__init__()
        self.socket = socket.create_connection((server, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.rest = b""

    def ask(self, number):
        self.socket.send(b"%0*d" % (RECORD, number))
        return self.socket

    def answers(self, s):
        self.rest += s.recv(65536)
        whole = len(self.rest) // RECORD * RECORD
        numbers = [int(self.rest[i:i + RECORD]) for i in range(0, whole, RECORD)]
        self.rest = self.rest[whole:]
        return numbers

    def lost(self):
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 224)
        again, arrived_before = struct.unpack_from("I", info, 100)[0], struct.unpack_from("I", info, 216)[0]
        return super().lost() + ["sent again"] * max(0, again - arrived_before)


class NewTcpConnections(Kind):
    """Each number over a connection of its own; a connection that is refused or cut has no answer."""

    def __init__(self, server, port):
        super().__init__()
        self.server, self.port, self.waiting = server, port, {}

    def ask(self, number):
        s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        s.setblocking(False)
        # The number is sent with the handshake's last segment: the kernel queues it while it connects.
        s.connect_ex((self.server, self.port))
        self.waiting[s] = number
        return s

    def writable(self, s):
        s.send(b"%0*d" % (RECORD, self.waiting[s]))

    def answers(self, s):
        number = int(s.recv(100))
        del self.waiting[s]
        s.close()
        return [number]


class Ping(Kind):
    def __init__(self, server):
        super().__init__()
        self.socket = connected(socket.SOCK_RAW, server, 0, protocol=socket.IPPROTO_ICMPV6)
        self.identifier = os.getpid() & 0xffff

    def ask(self, number):
        self.socket.send(struct.pack("!BBHHHI", 128, 0, 0, self.identifier, number & 0xffff, number))
        return self.socket

    def answers(self, s):
        message = s.recv(100)
        if message[0] != 129:
            return []
        _, _, _, identifier, _, number = struct.unpack_from("!BBHHHI", message)
        return [number] if identifier == self.identifier else []


class Dns(Kind):
    """AAAA of the same name each time: an answer from the cache, but for the first in each TTL."""

    def __init__(self, resolver, zone, expected):
        super().__init__()
        self.socket = connected(socket.SOCK_DGRAM, resolver, 53)
        self.zone, self.expected = zone, socket.inet_pton(socket.AF_INET6, expected)

    def name(self, _number):
        return f"v4only.{self.zone}"

    def ask(self, number):
        labels = b"".join(bytes([len(label)]) + label.encode() for label in self.name(number).split("."))
        self.socket.send(struct.pack("!HHHHHH", number & 0xffff, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 28, 1))
        return self.socket

    def answers(self, s):
        message = s.recv(4096)
        number, flags, _, records = struct.unpack_from("!HHHH", message)
        return [number] if flags & 0x800f == 0x8000 and records == 1 and message.endswith(self.expected) else []


class DnsMisses(Dns):
    """A name that nobody asked for before."""

    def name(self, number):
        return f"n{number}.wild.{self.zone}"


def ask(server, udp_port, tcp_port, resolver, zone):
    kinds = {"udp": Udp(server, int(udp_port)), "new udp sessions": NewUdpSessions(server, int(udp_port)),
             "tcp": Tcp(server, int(tcp_port)), "new tcp connections": NewTcpConnections(server, int(tcp_port)),
             "icmp": Ping(server), "dns": Dns(resolver, zone, server), "dns misses": DnsMisses(resolver, zone, server)}
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    selector = selectors.DefaultSelector()

    def listen(kind, s):
        if s in selector.get_map():
            return
        wants = selectors.EVENT_READ | (selectors.EVENT_WRITE if hasattr(kind, "writable") else 0)
        selector.register(s, wants, kind)

    def read(until):
        while (left := until - time.monotonic()) > 0:
            for key, events in selector.select(left):
                try:
                    if events & selectors.EVENT_WRITE:
                        selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
                        key.data.writable(key.fileobj)
                    if events & selectors.EVENT_READ:
                        key.data.answered.update(key.data.answers(key.fileobj))
                except (OSError, ValueError) as failure:  # an ICMP error, a reset: what it concerns has no answer
                    print(f"{type(key.data).__name__}: {failure}", file=sys.stderr)
                    if isinstance(key.data, NewTcpConnections):
                        key.fileobj.close()
                if key.fileobj.fileno() < 0:
                    selector.unregister(key.fileobj)

    number, due = 0, time.monotonic()
    while not ended.is_set():
        for kind in kinds.values():
            kind.sent += 1
            try:
                listen(kind, kind.ask(number))
            except OSError as failure:
                print(f"{type(kind).__name__}: {failure}", file=sys.stderr)
        number += 1
        due = max(due + INTERVAL, time.monotonic() - 1)
        read(due)
    patience = time.monotonic() + PATIENCE
    while time.monotonic() < patience and any(kind.sent > len(kind.answered) for kind in kinds.values()):
        read(time.monotonic() + 0.1)
    print(json.dumps({name: {"sent": kind.sent, "lost": kind.lost()} for name, kind in kinds.items()}))


def serve(address, port):
    def echo(s):
        with s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := s.recv(65536):
                s.sendall(data)

    with socket.create_server((address, int(port)), backlog=200) as listener:
        while True:
            threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    {"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
