# SPDX-License-Identifier: Apache-2.0
"""Three namespaces in a row, the device under test in the middle: its threads on CPU 1, all else on CPU 0."""

import contextlib
import json
import os
import signal
import subprocess

from lib.daemon import Daemon
from lib.netns import NamespaceSet, lab_prefix

MACS = {"bc6": "02:00:00:00:06:02", "bd6": "02:00:00:00:06:01", "bd4": "02:00:00:00:04:01", "bs4": "02:00:00:00:04:02"}
CGROUP = "/sys/fs/cgroup/cpu/isthmus-bench"


class Lab:
    def __init__(self, bin_dir, name="bench"):
        self.bin = bin_dir
        self.names = NamespaceSet(lab_prefix(f"isthmus-{name}-"), ["client", "dut", "server"])
        self.client, self.dut, self.server = (self.names.of[role] for role in self.names.roles)
        self.dir = f"/run/{self.names.prefix.rstrip('-')}"
        self.program = None

    def __enter__(self):
        self.names.lock()
        os.makedirs(self.dir, exist_ok=True)
        with contextlib.suppress(OSError):
            os.makedirs(CGROUP, exist_ok=True)
        return self

    def __exit__(self, *_):
        self.stop_program()
        self.names.remove()
        self.names.unlock()

    def up(self):
        """Fresh namespaces: nothing of the contestant before is left."""
        self.stop_program()
        self.names.create()
        for near, far, peer in (("bd6", "bc6", self.client), ("bd4", "bs4", self.server)):
            self.dut.run(f"ip link add {near} address {MACS[near]} type veth peer name {far} address {MACS[far]} "
                         f"netns {peer.name}")
        self.ends = [(self.client, "bc6"), (self.dut, "bd6"), (self.dut, "bd4"), (self.server, "bs4")]
        for namespace, device in self.ends:
            namespace.run(f"ip link set {device} up")
        for namespace, device in self.ends:
            # GRO gives a veth end the NAPI that redirected frames need; set while the link is up (veth forgets otherwise).
            namespace.run(f"ethtool -K {device} gro off")
            namespace.run(f"ethtool -K {device} gro on")
            # /sys shows the devices of the namespace that mounted it.
            namespace.run(["unshare", "-m", "sh", "-c",
                           f"mount -t sysfs none /sys && echo 1 > /sys/class/net/{device}/threaded"])
        for namespace in (self.client, self.server):
            namespace.run(f"ethtool -K {'bc6' if namespace is self.client else 'bs4'} tx off")
        self.addresses()

    def addresses(self):
        for namespace, device, six, four in ((self.client, "bc6", "2001:db8:6::2/64", "192.0.2.2/24"),
                                             (self.dut, "bd6", "2001:db8:6::1/64", "192.0.2.1/24"),
                                             (self.dut, "bd4", "2001:db8:4::1/64", "20.1.0.1/24"),
                                             (self.server, "bs4", "2001:db8:4::2/64", "20.1.0.2/24")):
            namespace.run(f"ip address add {six} dev {device} nodad")
            namespace.run(f"ip address add {four} dev {device}")
        for namespace, neighbours in ((self.client, ("2001:db8:6::1", "192.0.2.1")), (self.server, ("2001:db8:4::1", "20.1.0.1"))):
            device, mac = ("bc6", MACS["bd6"]) if namespace is self.client else ("bs4", MACS["bd4"])
            for address in neighbours:
                namespace.run(f"ip neigh replace {address} lladdr {mac} dev {device} nud permanent")
            for default in neighbours:
                namespace.run(f"ip {'-6' if ':' in default else '-4'} route add default via {default}")
        for address, device, mac in (("2001:db8:6::2", "bd6", "bc6"), ("192.0.2.2", "bd6", "bc6"),
                                     ("2001:db8:4::2", "bd4", "bs4"), ("20.1.0.2", "bd4", "bs4")):
            self.dut.run(f"ip neigh replace {address} lladdr {MACS[mac]} dev {device} nud permanent")
        self.dut.run("ip -6 route add 2001:db8:66::/48 via 2001:db8:6::2")
        self.dut.run("ip route add 10.66.0.0/16 via 192.0.2.2")
        self.dut.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    # --- the device under test ----------------------------------------------------------------------------------------

    def start(self, name, command, http=None):
        self.program = Daemon(self.dut, name, command, f"{self.dir}/{name}.log", http).start()

    def stop_program(self):
        if self.program is not None:
            self.program.process.send_signal(signal.SIGTERM)
            self.program.process.send_signal(signal.SIGCONT)
            self.program.process.wait(20)
            self.program = None

    def pin(self):
        """Everything of the device to CPU 1, everything else of the lab to CPU 0; returns the device's threads."""
        threads = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/comm", encoding="utf-8") as file:
                    comm = file.read().strip()
                if comm.startswith(("napi/bd6-", "napi/bd4-", "napi/nat64")):
                    threads.append(int(entry))
                elif comm.startswith(("napi/bc6-", "napi/bs4-")):
                    os.sched_setaffinity(int(entry), {0})
                    os.sched_setscheduler(int(entry), os.SCHED_FIFO, os.sched_param(10))
        if self.program is not None and not self.program.running():
            raise RuntimeError(self.program.log_tail())
        if self.program is not None:  # nsenter has become the program
            threads += [int(tid) for tid in os.listdir(f"/proc/{self.program.process.pid}/task")]
        for tid in threads:
            os.sched_setaffinity(tid, {1})
            with contextlib.suppress(OSError), open(f"{CGROUP}/tasks", "w", encoding="ascii") as tasks:
                tasks.write(str(tid))
        return threads

    def busy_poll_settings(self):
        for device in ("bd6", "bd4"):
            self.dut.run(["unshare", "-m", "sh", "-c", f"mount -t sysfs none /sys && cd /sys/class/net/{device} && echo 0 > threaded"
                          " && echo 2 > napi_defer_hard_irqs && echo 20000 > gro_flush_timeout"])

    def traffic(self, family, flows, seconds, destination, known=False, extra_threads=()):
        threads = self.pin() + list(extra_threads)
        command = [f"{self.bin}/nat64_traffic", "--client-namespace", self.client.name, "--server-namespace", self.server.name,
                   "--client-mac", MACS["bc6"], "--dut-mac6", MACS["bd6"], "--dut-mac4", MACS["bd4"], "--server-mac", MACS["bs4"],
                   "--family", family, "--flows", str(flows), "--seconds", str(seconds), "--destination", destination,
                   "--threads", ",".join(map(str, threads))] + (["--known", "--warm-up", "0.1"] if known else [])
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)
