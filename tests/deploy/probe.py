# SPDX-License-Identifier: Apache-2.0
"""Traffic that notices gaps, run in a client pod or in front of it; prints one line of JSON at its end.

  probe.py serve ADDRESS PORT                TCP and UDP echo
  probe.py dns SERVER NAME SECONDS           a AAAA query every 25 ms, each with one retry after a second
  probe.py session HOST PORT SECONDS         one TCP connection, an exchange every 50 ms
  probe.py gap HOST PORT SECONDS             a UDP exchange every 20 ms, each from a port of its own
  probe.py sizes HOST PORT                   datagrams of many sizes that must come back whole
"""

import json
import os
import socket
import struct
import sys
import threading
import time


def serve(address, port):
    def tcp():
        with socket.create_server((address, port)) as listener:
            while True:
                threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()

    def echo(connection):
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)
    threading.Thread(target=tcp, daemon=True).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((address, port))
        while True:
            data, peer = udp.recvfrom(65536)
            udp.sendto(data, peer)


def exchange(host, port, payload, timeout):
    """True when the datagram comes back."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
        udp.settimeout(timeout)
        try:
            udp.connect((host, port))
            udp.send(payload)
            return udp.recv(65536) == payload
        except OSError:
            return False


def ask(server, name, timeout):
    """True when an answer with addresses comes."""
    identity = os.urandom(2)
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0" + struct.pack("!HH", 28, 1)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
        udp.settimeout(timeout)
        try:
            udp.connect((server, 53))
            udp.send(identity + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + question)
            reply = udp.recv(4096)
        except OSError:
            return False
        return reply[:2] == identity and reply[3] & 15 == 0 and struct.unpack("!H", reply[6:8])[0] > 0


def dns(server, name, seconds):
    asked = retried = unanswered = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asked += 1
        if not ask(server, name, 1):
            retried += 1
            if not ask(server, name, 4):
                unanswered += 1
        time.sleep(0.025)
    return {"asked": asked, "retried": retried, "unanswered": unanswered}


def session(host, port, seconds):
    exchanges, longest, broken = 0, 0.0, None
    end = time.monotonic() + seconds
    with socket.create_connection((host, port), timeout=20) as connection:
        while time.monotonic() < end and broken is None:
            begin = time.monotonic()
            try:
                connection.sendall(b"still there?")
                got = b""
                while len(got) < 12:
                    part = connection.recv(12 - len(got))
                    if not part:
                        raise OSError("closed")
                    got += part
                exchanges += 1
            except OSError as error:
                broken = str(error)
            longest = max(longest, time.monotonic() - begin)
            time.sleep(0.05)
    return {"exchanges": exchanges, "longest_ms": round(longest * 1000), "broken": broken}


def gap(host, port, seconds):
    good = bad = 0
    last, longest = time.monotonic(), 0.0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if exchange(host, port, b"gap", 0.2):
            good += 1
            longest = max(longest, time.monotonic() - last)
            last = time.monotonic()
        else:
            bad += 1
        time.sleep(0.02)
    return {"good": good, "bad": bad, "longest_gap_ms": round(max(longest, time.monotonic() - last) * 1000)}


def sizes(host, port):
    tried = [1, 100, 1200, 1400, 1452, 1460, 1472, 3000, 8000]
    return {"lost": [size for size in tried if not any(exchange(host, port, os.urandom(size), 2) for _ in range(2))]}


def main():
    verb, *rest = sys.argv[1:]
    if verb == "serve":
        serve(rest[0], int(rest[1]))
    elif verb == "dns":
        print(json.dumps(dns(rest[0], rest[1], float(rest[2]))))
    elif verb == "sizes":
        print(json.dumps(sizes(rest[0], int(rest[1]))))
    else:
        print(json.dumps({"session": session, "gap": gap}[verb](rest[0], int(rest[1]), float(rest[2]))))


main()
