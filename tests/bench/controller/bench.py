#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How fast an exclusion reaches a thousand services, how fast they are back after a restart, and what each costs.

The controller and the fleet (tests/bench/controller/fleet.cpp) share this machine's processors: what they do at the same
time costs both. Times are wall-clock, memory is the controller's resident set.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BIN = os.environ.get("ISTHMUS_BIN", f"{ROOT}/build/release/bin")
POLICY = """
translation_prefixes:
  - {name: well-known, prefix: "64:ff9b::/96", clients: ["2001:db8::/32"]}
exclusions:
  ipv4_destinations: [%s]
pools:
  - {name: public, addresses: [203.0.113.0/28], subscribers: {prefix_length: 64}}
dns64:
  resolvers: [{name: main}]
  views: [{name: default, clients: ["2001:db8::/32"], prefixes: [well-known], resolver: main}]
"""


def unix_ms():
    return time.time_ns() // 1_000_000


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


class Fleet:
    def __init__(self, grpc, services, tls):
        self.lines, self.more = [], threading.Condition()
        self.process = subprocess.Popen([f"{BIN}/isthmus-bench-fleet", "--controller", grpc, "--services", str(services), *tls],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.more:
                self.lines.append(line.split())
                self.more.notify_all()

    def wait(self, wanted, within):
        deadline = time.monotonic() + within
        with self.more:
            while True:
                for line in self.lines:
                    if wanted(line):
                        return line
                if not self.more.wait(max(0, deadline - time.monotonic())):
                    raise SystemExit(f"the fleet did not get there within {within} s; it said {self.lines[-3:]}")

    def forget(self):
        with self.more:
            self.lines.clear()

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)


class Bench:
    def __init__(self, scratch, grpc, http):
        self.scratch, self.grpc, self.http = scratch, grpc, http
        self.policy = f"{scratch}/policy.yaml"
        self.controller, self.flags = None, []

    def write(self, excluded):
        with open(f"{self.policy}.new", "w", encoding="utf-8") as file:
            file.write(POLICY % excluded)
        os.rename(f"{self.policy}.new", self.policy)

    def start(self, *flags):
        self.flags = flags
        with open(f"{self.scratch}/log", "ab") as log:
            self.controller = subprocess.Popen(
                [f"{BIN}/isthmus-controller", "--policy-file", self.policy, "--store", "memory", "--grpc-listen", self.grpc, "--http-listen",
                 self.http, *flags], stdout=log, stderr=log)
        while subprocess.run(["curl", "-sf", "-o", "/dev/null", f"http://{self.http}/readyz"], check=False).returncode:
            if self.controller.poll() is not None:
                raise SystemExit(f"the controller ended: see {self.scratch}/log")
            time.sleep(0.05)

    def stop(self):
        self.controller.terminate()
        self.controller.wait(20)

    def loaded_at(self, ctl):
        answer = json.loads(subprocess.run([f"{BIN}/isthmusctl", "get", "policy", "-o", "json", "--controller", self.grpc,
                                            *ctl], check=True, capture_output=True, text=True).stdout)
        whole, _, fraction = answer["loaded_at"].rstrip("Z").partition(".")
        epoch = time.mktime(time.strptime(whole + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone
        return int(epoch * 1000) + int((fraction + "000")[:3])

    def run(self, services, rounds, what, server_tls=(), client_tls=(), ctl_tls=()):
        self.write("192.0.2.0/24")
        self.start(*server_tls)
        empty = resident_kb(self.controller.pid)
        began = unix_ms()
        fleet = Fleet(self.grpc, services, client_tls)
        all_there = int(fleet.wait(lambda words: words[0] == "all-connected", 120)[2])
        row = {"what": what, "services": services, "connect_all_s": (all_there - began) / 1000,
               "controller_kb_per_service": round((resident_kb(self.controller.pid) - empty) / services, 1)}
        if rounds:
            worst = []
            for number in range(rounds):
                time.sleep(1)
                fleet.forget()
                self.write(f"198.51.{number}.0/24")
                line = fleet.wait(lambda words: words[0] == "policy", 60)
                read_at = self.loaded_at(ctl_tls)
                worst.append((int(line[9]) - read_at, int(line[11]) - read_at))
            worst.sort()
            row["exclusion_acked_p99_ms"], row["exclusion_acked_last_ms"] = worst[len(worst) // 2]
        fleet.forget()
        self.stop()
        self.start(*server_tls)
        back_from = unix_ms()
        row["reconnect_all_s"] = (int(fleet.wait(lambda words: words[0] == "all-connected", 120)[2]) - back_from) / 1000
        fleet.end()
        self.stop()
        print(json.dumps(row), flush=True)
        return row


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--out", default=f"{ROOT}/build/bench/controller.json")
    options.add_argument("--quick", action="store_true", help="fewer services and rounds")
    chosen = options.parse_args()
    scale = 10 if chosen.quick else 1
    with tempfile.TemporaryDirectory(prefix="isthmus-bench-") as scratch:
        subprocess.run([f"{BIN}/isthmusctl", "certs", f"{scratch}/keys"], check=True, capture_output=True)

        def tls(who):
            folder = f"{scratch}/keys/{who}"
            return ["--tls-ca", f"{folder}/ca.crt", "--tls-certificate", f"{folder}/tls.crt", "--tls-key", f"{folder}/tls.key"]

        bench = Bench(scratch, "127.0.0.1:27400", "127.0.0.1:29400")
        rows = [bench.run(1000 // scale, 5, "plain text"),
                bench.run(5000 // scale, 0, "plain text"),
                bench.run(1000 // scale, 5, "mutual TLS", tls("controller"), tls("dns64"), tls("operator-admin"))]
    os.makedirs(os.path.dirname(chosen.out), exist_ok=True)
    with open(chosen.out, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
    columns = ["what", "services", "connect_all_s", "reconnect_all_s", "exclusion_acked_p99_ms", "exclusion_acked_last_ms",
               "controller_kb_per_service"]
    print("\n" + "  ".join(columns))
    for row in rows:
        print("  ".join(str(row.get(column, "-")).rjust(len(column)) for column in columns))


if __name__ == "__main__":
    sys.exit(main())
