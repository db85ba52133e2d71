#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The chart in node mode on a real cluster, by Helm 4: what pods can do, and what a death, a drain and an upgrade cost them.

The tests go from top to bottom through the life of one installation.
"""

import hashlib
import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from installation import DNS64, ECHO_PORT, NAME, NAMESPACE, WEB4, WEB6, Site  # noqa: E402
from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402

NODE_MODE = {"nat64": {"mode": "node"}}


def state_of(namespace):
    """What a node's network holds that outlives a process: links, routes of ours, nft tables, XDP programs."""
    links = sorted(each["ifname"] for each in json.loads(namespace.run("ip -json link")) if not each["ifname"].startswith("veth"))
    routes = sorted(line.strip() for family in ("-4", "-6") for line in namespace.run(f"ip {family} route show table all").splitlines()
                    if "isth" in line or "64:ff9b" in line or "169.254.6" in line or "proto 110" in line)
    tables = [line for line in namespace.run("nft list tables").splitlines() if "isthmus" in line]
    xdp = [line for line in namespace.run("ip link").splitlines() if "xdp" in line]
    return {"links": links, "routes": routes, "tables": tables, "xdp": xdp}


def throughput(site, node, host, seconds=4):
    """Gbit/s of one TCP stream from the pod to `host`."""
    done = site.client(node, "iperf3", "--json", "--client", host, "--time", str(seconds), timeout=60)
    return json.loads(done)["end"]["sum_received"]["bits_per_second"] / 1e9


class NodeMode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.down)
        cls.site.up()
        cls.before = {node: state_of(cls.site.cluster.node(node)) for node in cls.site.cluster.nodes}
        begin = time.monotonic()
        try:
            cls.site.install(NODE_MODE)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{cls.site.describe()}") from None
        print(f"installed and ready in {time.monotonic() - begin:.0f} s", flush=True)

    def run(self, result=None):
        failed = len(result.failures) + len(result.errors) if result else 0
        super().run(result)
        if result and len(result.failures) + len(result.errors) > failed:
            print(self.site.describe(), flush=True)

    def test_01_a_pod_with_ipv6_only_downloads_by_name_from_a_server_with_ipv4_only(self):
        for node in self.site.cluster.nodes:
            addresses = json.loads(self.site.client(node, "ip", "-json", "address", "show", "dev", "eth0"))[0]["addr_info"]
            self.assertEqual({each["family"] for each in addresses}, {"inet6"})
            self.assertIn(WEB6, self.site.client(node, "getent", "ahostsv6", NAME))
            got = self.site.client(node, "bash", "-c", f"curl -sSf -m 60 http://{NAME}/body.bin | sha256sum", timeout=90)
            self.assertEqual(got.split()[0], self.site.body_sha256)
            self.assertTrue(self.site.client(node, "curl", "-sf", "-m", "10", f"http://{NAME}/whoami").startswith("10.250.0.1"))

    def test_02_udp_of_many_sizes_and_ping_come_back(self):
        self.assertEqual(self.site.probe("n1", "sizes", WEB6, ECHO_PORT).result(), {"lost": []})
        self.assertIn(" 5 received", self.site.client("n2", "ping", "-n", "-c", "5", "-i", "0.2", WEB6))

    def test_03_helm_test_resolves_and_reaches_an_ipv4_target(self):
        out = self.site.helm("test", "isthmus", "-n", NAMESPACE, "--logs")
        self.assertIn("synthesized: DNS64 answers", out)
        self.assertIn(f"translated: a TCP connection to {WEB4} port 80", out)

    def test_04_throughput_beside_plain_forwarding(self):
        self.assertIn("tx-checksumming: on", self.site.client("n1", "ethtool", "-k", "eth0"))
        plain, translated = throughput(self.site, "n1", "fd00:250::1"), throughput(self.site, "n1", WEB6)
        print(f"one TCP stream of a pod, its offloads on: {translated:.2f} Gbit/s translated, {plain:.2f} Gbit/s by plain IPv6 forwarding",
              flush=True)
        self.assertGreater(translated, 0.05)

    def test_05_operators_tools_work_in_the_controllers_pod(self):
        controller = self.site.pods("controller")[0]["name"]
        nodes = self.site.kubectl("-n", NAMESPACE, "exec", controller, "--", "isthmusctl", "get", "nodes")
        for name in self.site.cluster.nodes:
            self.assertIn(self.site.cluster.node_name(name), nodes)

    def test_06_a_dead_controller_is_not_noticed_and_a_dead_dns64_only_until_it_is_left_out(self):
        queries = self.site.probe("n1", "dns", DNS64, NAME, 25)
        session = self.site.probe("n1", "session", WEB6, ECHO_PORT, 25)
        time.sleep(3)
        for pod in self.site.pods("controller") + self.site.pods("dns64")[:1]:
            self.site.kubectl("-n", NAMESPACE, "delete", "pod", pod["name"], "--grace-period=0", "--force")
        heard, went_on = queries.result(), session.result()
        print(f"controller and one DNS64 killed: {heard}, session {went_on}", flush=True)
        # Until kube-proxy has left the dead pod out, a query and its retry may both be sent to it.
        self.assertLess(heard["unanswered"], heard["asked"] / 20, heard)
        self.assertIsNone(went_on["broken"], went_on)
        self.site.wait_ready("controller", 1)
        self.site.wait_ready("dns64", 2)

    def test_07_a_killed_translator_costs_only_its_own_node(self):
        other = self.site.probe("n1", "session", WEB6, ECHO_PORT, 30)
        own = self.site.probe("n2", "gap", WEB6, ECHO_PORT, 30)
        time.sleep(3)
        self.site.kubectl("-n", NAMESPACE, "delete", "pod", self.site.pod("nat64", "n2")["name"], "--grace-period=0", "--force")
        untouched, gap = other.result(), own.result()
        print(f"translator of one node killed: its pods had no translation for {gap['longest_gap_ms']} ms; other node {untouched}", flush=True)
        self.assertIsNone(untouched["broken"], untouched)
        self.assertGreater(gap["good"], 20)
        self.assertLess(gap["longest_gap_ms"], 25000)
        self.site.wait_ready("nat64", 2)

    def test_08_a_drained_node_keeps_translating_and_dns_goes_on(self):
        queries = self.site.probe("n1", "dns", DNS64, NAME, 25)
        session = self.site.probe("n2", "session", WEB6, ECHO_PORT, 25)
        node = self.site.cluster.node_name("n2")
        self.site.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=90s",
                          "--pod-selector=app.kubernetes.io/instance=isthmus")
        self.site.wait_ready("dns64", 2)
        self.assertNotIn(node, [pod["node"] for pod in self.site.pods("dns64")])
        heard, went_on = queries.result(), session.result()
        self.site.kubectl("uncordon", node)
        print(f"node drained: {heard}, session of its pod {went_on}", flush=True)
        self.assertEqual(heard["unanswered"], 0, heard)
        self.assertIsNone(went_on["broken"], went_on)

    def test_09_upgrade_under_traffic_and_rollback(self):
        queries = self.site.probe("n1", "dns", DNS64, NAME, 100)
        gaps = [self.site.probe(node, "gap", WEB6, ECHO_PORT, 100) for node in self.site.cluster.nodes]
        begin = time.monotonic()
        change = {"podAnnotations": {"upgraded": "yes"}}
        self.site.upgrade({"nat64": {**NODE_MODE["nat64"], **change}, "dns64": change, "controller": change})
        took = time.monotonic() - begin
        heard, gone = queries.result(), [gap.result()["longest_gap_ms"] for gap in gaps]
        print(f"helm upgrade of everything: {took:.0f} s, {heard}; pods were without translation for {gone} ms", flush=True)
        self.assertEqual(heard["unanswered"], 0, heard)
        self.assertLess(max(gone), 25000)
        self.site.helm("rollback", "isthmus", "1", "-n", NAMESPACE, "--wait", "--timeout", "4m")
        self.site.wait_ready("nat64", 2)
        self.test_02_udp_of_many_sizes_and_ping_come_back()

    def test_10_certificates_are_kept_on_upgrade(self):
        def secret():
            return json.loads(self.site.kubectl("-n", NAMESPACE, "get", "secret", "isthmus-controller-tls", "-o", "json"))["data"]
        before = secret()
        self.site.upgrade({**NODE_MODE, "commonLabels": {"again": "yes"}})
        self.assertEqual(secret(), before)

    def test_11_without_ipv4_uplink_clients_fail_at_once(self):
        node = self.site.cluster.node("n1")
        node.run("ip route del default via 10.250.0.1")
        try:
            begin = time.monotonic()
            done = self.site.client("n1", "curl", "-sS", "-m", "20", f"http://[{WEB6}]/whoami", check=False)
            took = time.monotonic() - begin
            self.assertNotEqual(done.returncode, 0)
            self.assertNotIn("timed out", done.stderr)
            self.assertLess(took, 10)
            print(f"no IPv4 uplink: the client was told after {took:.1f} s: {done.stderr.strip()}", flush=True)
        finally:
            node.run("ip route add default via 10.250.0.1")
        eventually(lambda: self.site.client("n1", "curl", "-s", "-m", "5", f"http://[{WEB6}]/whoami", check=False).returncode == 0, 30,
                   "translation works again with the uplink")

    def test_12_uninstall_leaves_nothing_on_the_nodes(self):
        during = state_of(self.site.cluster.node("n1"))
        self.assertTrue(during["xdp"] or during["tables"] or during["routes"], "the translator was there at all")
        self.site.uninstall()
        for node, before in self.before.items():
            self.assertEqual(state_of(self.site.cluster.node(node)), before, node)
        left = self.site.kubectl("-n", NAMESPACE, "get", "all,secrets,configmaps", "-l", "app.kubernetes.io/instance=isthmus", "-o", "name")
        self.assertEqual(left.strip(), "")


if __name__ == "__main__":
    suite.main()
