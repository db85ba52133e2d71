# SPDX-License-Identifier: Apache-2.0
"""nat64-svc in node mode: pods behind a node's kernel, with everything a node has around them."""

import json
import os
import subprocess
import time
import unittest

from node_lab import HTTP, POD2, POLICY, POOL, NodeLab

from lib import suite
from lib.daemon import eventually
from lib.topology import CLIENT, CONTROLLER, DNS4, ECHO_PORT, NODE4, WEB4, ZONE, capture, embedded

ECHO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib/udp_echo.py")
URL = f"http://[{embedded(WEB4)}]"

lab = None


def setUpModule():
    global lab
    lab = unittest.enterModuleContext(NodeLab())


class Node(unittest.TestCase):
    def setUp(self):
        lab.load_firewall()
        self.addCleanup(lambda: lab.nat64 and lab.nat64.running() and lab.nat64.terminate(within=3))

    def check_service(self):
        self.assertEqual(lab.body_sha256, lab.fetch(f"{URL}/body.bin"), "the body differs")
        self.assertTrue(lab.pings(embedded(WEB4)), "no ping")

    def test_pods_with_offloads_on_reach_ipv4(self):
        self.assertIn("tx-checksumming: on", lab.client.run("ethtool -k eth0"))
        self.assertIn("tcp-segmentation-offload: on", lab.client.run("ethtool -k eth0"))
        lab.start_node("--events", f"{lab.dir}/events.json")
        self.check_service()
        self.assertEqual(NODE4, lab.client.run(["curl", "-sfg", "-m", "10", f"{URL}/whoami"]).strip(), "not masqueraded")
        self.assertEqual(lab.body_sha256, self.upload(f"{lab.dir}/www/body.bin"), "the upload differs")
        lab.client.run(["/usr/bin/python3", ECHO, "ask", embedded(WEB4), ECHO_PORT, "20", "0.01"])
        for size in (0, 1, 1200, 1452, 3000, 8000):
            answer = lab.client.run(f"ping -6 -n -c 2 -i 0.1 -W 2 -s {size} {embedded(WEB4)}", check=False)
            self.assertEqual(0, answer.returncode, f"ping of {size} bytes:\n{answer.stdout}")
        for transport in ("+notcp", "+tcp"):
            out = lab.client.run(["dig", f"@{embedded(DNS4)}", "+short", "+timeout=2", "+tries=1", transport, f"v4only.{ZONE}", "A"])
            self.assertEqual(WEB4, out.strip())
        self.assertEqual(0, lab.counter("io_dropped_packets_total"))
        self.assertEqual(0, lab.counter("socket_events_total"))

        # one address for each pod
        lab.pod2.run(["curl", "-sfg", "-m", "10", "-o", "/dev/null", f"{URL}/index.html"])
        lab.nat64.terminate(within=3)
        with open(f"{lab.dir}/events.json", encoding="utf-8") as file:
            taken = [record for record in map(json.loads, file) if record["event"] == "block_taken"]
        addresses = {record["subscriber"]: record["public4"] for record in taken}
        self.assertEqual({f"{CLIENT}/128", f"{POD2}/128"}, set(addresses))
        self.assertEqual(2, len(set(addresses.values())), "the pods share an address")

    def upload(self, path):
        """sha256 of what the server got."""
        sink = lab.server.popen(["/usr/bin/python3", "-c", f"""import hashlib, socket
peer, _ = socket.create_server(("{WEB4}", 7100)).accept()
digest = hashlib.sha256()
while data := peer.recv(65536): digest.update(data)
print(digest.hexdigest())"""], stdout=subprocess.PIPE, text=True)
        self.addCleanup(sink.wait)
        self.addCleanup(sink.kill)
        eventually(lambda: ":7100" in lab.server.run("ss -ltn"), 5, "the sink listens")
        lab.client.run(["/usr/bin/python3", "-c", f"""import socket
with socket.create_connection(("{embedded(WEB4)}", 7100)) as server, open("{path}", "rb") as file:
    server.sendfile(file)
    server.shutdown(socket.SHUT_WR)
    server.recv(1)"""])
        return sink.communicate(timeout=10)[0].strip()

    def test_two_workers_serve_two_queues(self):
        lab.start_node("--workers", "2")
        clients = [f"2001:db8:1::1{digit:x}" for digit in range(16)]  # enough that both workers own some
        for address in clients:
            lab.client.run(f"ip -6 address add {address}/128 dev eth0 nodad")
            self.addCleanup(lab.client.run, f"ip -6 address del {address}/128 dev eth0")
            lab.node.run(f"ip -6 route add {address}/128 dev pod1")
            self.addCleanup(lab.node.run, f"ip -6 route del {address}/128 dev pod1")
        for address in clients[:4]:
            self.assertEqual(lab.body_sha256, lab.fetch(f"{URL}/body.bin", "--interface", address), f"the body for {address} differs")
        for address in clients:
            self.assertEqual(0, lab.client.run(f"ping -6 -n -c 2 -i 0.1 -W 2 -I {address} {embedded(WEB4)}", check=False).returncode)
        for worker in ("0", "1"):
            self.assertGreater(lab.counter("interface_received_packets_total", f'worker="{worker}"'), 0)
            self.assertGreater(lab.counter("sessions", f'worker="{worker}"'), 0)
        self.assertEqual(0, self.drops_but("hand_over_ring"))  # a busy machine may fill a ring

    def drops_but(self, *reasons):
        return sum(value for key, value in lab.nat64.metrics().items()
                   if "io_dropped_packets_total" in key and not any(f'"{reason}"' in key for reason in reasons))

    def test_a_policy_of_a_mixed_fleet_serves_nodes_and_gateways(self):
        self.addCleanup(lab.write_policy, POLICY)
        lab.write_policy(POLICY + "  - {name: public, addresses: [203.0.113.0/30], subscribers: {prefix_length: 64}}\n")
        lab.start_node()
        self.check_service()
        self.assertNotIn("203.0.113", lab.node.run("ip route show"))

    def test_what_the_node_does_itself_goes_on(self):
        lab.node.run("nft -f -", input=f"""table ip nodeport {{
            chain in {{ type nat hook prerouting priority dstnat; iifname "wan" tcp dport 30080 dnat to {WEB4}:80; }}
            chain out {{ type nat hook postrouting priority srcnat; ip daddr {WEB4} tcp dport 80 ct status dnat masquerade; }}
            }}""")
        self.addCleanup(lab.node.run, "nft delete table ip nodeport")
        lab.node.run("nft insert rule inet firewall forward iifname wan oifname wan accept comment nodeport")
        def own_traffic():
            self.assertEqual(0, lab.server.run(f"ping -n -c 1 -W 1 {NODE4}", check=False).returncode)
            self.assertEqual(0, lab.node.run(f"curl -sf -m 5 -o /dev/null http://{WEB4}/", check=False).returncode)
            self.assertEqual(0, lab.server.run(f"curl -sf -m 5 -o /dev/null http://{NODE4}:30080/", check=False).returncode)
            self.assertEqual(0, lab.client.run(f"ping -6 -n -c 1 -W 1 {POD2}", check=False).returncode, "pod to pod")

        own_traffic()
        lab.start_node()
        probe = lab.client.popen(["curl", "-sfg", "-m", "20", "--limit-rate", "4M", "-o", "/dev/null", f"{URL}/body.bin"])
        own_traffic()
        self.assertEqual(0, probe.wait(25))
        # the node itself may use the translation as well, by any of its addresses
        self.assertEqual(0, lab.node.run(["curl", "-sfg", "-m", "5", "-o", "/dev/null", f"{URL}/index.html"], check=False).returncode)

    def test_after_a_crash_nothing_loops_and_a_restart_mends_it(self):
        lab.start_node()
        self.check_service()
        lab.nat64.kill()
        lab.server.run(f"ip route add {POOL} via {NODE4}")
        self.addCleanup(lab.server.run, f"ip route del {POOL}")
        lab.node.run("nft insert rule inet firewall forward iifname wan accept")
        with capture(lab, lab.node, "isth0", f"dst net 64:ff9b::/96 or dst net {POOL}") as into_the_pair:
            answer = lab.client.run(f"ping -6 -n -c 5 -i 0.1 -W 1 {embedded(WEB4)}", check=False).stdout
            self.assertIn("nreachable", answer, "the pod is not told")
            self.assertNotEqual(0, lab.server.run("ping -n -c 5 -i 0.1 -W 1 169.254.64.9", check=False).returncode)
            eventually(lambda: len(into_the_pair()) >= 10, 5, "the capture sees the packets")
            self.assertEqual(10, len(into_the_pair()), "packets came back into the pair")
        lab.start_node()
        self.check_service()
        self.assertEqual(1, lab.node.run("ip -o link show").count(" isth0@"))
        lab.nat64.terminate(within=3)
        self.assertNotRegex("".join(lab.state().values()), "isth[01]|isthmus_nat64|unreachable")

    def test_when_somebody_removes_the_pair_it_ends_to_be_started_anew(self):
        lab.start_node()
        lab.node.run("ip link del isth0")
        self.assertEqual(1, lab.nat64.process.wait(5))
        self.assertIn("isth1 was removed", lab.nat64.log())
        lab.start_node()
        self.check_service()

    def test_under_a_controller_it_takes_no_leases(self):
        mixed = POLICY + "  - {name: public, addresses: [203.0.113.0/30], subscribers: {prefix_length: 64}}\n"
        lab.write_policy(mixed)
        self.addCleanup(lab.write_policy, POLICY)
        lab.start_controller()
        self.addCleanup(lab.controller.kill)
        told = len(lab.nat64.log()) if lab.nat64 else 0
        lab.start_node(feed=f"--controller {CONTROLLER}")
        self.check_service()
        self.assertNotIn("somebody removed", lab.nat64.log()[told:])
        self.assertEqual([], [lease for lease in lab.ctl_json("get", "leases").get("leases", []) if lease["state"] != "FREE"])
        self.assertIn("Serving", lab.ctl("get", "nodes", "--controller", CONTROLLER))

    def test_a_clean_end_leaves_nothing(self):
        before = lab.state()
        lab.start_node()
        during = lab.state()
        self.assertIn("64:ff9b::/96 via fe80::2 dev isth0", during["routes6"])
        self.assertIn("unreachable 64:ff9b::/96", during["routes6"])
        self.assertIn(f"{POOL} via inet6 fe80::2 dev isth0", during["routes"])
        self.assertIn("isthmus_nat64", during["nft"])
        self.assertIn("tx-checksumming: off", lab.node.run("ethtool -k isth0"))
        status, _ = lab.nat64.terminate(within=3)
        self.assertEqual(0, status)
        self.assertEqual(before, lab.state())

    def test_a_firewall_that_is_reloaded_is_told_again(self):
        lab.start_node()
        self.assertTrue(lab.pings(embedded(WEB4)))
        lab.node.run("nft flush ruleset")  # what nftables.service does on reload
        lab.load_firewall()
        lab.node.run("ip -6 route del 64:ff9b::/96 dev isth0")
        eventually(lambda: lab.pings(embedded(WEB4)), 12, "the rules are there again")
        rules = lab.node.run("nft list chain inet firewall forward")
        self.assertEqual(2, rules.count("isthmus-nat64"))
        self.assertEqual(NODE4, lab.client.run(["curl", "-sfg", "-m", "10", f"{URL}/whoami"]).strip(), "not masqueraded any more")

    def test_a_pair_that_somebody_sets_down_serves_again(self):
        lab.start_node()
        self.assertTrue(lab.pings(embedded(WEB4)))

        def state():
            return {what: sorted(text.splitlines()) for what, text in lab.state().items()}  # routes may be in another order

        before = state()
        for what in ("ip link set isth0 down; ip link set isth0 up", "ip link set isth0 down", "ip link set isth1 down",
                     "ip -6 neigh del fe80::2 dev isth0"):
            with self.subTest(what):
                for command in what.split("; "):
                    lab.node.run(command)
                eventually(lambda: lab.pings(embedded(WEB4)), 12, "the pods have IPv4 again")
                eventually(lab.nat64.is_ready, 3, "it is ready")
                eventually(lambda: state() == before, 3, "all is as before")

    def test_without_an_ipv4_uplink_pods_are_told_at_once(self):
        lab.start_node()
        self.assertTrue(lab.pings(embedded(WEB4)))
        lab.node.run("ip route del default")
        self.addCleanup(lab.node.run, "ip route replace default via 20.0.0.2")
        eventually(lambda: lab.counter("node_ipv4_uplink") == 0, 3, "the metric says so")
        begin = time.monotonic()
        failed = lab.client.run(["curl", "-sg", "-m", "10", f"http://[{embedded('20.9.9.9')}]/"], check=False)
        self.assertEqual(7, failed.returncode, "no quick refusal")
        self.assertLess(time.monotonic() - begin, 5)
        page = lab.node.run(f"curl -s http://{HTTP}/readyz")
        self.assertIn("IPv4 default route", page)

    def test_a_cni_that_masquerades_pods_is_noticed(self):
        lab.node.run("nft -f -", input="""table ip6 cni {
            chain out { type nat hook postrouting priority srcnat; ip6 saddr 2001:db8:1::/64 oifname isth0 masquerade; }
            }""")
        self.addCleanup(lab.node.run, "nft delete table ip6 cni", check=False)
        lab.start_node()
        lab.client.run(f"ping -6 -n -c 60 -i 0.02 -W 1 {embedded(WEB4)}", check=False)
        eventually(lambda: lab.counter("node_sources_masqueraded") == 1, 12, "the metric says so")
        self.assertIn("CNI hides the pods", lab.nat64.log())

    def refused(self, *words, extra=()):
        done = lab.node.run(lab.command(*extra), check=False, timeout=15)
        self.assertGreater(done.returncode, 0, "it accepted that, or crashed")
        for word in words:
            self.assertIn(word, done.stderr)

    def test_what_a_node_lacks_is_named(self):
        for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            with self.subTest(name):
                lab.node.sysctl(f"{name}=0")
                try:
                    self.refused(name, "must be 1", f"sysctl -w {name}=1")
                finally:
                    lab.node.sysctl(f"{name}=1")
                    lab.node.run("ip route replace default via 20.0.0.2")
        self.refused("its own interfaces", extra=["--interface6", "pod1"])
        lab.node.run("ip link add isth0 type veth peer name other")
        try:
            self.refused("isth0", "not of nat64-svc")
        finally:
            lab.node.run("ip link del isth0")

    def test_a_policy_that_does_not_fit_the_node_is_refused(self):
        self.addCleanup(lab.write_policy, POLICY)
        lab.write_policy(POLICY.replace(", kind: NODE_LOCAL", ", addresses: [203.0.113.0/30], subscribers: {prefix_length: 64}"))
        self.refused("NODE_LOCAL")
        lab.write_policy(POLICY + """static_mappings:
  - {protocol: TCP, client6: "2001:db8:1::2", port6: 80, public4: 169.254.64.1, port4: 80}
""")
        self.refused("static mappings need a LEASED pool")
        lab.write_policy(POLICY)
        lab.node.run("ip route add 169.254.65.0/24 via 20.0.0.2")
        try:
            self.refused("169.254.64.0/22", "169.254.65.0/24", "another private range")
        finally:
            lab.node.run("ip route del 169.254.65.0/24")
        self.assertNotRegex("".join(lab.state().values()), "isth[01]|isthmus_nat64|unreachable", "a refused start left something")


if __name__ == "__main__":
    suite.main()
