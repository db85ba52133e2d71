# SPDX-License-Identifier: Apache-2.0
"""nat64-svc refuses to start with one line that says what is wrong and how to mend it."""

import os
import subprocess
import unittest

from gateway_lab import HTTP, GatewayLab

from lib import suite
from lib.daemon import eventually
from lib.topology import NODE4, NODE6, POLICY

HERE = os.path.dirname(os.path.abspath(__file__))
lab = None


def setUpModule():
    global lab
    lab = unittest.enterModuleContext(GatewayLab())


class Startup(unittest.TestCase):
    def refused(self, command, *words):
        """The program ends by itself, not with 0; its last line has every one of the words."""
        done = lab.node.run(command, check=False, timeout=10)
        self.assertNotEqual(0, done.returncode, "it accepted that")
        self.assertGreater(done.returncode, 0, "it crashed")
        line = done.stderr.strip().splitlines()[-1]
        self.assertTrue(line.startswith("nat64-svc: "), line)
        for word in words:
            self.assertIn(word, line)
        self.assertNotIn("prog/xdp", lab.node.run("ip -d link show lan"))

    def test_wrong_flags(self):
        self.refused(lab.nat64_command(), "--interface6")
        self.refused(lab.nat64_command("--interface6", "lan", "--interface4", "wan"), "--controller", "--policy-file")
        self.refused(lab.alone("--controller", "127.0.0.1:1"), "both")
        self.refused(lab.alone("--no-such-flag"), "--no-such-flag", "--help")

    def test_an_interface_that_is_missing_down_or_not_ethernet(self):
        self.refused(lab.alone(wan="nope"), "nope", "ip link")
        self.refused(lab.alone(wan="lo"), "lo", "Ethernet")
        lab.node.run("ip link add ns4down type veth peer name ns4peer")
        self.addCleanup(lab.node.run, "ip link del ns4down")
        self.refused(lab.alone(wan="ns4down"), "ns4down", "up")

    def test_an_mtu_that_does_not_fit(self):
        lab.node.run("ip link set wan mtu 9000")
        self.addCleanup(lab.node.run, "ip link set wan mtu 1500")
        self.refused(lab.alone(), "9000", "3498")

    def test_more_workers_than_queues(self):
        self.refused(lab.alone("--workers", "64"), "64 workers", "ethtool -L")

    def test_more_workers_than_transmit_queues(self):
        lab.node.run("ip link add ns4many numrxqueues 2 numtxqueues 1 type veth peer name ns4peer")
        self.addCleanup(lab.node.run, "ip link del ns4many")
        lab.node.run("ip link set ns4many up")
        self.refused(lab.alone("--workers", "2", lan="ns4many", wan="ns4many"), "1 transmit queues", "2 workers", "ethtool -L")

    def test_queues_that_only_sys_shows(self):
        self.hold("tap_holder.py", "ns4tap", "3")
        lab.node.run("ip link set ns4tap up")
        lab.start_alone("--xdp-mode", "generic", wan="ns4tap")
        self.addCleanup(lab.nat64.kill)
        self.assertIn("ns4tap queue 2: worker 0", lab.nat64.log_tail(100))

    def test_a_missing_capability_is_named(self):
        for capability in ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF", "CAP_PERFMON", "CAP_IPC_LOCK"):
            with self.subTest(capability):
                self.refused(["capsh", f"--drop={capability.lower()}", "--", "-c", " ".join(lab.alone())], capability)

    def test_a_management_port_that_is_taken(self):
        squatter = lab.node.popen(["/usr/bin/python3", "-m", "http.server", "-b", "127.0.0.1", HTTP.split(":")[1]],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(squatter.wait)
        self.addCleanup(squatter.kill)
        lab.node.run(["sh", "-c", f"for i in $(seq 50); do curl -s -o /dev/null http://{HTTP}/ && exit; sleep 0.1; done; exit 1"])
        self.refused(lab.alone(), HTTP)

    def test_a_policy_that_is_missing_or_wrong(self):
        self.refused(lab.nat64_command("--interface6", "lan", "--interface4", "wan", "--policy-file", "/nowhere"), "/nowhere")
        self.addCleanup(lab.write_policy, POLICY)
        lab.write_policy(POLICY.replace("clients", "client"))
        self.refused(lab.alone(), "client")

    def test_before_there_is_a_policy_the_kernel_has_all_its_packets(self):
        lab.nat64 = lab._daemon(lab.node, "nat64-svc", lab.nat64_command("--interface6", "lan", "--interface4", "wan",
                                                                         "--controller", "127.0.0.1:1"))
        self.addCleanup(lab.nat64.kill)
        lab.nat64.start()
        eventually(lambda: "prog/xdp" in lab.node.run("ip -d link show lan") + lab.node.run("ip -d link show wan"), 5,
                   "the steering program is there")
        lab.client.run("ip neigh flush dev eth0")
        lab.node.run("ip neigh flush dev lan")
        self.assertTrue(lab.pings(NODE6, 3), "the node's own address does not answer")
        lab.server.run(f"ping -n -c 2 -i 0.2 -W 1 {NODE4}")

    def test_interfaces_without_addresses_are_warned_of(self):
        lab.node.run(f"ip addr del {NODE6}/64 dev lan")
        self.addCleanup(lab.node.run, f"ip addr add {NODE6}/64 dev lan nodad")
        lab.start_alone()
        self.addCleanup(lab.nat64.kill)
        self.assertIn("lan has no global IPv6 address", lab.nat64.log_tail(100))
        self.assertNotIn("wan has no", lab.nat64.log_tail(100))

    def hold_queue(self, interface):
        """Another program has queue 0; the process is returned."""
        return self.hold("queue_holder.py", interface, "0")

    def hold(self, script, *words):
        holder = lab.node.popen(["/usr/bin/python3", f"{HERE}/{script}", *words], stdout=subprocess.PIPE)
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        self.assertEqual(b"held\n", holder.stdout.readline())
        return holder

    def test_a_queue_that_another_program_has(self):
        for interface in ("lan", "wan"):
            self.hold_queue(interface)
            self.refused(lab.alone(), f"queue 0 of {interface}", "another program uses it")
            self.doCleanups()

    def test_a_queue_that_is_released_late_is_waited_for(self):
        for interface in ("lan", "wan"):
            with self.subTest(interface):
                self.addCleanup(lambda: lab.nat64 and lab.nat64.kill())
                holder = self.hold_queue(interface)
                lab.start_alone(ready_within=None)
                eventually(lambda: f"queue 0 of {interface} is still held" in lab.nat64.log_tail(100), 10, "it waits")
                holder.kill()
                lab.nat64.wait_ready(10)
                lab.check_service(self)
                lab.nat64.kill()

    def test_a_second_instance(self):
        lab.start_alone()
        self.addCleanup(lab.nat64.kill)
        done = lab.node.run(lab.alone(), check=False, timeout=10)
        self.assertEqual(1, done.returncode)
        self.assertIn("another nat64-svc", done.stderr)
        self.assertTrue(lab.nat64.is_ready(), "the first one suffered")


if __name__ == "__main__":
    suite.main()
