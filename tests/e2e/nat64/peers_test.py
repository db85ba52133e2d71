# SPDX-License-Identifier: Apache-2.0
"""Programs that people use, unchanged, from an IPv6-only host to IPv4-only servers through nat64-svc."""

import hashlib
import json
import os
import re
import subprocess
import unittest

from gateway_lab import GatewayLab

from lib import suite
from lib.daemon import Daemon, eventually
from lib.topology import CLIENT, DNS4, NODE4, NODE6, POLICY, WEB4, ZONE, embedded

WEB6 = embedded(WEB4)
TRACE_PORT = 44444
STATIC = "static_mappings:\n" + "".join(
    f"  - {{protocol: {protocol}, client6: \"{CLIENT}\", port6: {port}, public4: 203.0.113.1, port4: {port}}}\n"
    for protocol, ports in (("TCP", [8080]), ("UDP", range(TRACE_PORT, TRACE_PORT + 8))) for port in ports)

FTP_SERVER = """
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
import sys
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_anonymous(sys.argv[2], perm="elrw")
FTPServer((sys.argv[1], 21), FTPHandler).serve_forever()
"""

# Run in the client's namespace. ftplib asks for EPSV by itself, since its control connection is IPv6.
FTP_CLIENT = """
import ftplib, hashlib, sys
ftp = ftplib.FTP(timeout=10)
ftp.connect(sys.argv[1], 21)
ftp.login()
digest = hashlib.sha256()
ftp.retrbinary("RETR body.bin", digest.update)
print(digest.hexdigest(), sorted(ftp.nlst()))
ftp.quit()
"""

SSHD_CONFIG = """
Port 2222
ListenAddress {address}
HostKey {dir}/host_key
AuthorizedKeysFile {dir}/client_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
"""

lab = None


def setUpModule():
    global lab
    lab = unittest.enterModuleContext(GatewayLab())
    lab.write_policy(POLICY + STATIC)
    lab.start_alone()


def serve(testcase, name, command, port, address=WEB4):
    daemon = Daemon(lab.server, name, command, f"{lab.dir}/{name}.log").start()
    testcase.addCleanup(daemon.kill)

    def listens():
        if not daemon.running():
            raise AssertionError(f"{name} ended:\n{daemon.log_tail()}")
        return f"{address}:{port}" in lab.server.run("ss -Hltn")

    eventually(listens, 40, f"{name} listens")


class Peers(unittest.TestCase):
    def test_curl_gets_a_large_body_whole(self):
        self.assertEqual(lab.body_sha256, lab.fetch(f"http://[{WEB6}]/body.bin"))

    def test_iperf3_over_tcp_and_udp(self):
        for options in (["-b", "200M"], ["-u", "-b", "10M", "-l", "1200"]):
            serve(self, "iperf3", f"iperf3 -s -1 -B {WEB4}", 5201)
            out = json.loads(lab.client.run(["iperf3", "-6", "-J", "-t", "1", "-c", WEB6, *options]))
            received = out["end"].get("sum_received") or out["end"]["sum"]
            self.assertGreater(received["bytes"], 100_000, options)

    def test_ping_of_many_sizes(self):
        for size in (0, 1, 7, 56, 512, 1200, 1201, 1231, 1232, 1233, 1300, 1400, 1451, 1452):
            answer = lab.client.run(f"ping -6 -n -c 1 -W 2 -s {size} {WEB6}", check=False)
            self.assertEqual(0, answer.returncode, f"size {size}:\n{answer.stdout}")

    def test_traceroute_from_the_client(self):
        for way in ("-U", "-I", "-T"):
            out = lab.client.run(f"traceroute -6 -n -q 1 -w 2 -m 5 {way} {WEB6}")
            self.assertRegex(out, rf"1  {NODE6} ", f"{way}: the gateway is not the first hop:\n{out}")
            self.assertRegex(out, rf"2  {WEB6} ", f"{way}: the server is not the second hop:\n{out}")

    def test_traceroute_from_the_server(self):
        out = lab.server.run("traceroute -4 -n -q 1 -w 2 -m 5 -T -p 8080 203.0.113.1")
        self.assertRegex(out, rf"1  {re.escape(NODE4)} ", out)
        self.assertRegex(out, r"2  203\.0\.113\.1 ", out)

    def test_tracepath_both_ways(self):
        out = lab.client.run(f"tracepath -6 -n -m 5 {WEB6}", timeout=40)
        self.assertIn(NODE6, out)
        self.assertRegex(out, rf"{WEB6} .* reached", out)
        out = lab.server.run(f"tracepath -4 -n -m 5 -p {TRACE_PORT} 203.0.113.1", timeout=40)
        self.assertIn(NODE4, out)
        self.assertRegex(out, r"203\.0\.113\.1 .* reached", out)
        self.assertIn("pmtu 1480", out, "the 20 bytes of the longer header are not in the path's MTU")

    def test_dns_over_tcp(self):
        out = lab.client.run(["dig", "+tcp", "+short", "+timeout=3", f"@{embedded(DNS4)}", f"v4only.{ZONE}", "A"])
        self.assertEqual(f"{WEB4}\n", out)

    def test_ftp_with_extended_passive_mode(self):
        script = f"{lab.dir}/ftp_server.py"
        with open(script, "w", encoding="utf-8") as file:
            file.write(FTP_SERVER)
        serve(self, "ftp", ["/usr/bin/python3", script, WEB4, f"{lab.dir}/www"], 21)
        out = lab.client.run(["/usr/bin/python3", "-c", FTP_CLIENT, WEB6])
        self.assertEqual(f"{lab.body_sha256} ['body.bin', 'index.html']\n", out)

    def test_ssh_with_a_transfer_in_both_directions(self):
        for name in ("host_key", "client_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{lab.dir}/{name}"], check=True)
        config = f"{lab.dir}/sshd_config"
        with open(config, "w", encoding="utf-8") as file:
            file.write(SSHD_CONFIG.format(address=WEB4, dir=lab.dir))
        os.makedirs("/run/sshd", exist_ok=True)
        serve(self, "sshd", f"/usr/sbin/sshd -D -e -f {config}", 2222)
        body = os.urandom(1 << 20)
        ssh = lab.client.argv(["ssh", "-6", "-p", "2222", "-i", f"{lab.dir}/client_key", "-o", "StrictHostKeyChecking=no",
                               "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=10", f"root@{WEB6}", "cat"])
        done = subprocess.run(ssh, input=body, capture_output=True, timeout=30, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(hashlib.sha256(body).digest(), hashlib.sha256(done.stdout).digest())


if __name__ == "__main__":
    suite.main()
