# SPDX-License-Identifier: Apache-2.0
"""The servers that are measured: how each is configured (one worker, DNS64, caches that are large enough) and started."""

import os
import subprocess
import time

UNBOUND = """\
server:
    interface: 127.0.0.1@{port}
    interface: 127.0.0.1@{tls}
    tls-port: {tls}
    tls-service-key: "{dir}/tls.key"
    tls-service-pem: "{dir}/tls.crt"
    num-threads: 1
    so-rcvbuf: 4m
    so-sndbuf: 4m
    outgoing-range: 8192
    num-queries-per-thread: 4096
    incoming-num-tcp: 256
    msg-cache-size: 2g
    rrset-cache-size: 4g
    key-cache-size: 64m
    neg-cache-size: 64m
    module-config: "dns64 validator iterator"
    dns64-prefix: 64:ff9b::/96
    root-hints: "{dir}/hints.zone"
    trust-anchor: "signed.test. DS {ds}"
    local-zone: "test." nodefault
    do-daemonize: no
    do-not-query-localhost: no
    username: ""
    chroot: ""
    directory: "{dir}"
    pidfile: ""
    use-syslog: no
    access-control: 0.0.0.0/0 allow
remote-control:
    control-enable: no
"""

BIND = """\
options {{
    directory "{dir}"; pid-file none; session-keyfile "{dir}/session.key";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on port {tls} tls bench {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion yes; allow-query {{ any; }}; allow-recursion {{ any; }};
    max-cache-size 6g; recursive-clients 10000; tcp-clients 1000;
    dnssec-validation yes; minimal-responses yes;
    dns64 64:ff9b::/96 {{ clients {{ any; }}; }};
}};
tls bench {{ cert-file "{dir}/tls.crt"; key-file "{dir}/tls.key"; }};
controls {{ }};
logging {{ channel f {{ file "{dir}/bind.txt"; severity warning; }}; category default {{ f; }}; category lame-servers {{ null; }}; }};
trust-anchors {{ "signed.test" static-ds {ds_quoted}; }};
zone "." {{ type hint; file "{dir}/hints.zone"; }};
"""

RECURSOR = """\
local-address=127.0.0.1:{port}
threads=1
pdns-distributes-queries=no
dns64-prefix=64:ff9b::/96
hint-file={dir}/hints.zone
dnssec=validate
lua-config-file={dir}/recursor.lua
dont-query=
allow-from=0.0.0.0/0
max-cache-entries=6000000
max-packetcache-entries=3000000
max-negative-ttl=86400
socket-dir={dir}
security-poll-suffix=
setuid=
setgid=
daemon=no
write-pid=no
quiet=yes
loglevel=3
disable-syslog=yes
max-mthreads=4096
max-tcp-clients=1000
max-tcp-per-client=0
"""
RECURSOR_LUA = 'clearTA(".")\naddTA("signed.test", "{ds}")\n'

KRESD = """\
net.ipv6 = false
net.listen('127.0.0.1', {port}, {{ kind = 'dns' }})
net.listen('127.0.0.1', {tls}, {{ kind = 'tls' }})
net.tls('{dir}/tls.crt', '{dir}/tls.key')
cache.open(2*GB, 'lmdb://{dir}/kresd')
modules = {{ 'policy', 'hints', 'dns64' }}
modules.unload('priming')
modules.unload('detect_time_skew')
modules.unload('ta_signal_query')
modules.unload('ta_sentinel')
dns64.config({{ prefix = '64:ff9b::' }})
hints.root({{ ['a.root.'] = {{ '192.0.2.53' }} }})
trust_anchors.remove('.')
trust_anchors.add('signed.test. DS {ds}')
policy.add(policy.suffix(policy.PASS, {{ todname('test.') }}))
"""

DNSDIST = """\
setLocal('127.0.0.1:{port}', {{ reusePort = false }})
addTLSLocal('127.0.0.1:{tls}', '{dir}/tls.crt', '{dir}/tls.key')
newServer({{ address = '127.0.0.1:{backend}', healthCheckMode = 'up' }})
setACL({{ '0.0.0.0/0' }})
getPool(''):setCache(newPacketCache(3000000, {{ maxTTL = 86400 }}))
setSecurityPollSuffix('')
"""

ISTHMUS = """\
translation_prefixes:
  - {{name: well-known, prefix: "64:ff9b::/96", clients: ["2001:db8::/32"]}}
dns64:
  resolvers:
    - {{name: main, root_hints: ["a.root. 192.0.2.53"], trust_anchors: ["signed.test. DS {ds}"]}}
    - {{name: other, root_hints: ["b{number}.root. 192.0.2.53"], trust_anchors: ["signed.test. DS {ds}"]}}
  views:
    - {{name: default, clients: ["127.0.0.1/32"], prefixes: [well-known], resolver: main}}
    - {{name: other, clients: ["192.0.2.77/32"], prefixes: [well-known], resolver: other}}
  limits: {{cache_bytes: 4294967296, max_negative_ttl_seconds: 86400}}
"""


class Contestant:
    """One server, started in the namespace on core 1."""

    name = ""
    dns64 = True  # synthesizes; dnsdist and the echo do not
    resolves = True

    def __init__(self, number, bench):
        self.bench, self.dir = bench, f"{bench.dir}/{self.name}"
        self.port, self.tls = 5301 + 2 * number, 5302 + 2 * number
        self.process = None
        os.makedirs(self.dir, exist_ok=True)

    def fields(self):
        ds = self.bench.ds
        words = ds.split()
        return {"port": self.port, "tls": self.tls, "dir": self.dir, "ds": ds,
                "ds_quoted": f'{words[0]} {words[1]} {words[2]} "{words[3]}"'}

    def write(self, file, template, **more):
        path = f"{self.dir}/{file}"
        with open(f"{path}.new", "w", encoding="ascii") as out:
            out.write(template.format(**self.fields(), **more))
        os.rename(f"{path}.new", path)
        return path

    def command(self):
        raise NotImplementedError

    def has_tls(self):
        return True

    def start(self):
        for file in ("tls.crt", "tls.key", "hints.zone"):
            if not os.path.exists(f"{self.dir}/{file}"):
                os.symlink(f"{self.bench.dir}/{file}", f"{self.dir}/{file}")
        with open(f"{self.dir}/log", "wb") as log:
            self.process = self.bench.node.popen(["taskset", "-c", self.bench.server_core, *self.command()], stdin=subprocess.DEVNULL,
                                                 stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self.answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                with open(f"{self.dir}/log", encoding="utf-8", errors="replace") as log:
                    raise SystemExit(f"{self.name} does not answer:\n{log.read()[-2000:]}")
            time.sleep(0.2)

    def answers(self):
        out = self.bench.node.run(f"dig +noedns +short +time=1 +tries=1 -p {self.port} @127.0.0.1 n0000000.perf.test AAAA", check=False)
        return "64:ff9b::2c00:0" in out.stdout or "64:ff9b::2c01:101" in out.stdout

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def cpu_seconds(self):
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total * 1e-9

    def rss_kb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


class Echo(Contestant):
    name, dns64, resolves = "echo", False, False

    def command(self):
        return [f"{self.bench.bin}/dns64_echo", self.port]

    def has_tls(self):
        return False


class Isthmus(Contestant):
    name = "isthmus"

    def command(self):
        self.push()
        help_text = subprocess.run([f"{self.bench.bin}/dns64-svc", "--help"], capture_output=True, text=True, check=True).stdout
        self.dot = "--dot-listen" in help_text
        tls = ["--dot-listen", f"127.0.0.1:{self.tls}", "--dns-certificate", f"{self.dir}/tls.crt", "--dns-key", f"{self.dir}/tls.key"]
        return [f"{self.bench.bin}/dns64-svc", "--listen", f"127.0.0.1:{self.port}", "--workers", "1", "--policy-file",
                f"{self.dir}/policy.yaml", "--http-listen", "127.0.0.1:9465", "--log-level", "warning", *(tls if self.dot else [])]

    def has_tls(self):
        return self.dot

    def push(self, number=0):
        """The policy; another number brings a new resolver. The service takes it as soon as it sees it."""
        self.write("policy.yaml", ISTHMUS, number=number)


class Unbound(Contestant):
    name = "unbound"

    def command(self):
        return ["unbound", "-d", "-c", self.write("unbound.conf", UNBOUND)]


class Bind(Contestant):
    name = "bind"

    def command(self):
        return ["named", "-f", "-n", "1", "-c", self.write("named.conf", BIND)]


class Recursor(Contestant):
    name = "pdns-recursor"

    def command(self):
        self.write("recursor.lua", RECURSOR_LUA)
        self.write("recursor.conf", RECURSOR)
        return ["pdns_recursor", f"--config-dir={self.dir}"]

    def has_tls(self):
        return False


class Kresd(Contestant):
    name = "kresd"

    def command(self):
        return ["kresd", "-n", "-q", "-c", self.write("kresd.conf", KRESD), self.dir]


class Dnsdist(Contestant):
    name, dns64, resolves = "dnsdist", False, False

    def command(self):
        backend = self.bench.contestants["unbound"].port
        return ["dnsdist", "--supervised", "--disable-syslog", "-C", self.write("dnsdist.conf", DNSDIST, backend=backend)]


ALL = [Echo, Isthmus, Unbound, Bind, Recursor, Kresd, Dnsdist]
