# SPDX-License-Identifier: Apache-2.0
"""nat64-svc with two workers under churn and hostile packets from both sides while policies are swapped, also for one with less
of the pool, its tables listed and its packets captured; in the end every table is empty. `./dev test sanitized` runs it with the
sanitizers' builds."""

import os
import unittest

from gateway_lab import GatewayLab

from lib import suite
from lib.daemon import eventually
from lib.topology import BIN, ECHO_PORT, NODE4, POLICY, POOL, WEB4, embedded

SECONDS = float(os.environ.get("ISTHMUS_SOAK_SECONDS", "6"))
CLIENTS = [f"2001:db8:1::1{digit:x}" for digit in range(16)]
BASE = POLICY.replace("prefix_length: 64", "prefix_length: 128, ports_per_block: 64, max_blocks: 2")
SWAPS = [BASE,
         BASE + "nat64: {filtering: ADDRESS_DEPENDENT}\n",
         BASE + "exclusions: {ipv4_destinations: [20.0.1.0/24]}\n",
         BASE + "nat64: {hairpinning: false, mss_clamp: false}\n",
         BASE.replace(POOL, "203.0.113.0/31")]  # two addresses go, with all that is on them, and come back
EVERYTHING = BASE + "exclusions: {ipv4_destinations: [0.0.0.0/0]}\n"
GAUGES = ("sessions", "bib_entries", "subscribers", "port_blocks_used", "held_syns", "held_fragments", "held_for_neighbour")

lab = None


def setUpModule():
    global lab
    lab = unittest.enterModuleContext(GatewayLab())


class Soak(unittest.TestCase):
    def test_after_churn_with_policy_swaps_all_tables_are_empty(self):
        for namespace, device in ((lab.node, "lan"), (lab.client, "eth0"), (lab.node, "wan"), (lab.server, "eth0")):
            namespace.run(f"ethtool -L {device} rx 2 tx 2")
        for client in CLIENTS:
            lab.client.run(f"ip address add {client}/64 dev eth0 nodad")
        lab.write_policy(BASE)
        lab.start_alone("--workers", "2", "--events", f"{lab.dir}/events.json")
        programs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib")
        lab.server.run(f"ping -c 1 -W 2 {NODE4}")  # its link address is known from here on
        load = [lab.client.popen(["/usr/bin/python3", f"{programs}/churn.py", SECONDS, seed, embedded(WEB4), ECHO_PORT, *CLIENTS],
                                 stdout=-1)
                for seed in (1, 2)]
        # For a third of the time: a SYN that nobody asked for is held for six seconds, and all tables are to be empty soon.
        outside = lab.server.popen(["/usr/bin/python3", f"{programs}/churn_outside.py", SECONDS / 3, 3, "eth0", NODE4, POOL],
                                   stdout=-1)
        swaps = 0
        while any(process.poll() is None for process in load):
            swaps += 1
            lab.write_policy(SWAPS[swaps % len(SWAPS)])
            lab.node.run([f"{BIN}/isthmusctl", "sessions", "-o", "json"])
            lab.node.run([f"{BIN}/isthmusctl", "capture", "--packets", "20", "--seconds", "1", "-w", "/dev/null"])
        answered = sum(int(process.communicate()[0]) for process in load)
        unasked = int(outside.communicate()[0])
        self.assertTrue(lab.nat64.running(), lab.nat64.log_tail())
        self.assertGreater(unasked, 50 * SECONDS)
        self.assertGreater(answered, 10 * SECONDS, "hardly anything was translated")
        self.assertGreater(swaps, len(SWAPS), "not every policy ran")
        self.assertEqual(0, lab.counter("dropped_packets_total", 'reason="unclassified"'))
        lab.write_policy(EVERYTHING)
        try:
            eventually(lambda: all(lab.counter(gauge) == 0 for gauge in GAUGES), 15, "every table is empty")
        except AssertionError as failure:
            self.fail(f"{failure}: { {gauge: lab.counter(gauge) for gauge in GAUGES} }")
        taken, freed = (lab.counter("events_total", f'event="block_{what}"') for what in ("taken", "freed"))
        self.assertGreater(taken, len(CLIENTS))
        self.assertEqual(taken, freed)
        self.assertEqual(0, lab.counter("event_records_lost_total"))
        status, _ = lab.nat64.terminate(within=20)
        self.assertEqual(0, status, lab.nat64.log_tail())


if __name__ == "__main__":
    suite.main()
