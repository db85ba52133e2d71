#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The chart in gateway mode on a real cluster, installed by Helm 3 and watched by a real Prometheus: node n2 is the gateway, the client is a pod on n1.

The tests go from top to bottom through the life of one installation.
"""

import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from installation import CHART, ECHO_PORT, NAME, NAMESPACE, WEB4, WEB6, Site  # noqa: E402
from lib import suite  # noqa: E402
from lib.daemon import eventually  # noqa: E402
from prometheus import Prometheus  # noqa: E402

POOL = "203.0.113.0/30"
CONTROLLER = "statefulset/isthmus-controller"
GATEWAY_MODE = {
    "nat64": {"mode": "gateway", "interface6": "up0", "interface4": "up0"}, "cluster": {"pool": [POOL]},
    "monitoring": {"podMonitor": {"enabled": True}, "rules": {"enabled": True}, "dashboards": {"enabled": True}},
    "networkPolicy": {"enabled": True, "nodeCidrs": ["fd00:250::/64"]},
}
# Stubs: the API server takes the Prometheus operator's objects; their fields are checked by chart.render.
OPERATOR = [{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.monitoring.coreos.com"},
             "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced", "names": {"kind": kind, "plural": plural}, "versions": [
                 {"name": "v1", "served": True, "storage": True,
                  "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}
            for kind, plural in (("PodMonitor", "podmonitors"), ("PrometheusRule", "prometheusrules"))]


class GatewayMode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = site = Site(helm=3)
        cls.addClassCleanup(site.down)
        site.up()
        site.apply(*OPERATOR)
        site.kubectl("label", "node", site.cluster.node_name("n2"), "isthmus.io/gateway=true")
        # What a routing daemon would announce: the prefix and the pool lead to the gateway.
        site.cluster.cp.run("ip route add 64:ff9b::/96 via fd00:250::12")
        site.cluster.cp.run(f"ip route add {POOL} via 10.250.0.12")
        try:
            site.install(GATEWAY_MODE)
            site.wait_ready("nat64", 1)  # Helm counts a DaemonSet as ready that has no more than maxUnavailable pods missing
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{site.describe()}") from None
        cls.prometheus = Prometheus(site)
        cls.prometheus.start()

    def run(self, result=None):
        failed = len(result.failures) + len(result.errors) if result else 0
        super().run(result)
        if result and len(result.failures) + len(result.errors) > failed:
            print(self.site.describe(), flush=True)

    def test_1_the_gateway_has_exactly_the_declared_rights(self):
        pod = self.site.pod("nat64", "n2")
        spec = json.loads(self.site.kubectl("-n", NAMESPACE, "get", "pod", pod["name"], "-o", "json"))["spec"]
        self.assertFalse(spec["containers"][0]["securityContext"]["privileged"])
        status = self.site.kubectl("-n", NAMESPACE, "exec", pod["name"], "--", "cat", "/proc/1/status")
        effective = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff")), 16)
        names = {12: "NET_ADMIN", 13: "NET_RAW", 14: "IPC_LOCK", 38: "PERFMON", 39: "BPF"}
        self.assertEqual(effective, sum(1 << bit for bit in names))
        denied = self.site.kubectl("-n", NAMESPACE, "exec", pod["name"], "--", "touch", "/usr/bin/x", check=False)
        self.assertIn("Read-only file system", denied.stderr)

    def test_2_a_pod_of_another_node_reaches_ipv4_through_the_gateway(self):
        got = self.site.client("n1", "bash", "-c", f"curl -sSf -m 60 http://{NAME}/body.bin | sha256sum", timeout=90)
        self.assertEqual(got.split()[0], self.site.body_sha256)
        self.assertTrue(self.site.client("n1", "curl", "-sf", "-m", "10", f"http://{NAME}/whoami").startswith("203.0.113."))
        self.assertIn(" 3 received", self.site.client("n1", "ping", "-n", "-c", "3", "-i", "0.2", WEB6))
        self.assertEqual(self.site.probe("n1", "sizes", WEB6, ECHO_PORT).result(), {"lost": []})

    def test_3_prometheus_scrapes_every_pod(self):
        self.assertEqual(sorted(self.prometheus.targets_up()), ["isthmus-controller", "isthmus-dns64", "isthmus-dns64", "isthmus-nat64"])

    def test_4_every_panel_and_every_rule_has_data_where_it_should(self):
        traffic = self.site.probe("n1", "gap", WEB6, ECHO_PORT, 20)
        self.site.probe("n1", "dns", "fd00:96::53", NAME, 10).result()
        traffic.result()
        dashboards = [json.loads(path.read_text(encoding="utf-8")) for path in (CHART / "files/dashboards").glob("*.json")]
        self.assertEqual(self.prometheus.panels_in_error(dashboards), [])
        # These show only what goes wrong.
        quiet = {"AF_XDP sockets", "Answered with ICMP, by reason", "Dropped, by reason", "Lost around the translator", "Requests without reply",
                 "Rollouts not applied", "SERVFAIL", "Events"}
        self.assertEqual(set(self.prometheus.panels_without_data(dashboards)) - quiet, set())
        self.assertEqual(self.prometheus.rules_in_error(), [])
        self.assertEqual(self.prometheus.firing() - {"IsthmusXdpGeneric"}, set())

    def test_5_alerts_fire_live_under_the_fault(self):
        site, fired = self.site, self.prometheus.wait_firing
        # A policy that is refused at its source.
        name = "isthmus-policy"
        good = json.loads(site.kubectl("-n", NAMESPACE, "get", "configmap", name, "-o", "json"))["data"]["policy.yaml"]
        site.kubectl("-n", NAMESPACE, "patch", "configmap", name, "--patch-file", "/dev/stdin", "--type=merge",
                     input=json.dumps({"data": {"policy.yaml": good + "\nno_such_field: 1\n"}}))
        # The controller reads the change when the kubelet brings it, within about a minute.
        fired("IsthmusPolicyRefused", 150)
        site.kubectl("-n", NAMESPACE, "patch", "configmap", name, "--patch-file", "/dev/stdin", "--type=merge",
                     input=json.dumps({"data": {"policy.yaml": good}}))
        # No controller.
        site.kubectl("-n", NAMESPACE, "scale", CONTROLLER, "--replicas=0")
        fired("IsthmusControllerDown", 90)
        fired("IsthmusServiceWithoutController", 90)
        self.assertEqual(site.client("n1", "curl", "-sf", "-m", "10", f"http://[{WEB6}]/whoami").split(".")[0], "203")
        site.kubectl("-n", NAMESPACE, "scale", CONTROLLER, "--replicas=1")
        site.wait_ready("controller", 1)
        # The upstream resolver is dead: names that nobody asked before get SERVFAIL.
        site.stop_resolver()
        ask = "dig +tries=1 +timeout=1 @fd00:96::53 n$i.isthmus.example AAAA > /dev/null & sleep 0.2"
        site.client("n1", "bash", "-c", f"for i in $(seq 150); do {ask}; done; wait", check=False)
        fired("IsthmusDns64Failing", 120)
        site.start_resolver()

    def test_6_gateway_upgrade_gap_is_measured(self):
        gap = self.site.probe("n1", "gap", WEB6, ECHO_PORT, 60)
        time.sleep(2)
        self.site.kubectl("-n", NAMESPACE, "rollout", "restart", "daemonset/isthmus-nat64")
        self.site.kubectl("-n", NAMESPACE, "rollout", "status", "daemonset/isthmus-nat64", "--timeout=120s")
        measured = gap.result()
        print(f"the only gateway replaced: no translation for {measured['longest_gap_ms']} ms", flush=True)
        self.assertLess(measured["longest_gap_ms"], 40000)
        self.assertTrue(self.site.client("n1", "curl", "-sf", "-m", "10", f"http://[{WEB6}]/whoami").startswith("203.0.113."))

    def test_7_uninstall_leaves_nothing_on_the_gateway(self):
        node = self.site.cluster.node("n2")
        self.assertIn("xdp", node.run("ip link show up0"))
        self.site.uninstall()
        self.assertNotIn("xdp", node.run("ip link show up0"))
        for family in ("-4", "-6"):
            self.assertEqual(node.run(f"ip {family} route show table all proto 110").strip(), "")


if __name__ == "__main__":
    suite.main()
