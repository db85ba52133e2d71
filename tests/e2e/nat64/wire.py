# SPDX-License-Identifier: Apache-2.0
"""A device in a namespace as seen by scapy: exact packets out, exact packets in."""

import ctypes
import os
import select
import socket
import time

from scapy.layers.l2 import Ether

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


class Wire:
    """A raw socket on one device; it stays in its namespace, whatever the process does afterwards."""

    def __init__(self, namespace, device):
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(namespace.path, os.O_RDONLY)
        try:
            if _libc.setns(there, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"cannot enter {namespace.name}")
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.socket.bind((device, 0))
            self.mac = ":".join(f"{byte:02x}" for byte in self.socket.getsockname()[4])
        finally:
            _libc.setns(home, _CLONE_NEWNET)
            os.close(home)
            os.close(there)

    def close(self):
        self.socket.close()

    def drain(self):
        """Forgets what came so far."""
        while select.select([self.socket], [], [], 0)[0]:
            self.socket.recv(65535)

    def send(self, to_mac, packet, ethertype=None):
        """A scapy packet, or bytes under an ethertype, which may be shorter than their own header says."""
        header = Ether(src=self.mac, dst=to_mac) if ethertype is None else Ether(src=self.mac, dst=to_mac, type=ethertype)
        self.socket.send(bytes(header / packet))

    def receive(self, wanted, within=2.0):
        """The first packet that came in (not one that we sent) for which wanted(Ether) is true, or None."""
        deadline = time.monotonic() + within
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.socket], [], [], left)[0]:
                break
            data, address = self.socket.recvfrom(65535)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            frame = Ether(data)
            if wanted(frame):
                return frame
        return None
