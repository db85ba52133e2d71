# SPDX-License-Identifier: Apache-2.0
"""dns64-svc with two workers under dnsperf over UDP and TCP while policies are swapped, resolvers replaced, names flushed and
dumped. `./dev test sanitized` runs it with the sanitizers' builds."""

import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from dns64_site import POLICY, Site  # noqa: E402

from lib import suite  # noqa: E402
from lib.topology import BIN  # noqa: E402

SECONDS = int(os.environ.get("ISTHMUS_SOAK_SECONDS", "6"))
GRPC = "127.0.0.1:7465"
# An upstream that knows nothing of the root cannot be validated: its zone has no anchor above it.
OTHER_RESOLVER = 'dnssec: true, trust_anchors: ["elsewhere. IN DS 1 13 2 %s"]' % ("00" * 32)
SWAPS = [POLICY,
         POLICY.replace("dnssec: false", OTHER_RESOLVER),  # another resolver: contexts are made, used and let go
         POLICY + "exclusions: {ipv4_destinations: [20.0.9.0/24]}\n",
         POLICY.replace("name: main, mode", "name: main, local_zones: true, mode")]
# Names that are there, that have no address, that are missing: a thousand more than the 50 that stay in the cache.
QUESTIONS = [f"warm{n}.test AAAA" for n in range(50)] + ["text.test AAAA", "dual.test AAAA", "blocked.test AAAA"] * 5 + \
    [f"gone{n}.test AAAA" for n in range(1000)]

site = None


def setUpModule():
    global site
    site = Site(flags=["--grpc-listen", GRPC])
    unittest.addModuleCleanup(site.down)
    site.up()
    site.start_service()


def dnsperf(mode):
    command = ["dnsperf", "-s", "::1", "-f", "inet6", "-m", mode, "-d", f"{site.dir}/questions.txt", "-l", str(SECONDS), "-c", "8",
               "-q", "40", "-Q", "4000", "-t", "5", "-e"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def sent_and_done(report):
    return tuple(int(re.search(rf"Queries {what}:\s+(\d+)", report).group(1)) for what in ("sent", "completed"))


def rcodes(report):
    line = re.search(r"Response codes:(.*)", report).group(1)
    return set(re.findall(r"[A-Z]+(?= \d)", line))


class Soak(unittest.TestCase):
    def test_nothing_is_lost_while_policies_are_swapped_and_names_flushed(self):
        site.write("questions.txt", "\n".join(QUESTIONS) + "\n")
        load = [dnsperf("udp"), dnsperf("tcp")]
        first = site.service.metric_sum("isthmus_feed_policy_version")
        swaps = 0
        while any(process.poll() is None for process in load):
            swaps += 1
            site.write("policy.yaml", SWAPS[swaps % len(SWAPS)])
            for words in (["cache", "flush", f"warm{swaps % 50}.test"], ["cache", "dump"], ["explain-dns", "v4only.test", "AAAA", "--client", "::1"]):
                done = subprocess.run([f"{BIN}/isthmusctl", *words, "--dns64", GRPC], capture_output=True, text=True, timeout=20, check=False)
                self.assertEqual(0, done.returncode, f"{words}: {done.stdout}{done.stderr}")
        reports = [process.communicate()[0] for process in load]
        self.assertTrue(site.service.running(), site.service.log_tail())
        for report in reports:
            sent, done = sent_and_done(report)
            self.assertGreater(done, 100 * SECONDS, report)
            self.assertEqual(sent, done, report)
            self.assertEqual({"NOERROR", "NXDOMAIN"}, rcodes(report), report)
        self.assertGreater(swaps, 2)
        self.assertGreater(site.service.metric_sum("isthmus_feed_policy_version"), first + 1, "hardly any policy was taken up")
        site.write("policy.yaml", SWAPS[(swaps + 1) % len(SWAPS)])  # the end comes while resolvers are made
        status, _ = site.service.terminate(within=30)
        self.assertEqual(0, status, site.service.log_tail())


if __name__ == "__main__":
    suite.main()
