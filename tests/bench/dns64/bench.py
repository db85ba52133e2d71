# SPDX-License-Identifier: Apache-2.0
"""./dev bench dns64: dns64-svc beside Debian's DNS64 servers and dnsdist, in one run, in a network namespace of its own.

One worker on one core, the load and the authority on the other. The figure is the server's CPU time per answered query
(its threads' schedstat), contestants interleaved, the median of the rounds; memory is the growth of the resident set per
name; latency is at a fixed rate.

  bench.py [--only hit,tcp,dot,miss,signed,memory,latency] [--servers isthmus,unbound,...] [--rounds N] [--memory-of NAMES]
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.realpath(f"{HERE}/../../..")
sys.path[:0] = [HERE, f"{ROOT}/tests/e2e"]

from contestants import ALL  # noqa: E402
from lib.netns import NamespaceSet, lab_prefix, move_into  # noqa: E402
from zones import Authority  # noqa: E402

CASES = ["hit", "tcp", "dot", "miss", "signed", "latency", "memory"]
WARM = 10_000
RATE = 10_000  # queries per second of the latency runs
# What the service has to reach, as ratios to others in the same run: case -> (ratio, whose).
TARGETS = {"hit": [(0.75, "best DNS64"), (1.3, "echo")], "tcp": [(1.0, "dnsdist")], "dot": [(1.0, "dnsdist")],
           "miss": [(0.8, "unbound")], "signed": [(1.05, "unbound")]}


class Unfit(Exception):
    """A server did not answer well enough for its figure to mean anything."""


class Bench:
    def __init__(self, options):
        self.options = options
        self.bin = os.environ.get("ISTHMUS_BIN", f"{ROOT}/build/release/bin")
        cores = sorted(os.sched_getaffinity(0))
        self.load_core, self.server_core = str(cores[0]), str(cores[-1])
        prefix = lab_prefix("isthmus-bench-dns64-")
        self.dir = f"/run/{prefix.rstrip('-')}"
        self.namespaces = NamespaceSet(prefix, ["node"])
        self.node = self.namespaces.of["node"]
        self.authority = Authority(self.node, self.dir, ["taskset", "-c", self.load_core],
                                   options.memory_of if "memory" in options.only else 0)
        self.contestants, self.ds = {}, ""
        self.next_name = {}  # per contestant and zone: names that it has not been asked yet
        self.results = {}

    # --- life ---------------------------------------------------------------------------------------------------------

    def __enter__(self):
        self.namespaces.lock()
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.namespaces.create()
        self.outside = open("/proc/self/ns/net", "rb")
        with open(self.node.path, "rb") as node:
            move_into(node)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=bench.test", "-keyout", f"{self.dir}/tls.key", "-out", f"{self.dir}/tls.crt"],
                       check=True, capture_output=True)
        say("the authority loads and signs its zones")
        self.authority.start()
        self.authority.open_sink()
        self.ds = self.authority.ds()
        wanted = self.options.servers or [kind.name for kind in ALL]
        for number, kind in enumerate(ALL):
            if kind.name in wanted:
                self.contestants[kind.name] = kind(number, self)
        for contestant in self.contestants.values():
            contestant.start()
        return self

    def __exit__(self, *_):
        move_into(self.outside)
        self.namespaces.remove()
        if not self.options.keep:
            shutil.rmtree(self.dir, ignore_errors=True)
        self.namespaces.unlock()

    # --- measuring ----------------------------------------------------------------------------------------------------

    def load(self, contestant, zone, *words, first=False):
        """What dns64_load says. `first`: before all else on its core, so that latency is the server's and not its own."""
        command = [*(["nice", "-n", "-20"] if first else []), "taskset", "-c", self.load_core, f"{self.bin}/dns64_load", "--port", contestant.port, "--zone", zone, *words]
        out = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout
        return json.loads(out)

    def fresh(self, contestant, zone, count):
        """The number of a run of names that this server has not seen."""
        key = contestant.name, zone
        begin = self.next_name.get(key, WARM)
        self.next_name[key] = begin + count
        return begin

    def cost(self, contestant, run):
        """CPU microseconds of the server per answer."""
        before = contestant.cpu_seconds()
        answered = run()
        return (contestant.cpu_seconds() - before) * 1e6 / max(answered, 1)

    def hits(self, contestant):
        return self.load(contestant, "perf.test", "--names", WARM, "--seconds", self.options.seconds)["received"]

    def misses(self, contestant, zone, count):
        first = self.fresh(contestant, zone, count)
        done = self.load(contestant, zone, "--first", first, "--names", count, "--queries", count, "--window", 64)
        if done["with_answer"] < 0.98 * count:
            raise Unfit(f"{contestant.name} left questions in {zone} open: {done}")
        return done["received"]

    def streams(self, contestant, mode):
        """dnsperf over 20 connections, pipelined: answers."""
        port = contestant.tls if mode == "dot" else contestant.port
        done = subprocess.run(["taskset", "-c", self.load_core, "dnsperf", "-s", "127.0.0.1", "-p", str(port), "-m", mode, "-c", "20", "-q", "200",
                               "-l", str(self.options.seconds), "-d", f"{self.dir}/names.txt", "-n", "1000000"], capture_output=True, text=True)
        found = re.search(r"Queries completed:\s+(\d+)", done.stdout)
        if not found or int(found[1]) < 1000:
            raise Unfit(f"dnsperf {mode} against {contestant.name} had {found and found[1]} answers: {done.stderr[-300:]}")
        return int(found[1])

    def rounds(self, case, contestants, run, rounds=None):
        samples = {contestant.name: [] for contestant in contestants}
        for _ in range(rounds or self.options.rounds):
            for contestant in contestants:
                try:
                    samples[contestant.name].append(self.cost(contestant, lambda: run(contestant)))
                except Unfit as reason:
                    say(f"not measured: {reason}")
        self.results[case] = {name: round(statistics.median(values), 2) for name, values in samples.items() if values}
        say(f"{case}: " + ", ".join(f"{name} {value}" for name, value in self.results[case].items()))

    def of(self, condition):
        return [contestant for contestant in self.contestants.values() if condition(contestant)]

    # --- cases --------------------------------------------------------------------------------------------------------

    def run(self, cases):
        with open(f"{self.dir}/names.txt", "w", encoding="ascii") as file:
            file.writelines(f"n{number:07d}.perf.test. AAAA\n" for number in range(WARM))
        for contestant in self.of(lambda c: c.name != "echo"):
            self.load(contestant, "perf.test", "--names", WARM, "--queries", 2 * WARM, "--window", 50)
        for case in cases:
            getattr(self, f"case_{case}")()

    def case_hit(self):
        self.rounds("hit", self.of(lambda c: True), self.hits)

    def case_tcp(self):
        self.rounds("tcp", self.of(lambda c: c.name != "echo"), lambda c: self.streams(c, "tcp"))

    def case_dot(self):
        self.rounds("dot", self.of(lambda c: c.name != "echo" and c.has_tls()), lambda c: self.streams(c, "dot"))

    def case_miss(self):
        self.rounds("miss", self.of(lambda c: c.resolves), lambda c: self.misses(c, "perf.test", 10_000))

    def case_signed(self):
        contestants = self.of(lambda c: c.resolves)
        for contestant in contestants:
            self.misses(contestant, "signed.test", 500)  # keys and delegations are known from here on
        self.rounds("signed", contestants, lambda c: self.misses(c, "signed.test", 4_000))

    def case_memory(self):
        """Resident memory that a new name adds, KB."""
        self.results["memory"] = {}
        for contestant in self.of(lambda c: c.resolves and c.name in self.options.memory_servers):
            self.misses(contestant, "perf.test", 20_000)
            before = contestant.rss_kb()
            self.misses(contestant, "perf.test", self.options.memory_of)
            say(f"resident: {before} KB before, {contestant.rss_kb()} KB after {self.options.memory_of} names")
            self.results["memory"][contestant.name] = round((contestant.rss_kb() - before) / self.options.memory_of, 3)
        say(f"memory: {self.results['memory']}")

    def case_latency(self):
        """p99 of hits at a fixed rate: alone, while policies are pushed, with a dead authority, under a random-subdomain attack."""
        contestants = self.of(lambda c: c.dns64)
        self.results["p99"] = {contestant.name: {} for contestant in contestants}
        for contestant in contestants:
            figures = self.results["p99"][contestant.name]
            figures["calm"] = self.paced(contestant)
            if hasattr(contestant, "push"):
                figures["policy"] = self.beside(contestant, self.push_policies)
            figures["attack"] = self.beside(contestant, lambda done: self.flood(contestant, "dead.test", done))
            # A new resolver learns who serves the zone; and whoever drowns in the attack shows it here.
            first = self.fresh(contestant, "perf.test", 500)
            missed = self.load(contestant, "perf.test", "--first", first, "--names", 500, "--queries", 500)
            figures["misses after the attack"] = {"lost": round(1 - missed["with_answer"] / 500, 3)}
            self.authority.process.send_signal(signal.SIGSTOP)
            figures["dead"] = self.beside(contestant, lambda done: self.flood(contestant, "perf.test", done))
            self.authority.process.send_signal(signal.SIGCONT)
            say(f"p99 us, {contestant.name}: {figures}")

    def paced(self, contestant):
        done = self.load(contestant, "perf.test", "--names", WARM, "--rate", RATE, "--seconds", self.options.seconds, "--timeout", 1, first=True)
        return {"p99_us": done["p99_us"], "lost": round(done["lost"] / max(done["sent"], 1), 4), "servfail": done["servfail"]}

    def beside(self, contestant, disturb):
        done = threading.Event()
        thread = threading.Thread(target=disturb, args=(done,))
        thread.start()
        time.sleep(0.5)
        try:
            return self.paced(contestant)
        finally:
            done.set()
            thread.join()

    def push_policies(self, done):
        number = 0
        while not done.wait(0.2):
            number += 1
            self.contestants["isthmus"].push(number)

    def flood(self, contestant, zone, done):
        """Questions that nobody answers, 2000 a second."""
        while not done.is_set():
            first = self.fresh(contestant, zone, 2000)
            self.load(contestant, zone, "--first", first, "--names", 2000, "--rate", 2000, "--seconds", 1, "--timeout", 0.1)

    # --- results ------------------------------------------------------------------------------------------------------

    def verdicts(self):
        lines = []
        for case, targets in TARGETS.items():
            figures = self.results.get(case, {})
            if "isthmus" not in figures:
                continue
            for ratio, whose in targets:
                peers = [figures[n] for n in ("unbound", "bind", "pdns-recursor", "kresd") if n in figures]
                against = min(peers, default=None) if whose == "best DNS64" else figures.get(whose)
                if against:
                    is_ratio = figures["isthmus"] / against
                    lines.append(f"{case:7} {is_ratio:5.2f} of {whose:11} target {ratio:4.2f}  {'met' if is_ratio <= ratio else 'MISSED'}")
        own = self.results.get("memory", {}).get("isthmus")
        if own is not None:
            lines.append(f"memory  {own:5.3f} KB per name   target 0.50  {'met' if own <= 0.5 else 'MISSED'}")
        return lines

    def table(self):
        columns = [case for case in CASES if case in self.results]
        rows = [f"{'server CPU us per answer':24}" + "".join(f"{column:>10}" for column in columns)]
        for name in self.contestants:
            values = [self.results[column].get(name) for column in columns]
            rows.append(f"{name:24}" + "".join(f"{'' if value is None else value:>10}" for value in values))
        return rows


def say(text):
    print(f"    {text}", flush=True)


def expect(condition, failure):
    if not condition:
        raise SystemExit(failure)


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--only", type=lambda text: text.split(","), default=CASES)
    words.add_argument("--servers", type=lambda text: text.split(","))
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--seconds", type=float, default=2)
    words.add_argument("--memory-of", type=int, default=1_000_000)
    words.add_argument("--memory-servers", type=lambda text: text.split(","), default=["isthmus"])
    words.add_argument("--out", default=f"{ROOT}/build/bench/dns64.json")
    words.add_argument("--keep", action="store_true", help="leave the files of the run in /run")
    options = words.parse_args()
    expect(set(options.only) <= set(CASES), f"--only knows {','.join(CASES)}")
    if os.geteuid() != 0:
        sys.exit("the benchmark makes a network namespace: run it as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Bench(options) as bench:
        bench.run(options.only)
        print("\n".join([*bench.table(), "", *bench.verdicts()]))
        os.makedirs(os.path.dirname(options.out), exist_ok=True)
        with open(options.out, "w", encoding="ascii") as file:
            json.dump({"unit": "server CPU us per answer; memory: KB per name", "results": bench.results}, file, indent=2)


if __name__ == "__main__":
    main()
