# SPDX-License-Identifier: Apache-2.0
"""What an IPv6-only client must be able to do, one function per promise.

The demo shows these with their commands and output, the system tests run them silently. Each takes the lab and a `show`
that runs a command in a namespace (and prints both, in the demo), fails by AssertionError, and returns one line for the
summary.
"""

import hashlib
import os
import time

from lib.daemon import eventually
from lib.topology import (CONTROLLER, DUAL6, ECHO_PORT, EXCLUDED4, EXCLUSION, NODE6, POLICY, WEB4, ZONE, BIN, embedded)

UDP_ECHO = os.path.join(os.path.dirname(__file__), "udp_echo.py")


def expect(condition, failure):
    if not condition:
        raise AssertionError(failure)


def dig(show, name, kind="AAAA", *options, client):
    return show(client, ["dig", f"@{NODE6}", "+noall", "+comments", "+answer", "+nocookie", "+timeout=2", "+tries=2", *options,
                         f"{name}.{ZONE}", kind])


def synthesized_answer(lab, show):
    """dig AAAA of an IPv4-only name: an address made from its A record"""
    out = dig(show, "v4only", client=lab.client)
    expect(embedded(WEB4) in out and "status: NOERROR" in out, f"no synthesized AAAA {embedded(WEB4)} in:\n{out}")
    return f"{WEB4} became {embedded(WEB4)}"


def alias_answer(lab, show):
    """dig AAAA through a CNAME: the chain, then the synthesized address"""
    out = dig(show, "alias", client=lab.client)
    expect("CNAME" in out and embedded(WEB4) in out, f"no CNAME and synthesized AAAA in:\n{out}")
    return "CNAME kept, address synthesized"


def dual_stack_answer(lab, show):
    """dig AAAA of a dual-stack name: its real address, untouched"""
    out = dig(show, "dual", client=lab.client)
    expect(DUAL6 in out and "64:ff9b::" not in out, f"the real AAAA {DUAL6} is not the only answer in:\n{out}")
    return f"{DUAL6} untouched"


def negative_answers(lab, show):
    """dig AAAA of a name without addresses and of a name that does not exist: NODATA and NXDOMAIN"""
    nodata = dig(show, "text", client=lab.client)
    expect("status: NOERROR" in nodata and "ANSWER: 0" in nodata, f"no NODATA in:\n{nodata}")
    missing = dig(show, "missing", client=lab.client)
    expect("status: NXDOMAIN" in missing and "ANSWER: 0" in missing, f"no NXDOMAIN in:\n{missing}")
    return "NODATA and NXDOMAIN as they should be"


def dns_over_tcp(lab, show):
    """the same question over TCP"""
    out = dig(show, "v4only", "AAAA", "+tcp", client=lab.client)
    expect(embedded(WEB4) in out, f"no synthesized AAAA over TCP in:\n{out}")
    return "answered over TCP"


def web_download(lab, show):
    """curl: a body of several MB from the IPv4-only web site, by its name, compared byte for byte"""
    # curl asks our DNS64 by way of dig, because the client's namespace shares the host's resolv.conf
    addresses = lab.dig(f"v4only.{ZONE}")
    expect(len(addresses) == 1, f"not one address but {addresses}; now the answer is:\n"
           + lab.client.run(["dig", f"@{NODE6}", f"v4only.{ZONE}", "AAAA"], check=False).stdout)
    address = addresses[0]
    host = f"v4only.{ZONE}"
    begin = time.monotonic()
    show(lab.client, ["curl", "-sSfg", "-m", "60", "--resolve", f"{host}:80:[{address}]", "-o", f"{lab.dir}/got",
                      "-w", "HTTP %{http_code} from %{remote_ip}, %{size_download} bytes at %{speed_download} B/s\\n",
                      f"http://{host}/body.bin"], timeout=70)
    took = time.monotonic() - begin
    with open(f"{lab.dir}/got", "rb") as file:
        got = file.read()
    expect(len(got) == lab.body_bytes, f"{len(got)} of {lab.body_bytes} bytes came")
    expect(hashlib.sha256(got).hexdigest() == lab.body_sha256, "the body that came differs from the one sent")
    return f"{len(got) >> 20} MiB in {took:.1f} s, sha256 equal"


def server_sees_pool(lab, show):
    """what the web server sees: an address of the pool"""
    seen = show(lab.client, ["curl", "-sfg", "-m", "10", f"http://[{embedded(WEB4)}]/whoami"]).strip()
    expect(seen.startswith("203.0.113."), f"the server saw '{seen}', which is not in the pool")
    return f"the client comes from {seen}"


def ping(lab, show):
    """ping -6 of the IPv4-only host"""
    out = show(lab.client, f"ping -6 -n -c 5 -i 0.2 -W 2 {embedded(WEB4)}")
    expect(" 5 received" in out, f"not every ping was answered:\n{out}")
    return "5 of 5 answered"


def udp_exchange(lab, show):
    """UDP datagrams of many sizes to an echo server and back"""
    out = show(lab.client, ["/usr/bin/python3", UDP_ECHO, "ask", embedded(WEB4), ECHO_PORT, 20, 0.02])
    expect(len(out.splitlines()) == 20, f"{len(out.splitlines())} of 20 datagrams came back")
    return "20 of 20 came back whole"


def live_exclusion(lab, show):
    """a policy change while all runs: one IPv4 destination is excluded; DNS answers and packets both stop"""
    target = embedded(EXCLUDED4)
    name = f"excluded.{ZONE}"
    eventually(lambda: target in lab.dig(name), 5, "the name resolves before the change")
    expect(lab.pings(target), "the host answers before the change")
    probe = lab.client.popen(["ping", "-6", "-n", "-D", "-i", "0.05", "-w", "8", target], stdout=-1, stderr=-2, text=True)
    time.sleep(0.5)
    begin = time.time()
    lab.write_policy(POLICY + EXCLUSION)
    eventually(lambda: target not in lab.dig(name), 5, "the DNS answer is gone after the change", every=0.01)
    dns_ms = (time.time() - begin) * 1000
    out, _ = probe.communicate()
    replies = [float(line[1:line.index("]")]) for line in out.splitlines() if "bytes from 64:ff9b::" in line]
    expect(replies, f"no ping was answered before the change:\n{out}")
    expect(not lab.pings(target), "packets still pass after the change")
    packets_ms = (replies[-1] - begin) * 1000
    expect(packets_ms < 1500, f"packets stopped {packets_ms:.0f} ms after the change")
    dig(show, "excluded", client=lab.client)
    show(lab.client, f"ping -6 -n -c 1 -W 1 {target}", check=False)
    expect(lab.pings(embedded(WEB4)), "other destinations do not work any more")
    return f"DNS answer gone {dns_ms:.0f} ms after the file was written, last packet at {max(packets_ms, 0):.0f} ms"


def exclusion_removed(lab, show):
    """the exclusion taken back: the destination works again"""
    begin = time.time()
    lab.write_policy(POLICY)
    target = embedded(EXCLUDED4)
    eventually(lambda: target in lab.dig(f"excluded.{ZONE}"), 5, "the DNS answer is back", every=0.01)
    eventually(lambda: lab.pings(target), 5, "packets pass again", every=0.01)
    took = (time.time() - begin) * 1000
    dig(show, "excluded", client=lab.client)
    return f"answers and packets back after {took:.0f} ms"


def operators_view(lab, show):
    """isthmusctl: the nodes and who holds which address"""
    nodes = show(lab.node, [f"{BIN}/isthmusctl", "get", "nodes", "--controller", CONTROLLER])
    expect("gw1" in nodes and "dns1" in nodes, f"both services are not among the nodes:\n{nodes}")
    leases = show(lab.node, [f"{BIN}/isthmusctl", "get", "leases", "--controller", CONTROLLER])
    expect("203.0.113." in leases and "gw1" in leases, f"no lease of gw1 in:\n{leases}")
    return "two services registered, addresses leased to gw1"


def metrics_moved(lab, show):
    """the metrics of the three programs"""
    for daemon in lab.programs():
        page = show(lab.node, ["curl", "-sf", f"http://{daemon.http}/metrics"], brief=r"^isthmus_(?!.*_bucket)")
        expect(any(line.startswith("isthmus_") and not line.endswith(" 0") for line in page.splitlines()),
               f"{daemon.name} exposes no isthmus_ metric that moved")
    return "isthmus_ counters of all three moved"


EVERYDAY = [synthesized_answer, alias_answer, dual_stack_answer, negative_answers, dns_over_tcp, web_download, server_sees_pool,
            ping, udp_exchange, live_exclusion, exclusion_removed, operators_view, metrics_moved]
