# SPDX-License-Identifier: Apache-2.0
"""UDP by hand:  udp_echo.py serve ADDRESS PORT
                 udp_echo.py ask ADDRESS PORT COUNT INTERVAL_SECONDS [SOURCE_ADDRESS]

`serve` sends every datagram back. `ask` sends COUNT numbered datagrams from one socket and prints a line
"NUMBER SENT_AT ROUND_TRIP_MS" for each that came back whole (wall clock seconds); it exits 1 when none did.
"""

import select
import socket
import sys
import time


def serve(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind((address, port))
        while True:
            data, peer = server.recvfrom(65535)
            server.sendto(data, peer)


def ask(address, port, count, interval, source=None):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sent, answered = {}, 0
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        if source:
            client.bind((source, 0))
        client.connect((address, port))
        begin = time.time()
        end = begin + count * interval + 4.0  # it ends sooner when all came
        number = 0
        while time.time() < end and answered < count:
            due = begin + number * interval
            if number < count and time.time() >= due:
                sent[number] = time.time()
                try:
                    client.send(f"{number} ".encode().ljust(64 + number % 900, b"x"))
                except OSError:
                    pass  # an ICMP error that came back for an earlier datagram
                number += 1
                continue
            wait = (due if number < count else end) - time.time()
            if select.select([client], [], [], max(0.0, wait))[0]:
                try:
                    data = client.recv(65535, socket.MSG_DONTWAIT)  # an error that made it ready may be gone
                except OSError:
                    continue
                which = int(data.split(b" ")[0])
                if len(data) == max(64 + which % 900, len(f"{which} ")):
                    answered += 1
                    print(f"{which} {sent[which]:.3f} {(time.time() - sent[which]) * 1000:.2f}", flush=True)
    return 0 if answered else 1


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(ask(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]), *sys.argv[6:7]))
