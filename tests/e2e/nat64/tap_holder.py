# SPDX-License-Identifier: Apache-2.0
"""Makes a tap interface of several queues, which lives as long as this: tap_holder.py INTERFACE QUEUES"""

import fcntl
import os
import struct
import sys
import time

TUNSETIFF = 0x400454ca  # linux/if_tun.h
IFF_TAP, IFF_NO_PI, IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x0100


def main(interface, queues):
    held = []
    for _ in range(queues):
        held.append(os.open("/dev/net/tun", os.O_RDWR))
        fcntl.ioctl(held[-1], TUNSETIFF, struct.pack("16sH22x", interface.encode(), IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE))
    print("held", flush=True)
    time.sleep(3600)


main(sys.argv[1], int(sys.argv[2]))
