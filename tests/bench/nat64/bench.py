#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CPU time per packet of nat64-svc and of others that could stand in its place, at overload, in one run.

    client bc6 ------ bd6 device under test bd4 ------ bs4 server
    10.66.0.0/16, 2001:db8:66::/48 behind it           20.1.0.2, 2001:db8:4::2

The generator (XDP live frames) and the sinks run on CPU 0; the device under test (its NAPI threads and its program) is pinned
to CPU 1. A figure is the run time of the device's threads (/proc/TID/schedstat) divided by the packets that came out at
the other side. Contestants take turns at each number of flows, ROUNDS times; medians are printed, with the spread. For a ratio
both contestants are up at once, each in a lab of its own, and take turns of a third of a second: the machine's moods, which
last longer, cancel out. The median of the ratios of adjacent turns is printed. Needs root and two CPUs.

  bench.py [--out FILE] [--only "NAME;..."] [--rounds N] [--seconds S] [--turns N] [--no-tcp]      (ISTHMUS_BIN: the programs)
"""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../e2e"))

from lab import MACS, Lab  # noqa: E402
from lib.daemon import eventually  # noqa: E402
from lib.suite import exit_on_signals  # noqa: E402

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
BIN = os.environ.get("ISTHMUS_BIN", os.path.join(ROOT, "build/release/bin"))
POLICY = """\
translation_prefixes:
  - {name: well-known, prefix: "64:ff9b::/96", clients: ["2001:db8::/32"]}
pools:
  - name: public
    addresses: [203.0.113.0/24]
    subscribers: {prefix_length: 64, ports_per_block: 64, max_blocks: 32, max_sessions: 65536}
nat64: {max_sessions: 4194304, events: {log_blocks: false}}
"""
NODE_POLICY = """\
translation_prefixes:
  - {name: well-known, prefix: "64:ff9b::/96", clients: ["2001:db8::/32"]}
pools:
  - {name: node, kind: NODE_LOCAL}
"""
TAYGA = """\
tun-device nat64
ipv4-addr 10.99.0.1
ipv6-addr 2001:db8:99::1
prefix 64:ff9b::/96
dynamic-pool 10.99.0.0/16
data-dir {dir}
"""
MASQUERADE = ("table ip bench { chain post { type nat hook postrouting priority srcnat; "
              "oifname bd4 snat to 203.0.113.1-203.0.113.250; }; }")


@contextlib.contextmanager
def one_benchmark():
    """One on a machine."""
    with open("/run/lock/isthmus-one-benchmark.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- contestants: each brings the device up and returns what traffic() needs ------------------------------------------------

NAT64_DESTINATION = "64:ff9b::20.1.0.2"
SERVER6 = "2001:db8:4::2"


def nat64(lab, *extra):
    with open(f"{lab.dir}/policy.yaml", "w", encoding="utf-8") as file:
        file.write(POLICY)
    lab.start("nat64-svc", [f"{lab.bin}/nat64-svc", "--interface6", "bd6", "--interface4", "bd4", "--policy-file",
                            f"{lab.dir}/policy.yaml", "--http-listen", "127.0.0.1:9464", "--max-sessions", str(1 << 22),
                            *extra], "127.0.0.1:9464")
    return "6", NAT64_DESTINATION


def nat64_node(lab):
    """Between the kernel's two forwardings, as on a node of a cluster."""
    lab.dut.run("ip route add default via 20.1.0.2")
    with open(f"{lab.dir}/policy.yaml", "w", encoding="utf-8") as file:
        file.write(NODE_POLICY)
    lab.start("nat64-svc", [f"{lab.bin}/nat64-svc", "--mode", "node", "--policy-file", f"{lab.dir}/policy.yaml",
                            "--http-listen", "127.0.0.1:9464", "--node-id", "n1"], "127.0.0.1:9464")


def nat64_busy(lab):
    lab.busy_poll_settings()
    return nat64(lab, "--busy-poll", "64")


def empty_forwarder(lab, *extra):
    lab.start("empty-forwarder", [f"{lab.bin}/nat64_empty_forwarder", "bd6", MACS["bc6"], MACS["bd6"], "bd4", MACS["bs4"],
                                  MACS["bd4"], *extra])
    eventually(lambda: "ready" in lab.program.log() or not lab.program.running(), 10, "the forwarder is ready")
    return "6", SERVER6


def empty_forwarder_busy(lab):
    lab.busy_poll_settings()
    return empty_forwarder(lab, "64")


def kernel_ipv6(lab):
    del lab
    return "6", SERVER6


def kernel_nat44(lab):
    lab.dut.run(["nft", MASQUERADE])
    lab.dut.run("sysctl -qw net.netfilter.nf_conntrack_max=4194304", check=False)
    return "4", SERVER6


def tayga(lab):
    config = f"{lab.dir}/tayga.conf"
    with open(config, "w", encoding="utf-8") as file:
        file.write(TAYGA.format(dir=lab.dir))
    with contextlib.suppress(FileNotFoundError):
        os.remove(f"{lab.dir}/dynamic.map")
    lab.dut.run(["tayga", "--mktun", "-c", config])
    lab.dut.run("ip link set nat64 up")
    lab.dut.run("ip route add 10.99.0.0/16 dev nat64")
    lab.dut.run("ip -6 route add 64:ff9b::/96 dev nat64")
    lab.dut.run(["nft", MASQUERADE])
    lab.start("tayga", ["tayga", "-d", "-n", "-c", config])
    return "6", NAT64_DESTINATION


FLOWS = (1, 1000, 100000, 0)
# Of Debian 12's others jool is missing: its kernel module must be built for the kernel that runs.
CONTESTANTS = {  # name -> (bring up, flow counts; 0: every packet a new flow)
    "empty AF_XDP forwarder": (empty_forwarder, (1, 1000, 100000)),
    "nat64-svc": (nat64, (1, 1000, 100000, 0)),
    "empty AF_XDP forwarder, busy poll": (empty_forwarder_busy, (1, 1000, 100000)),
    "nat64-svc, busy poll": (nat64_busy, (1, 1000, 100000)),
    "kernel IPv6 forwarding": (kernel_ipv6, (1, 1000, 100000)),
    "nft NAT44": (kernel_nat44, (1, 1000, 100000, 0)),
    "tayga with nft": (tayga, (1, 1000)),
}


def run_round(lab, names, seconds, results):
    for flows in FLOWS:
        for name in names:
            bring_up, flow_counts = CONTESTANTS[name]
            if flows not in flow_counts:
                continue
            lab.up()
            family, destination = bring_up(lab)
            sample = lab.traffic(family, flows, seconds, destination, extra_threads=softirq_threads(name))
            refuse_wrong_checksums(name, sample)
            results.setdefault(name, {}).setdefault(flows, []).append(sample)
            print(f"  {name}, {flows or 'new'} flows: {sample['cpu_ns_per_packet']:.0f} ns, "
                  f"{sample['packets_per_second'] / 1e6:.3f} M/s"
                  + (f", {sample['bad_checksums']} wrong checksums" if sample["bad_checksums"] else ""), file=sys.stderr, flush=True)


def refuse_wrong_checksums(name, sample):
    if sample["bad_checksums"] and name.startswith("nat64-svc"):
        raise RuntimeError(f"{name}: {sample['bad_checksums']} wrong checksums")


def softirq_threads(name):
    """A TUN translator's packets go through the backlog of its CPU."""
    if "tayga" not in name:
        return []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/comm", encoding="utf-8") as file:
                if file.read().strip() == "ksoftirqd/1":
                    return [int(entry)]
    return []


PAIRS = (("nat64-svc", "empty AF_XDP forwarder"), ("nat64-svc, busy poll", "empty AF_XDP forwarder, busy poll"))


def turn_about(names, turns):
    """{pair: {flows: [ratio of the CPU times per packet in adjacent turns]}}"""
    ratios = {}
    for pair in PAIRS:
        for flows in FLOWS:
            if any(name not in names or flows not in CONTESTANTS[name][1] for name in pair):
                continue
            with Lab(BIN, "bench-a") as ours, Lab(BIN, "bench-b") as floor:
                costs = [[], []]
                for turn in range(turns + 1):
                    for lab, name, cost in zip((ours, floor), pair, costs):
                        if turn == 0:
                            lab.up()
                            lab.wanted = CONTESTANTS[name][0](lab)
                        lab.program.process.send_signal(signal.SIGCONT)
                        family, destination = lab.wanted
                        sample = lab.traffic(family, flows, 0.33, destination, known=turn > 0)
                        lab.program.process.send_signal(signal.SIGSTOP)  # one that polls would work in the other's turn
                        refuse_wrong_checksums(name, sample)
                        cost.append(sample["cpu_ns_per_packet"])
            # The first turn makes the flows.
            ratios.setdefault(pair[0], {})[flows] = [a / b for a, b in list(zip(*costs))[1:]]
            print("  " + shown_ratio(pair[0], ratios[pair[0]], flows), file=sys.stderr, flush=True)
    return ratios


def shown_ratio(name, ratios, flows):
    """Median, quartiles."""
    low, middle, high = statistics.quantiles(ratios[flows], n=4)
    return f"{name} / its empty forwarder: {middle:.2f} ({low:.2f} to {high:.2f}) at {flows} flows"


def goodput(lab, host):
    server = lab.server.popen(["iperf3", "-s", "-1", "-B", host], stdout=subprocess.DEVNULL)
    eventually(lambda: ":5201" in lab.server.run("ss -Hltn"), 5, "iperf3 listens")
    target = NAT64_DESTINATION if ":" not in host else host
    out = json.loads(lab.client.run(["iperf3", "-6", "-J", "-t", "2", "-c", target], timeout=30))
    server.wait(10)
    return out["end"]["sum_received"]["bits_per_second"] / 1e9


def tcp_goodput(lab):
    """Gbit/s of one stream. With the end points' offloads the kernel forwards segments of 64 KB whole."""
    figures = {}
    lab.up()
    figures["kernel IPv6 forwarding, checksum offload off"] = goodput(lab, SERVER6)
    for namespace, device in ((lab.client, "bc6"), (lab.server, "bs4")):
        namespace.run(f"ethtool -K {device} tx on")
    figures["kernel IPv6 forwarding, offloads on"] = goodput(lab, SERVER6)
    lab.up()
    nat64(lab)
    figures["nat64-svc, gateway mode, checksum offload off"] = goodput(lab, "20.1.0.2")
    lab.up()
    for namespace, device in ((lab.client, "bc6"), (lab.server, "bs4")):
        namespace.run(f"ethtool -K {device} tx on")
    nat64_node(lab)
    figures["nat64-svc, node mode, offloads on"] = goodput(lab, "20.1.0.2")
    return figures


def medians(results):
    table = {}
    for name, by_flows in results.items():
        for flows, samples in by_flows.items():
            costs = [sample["cpu_ns_per_packet"] for sample in samples]
            table.setdefault(name, {})[flows] = {
                "cpu_ns_per_packet": statistics.median(costs), "lowest": min(costs), "highest": max(costs),
                "packets_per_second": statistics.median(sample["packets_per_second"] for sample in samples)}
    return table


def show(table, ratios, tcp):
    columns = FLOWS
    print(f"\nCPU ns per packet at overload (80-byte UDP, one CPU)\n{'':36}" + "".join(
        f"{'new flows' if flows == 0 else f'{flows} flows':>14}" for flows in columns))
    for name, row in table.items():
        cells = [f"{row[flows]['cpu_ns_per_packet']:.0f}" if flows in row else "-" for flows in columns]
        print(f"{name:36}" + "".join(f"{cell:>14}" for cell in cells))
    for name, by_flows in ratios.items():
        for flows in by_flows:
            print(shown_ratio(name, by_flows, flows))
    for name, row in table.items():
        if 0 in row:
            print(f"{name}: {row[0]['packets_per_second'] / 1e3:.0f}k new sessions/s")
    for name, gigabits in tcp.items():
        print(f"TCP, one stream, {name}: {gigabits:.2f} Gbit/s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default=os.path.join(ROOT, "build/bench/nat64.json"))
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--turns", type=int, default=12, help="of each contestant, for a ratio")
    parser.add_argument("--no-tcp", action="store_true")
    options = parser.parse_args()
    exit_on_signals()
    if os.geteuid() != 0 or os.cpu_count() < 2:
        sys.exit("the benchmark makes namespaces and needs root, and two CPUs")
    names = [name for name in CONTESTANTS if not options.only or name in options.only.split(";")]
    results, tcp = {}, {}
    with one_benchmark():
        with Lab(BIN) as lab:
            for _ in range(options.rounds):
                run_round(lab, names, options.seconds, results)
            if not options.no_tcp:
                tcp = tcp_goodput(lab)
        ratios = turn_about(names, options.turns) if options.turns > 1 else {}
    table = medians(results)
    show(table, ratios, tcp)
    os.makedirs(os.path.dirname(options.out), exist_ok=True)
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump({"when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "kernel": os.uname().release, "rounds": results,
                   "medians": table, "ratios": ratios, "tcp_gbit_per_second": tcp}, file, indent=1)
        file.write("\n")
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
