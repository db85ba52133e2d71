# SPDX-License-Identifier: Apache-2.0
"""Several gateways and what controls them, without any traffic: who holds which address is seen in their routes.

    control: controllers, etcd      gwN: nat64-svc on two veth pairs of its own
      10.99.N.1/30 ------------------- 10.99.N.2/30
"""

import os
import re
import shutil
import signal
import subprocess
import sys

from lib.daemon import Daemon, eventually
from lib.netns import NamespaceSet, lab_prefix
from lib.stores import etcd_members
from lib.topology import BIN

POOL = "203.0.113.0/29"
POLICY = f"""\
revision: 1
translation_prefixes:
  - name: well-known
    prefix: 64:ff9b::/96
    clients: ["2001:db8:1::/64"]
pools:
  - name: public
    addresses: [{POOL}]
    lease: {{on_expiry: HOLD, quarantine: 1s}}
    subscribers: {{prefix_length: 64}}
"""


class Process:
    """A daemon that is also stopped and let go on."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.paused = False

    def pause(self):
        self.daemon.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        if self.paused and self.daemon.running():
            self.daemon.process.send_signal(signal.SIGCONT)
        self.paused = False

    def kill(self):
        self.daemon.kill()
        self.paused = False

    def running(self):
        return self.daemon.running()


class GatewayLab:
    def __init__(self, prefix, gateways=3, controllers=1, members=0):
        self.names = [f"gw{i + 1}" for i in range(gateways)]
        self.namespaces = NamespaceSet(lab_prefix(prefix), ["control", *self.names])
        self.control = self.namespaces.of["control"]
        self.dir = f"/run/{lab_prefix(prefix).rstrip('-')}"
        self.members = [Process(daemon) for daemon in etcd_members(self.control, self.dir, members)]
        self.controllers = [Process(Daemon(self.control, f"controller{i + 1}", [], f"{self.dir}/controller{i + 1}.log",
                                           f"127.0.0.1:{9460 + i}")) for i in range(controllers)]
        self.gateways = {name: Process(Daemon(self.namespaces.of[name], name, self._gateway_command(i, name),
                                              f"{self.dir}/{name}.log", "127.0.0.1:9464"))
                         for i, name in enumerate(self.names)}

    # --- life -------------------------------------------------------------------------------------------------------

    def __enter__(self):
        self.namespaces.lock()
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        with open(f"{self.dir}/policy.yaml", "w", encoding="utf-8") as file:
            file.write(POLICY)
        self.namespaces.create()
        for i, name in enumerate(self.names):
            gateway = self.namespaces.of[name]
            self.control.run(f"ip link add {name} type veth peer name ctl netns {gateway.name}")
            self.control.run(f"ip address add 10.99.{i}.1/30 dev {name}")
            self.control.run(f"ip link set {name} up")
            gateway.run(f"ip address add 10.99.{i}.2/30 dev ctl")
            gateway.run("ip link set ctl up")
            for device, address in (("lan", "2001:db8:1::1/64"), ("wan", "20.0.0.1/24")):
                gateway.run(f"ip link add {device} type veth peer name {device}-peer")
                gateway.run(["ip", "address", "add", address, "dev", device])
                gateway.run(f"ip link set {device} up")
                gateway.run(f"ip link set {device}-peer up")
            gateway.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
            os.makedirs(f"{self.dir}/{name}")
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and issubclass(kind, Exception):
            self.print_logs()
        self.namespaces.remove()
        shutil.rmtree(self.dir, ignore_errors=True)
        self.namespaces.unlock()

    def print_logs(self):
        for process in [*self.members, *self.controllers, *self.gateways.values()]:
            if os.path.exists(process.daemon.log_path):
                print(process.daemon.log_tail(30), file=sys.stderr)

    # --- programs -----------------------------------------------------------------------------------------------------

    def _gateway_command(self, i, name):
        return [f"{BIN}/nat64-svc", "--interface6", "lan", "--interface4", "wan", "--node-id", name, "--state-dir",
                f"{self.dir}/{name}", "--http-listen", "127.0.0.1:9464", "--drain-timeout", "0", "--controller",
                f"10.99.{i}.1:{7460 + i % max(1, len(self.controllers))}"]

    def start_controller(self, i, store, *extra, ready_within=15):
        process = self.controllers[i]
        process.daemon.command = [f"{BIN}/isthmus-controller", "--policy-file", f"{self.dir}/policy.yaml", "--grpc-listen",
                                  f"0.0.0.0:{7460 + i}", "--allow-plaintext", "--http-listen", process.daemon.http,
                                  "--adopt-grace", "2", "--store", store, *extra]
        process.daemon.start(ready_within)

    def ctl(self, *words, port=7460, check=True):
        return self.control.run([f"{BIN}/isthmusctl", *words, "--controller", f"127.0.0.1:{port}"], check=check)

    # --- what is seen ---------------------------------------------------------------------------------------------------

    def held(self):
        """The pool addresses each gateway has routes for, whatever its process does."""
        found = {}
        for name in self.names:
            routes = self.namespaces.of[name].run("ip route show table all proto 110")
            found[name] = {int(last) for last in re.findall(r"\b203\.0\.113\.(\d+)\b(?!/(?!32))", routes)}
        return found

    def check_promise(self):
        """No address is with two gateways. A gateway that was killed leaves its routes and may go on with them."""
        held = self.held()
        for i, first in enumerate(self.names):
            for second in self.names[i + 1:]:
                both = held[first] & held[second]
                if both:
                    raise AssertionError(f"{first} and {second} both have 203.0.113.{sorted(both)}")
        return held


__all__ = ["GatewayLab", "Process", "eventually", "subprocess"]
