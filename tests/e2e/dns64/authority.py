# SPDX-License-Identifier: Apache-2.0
"""Authorities for the tests: knot with a root, an unsigned and a signed zone; and one of our own that lies, breaks and stalls
on purpose, signs as it answers, and remembers every question.

  .           knot      delegates all below
  test        knot      unsigned
  sec.test    knot      signed, NSEC
  evil.test   FakeAuthority: signed by itself; the first label says what is broken
  odd.test    FakeAuthority: unsigned; the first label says what is odd
  hidden.sec.test  FakeAuthority: unsigned; who asks knot hears that there is no such zone, with its signature
  arpa        FakeAuthority: knows the PTR of 20.0.4.1 alone, writes down who asks
"""

import socket
import socketserver
import struct
import subprocess
import threading
import time

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import ec

from dns64_site import KNOT, Site
from lib import knot
from lib.daemon import Daemon, eventually

FAKE = "127.0.0.54"
SO_RCVBUFFORCE = 33  # asm-generic/socket.h
IN = dns.rdataclass.IN

ROOT_ZONE = f"""\
$ORIGIN .
$TTL 86400
.        SOA a.root. h.root. 1 3600 900 604800 86400
.        NS  a.root.
a.root.  A   {KNOT}
test.    NS  ns.test.
ns.test. A   {KNOT}
arpa.    NS  ns.odd.test.
ns.odd.test. A {FAKE}
"""
TEST_ZONE = f"""\
$ORIGIN test.
$TTL 300
@        SOA ns h 1 3600 600 86400 60
@        NS  ns
ns       A   {KNOT}
plain    A   20.0.1.1
private  A   10.0.0.1
sec      NS  ns.sec
ns.sec   A   {KNOT}
evil     NS  ns.evil
ns.evil  A   {FAKE}
odd      NS  ns.odd
ns.odd   A   {FAKE}
"""
SEC_ZONE = f"""\
$ORIGIN sec.test.
$TTL 300
@        SOA   ns h 1 3600 600 86400 60
@        NS    ns
ns       A     {KNOT}
v4       A     20.0.2.1
dual     A     20.0.2.2
dual     AAAA  2001:db8::2
mapped   A     20.0.2.3
mapped   AAAA  ::ffff:20.0.2.3
mapped6  AAAA  ::ffff:20.0.2.6
alias    CNAME v4
outside  CNAME plain.test.
*.wild   A     20.0.2.4
tree     DNAME target
x.target A     20.0.2.5
long     DNAME {'t' * 63}.{'u' * 63}
text     TXT   "nothing else"
"""

KNOT_CONF = knot.SERVER + """\
policy:
  - id: once
    algorithm: ecdsap256sha256
    single-type-signing: on
template:
  - id: default
    storage: {dir}
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
  - domain: .
    file: root.zone
  - domain: test
    file: test.zone
  - domain: sec.test
    file: sec.zone
    dnssec-signing: on
    dnssec-policy: once
"""


def name(text):
    return dns.name.from_text(text)


def rrset(owner, ttl, kind, *values):
    return dns.rrset.from_text(owner, ttl, IN, kind, *values)


def delay_of(label, kind):
    """Seconds after its first question that a label begins to answer; 0: at once."""
    if label.startswith("slowaaaa"):
        return 1.0 if kind == "AAAA" else 0
    return 2.5 if label.startswith("late") else 0


def ttl_of(label):
    """ttl10, ttl10-x: what they say; else 300."""
    return int(label[3:].split("-")[0]) if label.startswith("ttl") else 300


class Key:
    """A zone's only key."""

    def __init__(self, zone):
        self.zone = name(zone)
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.dnskey = dns.dnssec.make_dnskey(self.private.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)

    def ds(self):
        return f"{self.zone} DS {dns.dnssec.make_ds(self.zone, self.dnskey, 'SHA256')}"

    def sign(self, records, broken=False, expired=False):
        now = int(time.time())
        # Expired far beyond the skew that a validator forgives.
        begin, end = (now - 86400 * 40, now - 86400 * 20) if expired else (now - 3600, now + 86400)
        signature = dns.dnssec.sign(records, self.private, self.zone, self.dnskey, inception=begin, expiration=end)
        if broken:
            spoiled = bytearray(signature.signature)
            spoiled[7] ^= 0x55
            signature = signature.replace(signature=bytes(spoiled))
        return dns.rrset.from_rdata(records.name, records.ttl, signature)


class FakeAuthority:
    """Answers on UDP and TCP of 127.0.0.54; `seen` holds (name as asked, type, transport, source port)."""

    def __init__(self):
        self.key = Key("evil.test.")
        self.seen, self.lock = [], threading.Lock()
        self.stop = threading.Event()
        self.is_dead = False  # answers nothing at all
        self.moved = {}  # name: its new IPv4 address
        self.spoiled = set()  # names below evil.test whose signatures are wrong from now on
        self.first = {}  # (name, type) of labels that are slow: when it was first asked

    def start(self):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # Under attack it loses no question: the resolver would wait for an answer as long as the silent names have taught it.
        self.udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.udp.bind((FAKE, 53))
        self.udp.settimeout(0.5)
        threading.Thread(target=self._serve_udp, daemon=True).start()
        authority = self

        class Stream(socketserver.StreamRequestHandler):
            def handle(self):
                while head := self.rfile.read(2):
                    wire = self.rfile.read(struct.unpack("!H", head)[0])
                    for reply in authority.replies(wire, "tcp", self.client_address[1]):
                        self.wfile.write(struct.pack("!H", len(reply)) + reply)

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        socketserver.ThreadingTCPServer.daemon_threads = True
        self.tcp = socketserver.ThreadingTCPServer((FAKE, 53), Stream)
        threading.Thread(target=self.tcp.serve_forever, daemon=True).start()
        return self

    def close(self):
        self.stop.set()
        self.tcp.shutdown()
        self.udp.close()

    def questions(self, wanted):
        with self.lock:
            return [entry for entry in self.seen if entry[0].lower() == wanted.lower()]

    def _serve_udp(self):
        while not self.stop.is_set():
            try:
                wire, peer = self.udp.recvfrom(4096)
                replies = self.replies(wire, "udp", peer[1])
                if (wait := self.wait_of(wire)) > 0:
                    threading.Timer(wait, self._send, (replies, peer)).start()
                else:
                    self._send(replies, peer)
            except TimeoutError:
                continue
            except OSError:
                return

    def _send(self, replies, peer):
        for reply in replies:
            try:
                self.udp.sendto(reply, peer)
            except OSError:
                return  # closed meanwhile, or who asked is gone

    def wait_of(self, wire):
        """Those who ask again and again have the answer no later than those who wait."""
        question = dns.message.from_wire(wire).question[0]
        owner, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        delay = delay_of(owner.split(".")[0], kind)
        return delay and self.first.setdefault((owner, kind), time.monotonic()) + delay - time.monotonic()

    def replies(self, wire, transport, port):
        query = dns.message.from_wire(wire)
        question = query.question[0]
        if self.is_dead:
            return []
        with self.lock:
            self.seen.append((question.name.to_text(), dns.rdatatype.to_text(question.rdtype), transport, port))
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        owner, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        if owner.endswith("evil.test."):
            self.evil(reply, owner, kind)
        elif owner.endswith("odd.test."):
            return self.odd(reply, owner, kind, transport)
        elif owner.endswith("hidden.sec.test."):
            soa = rrset("hidden.sec.test.", 60, "SOA", "ns.odd.test. h.odd.test. 1 3600 600 86400 60")
            known = {"A": rrset(owner, 300, "A", "20.0.4.1"), "SOA": soa} if owner != "hidden.sec.test." else {"SOA": soa}
            (reply.answer if kind in known else reply.authority).append(known.get(kind, soa))
        elif (owner, kind) == ("1.4.0.20.in-addr.arpa.", "PTR"):
            reply.answer.append(rrset(owner, 300, "PTR", "host.odd.test."))
        elif "1.4.0.20.in-addr.arpa.".endswith(owner) and owner != "arpa.":  # what lies between (RFC 8020)
            reply.authority.append(rrset("arpa.", 60, "SOA", "ns.odd.test. h.odd.test. 1 3600 600 86400 60"))
        else:
            reply.set_rcode(dns.rcode.NXDOMAIN)
            reply.authority.append(rrset("arpa.", 60, "SOA", "ns.odd.test. h.odd.test. 1 3600 600 86400 60"))
        return [reply.to_wire()]

    # --- signed, and broken by the first label ------------------------------------------------------------------------

    def evil(self, reply, owner, kind):
        label = owner.split(".")[0]
        soa = rrset("evil.test.", 60, "SOA", "ns.evil.test. h.evil.test. 1 3600 600 86400 60")
        records = {"A": [self.moved.get(owner, "20.0.3.1")]}
        if label == "evil":
            records = {"DNSKEY": [str(self.key.dnskey)], "NS": ["ns.evil.test."], "SOA": [str(soa[0])]}
        elif label == "bogusaaaa":
            records["AAAA"] = ["2001:db8::66"]
        elif label == "ns":
            records = {"A": [FAKE]}
        expired = label == "expired"
        if kind in records:
            answer = rrset(owner, ttl_of(label), kind, *records[kind])
            reply.answer.append(answer)
            broken = (label, kind) in (("bogusa", "A"), ("bogusaaaa", "AAAA")) or owner in self.spoiled
            if label != "stripped":
                reply.answer.append(self.key.sign(answer, broken, expired))
            return
        # "Black lies": an NSEC at the very name that lists what there is.
        nsec = rrset(owner, 60, "NSEC", f"\\000.{owner} {' '.join(sorted(records))} RRSIG NSEC")
        for proof in (soa, nsec):
            reply.authority.append(proof)
            if label != "stripped":
                reply.authority.append(self.key.sign(proof, label == "bogusdenial", expired))

    # --- unsigned, and odd by the first label --------------------------------------------------------------------------

    def odd(self, reply, owner, kind, transport):
        label = owner.split(".")[0]
        soa = rrset("odd.test.", 60, "SOA", "ns.odd.test. h.odd.test. 1 3600 600 86400 60")
        silent = (label == "silentaaaa" and kind == "AAAA") or label == "silent" or (label == "cutforever" and transport == "tcp")
        if silent:
            return []
        if label in ("cut", "cutforever") and transport == "udp":
            reply.flags |= dns.flags.TC
            return [reply.to_wire()]
        if label == "servfailaaaa-alone":
            if kind == "AAAA":
                reply.set_rcode(dns.rcode.SERVFAIL)
            else:
                reply.authority.append(soa)
            return [reply.to_wire()]
        if kind == "AAAA" and label in ("servfailaaaa", "refusedaaaa", "nxaaaa"):
            reply.set_rcode({"servfailaaaa": dns.rcode.SERVFAIL, "refusedaaaa": dns.rcode.REFUSED, "nxaaaa": dns.rcode.NXDOMAIN}[label])
            if label == "nxaaaa":
                reply.authority.append(soa)
            return [reply.to_wire()]
        if label in ("loop1", "loop2"):
            reply.answer.append(rrset(owner, 300, "CNAME", f"loop{3 - int(label[-1])}.odd.test."))
            return [reply.to_wire()]
        if label.startswith("hop") and label != "hop0":
            reply.answer.append(rrset(owner, 300, "CNAME", f"hop{int(label[3:]) - 1}.odd.test."))
            return [reply.to_wire()]
        if label == "refuseall":
            reply.set_rcode(dns.rcode.REFUSED)
            return [reply.to_wire()]
        if label == "uneven":  # a chain whose parts live 10 and 14 seconds
            reply.answer.append(rrset(owner, 10, "CNAME", "ttl14-uneven.odd.test."))
            return [reply.to_wire()]
        address = {"ns": FAKE}.get(label, self.moved.get(owner, "20.0.4.1"))
        ttl = ttl_of(label)
        if ttl != 300:
            soa = rrset("odd.test.", ttl, "SOA", f"ns.odd.test. h.odd.test. 1 3600 600 86400 {ttl}")
        if owner == "odd.test.":
            if kind in ("SOA", "NS"):
                reply.answer.append(soa if kind == "SOA" else rrset(owner, 300, "NS", "ns.odd.test."))
            else:
                reply.authority.append(soa)
        elif label.startswith("slowaaaa"):  # IPv6 only
            if kind == "AAAA":
                reply.answer.append(rrset(owner, 300, "AAAA", "2001:db8::6"))
            else:
                reply.authority.append(soa)
        elif kind == "A":
            reply.answer.append(rrset(owner, ttl, "A", address))
            if label == "poison":
                reply.answer.append(rrset("plain.test.", 300, "A", "6.6.6.6"))
                reply.additional.append(rrset("victim.odd.test.", 300, "A", "6.6.6.6"))
                reply.authority.append(rrset("test.", 300, "NS", "ns.odd.test."))
        elif kind == "PTR":
            reply.set_rcode(dns.rcode.NXDOMAIN)
            reply.authority.append(soa)
        elif label == "wrongsoa":
            reply.authority.append(rrset("com.", 86400, "SOA", "ns.com. h.com. 1 3600 600 86400 86400"))
        elif label == "twosoa":
            reply.authority.append(soa)
            reply.authority.append(rrset("test.", 86400, "SOA", "ns.test. h.test. 1 3600 600 86400 86400"))
        elif not label.endswith("nosoa"):
            reply.authority.append(soa)
        replies = [reply.to_wire()]
        if label == "forged":  # first another id, then another question, then the truth
            wrong = bytearray(replies[0])
            wrong[0] ^= 0xff
            wrong[-1] ^= 0xff
            other = dns.message.make_query("other.odd.test.", kind, id=struct.unpack("!H", replies[0][:2])[0])
            other.flags |= dns.flags.QR
            other.answer.append(rrset("other.odd.test.", 300, "A", "6.6.6.6"))
            replies = [bytes(wrong), other.to_wire(), *replies] if transport == "udp" else replies
        return replies


POLICY = """\
translation_prefixes:
  - {{name: well-known, prefix: "64:ff9b::/96", clients: ["::1/128"]}}
  - {{name: local, prefix: "2001:db8:64::/96", clients: ["::1/128"], ipv4_ranges: [10.0.0.0/8], allow_non_global: true}}
dns64:
  resolvers:
    - name: main
      root_hints: ["a.root. {knot}"]
      trust_anchors: ["{sec}", "{evil}"]
      {more}
  views:
    - {{name: default, clients: ["::1/128", "127.0.0.1/32"], prefixes: [well-known]{view}}}
"""


class AuthoritySite(Site):
    """The site of dns64_site with all of the above behind a recursing dns64-svc."""

    def __init__(self):
        super().__init__()
        self.fake = None

    def up(self):
        super().up()
        self.fake = FakeAuthority().start()

    def down(self):
        if self.fake is not None:
            self.fake.close()
        super().down()

    def start_knot(self):
        for file, text in (("root.zone", ROOT_ZONE), ("test.zone", TEST_ZONE), ("sec.zone", SEC_ZONE)):
            self.write(file, text)
        config = self.write("knot.conf", KNOT_CONF.format(dir=self.dir, listen=f"{KNOT}@53"))
        self.knot = Daemon(self.node, "knot", f"knotd -c {config}", f"{self.dir}/knot.log").start()
        eventually(lambda: self.answers_soa(KNOT) and self.sec_ds(), 20, "knot answers and has signed")

    def sec_ds(self):
        out = subprocess.run(["keymgr", "-c", f"{self.dir}/knot.conf", "sec.test.", "ds"], capture_output=True, text=True).stdout
        return next((line for line in out.splitlines() if " 2 " in line), None)

    def policy(self, more="", view=""):
        return POLICY.format(knot=KNOT, sec=self.sec_ds(), evil=self.fake.key.ds(), more=more, view=view)
