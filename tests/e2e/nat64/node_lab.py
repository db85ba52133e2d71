# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes node in small: two IPv6-only pods behind the node, nat64-svc in node mode on it, the IPv4 internet outside.

    client (a pod)  eth0 2001:db8:1::2/128 ---- pod1 \\
    pod2            eth0 2001:db8:1::3/128 ---- pod2  node  wan 20.0.0.1/24 ---- eth0 20.0.0.2/24 and more  server
                                                      isth0 - isth1 (nat64-svc makes them)

All end points have their checksum and segmentation offloads on. The node's forward chain drops by default and knows nothing
of isth0, its reverse path filter is strict, and nat64-svc runs as in a container: five capabilities, /proc/sys read-only.
"""

from gateway_lab import HTTP

from lib.daemon import eventually
from lib.netns import NamespaceSet
from lib.topology import BIN, CLIENT, DNS4, DUAL4, EXCLUDED4, NODE4, NODE6, WEB4, Lab

POD2 = "2001:db8:1::3"
POOL = "169.254.64.0/22"
POLICY = """\
translation_prefixes:
  - {name: well-known, prefix: "64:ff9b::/96", clients: ["2001:db8:1::/64"]}
pools:
  - {name: node, kind: NODE_LOCAL}
"""
FIREWALL = """\
table inet firewall
delete table inet firewall
table inet firewall {
  chain forward {
    type filter hook forward priority filter; policy drop;
    iifname { "pod1", "pod2" } oifname { "pod1", "pod2" } accept
  }
}
"""
CAPABILITIES = ",".join(["-all", "+net_admin", "+net_raw", "+bpf", "+perfmon", "+ipc_lock"])


class NodeLab(Lab):
    def __init__(self):
        super().__init__("isthmus-node-", body_bytes=16 << 20)
        self.namespaces = NamespaceSet(self.prefix, ["client", "pod2", "node", "server"])
        self.client, self.pod2, self.node, self.server = self.namespaces.of.values()

    def up(self):
        super().up()
        self.write_policy(POLICY)

    def _links(self):
        self.node.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=1",
                         "net.ipv4.conf.default.rp_filter=1")
        self.node.run(f"ip -6 address add {NODE6}/128 dev lo nodad")
        for pod, device, address in ((self.client, "pod1", CLIENT), (self.pod2, "pod2", POD2)):
            self.node.run(f"ip link add {device} type veth peer name eth0 netns {pod.name}")
            pod.run(f"ip -6 address add {address}/128 dev eth0 nodad")
            pod.run("ip link set eth0 up")
            self.node.run(f"ip link set {device} up")
            self.node.run(f"ip -6 address add fe80::a/64 dev {device} nodad")
            self.node.run(f"ip -6 route add {address}/128 dev {device}")
            eventually(lambda pod=pod: "fe80::" in pod.run("ip -6 address show dev eth0"), 10, "link-local addresses")
            pod.run("ip -6 route add default via fe80::a dev eth0")
        self.node.run(f"ip link add wan type veth peer name eth0 netns {self.server.name}")
        self.node.run(f"ip address add {NODE4}/24 dev wan")
        self.node.run("ip link set wan up")
        for address in ("20.0.0.2/24", f"{DNS4}/24", f"{WEB4}/32", f"{DUAL4}/32", f"{EXCLUDED4}/32"):
            self.server.run(f"ip address add {address} dev eth0")
        self.server.run("ip link set eth0 up")
        self.node.run("ip route add default via 20.0.0.2")
        self.load_firewall()

    def load_firewall(self):
        """As its owner would, in one transaction."""
        self.node.run("nft -f -", input=FIREWALL)

    def command(self, *extra):
        """As a container runs it."""
        program = f"{BIN}/nat64-svc --mode node --policy-file {self.policy_file} --http-listen {HTTP} --node-id n1"
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && "
                f"exec setpriv --bounding-set {CAPABILITIES} --inh-caps=-all {program} {' '.join(extra)}"]

    def start_node(self, *extra, ready_within=15):
        self.nat64 = self._daemon(self.node, "nat64-svc", self.command(*extra), HTTP).start(ready_within)

    def counter(self, name, *labels):
        return self.nat64.metric_sum(f"isthmus_nat64_{name}", *labels)

    def state(self):
        """Everything that node mode may change on the node."""
        return {"links": self.node.run("ip -o link show").replace("\\", "\n"),
                "routes": self.node.run("ip route show table all"), "routes6": self.node.run("ip -6 route show table all"),
                "neighbours": self.node.run("ip -6 neigh show nud permanent"), "nft": self.node.run("nft list ruleset")}
