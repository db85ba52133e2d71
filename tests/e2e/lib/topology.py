# SPDX-License-Identifier: Apache-2.0
"""The lab of the demo and of the system tests: an IPv6-only client, our node, and the IPv4-only internet.

    client                       node                                      server
    eth0 2001:db8:1::2/64 ------ lan 2001:db8:1::1/64
                                 isthmus-controller, nat64-svc, dns64-svc
                                 wan 20.0.0.1/24 ------------------------- eth0 20.0.0.2/24
                                 pool 203.0.113.0/30 (leased)                   20.0.0.53 knot (isthmus.example.)
                                                                                20.0.1.80 nginx, UDP echo
                                                                                20.0.1.81 nginx, of a dual-stack name
                                                                                20.0.1.82 nginx, excluded on the way
The well-known prefix may carry global IPv4 addresses only (RFC 6052 section 3.1), so the server has addresses that look
global; nothing leaves the namespaces. The node forwards IPv4 and IPv6 and has default routes both ways: whatever
nat64-svc leaves to the kernel would really go out, which is what the tests of its absence look at.
"""

import contextlib
import hashlib
import json
import os
import random
import shutil
import sys

from lib import knot
from lib.daemon import Daemon, eventually
from lib.netns import NamespaceSet, lab_prefix
from lib.stores import store_of

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
BIN = os.environ.get("ISTHMUS_BIN", os.path.join(ROOT, "build/dev/bin"))

ZONE = "isthmus.example"
CLIENT, NODE6 = "2001:db8:1::2", "2001:db8:1::1"
NODE4, DNS4, WEB4, DUAL4, EXCLUDED4 = "20.0.0.1", "20.0.0.53", "20.0.1.80", "20.0.1.81", "20.0.1.82"
DUAL6 = "2001:db8:80::81"
POOL = "203.0.113.0/30"
ECHO_PORT = 7007
CONTROLLER = "127.0.0.1:7464"

POLICY = f"""\
translation_prefixes:
  - name: well-known
    prefix: 64:ff9b::/96
    clients: ["2001:db8:1::/64"]
pools:
  - name: public
    addresses: [{POOL}]
    subscribers: {{prefix_length: 64}}
dns64:
  resolvers:
    - {{name: main, mode: FORWARD, dnssec: false, upstreams: [{{address: {DNS4}}}]}}
  views:
    - {{name: default, clients: ["2001:db8:1::/64"], prefixes: [well-known], resolver: main}}
"""

EXCLUSION = f"""\
exclusions:
  ipv4_destinations: [{EXCLUDED4}/32]
"""

ZONE_FILE = f"""\
$ORIGIN {ZONE}.
$TTL 5
@         SOA   ns hostmaster 1 3600 600 86400 5
@         NS    ns
ns        A     {DNS4}
v4only    A     {WEB4}
dual      A     {DUAL4}
dual      AAAA  {DUAL6}
excluded  A     {EXCLUDED4}
alias     CNAME v4only
*.wild    A     {WEB4}
text      TXT   "no address here"
"""

KNOT_CONF = knot.SERVER + """\
template:
  - id: default
    storage: {dir}
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: {zone}
    file: zone.txt
"""

NGINX_CONF = """\
daemon off;
user root;
worker_processes 1;
pid {dir}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log {dir}/access.log;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    server {{
        listen {web}:80; listen {dual}:80; listen {excluded}:80;
        root {dir}/www;
        location = /whoami {{ return 200 "$remote_addr\\n"; }}
    }}
}}
"""


def embedded(ipv4):
    """The address under 64:ff9b::/96, as dig and ping print it."""
    octets = [int(part) for part in ipv4.split(".")]
    groups = [octets[0] << 8 | octets[1], octets[2] << 8 | octets[3]]
    return f"64:ff9b::{groups[0]:x}:{groups[1]:x}"


class Lab:
    """`with Lab("isthmus-e2e-") as lab:` brings up namespaces and servers; start_programs() starts ours."""

    def __init__(self, prefix, keep=False, body_bytes=8 << 20, store="memory"):
        self.prefix, self.keep, self.body_bytes = lab_prefix(prefix), keep, body_bytes
        self.namespaces = NamespaceSet(self.prefix, ["client", "node", "server"])
        self.client, self.node, self.server = (self.namespaces.of[role] for role in self.namespaces.roles)
        self.dir = f"/run/{self.prefix.rstrip('-')}"
        self.policy_file = f"{self.dir}/policy.yaml"
        self.store = store_of(self, store)
        self.revision = 0
        self.controller = self.nat64 = self.dns64 = None
        self.body_sha256 = None

    # --- life -------------------------------------------------------------------------------------------------------

    def __enter__(self):
        self.namespaces.lock()
        try:
            self.up()
        except BaseException:
            self.down()
            self.namespaces.unlock()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and issubclass(kind, Exception):
            self.print_logs()
        if not self.keep:
            self.down()
        self.namespaces.unlock()

    def up(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(f"{self.dir}/www", mode=0o755)
        self.namespaces.create()
        self._links()
        self._server_side()

    def down(self):
        self.namespaces.remove()
        shutil.rmtree(self.dir, ignore_errors=True)

    def print_logs(self):
        for name in ("isthmus-controller", "nat64-svc", "dns64-svc"):
            path = f"{self.dir}/{name}.log"
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as log:
                    lines = log.read().splitlines()[-40:]
                print(f"--- last lines of {name}'s log", *lines, sep="\n", file=sys.stderr)

    # --- what is around our programs ----------------------------------------------------------------------------------

    def _devices(self):
        """eth0 of the client and lan of the node, eth0 of the server and wan of the node."""
        self.node.run(f"ip link add lan type veth peer name eth0 netns {self.client.name}")
        self.node.run(f"ip link add wan type veth peer name eth0 netns {self.server.name}")

    def _links(self):
        self._devices()
        for namespace, device, addresses in (
                (self.client, "eth0", [f"{CLIENT}/64"]),
                (self.node, "lan", [f"{NODE6}/64"]),
                (self.node, "wan", [f"{NODE4}/24"]),
                (self.server, "eth0", ["20.0.0.2/24", f"{DNS4}/24", f"{WEB4}/32", f"{DUAL4}/32", f"{EXCLUDED4}/32"])):
            for address in addresses:
                nodad = ["nodad"] if ":" in address else []
                namespace.run(["ip", "address", "add", address, "dev", device, *nodad])
            namespace.run(f"ip link set {device} up")
        for namespace, device in ((self.client, "eth0"), (self.node, "lan"), (self.node, "wan"), (self.server, "eth0")):
            eventually(lambda: "fe80::" in namespace.run(f"ip -6 address show dev {device}"), 10, "link-local addresses")
        # An end point's checksum offload would hand us packets whose checksum is still to be completed.
        for namespace in (self.client, self.server):
            namespace.run("ethtool -K eth0 tx off")
        self.client.run(f"ip -6 route add default via {NODE6}")
        self.server.run(f"ip route add {POOL} via {NODE4}")
        self.node.run("ip route add default via 20.0.0.2")
        self.node.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.node.run(f"ip -6 route add default via {CLIENT}")

    def _daemon(self, namespace, name, command, http=None):
        return Daemon(namespace, name, command, f"{self.dir}/{name}.log", http, outlive_us=self.keep)

    def _write(self, name, text):
        with open(f"{self.dir}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
        return f"{self.dir}/{name}"

    def _server_side(self):
        self._write("zone.txt", ZONE_FILE)
        knot_config = self._write("knot.conf", KNOT_CONF.format(dir=self.dir, listen=f"{DNS4}@53", zone=ZONE))
        nginx = self._write("nginx.conf", NGINX_CONF.format(dir=self.dir, web=WEB4, dual=DUAL4, excluded=EXCLUDED4))
        body = random.Random(6146).randbytes(self.body_bytes)
        self.body_sha256 = hashlib.sha256(body).hexdigest()
        with open(f"{self.dir}/www/body.bin", "wb") as file:
            file.write(body)
        self._write("www/index.html", "Hello from the IPv4-only internet.\n")
        self._daemon(self.server, "knot", f"knotd -c {knot_config}").start()
        self._daemon(self.server, "nginx", f"nginx -c {nginx} -e stderr").start()
        echo = os.path.join(os.path.dirname(__file__), "udp_echo.py")
        self._daemon(self.server, "udp-echo", f"/usr/bin/python3 {echo} serve {WEB4} {ECHO_PORT}").start()
        eventually(lambda: self.server.run(f"kdig +noall +timeout=1 +retry=0 @{DNS4} {ZONE} SOA", check=False).returncode == 0,
                   10, "knot answers")
        eventually(lambda: self.server.run(f"curl -sf -o /dev/null http://{WEB4}/", check=False).returncode == 0,
                   10, "nginx answers")

    # --- our programs ---------------------------------------------------------------------------------------------------

    def write_policy(self, text):
        """Replaces the policy file in one step, as an editor or a ConfigMap does."""
        self.revision += 1
        scratch = self._write("policy.yaml.new", f"revision: {self.revision}\n{text}" if self.store.shared else text)
        os.rename(scratch, self.policy_file)

    def start_programs(self, policy=POLICY):
        self.write_policy(policy)
        self.start_controller()
        self.start_nat64()
        self.start_dns64()
        eventually(self.nat64.is_ready, 15, "nat64-svc is ready")

    def start_controller(self, *extra, policy_from_store=False, ready_within=15, listen=CONTROLLER):
        source = ["--policy-from", "store"] if policy_from_store else ["--policy-file", self.policy_file]
        self.store.start()
        store = [] if "--store" in extra else self.store.flags(CONTROLLER)
        self.controller = self._daemon(
            self.node, "isthmus-controller",
            [f"{BIN}/isthmus-controller", *source, "--grpc-listen", listen, "--http-listen", "127.0.0.1:9460",
             "--adopt-grace", "2", *store, *extra], "127.0.0.1:9460").start(ready_within)

    def nat64_command(self, *extra):
        return [f"{BIN}/nat64-svc", "--interface6", "lan", "--interface4", "wan", "--node-id", "gw1",
                "--state-dir", f"{self.dir}/nat64", "--http-listen", "127.0.0.1:9464", "--drain-timeout", "0", *extra]

    def start_nat64(self, *extra):
        os.makedirs(f"{self.dir}/nat64", exist_ok=True)
        self.nat64 = self._daemon(self.node, "nat64-svc", self.nat64_command("--controller", CONTROLLER, *extra),
                                  "127.0.0.1:9464").start()

    def dns64_command(self, *extra):
        return [f"{BIN}/dns64-svc", "--listen", f"[{NODE6}]:53", "--node-id", "dns1",
                "--state-dir", f"{self.dir}/dns64", "--http-listen", "127.0.0.1:9461", "--drain-timeout", "0", *extra]

    def start_dns64(self, *extra):
        os.makedirs(f"{self.dir}/dns64", exist_ok=True)
        self.dns64 = self._daemon(self.node, "dns64-svc", self.dns64_command("--controller", CONTROLLER, *extra),
                                  "127.0.0.1:9461").start()

    def stop_programs(self):
        for daemon in (self.dns64, self.nat64, self.controller):
            if daemon is not None:
                daemon.kill()

    def programs(self):
        return [self.controller, self.nat64, self.dns64]

    # --- questions ------------------------------------------------------------------------------------------------------

    def ctl(self, *words, check=True):
        return self.node.run([f"{BIN}/isthmusctl", *words], check=check)

    def ctl_json(self, *words):
        return json.loads(self.ctl(*words, "-o", "json", "--controller", CONTROLLER))

    def dig(self, name, kind="AAAA", *options):
        """The addresses of a short answer."""
        out = self.client.run(["dig", f"@{NODE6}", "+short", "+timeout=2", "+tries=1", *options, name, kind])
        return [line for line in out.split() if not line.endswith(".")]

    def fetch(self, url, *options):
        """sha256 of what the client gets."""
        out = self.client.run(["curl", "-sfg", "-m", "30", *options, "-o", f"{self.dir}/got", url], check=False)
        if out.returncode != 0:
            return None
        with open(f"{self.dir}/got", "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def pings(self, address, count=1):
        return self.client.run(f"ping -6 -n -c {count} -i 0.2 -W 1 {address}", check=False).returncode == 0


@contextlib.contextmanager
def capture(lab, namespace, device, expression):
    """tcpdump around a block; yields a function that returns the lines seen so far."""
    path = f"{lab.dir}/capture-{namespace.name}-{device}"
    with open(path, "wb") as out:
        process = namespace.popen(["tcpdump", "-n", "-l", "-U", "--immediate-mode", "-i", device, expression], stdout=out,
                                  stderr=out)
        eventually(lambda: "listening on" in read(path), 10, "tcpdump listens")

        def lines():
            return [line for line in read(path).splitlines() if " IP" in line or " ARP" in line]

        try:
            yield lines
        finally:
            process.terminate()
            process.wait()


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
