#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for CoreDNS, of which Debian has no package: answers NAME.NAMESPACE.svc.cluster.local, and HOSTNAME before it, from the
Services and Endpoints that the API server lists, once a second.   cluster_dns.py ADDRESS KUBECTL KUBECONFIG"""

import json
import socketserver
import struct
import subprocess
import sys
import threading
import time

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

DOMAIN = "cluster.local."
services = {}


def addresses_of(items):
    """By name; that of a headless Service leads to its pods, and each pod with a hostname has a name of its own."""
    found = {}
    for each in items:
        name = f"{each['metadata']['name']}.{each['metadata']['namespace']}.svc.{DOMAIN}"
        if each["kind"] == "Service":
            given = each["spec"].get("clusterIPs") or [each["spec"].get("clusterIP", "None")]
            found.setdefault(name, []).extend(address for address in given if address != "None")
    for each in items:
        name = f"{each['metadata']['name']}.{each['metadata']['namespace']}.svc.{DOMAIN}"
        if each["kind"] != "Endpoints" or found.get(name) != []:
            continue
        pods = [pod for subset in each.get("subsets") or [] for kind in ("addresses", "notReadyAddresses") for pod in subset.get(kind) or []]
        found[name] = [pod["ip"] for pod in pods]
        found.update({f"{pod['hostname']}.{name}": [pod["ip"]] for pod in pods if pod.get("hostname")})
    return found


def follow(kubectl, config):
    while True:
        done = subprocess.run([kubectl, f"--kubeconfig={config}", "get", "services,endpoints", "-A", "-o", "json"], capture_output=True,
                              check=False)
        if done.returncode == 0:
            found = addresses_of(json.loads(done.stdout)["items"])
            services.clear()
            services.update(found)
        time.sleep(1)


def answer(wire):
    query = dns.message.from_wire(wire)
    reply = dns.message.make_response(query)
    question = query.question[0]
    name = question.name.to_text().lower()
    reply.flags |= dns.flags.AA
    if not name.endswith(DOMAIN):
        reply.set_rcode(dns.rcode.REFUSED)
    elif name not in services:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    else:
        kind = dns.rdatatype.to_text(question.rdtype)
        wanted = [each for each in services[name] if (":" in each) == (kind == "AAAA") and kind in {"A", "AAAA"}]
        if wanted:
            reply.answer.append(dns.rrset.from_text(question.name, 2, "IN", kind, *wanted))
    return reply.to_wire()


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(answer(self.request[0]), self.client_address)


class Stream(socketserver.StreamRequestHandler):
    def handle(self):
        length = self.rfile.read(2)
        reply = answer(self.rfile.read(struct.unpack("!H", length)[0]))
        self.wfile.write(struct.pack("!H", len(reply)) + reply)


def main():
    address, kubectl, config = sys.argv[1:]
    threading.Thread(target=follow, args=(kubectl, config), daemon=True).start()
    for kind, handler in ((socketserver.ThreadingUDPServer, Datagram), (socketserver.ThreadingTCPServer, Stream)):
        kind.address_family = 10  # IPv6
        kind.allow_reuse_address = True
        threading.Thread(target=kind((address, 53), handler).serve_forever).start()


if __name__ == "__main__":
    main()
