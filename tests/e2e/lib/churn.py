# SPDX-License-Identifier: Apache-2.0
"""Load with churn, run in a client's namespace:  churn.py SECONDS SEED SERVER6 ECHO_PORT CLIENT...

Opens and leaves UDP and TCP conversations from every client address, and sends packets that no program would: every payload
behind every protocol number that a translator looks into. churn_outside.py is the other side. Prints how many exchanges were answered.
"""

import random
import socket
import sys
import time


def udp(rng, client, server, port):
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.bind((client, 0))
        s.settimeout(0.2)
        payload = rng.randbytes(rng.choice([1, 64, 1200, 3000]))  # the largest goes in fragments, and comes back so
        s.sendto(payload, (server, port))
        return s.recv(4096) == payload


def tcp(rng, client, server, _port):
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
        s.bind((client, 0))
        s.settimeout(1)
        s.connect((server, 80))
        s.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
        if rng.random() < 0.3:  # leave without a word
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return False
        return b"Hello" in s.makefile("rb").read()


def hostile(rng, client, server, _port):
    protocol = rng.choice([socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMPV6, 0, 43, 44, 60, 50, 132])
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, 255) as s:  # 255: we write the IPv6 header
        payload = rng.randbytes(rng.choice([0, 1, 8, 20, 60, 600]))
        header = b"\x60\0\0\0" + len(payload).to_bytes(2, "big") + bytes([protocol, rng.choice([0, 1, 64])])
        header += socket.inet_pton(socket.AF_INET6, client) + socket.inet_pton(socket.AF_INET6, server)
        s.sendto(header + payload, (server, 0))
    return False


def main():
    seconds, seed, server, port, *clients = sys.argv[1:]
    rng = random.Random(int(seed))
    answered, until = 0, time.monotonic() + float(seconds)
    while time.monotonic() < until:
        try:
            answered += rng.choices([udp, tcp, hostile], [4, 1, 4])[0](rng, rng.choice(clients), server, int(port))
        except OSError:
            pass  # a policy swap may end any of them
    print(answered)


if __name__ == "__main__":
    main()
