# SPDX-License-Identifier: Apache-2.0
"""The root's keys roll (RFC 5011): a root of our own, signed by knot, whose KSK is succeeded, revoked and removed while two
workers follow it in one file and clients see nothing but secure answers."""

import os
import re
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from dns64_site import HTTP, KNOT, Site, answers, ask  # noqa: E402
import dns.dnssec  # noqa: E402
import dns.exception  # noqa: E402
import dns.flags  # noqa: E402
import dns.message  # noqa: E402
import dns.query  # noqa: E402
import dns.rcode  # noqa: E402
import dns.rdatatype  # noqa: E402

from lib import knot, suite  # noqa: E402
from lib.daemon import Daemon, eventually  # noqa: E402

HOLD_DOWN = 12  # seconds, by the lab switch
NAMES = [f"v4only{n}." for n in range(8)]  # each belongs to one of the two workers

# Lives of a second: every answer is validated anew.
ROOT_ZONE = f"""\
$ORIGIN .
$TTL 1
.       SOA a.root. h.root. 1 3600 900 604800 1
.       NS  a.root.
a.root. A   {KNOT}
""" + "".join(f"{name} A 20.0.5.{n}\n" for n, name in enumerate(NAMES))

KNOT_CONF = knot.SERVER + """\
policy:
  - id: by-hand
    manual: on
    algorithm: ecdsap256sha256
    dnskey-ttl: 4
zone:
  - domain: .
    storage: {dir}
    file: root.zone
    zonefile-sync: -1
    zonefile-load: difference
    dnssec-signing: on
    dnssec-policy: by-hand
"""

POLICY = f"""\
translation_prefixes:
  - {{name: well-known, prefix: "64:ff9b::/96", clients: ["::1/128"]}}
dns64:
  limits: {{stale_seconds: 0}}  # what was believed before must not stand in for what is not any more
  resolvers:
    - {{name: main, root_hints: ["a.root. {KNOT}"]}}
  views:
    - {{name: default, clients: ["::1/128"], prefixes: [well-known]}}
"""


class SignedRoot(Site):
    """A site whose knot has the root alone; keys come and go as the test says."""

    def start_knot(self):
        self.state = f"{self.dir}/state"
        self.anchors = f"{self.state}/root-anchor.key"
        os.makedirs(self.state)
        self.ids = {}  # knot's own names of keys, by tag: a revoked key has another tag
        self.write("root.zone", ROOT_ZONE)
        self.config = self.write("knot.conf", KNOT_CONF.format(dir=self.dir, listen=f"{KNOT}@53"))
        self.keymgr("generate", "zsk=yes")
        self.first = self.new_ksk()
        self.knot = Daemon(self.node, "knot", f"knotd -c {self.config}", f"{self.dir}/knot.log").start()
        eventually(lambda: self.answers_dnskey(self.first), 20, "knot answers and has signed")

    def keymgr(self, *words):
        return subprocess.run(["keymgr", "-c", self.config, ".", *words], check=True, capture_output=True, text=True).stdout

    def new_ksk(self):
        """Generates a KSK that is published and signs; gives its tag."""
        key_id = self.keymgr("generate", "ksk=yes").split()[-1]
        tag = int(self.keymgr("ds", key_id).split()[2])
        self.ids[tag] = key_id
        return tag

    def load_keys(self):
        subprocess.run(["knotc", "-c", self.config, "-b", "zone-sign", "."], check=True, capture_output=True)

    def time_key(self, tag, *events):
        self.keymgr("set", self.ids[tag], *(f"{event}=+0" for event in events))
        self.load_keys()

    @staticmethod
    def answers_dnskey(tag):
        try:
            response = dns.query.udp(dns.message.make_query(".", "DNSKEY", want_dnssec=True), KNOT, timeout=0.5)
        except (dns.exception.Timeout, OSError):
            return False
        return any(dns.dnssec.key_id(key) == tag for rrset in response.answer if rrset.rdtype == dns.rdatatype.DNSKEY
                   for key in rrset)

    def command(self, http=HTTP):
        return [*super().command(http), "--state-dir", self.state, "--lab-anchor-hold-down", str(HOLD_DOWN)]

    def states(self):
        """What the file says of each key: {tag: state}."""
        with open(self.anchors, encoding="ascii") as file:
            return {int(tag): state for tag, state in re.findall(r"\{id = (\d+) .*\[\s*(\w+)\s*\]", file.read())}

    def last_success(self):
        with open(self.anchors, encoding="ascii") as file:
            return int(re.search(r";;last_success: (\d+)", file.read())[1])


site = None


def setUpModule():
    global site
    site = SignedRoot()
    unittest.addModuleCleanup(site.down)
    site.up()
    # What an operator of a private root does once: its key is where the built-in ones would be.
    site.write("state/root-anchor.key", next(line for line in site.keymgr("ds", str(site.first)).splitlines() if " 2 " in line) + "\n")
    site.start_service(POLICY)


class Watch:
    """Asks all names over and over while it is entered; on leaving, none may have been answered without AD."""

    def __enter__(self):
        self.bad, self.asked, self.over = [], 0, threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        assert self.asked > 0 and not self.bad, f"{len(self.bad)} of {self.asked}: {self.bad[:5]}\n{site.states()}"

    def _run(self):
        begin = time.monotonic()
        while not self.over.wait(0.2):
            for name in NAMES:
                self.asked += 1
                try:
                    response = ask(name, want_dnssec=True)
                    good = response.flags & dns.flags.AD and len(answers(response, "AAAA")) == 1
                    what = "" if good else response.to_text()
                except dns.exception.Timeout:
                    what = "no answer"
                if what:
                    self.bad.append((name, f"{time.monotonic() - begin:.1f} s", what))


def restart():
    site.service.kill()
    site.service.start()


def eventually_states(wanted, within):
    try:
        eventually(lambda: site.states() == wanted, within, f"the file says {wanted}")
    except AssertionError as failure:
        raise AssertionError(f"{failure}: {site.states()}") from None


class KeyRoll(unittest.TestCase):
    """In order: each step begins where the last one ended."""

    second = None

    def test_1_the_key_that_was_given_is_followed_although_nobody_asks(self):
        eventually_states({site.first: "VALID"}, 10)
        for _ in range(2):  # RFC 5011 §2.3: probes do not wait for clients
            before = site.last_success()
            eventually(lambda: site.last_success() > before, 6, "the keys are asked for again")
        with Watch():
            time.sleep(2)

    def test_2_a_new_key_waits_out_its_hold_down_across_a_restart(self):
        with Watch():
            KeyRoll.second = site.new_ksk()
            site.load_keys()
            begin = time.monotonic()
            eventually_states({site.first: "VALID", self.second: "ADDPEND"}, 8)
            time.sleep(4)
        restart()
        with Watch():
            eventually_states({site.first: "VALID", self.second: "VALID"}, HOLD_DOWN + 8)
            took = time.monotonic() - begin
            self.assertGreater(took, HOLD_DOWN)
            self.assertLess(took, HOLD_DOWN + 8, "the time before the restart counts")

    def test_3_a_file_that_cannot_be_written_is_no_end(self):
        with Watch():
            os.rename(site.state, site.state + ".gone")
            time.sleep(5)  # two probes
            os.rename(site.state + ".gone", site.state)
        self.assertTrue(site.service.running())
        self.assertIn("could not open autotrust file", site.service.log())

    def test_4_the_old_key_is_revoked_and_then_removed(self):
        with Watch():
            site.time_key(site.first, "revoke")
            revoked = site.first + 128  # RFC 5011 §7: the bit is part of the tag
            eventually_states({revoked: "REVOKED", self.second: "VALID"}, 8)
            site.time_key(site.first, "retire", "remove")
            eventually_states({self.second: "VALID"}, HOLD_DOWN + 12)

    def test_5_after_a_restart_the_new_key_alone_is_trusted(self):
        self.assertFalse(site.answers_dnskey(site.first))
        restart()
        with Watch():
            time.sleep(3)
        self.assertEqual(site.states(), {self.second: "VALID"})
        eventually(lambda: os.listdir(site.state) == ["root-anchor.key"], 5, "no half-written files stay")

    def test_6_a_key_that_was_not_held_down_is_not_trusted(self):
        with Watch():
            third = site.new_ksk()
            site.load_keys()
            eventually_states({self.second: "VALID", third: "ADDPEND"}, 8)
        site.time_key(self.second, "retire", "remove")
        eventually(lambda: not site.answers_dnskey(self.second), 5, "the new key signs alone")
        eventually(lambda: all(ask(name).rcode() == dns.rcode.SERVFAIL for name in NAMES), 8, "nothing is believed any more", 0.5)
        restart()
        self.assertEqual({ask(name).rcode() for name in NAMES}, {dns.rcode.SERVFAIL}, "nor after a restart")


if __name__ == "__main__":
    suite.main()
