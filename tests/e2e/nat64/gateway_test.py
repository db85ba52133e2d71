# SPDX-License-Identifier: Apache-2.0
"""nat64-svc in gateway mode: what it translates, what it leaves to the kernel, and what is left when it is gone."""

import json
import os
import unittest

from gateway_lab import GatewayLab

from lib import suite
from lib.daemon import eventually
from lib.topology import CLIENT, ECHO_PORT, NODE4, NODE6, POLICY, WEB4, capture, embedded

ECHO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib/udp_echo.py")

lab = None


def setUpModule():
    global lab
    lab = unittest.enterModuleContext(GatewayLab())


class Gateway(unittest.TestCase):
    def setUp(self):
        self.addCleanup(lambda: lab.nat64 and lab.nat64.kill())

    def test_tcp_udp_and_ping_pass_in_native_mode(self):
        lab.start_alone()
        lab.check_service(self)
        self.assertEqual(2, lab.counter("xdp_mode", 'mode="native"'))
        lab.client.run(["/usr/bin/python3", ECHO, "ask", embedded(WEB4), ECHO_PORT, "20", "0.01"])
        for protocol in ("tcp", "udp", "icmp"):
            for side in ("ipv6", "ipv4"):
                self.assertGreater(lab.counter("translated_packets_total", f'protocol="{protocol}"', f'from="{side}"'), 0)

    def test_generic_mode_serves_as_well(self):
        lab.start_alone("--xdp-mode", "generic")
        lab.check_service(self)
        self.assertEqual(2, lab.counter("xdp_mode", 'mode="generic"'))

    def test_busy_polling_serves_as_well(self):
        lab.start_alone("--busy-poll", "64")
        lab.check_service(self)

    def test_one_interface_serves_both_sides(self):
        lab.client.run("ip address add 20.0.2.2/24 dev eth0")
        lab.node.run("ip address add 20.0.2.1/24 dev lan")
        lab.client.run("ip route add 203.0.113.0/30 via 20.0.2.1")
        self.addCleanup(lab.client.run, "ip address del 20.0.2.2/24 dev eth0")
        self.addCleanup(lab.node.run, "ip address del 20.0.2.1/24 dev lan")
        lab.start_alone(lan="lan", wan="lan")
        self.assertTrue(lab.pings(embedded("20.0.2.2"), 3))

    def check_pings_of_every_size(self):
        # From 1453 bytes on both directions are fragments, whose checksum depends on all of them (RFC 6146 3.4).
        for size in (8, 1200, 1232, 1400, 1453, 2000, 3000, 8000):
            with self.subTest(size=size):
                # The first of a size may be what tells a host the MTU of the way.
                answer = lab.client.run(f"ping -6 -n -c 4 -i 0.2 -W 1 -s {size} {embedded(WEB4)}", check=False).stdout
                self.assertRegex(answer, "[34] received", "too few answers")

    def test_pings_of_every_size_pass(self):
        lab.start_alone()
        self.check_pings_of_every_size()

    def test_a_probe_goes_through_the_translation_and_tells_when_it_is_not_answered(self):
        lab.write_policy(POLICY + f'nat64: {{probe: {{client6: "2001:db8:1::ffff", target4: {WEB4}, interval: 1s}}}}\n')
        self.addCleanup(lab.write_policy, POLICY)
        lab.start_alone()
        eventually(lambda: lab.counter("probe_answered") == 1, 5, "the probe is answered")
        self.assertGreater(lab.counter("probe_round_trip_seconds"), 0)
        self.assertGreater(lab.counter("translated_packets_total", 'protocol="icmp"', 'from="ipv4"'), 0)
        lab.server.run(f"ip address del {WEB4}/32 dev eth0")
        self.addCleanup(lab.server.run, f"ip address replace {WEB4}/32 dev eth0")
        eventually(lambda: lab.counter("probe_answered") == 0, 8, "silence is noticed")
        lab.server.run(f"ip address add {WEB4}/32 dev eth0")
        eventually(lambda: lab.counter("probe_answered") == 1, 5, "the probe is answered again")

    def test_every_queue_is_served(self):
        for namespace, device in ((lab.node, "lan"), (lab.client, "eth0")):
            namespace.run(f"ethtool -L {device} rx 2 tx 2")
        lab.start_alone()
        for _ in range(8):  # each curl is another flow, hashed to one of the queues
            self.assertIsNotNone(lab.fetch(f"http://[{embedded(WEB4)}]/index.html"))
        self.assertEqual(2, len({key for key in lab.nat64.metrics() if "socket_events" in key and 'interface="lan"' in key
                                 and 'event="rx_ring_full"' in key}))
        self.assertEqual(0, lab.counter("io_dropped_packets_total", 'reason="no_socket"'))

    def test_two_workers_share_the_subscribers_and_hand_over_what_is_not_theirs(self):
        for namespace, device in ((lab.node, "lan"), (lab.client, "eth0"), (lab.node, "wan"), (lab.server, "eth0")):
            namespace.run(f"ethtool -L {device} rx 2 tx 2")
        # The key that spreads them is random: of so many none is ever with one worker alone.
        clients = [f"2001:db8:1::1{number:02x}" for number in range(32)]
        for client in clients:
            lab.client.run(f"ip address add {client}/64 dev eth0 nodad")
            self.addCleanup(lab.client.run, f"ip address del {client}/64 dev eth0")
        lab.write_policy(POLICY.replace("prefix_length: 64", "prefix_length: 128"))
        self.addCleanup(lab.write_policy, POLICY)
        lab.start_alone("--workers", "2")
        for client in clients[8:]:
            lab.client.run(["/usr/bin/python3", ECHO, "ask", embedded(WEB4), ECHO_PORT, "1", "0.005", client])
        for client in clients[:8]:
            url = f"http://[{embedded(WEB4)}]/body.bin"
            self.assertEqual(lab.body_sha256, lab.fetch(url, "--interface", client), f"the body for {client} differs")
            self.assertEqual(0, lab.client.run(f"ping -6 -n -c 2 -i 0.2 -W 1 -I {client} {embedded(WEB4)}", check=False).returncode)
            lab.client.run(["/usr/bin/python3", ECHO, "ask", embedded(WEB4), ECHO_PORT, "10", "0.005", client])
        self.check_pings_of_every_size()  # fragments meet at one worker, wherever they come by
        for worker in ("0", "1"):
            self.assertGreater(lab.counter("sessions", f'worker="{worker}"'), 0, f"worker {worker} has nothing to do")
        self.assertGreater(lab.counter("interface_received_packets_total", 'worker="0"'), 0)
        self.assertGreater(lab.counter("interface_received_packets_total", 'worker="1"'), 0)
        self.assertGreater(lab.counter("handed_over_packets_total"), 0, "no packet came by the wrong queue")
        self.assertEqual(0, lab.counter("io_dropped_packets_total"))
        for name in ("dropped_packets_total", "answered_packets_total"):  # what a worker does with another's packet
            self.assertEqual(0, lab.counter(name, 'reason="no_mapping"'), "a packet came to a worker that does not know it")

    def test_a_used_up_hop_limit_is_answered_by_the_gateway(self):
        lab.start_alone()
        answer = lab.client.run(f"ping -6 -n -c 1 -W 1 -t 1 {embedded(WEB4)}", check=False).stdout
        self.assertIn(f"From {NODE6}", answer)
        self.assertIn("Time exceeded", answer)

    def test_the_nodes_own_traffic_is_left_alone(self):
        lab.start_alone()
        self.assertTrue(lab.pings(NODE6))
        self.assertEqual(0, lab.server.run(f"ping -n -c 1 -W 1 {NODE4}", check=False).returncode)
        lab.client.run("ip -6 neigh flush dev eth0")
        lab.server.run("ip neigh flush dev eth0")
        self.assertTrue(lab.pings(NODE6), "neighbour discovery broke")
        self.assertEqual(0, lab.server.run(f"ping -n -c 1 -W 1 {NODE4}", check=False).returncode, "ARP broke")
        self.assertEqual(0, lab.counter("translated_packets_total", 'protocol="icmp"'))
        self.assertEqual(0, lab.counter("dropped_packets_total", 'from="ipv6"', 'reason="not_in_prefix"'))

    def test_ssh_and_bgp_on_the_same_interfaces_go_on(self):
        serve = """import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
while True:
    peer, _ = listener.accept()
    with peer: peer.sendall(b"x" * 300000)"""
        ask = """import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as peer:
    print(len(b"".join(iter(lambda: peer.recv(65536), b""))))"""
        for address, port in ((NODE6, 22), (NODE4, 179)):
            listener = lab.node.popen(["/usr/bin/python3", "-c", serve, address, str(port)])
            self.addCleanup(listener.wait)
            self.addCleanup(listener.kill)
        lab.start_alone()
        lab.check_service(self)
        eventually(lambda: lab.node.run("ss -ltn").count("LISTEN") >= 3, 10, "both listen, and the management port")
        self.assertEqual("300000", lab.client.run(["/usr/bin/python3", "-c", ask, NODE6, "22"]).strip())
        self.assertEqual("300000", lab.server.run(["/usr/bin/python3", "-c", ask, NODE4, "179"]).strip())

    def test_pool_addresses_on_the_link_are_answered_by_arp(self):
        self.addCleanup(lab.write_policy, POLICY)
        on_link = POLICY.replace("203.0.113.0/30", "20.0.0.64/31")
        lab.write_policy(on_link)
        lab.start_alone()
        self.assertFalse(lab.pings(embedded(WEB4)), "somebody answers ARP without being told to")
        lab.nat64.terminate(within=2)
        lab.server.run("ip neigh flush dev eth0")
        with capture(lab, lab.server, "eth0", "arp and src host 20.0.0.64") as seen:
            lab.start_alone("--answer-arp")
            eventually(lambda: any("Request who-has 20.0.0.64" in line for line in seen()), 3, "the address is announced")
            self.assertTrue(lab.pings(embedded(WEB4), 2))
            eventually(lambda: lab.server.run("ip neigh show 20.0.0.64 dev eth0") + lab.server.run("ip neigh show 20.0.0.65 dev eth0"),
                       3, "the neighbour is known")
        lab.write_policy(POLICY)
        lab.server.run("ip neigh flush dev eth0")
        eventually(lambda: "203.0.113" in lab.node.run("ip route show proto 110"), 5, "the pool moved")
        self.assertNotEqual(0, lab.server.run("ping -n -c 1 -W 2 20.0.0.64", check=False).returncode)
        self.assertNotIn("lladdr", lab.server.run("ip neigh show 20.0.0.64 dev eth0"), "a lost address is still answered for")

    def test_the_rest_of_a_pool_does_not_loop(self):
        self.addCleanup(lab.write_policy, POLICY)
        lab.start_alone()
        lab.write_policy(POLICY.replace("203.0.113.0/30", "203.0.113.0/30, 203.0.113.64/29"))
        eventually(lambda: "unreachable 203.0.113.64/29" in lab.node.run("ip route show proto 110"), 5, "the pool has its backstop")
        lab.write_policy(POLICY)
        eventually(lambda: "203.0.113.64" not in lab.node.run("ip route show"), 5, "the backstop goes with the pool")
        self.assertIn("unreachable 203.0.113.0/30", lab.node.run("ip route show proto 110"))

    def test_a_virtual_interface_without_native_xdp_serves_in_generic_mode(self):
        lab.node.run("ip link add lanm link lan type macvlan mode bridge")
        self.addCleanup(lab.node.run, "ip link del lanm")
        lab.node.run("ip link set lanm up")
        mac = json.loads(lab.node.run("ip -j link show lanm"))[0]["address"]
        lab.client.run(f"ip -6 neigh replace fe80::99 lladdr {mac} dev eth0 nud permanent")
        lab.client.run("ip -6 route add 64:ff9b::/96 via fe80::99 dev eth0")
        self.addCleanup(lab.client.run, "ip -6 neigh del fe80::99 dev eth0")
        self.addCleanup(lab.client.run, "ip -6 route del 64:ff9b::/96")
        lab.node.run(f"ip -6 route add {CLIENT}/128 dev lanm")
        self.addCleanup(lab.node.run, f"ip -6 route del {CLIENT}/128")
        lab.start_alone(lan="lanm")
        self.assertTrue(lab.pings(embedded(WEB4), 2))
        self.assertEqual(1, lab.counter("xdp_mode", 'mode="generic"', 'interface="lanm"'))
        self.assertIn("native XDP is not possible on lanm", lab.nat64.log())
        self.assertNotIn("merges TCP segments", lab.nat64.log(), "a veth does not")
        lab.nat64.kill()
        lab.node.run("ethtool -K lan gro on")
        self.addCleanup(lab.node.run, "ethtool -K lan gro off")
        lab.start_alone(lan="lanm")
        self.assertIn("lan, below lanm, merges TCP segments", lab.nat64.log())
        self.assertIn("ethtool -K lan gro off", lab.nat64.log())

    def test_packets_for_another_machine_on_the_link_are_not_taken(self):
        lab.start_alone()
        self.assertTrue(lab.pings(embedded(WEB4)))
        pings = ("translated_packets_total", 'from="ipv6"', 'protocol="icmp"')
        self.assertEqual(1, lab.counter(*pings))
        lab.client.run("ip -6 route add 64:ff9b::/96 via fe80::77 dev eth0")
        lab.client.run("ip -6 neigh replace fe80::77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent")
        self.addCleanup(lab.client.run, "ip -6 neigh del fe80::77 dev eth0")
        self.addCleanup(lab.client.run, "ip -6 route del 64:ff9b::/96")
        self.assertFalse(lab.pings(embedded(WEB4)))
        self.assertEqual(1, lab.counter(*pings))

    def test_who_had_which_ports_is_written_down(self):
        path = f"{lab.dir}/events.json"
        lab.start_alone("--events", path, "--node-id", "gw7")
        self.assertTrue(lab.pings(embedded(WEB4)))
        lab.nat64.terminate(within=2)
        with open(path, encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        taken = [record for record in records if record["event"] == "block_taken"]
        self.assertEqual(1, len(taken))
        self.assertEqual(("gw7", "2001:db8:1::/64"), (taken[0]["node"], taken[0]["subscriber"]))
        self.assertTrue(taken[0]["public4"].startswith("203.0.113."))

    def test_a_policy_change_reaches_packets_and_a_bad_one_does_not(self):
        self.addCleanup(lab.write_policy, POLICY)
        lab.start_alone()
        self.assertTrue(lab.pings(embedded(WEB4)))
        lab.write_policy(POLICY + f"exclusions:\n  ipv4_destinations: [{WEB4}/32]\n")
        eventually(lambda: not lab.pings(embedded(WEB4)), 5, "the exclusion acts")
        self.assertGreater(lab.counter("dropped_packets_total", 'reason="excluded"')
                           + lab.counter("answered_packets_total", 'reason="excluded"'), 0)
        lab.write_policy(POLICY + "exclusion: {}\n")
        eventually(lambda: "exclusion" in lab.nat64.log_tail(5), 5, "the misspelt policy is refused in the log")
        self.assertTrue(lab.nat64.is_ready())
        self.assertFalse(lab.pings(embedded(WEB4)), "what ran no longer runs")

    def test_after_a_crash_nothing_passes_or_loops_and_a_restart_mends_it(self):
        lab.start_alone()
        self.assertTrue(lab.pings(embedded(WEB4)))
        lab.nat64.kill()
        with capture(lab, lab.server, "eth0", "ip6 or net 203.0.113.0/30") as at_server, \
                capture(lab, lab.node, "lan", f"ip6 and dst net 64:ff9b::/96 and src host {CLIENT}") as at_lan:
            answer = lab.client.run(f"ping -6 -n -c 5 -i 0.1 -W 1 {embedded(WEB4)}", check=False).stdout
            self.assertIn("nreachable", answer, "the node does not say that it cannot")
            answer4 = lab.server.run("ping -n -c 5 -i 0.1 -W 1 203.0.113.1", check=False).stdout
            self.assertIn("nreachable", answer4)
            # tcpdump shows what the node's kernel sees: once each, no copy that came back
            eventually(lambda: len(at_lan()) >= 5, 5, "the capture sees the packets")
            self.assertEqual(5, len(at_lan()))
            self.assertEqual([], [line for line in at_server() if "64:ff9b" in line])
            self.assertEqual(5, len([line for line in at_server() if "echo request" in line]), "packets to the pool came back")
        lab.start_alone()
        lab.check_service(self)

    def test_sigterm_leaves_no_program_and_no_route(self):
        lab.start_alone()
        lab.nat64.terminate(within=2)  # takes away what the crashes of other tests left
        routes = lab.node.run("ip route show table all"), lab.node.run("ip -6 route show table all")
        lab.start_alone()
        self.assertIn("proto 110", lab.node.run("ip -6 route show"))
        self.assertIn("prog/xdp", lab.node.run("ip -d link show lan"))
        status, _ = lab.nat64.terminate(within=2)
        self.assertEqual(0, status)
        self.assertEqual(routes, (lab.node.run("ip route show table all"), lab.node.run("ip -6 route show table all")))
        for device in ("lan", "wan"):
            self.assertNotIn("prog/xdp", lab.node.run(f"ip -d link show {device}"))


if __name__ == "__main__":
    suite.main()
