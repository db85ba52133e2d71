# SPDX-License-Identifier: Apache-2.0
"""Holds a queue of an interface with an AF_XDP socket until it is killed: queue_holder.py INTERFACE QUEUE"""

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
import time

AF_XDP, SOL_XDP = 44, 283
RX_RING, UMEM_REG, FILL_RING, COMPLETION_RING = 2, 4, 5, 6  # linux/if_xdp.h
FRAME, FRAMES = 4096, 64


def main(interface, queue):
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.socket(AF_XDP, socket.SOCK_RAW, 0)
    memory = mmap.mmap(-1, FRAME * FRAMES)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))

    def checked(result):
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def option(name, value):
        checked(libc.setsockopt(fd, SOL_XDP, name, value, len(value)))

    checked(fd)
    option(UMEM_REG, struct.pack("=QQIIII", address, FRAME * FRAMES, FRAME, 0, 0, 0))
    for ring in (FILL_RING, COMPLETION_RING, RX_RING):
        option(ring, struct.pack("=I", FRAMES))
    to = struct.pack("=HHIII", AF_XDP, 0, socket.if_nametoindex(interface), queue, 0)
    for _ in range(50):  # the kernel releases sockets late
        bound = libc.bind(fd, to, len(to))
        if bound == 0 or ctypes.get_errno() != errno.EBUSY:
            break
        time.sleep(0.1)
    checked(bound)
    print("held", flush=True)
    time.sleep(3600)


main(sys.argv[1], int(sys.argv[2]))
