# SPDX-License-Identifier: Apache-2.0
"""The lab of gateway mode with VLANs (802.1Q): each side of the node is a VLAN of one trunk, or not.

    client: eth0 ---- VLAN 10 ---.                           .--- VLAN 10 ---- lan
                                  > trunk ========= trunk <                        node
    server: eth0 ---- VLAN 20 ---'                           '--- VLAN 20 ---- wan
"""

import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e/nat64"))

from gateway_lab import GatewayLab  # noqa: E402

UNTAGGED = 0  # the frames of the trunk without a tag: the trunk itself is that interface
WIRE = None   # no part of the trunk, but a veth pair


class VlanLab(GatewayLab):
    def __init__(self, lan=10, wan=20, bonds=False, cards=None, tags_beside=False):
        """`bonds`: the trunk is two wires, a bond at each end. `cards`: it is between two network cards of that driver, of
        the machine itself. Else a veth pair; `tags_beside`: its far end hands tags over beside the packets, as a veth does
        unless it is told otherwise."""
        super().__init__()
        self.sides = {"lan": (lan, self.client), "wan": (wan, self.server)}
        self.bonds, self.cards, self.tags_beside = bonds, cards, tags_beside
        untagged = [name for name, (vlan, _) in self.sides.items() if vlan == UNTAGGED]
        self.trunk = untagged[0] if untagged else "trunk"
        self.far = self.sides[untagged[0]][1] if untagged else self.server
        self.far_trunk = "eth0" if untagged else "trunk"

    def _devices(self):
        self._wires()
        for namespace, trunk in ((self.node, self.trunk), (self.far, self.far_trunk)):
            namespace.run(f"ip link set {trunk} up")
        for name, (vlan, end) in self.sides.items():
            if vlan is WIRE:
                self.node.run(f"ip link add {name} type veth peer name eth0 netns {end.name}")
            elif vlan != UNTAGGED:
                self.node.run(f"ip link add link {self.trunk} name {name} type vlan id {vlan}")
                self.far.run(f"ip link add link {self.far_trunk} name far{vlan} type vlan id {vlan}")
                there = f"netns {end.name} " if end is not self.far else ""
                self.far.run(f"ip link set far{vlan} {there}name eth0")

    def _wires(self):
        ends = ((self.node, self.trunk), (self.far, self.far_trunk))
        if self.cards:
            drivers = {path.split("/")[4]: os.path.basename(os.readlink(path)) for path in glob.glob("/sys/class/net/*/device/driver")}
            cards = sorted(card for card, driver in drivers.items() if driver == self.cards)
            if len(cards) < 2:
                raise SystemExit(f"two network cards of driver {self.cards} are needed, there are {drivers}")
            for card, (namespace, trunk) in zip(cards, ends):
                subprocess.run(["ip", "link", "set", card, "netns", namespace.name, "name", trunk], check=True)
            return
        if not self.bonds:
            self.node.run(f"ip link add {self.trunk} numrxqueues 2 numtxqueues 2 type veth"
                          f" peer name {self.far_trunk} netns {self.far.name} numrxqueues 2 numtxqueues 2")
            self.far.run(f"ethtool -K {self.far_trunk} tx off")
            if not self.tags_beside:
                self.far.run(f"ethtool -K {self.far_trunk} txvlan off")
                self.node.run(f"ethtool -K {self.trunk} rxvlan off")
            return
        for namespace, trunk in ends:
            namespace.run(f"ip link add {trunk} type bond mode active-backup miimon 100")
        for member in ("member1", "member2"):
            self.node.run(f"ip link add {member} type veth peer name {member} netns {self.far.name}")
            for namespace, trunk in ends:
                namespace.run(f"ethtool -K {member} tx off")
                namespace.run(f"ip link set {member} master {trunk}")
                namespace.run(f"ip link set {member} up")
