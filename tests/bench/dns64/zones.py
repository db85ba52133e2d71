# SPDX-License-Identifier: Apache-2.0
"""The authority of the DNS64 benchmark: a root, `test.`, a zone of A-only names, a signed copy, a zone whose server is dead."""

import socket
import subprocess
import time

from lib import knot

AUTHORITY, DEAD = "192.0.2.53", "192.0.2.99"
NAMES, SIGNED_NAMES = 150_000, 30_000  # without the case that fills a cache

KNOT_CONF = knot.SERVER + """\
policy:
  - id: once
    algorithm: ecdsap256sha256
    single-type-signing: on
template:
  - id: default
    storage: {dir}
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
  - domain: .
    file: root.zone
  - domain: test
    file: test.zone
  - domain: perf.test
    file: perf.zone
  - domain: signed.test
    file: signed.zone
    dnssec-signing: on
    dnssec-policy: once
"""


def head(zone):
    return f"$ORIGIN {zone}\n$TTL 86400\n@ SOA ns host 1 3600 900 604800 86400\n@ NS ns\nns A {AUTHORITY}\n"


def write_zones(directory, names):
    # 44.0.0.0/8 on purpose: RFC 6052 §3.1 forbids private addresses under 64:ff9b::/96.
    for zone, count in (("perf", names), ("signed", SIGNED_NAMES)):
        with open(f"{directory}/{zone}.zone", "w", encoding="ascii") as file:
            file.write(head(f"{zone}.test."))
            file.writelines(f"n{i:07d} A 44.{i >> 16}.{i >> 8 & 255}.{i & 255}\n" for i in range(count))
    with open(f"{directory}/test.zone", "w", encoding="ascii") as file:
        file.write(head("test."))
        for zone, server in (("perf", AUTHORITY), ("signed", AUTHORITY), ("dead", DEAD)):
            file.write(f"{zone} NS ns.{zone}\nns.{zone} A {server}\n")
    with open(f"{directory}/root.zone", "w", encoding="ascii") as file:
        file.write(f"$ORIGIN .\n$TTL 86400\n. SOA a.root. h.root. 1 3600 900 604800 86400\n. NS a.root.\na.root. A {AUTHORITY}\n"
                   f"test. NS ns.test.\nns.test. A {AUTHORITY}\n")
    with open(f"{directory}/hints.zone", "w", encoding="ascii") as file:
        file.write(f". 3600000 NS a.root.\na.root. 3600000 A {AUTHORITY}\n")


class Authority:
    """knotd beside a socket that swallows what it is asked (the dead server)."""

    def __init__(self, namespace, directory, pin, more_names):
        self.namespace, self.directory, self.pin, self.names = namespace, directory, pin, NAMES + more_names
        self.process = self.sink = None

    def start(self):
        write_zones(self.directory, self.names)
        config = f"{self.directory}/knot.conf"
        with open(config, "w", encoding="ascii") as file:
            file.write(KNOT_CONF.format(dir=self.directory, listen=f"{AUTHORITY}@53, {AUTHORITY}@853"))
        for address in (AUTHORITY, DEAD):
            self.namespace.run(f"ip address add {address}/32 dev lo")
        with open(f"{self.directory}/knot.log", "wb") as log:
            self.process = self.namespace.popen([*self.pin, "knotd", "-c", config], stdout=log, stderr=log)
        deadline = time.monotonic() + 300
        while not self._answers("n0000001.signed.test.") or not self._answers("n0000001.perf.test."):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit(f"the authority does not answer: see {self.directory}/knot.log")
            time.sleep(0.5)

    def open_sink(self):
        """To be called inside the namespace."""
        self.sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sink.bind((DEAD, 53))

    def _answers(self, name):
        out = self.namespace.run(f"dig +short +time=1 +tries=1 @{AUTHORITY} {name} A", check=False)
        return out.stdout.startswith("44.")

    def ds(self):
        """The signed zone's DS: key tag, algorithm, digest type, digest."""
        out = subprocess.run(["keymgr", "-c", f"{self.directory}/knot.conf", "signed.test.", "ds"], capture_output=True, text=True,
                             check=True).stdout
        line = next(line for line in out.splitlines() if " 2 " in line)
        return line.split(" DS ")[1]
