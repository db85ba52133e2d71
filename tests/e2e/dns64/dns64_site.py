# SPDX-License-Identifier: Apache-2.0
"""One namespace with an authoritative knot and a dns64-svc in front of it; the test process moves in."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import dns.flags  # noqa: E402
import dns.message  # noqa: E402
import dns.query  # noqa: E402
import dns.rcode  # noqa: E402
import dns.rdatatype  # noqa: E402

from lib.daemon import Daemon, eventually  # noqa: E402
from lib.netns import NamespaceSet, lab_prefix, move_into  # noqa: E402
from lib.topology import BIN, KNOT_CONF  # noqa: E402

PREFIX = lab_prefix("isthmus-dns64-")
KNOT, HTTP = "127.0.0.53", "127.0.0.1:9465"

ZONE = """\
$ORIGIN test.
$TTL 300
@         SOA   ns hostmaster 1 3600 600 86400 60
@         NS    ns
ns        A     127.0.0.53
v4only    A     20.0.1.80
two       A     20.0.1.80
two       A     20.0.1.81
private   A     10.0.0.1
dual      A     20.0.1.81
dual      AAAA  2001:db8:80::81
mapped    A     20.0.1.82
mapped    AAAA  ::ffff:20.0.1.82
alias     CNAME middle
middle    CNAME v4only
text      TXT   "no address here"
blocked   A     20.0.9.9
""" + "".join(f"warm{n}     A     20.0.2.{n % 250 + 1}\n" for n in range(50)) + \
    "".join(f"big       TXT   \"{n:03} {'x' * 200}\"\n" for n in range(20))

POLICY = """\
translation_prefixes:
  - {name: well-known, prefix: "64:ff9b::/96", clients: ["::1/128"]}
dns64:
  resolvers:
    - {name: main, mode: FORWARD, dnssec: false, upstreams: [{address: 127.0.0.53}]}
  views:
    - {name: default, clients: ["::1/128", "127.0.0.1/32"], prefixes: [well-known], resolver: main}
"""

EXCLUSION = """\
exclusions:
  ipv4_destinations: [20.0.9.0/24]
"""


class Site:
    def __init__(self, prefix=PREFIX, flags=(), zone=ZONE):
        self.namespaces = NamespaceSet(prefix, ["node"])
        self.node = self.namespaces.of["node"]
        self.zone = zone
        self.flags = list(flags)  # of dns64-svc, besides those that every test needs
        self.dir = f"/run/{prefix.rstrip('-')}"
        self.policy_file = f"{self.dir}/policy.yaml"
        self.service = self.knot = None
        self.outside = open("/proc/self/ns/net", "rb")

    def up(self):
        self.namespaces.lock()
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.namespaces.create()
        with open(self.node.path, "rb") as node:
            move_into(node)
        self.write("zone.txt", self.zone)
        self.start_knot()

    def down(self):
        move_into(self.outside)  # out first: what is inside is ended
        self.namespaces.remove()
        shutil.rmtree(self.dir, ignore_errors=True)

    def write(self, name, text):
        with open(f"{self.dir}/{name}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(f"{self.dir}/{name}.new", f"{self.dir}/{name}")
        return f"{self.dir}/{name}"

    def start_knot(self):
        config = self.write("knot.conf", KNOT_CONF.format(dir=self.dir, listen=f"{KNOT}@53", zone="test"))
        self.knot = Daemon(self.node, "knot", f"knotd -c {config}", f"{self.dir}/knot.log").start()
        eventually(lambda: self.answers_soa(KNOT), 10, "knot answers")

    @staticmethod
    def answers_soa(server):
        try:
            return dns.query.udp(dns.message.make_query("test.", "SOA"), server, timeout=0.5).rcode() == 0
        except (dns.exception.Timeout, OSError):
            return False

    def command(self, http=HTTP):
        drain = [] if "--drain-timeout" in self.flags else ["--drain-timeout", "0"]
        return [f"{BIN}/dns64-svc", "--workers", "2", "--http-listen", http, "--policy-file", self.policy_file,
                *drain, *self.flags]

    def start_service(self, policy=POLICY):
        self.write("policy.yaml", policy)
        self.service = Daemon(self.node, "dns64-svc", self.command(), f"{self.dir}/dns64-svc.log", HTTP).start()


def ask(name, kind="AAAA", server="::1", tcp=False, timeout=3, source=None, **options):
    query = dns.message.make_query(name, kind, **options)
    return (dns.query.tcp if tcp else dns.query.udp)(query, server, timeout=timeout, source=source)


def answers(response, kind):
    """The records of one type in the answer section, as text."""
    wanted = dns.rdatatype.from_text(kind)
    return [str(record) for rrset in response.answer if rrset.rdtype == wanted for record in rrset]
