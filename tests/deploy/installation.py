# SPDX-License-Identifier: Apache-2.0
"""A cluster with an internet that has IPv4 only, client pods that have IPv6 only, and the chart installed from this tree."""

import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE / "kubernetes"), str(ROOT / "tests/e2e")]

from cluster import NODES, PODS, SERVICES, Cluster  # noqa: E402
from lib import knot  # noqa: E402
from lib.daemon import eventually  # noqa: E402

IMAGES = pathlib.Path(os.environ.get("ISTHMUS_IMAGES", ROOT / "build/images/all.tar"))
NAMESPACE = "isthmus"
CHART = ROOT / "deploy/helm/isthmus"
WEB4, WEB6 = "20.0.1.80", "64:ff9b::1400:150"
ECHO_PORT = 7007
RESOLVER, DNS64 = "fd00:250::53", "fd00:96::53"
NAME = "v4only.isthmus.example"

VALUES = {
    "image": {"registry": "localhost", "tag": "test", "pullPolicy": "Never"},
    "cluster": {"podCidrs": [PODS], "serviceCidrs": [SERVICES], "nodeCidrs": ["10.250.0.0/24"], "extraClients": [NODES],
                "resolvers": [RESOLVER], "dnssec": False},
    "dns64": {"workers": 1, "preStopSeconds": 5, "service": {"clusterIP": DNS64}, "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}},
    "controller": {"store": {"sqlite": {"storageClass": "lab", "size": "100Mi"}}},
    "nat64": {"stateHostPath": "/var/lib/kubelet/isthmus", "maxSessions": 65536, "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}},
    "test": {"target": f"{WEB4}:80"},
}

KNOT = knot.SERVER + """\
zone:
  - domain: isthmus.example
    storage: {dir}
    file: zone.txt
    zonefile-sync: -1
    journal-content: none
"""
ZONE = f"""\
$ORIGIN isthmus.example.
$TTL 5
@ SOA ns hostmaster 1 3600 600 86400 5
@ NS ns
ns AAAA {RESOLVER}
v4only A {WEB4}
"""
NGINX = """\
daemon off; user root; worker_processes 1; pid {dir}/nginx.pid; error_log stderr warn;
events {{ worker_connections 256; }}
http {{ access_log off; client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4;
  scgi_temp_path {dir}/t5; server {{ listen 80; root {dir}/www; location = /whoami {{ return 200 "$remote_addr\\n"; }} }} }}
"""


def merged(one, other):
    """`other` over `one`, map by map."""
    both = dict(one)
    for key, value in other.items():
        both[key] = merged(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
    return both


class Site:
    def __init__(self, helm=4):
        self.cluster = Cluster(helm=helm)
        self.kubectl, self.helm, self.dir = self.cluster.kubectl, self.cluster.helm, self.cluster.dir
        self.body_sha256 = None

    # --- life ---------------------------------------------------------------------------------------------------------

    def up(self):
        if not IMAGES.exists():
            sys.exit(f"{IMAGES} is missing: run './dev test deploy', or tests/deploy/image/build-images.sh {IMAGES}")
        self.cluster.namespaces.lock()
        self.cluster.up([IMAGES])
        self._internet()
        self._volume()
        self.kubectl("create", "namespace", NAMESPACE)
        self.kubectl("create", "namespace", "clients")
        for node in self.cluster.nodes:
            self._client(node)
        self.kubectl("-n", "clients", "wait", "pods", "--all", "--for=condition=Ready", "--timeout=150s", timeout=160)

    def down(self):
        self.cluster.down()
        self.cluster.namespaces.unlock()

    def _internet(self):
        cluster, directory = self.cluster, self.dir / "internet"
        (directory / "www").mkdir(parents=True)
        body = random.Random(64).randbytes(32 << 20)
        self.body_sha256 = hashlib.sha256(body).hexdigest()
        (directory / "www/body.bin").write_bytes(body)
        (directory / "zone.txt").write_text(ZONE)
        (directory / "knot.conf").write_text(KNOT.format(listen=f"{RESOLVER}@53", dir=directory))
        (directory / "nginx.conf").write_text(NGINX.format(dir=directory))
        cluster.cp.run(f"ip addr add {RESOLVER}/64 dev br0 nodad")
        self.start_resolver()
        cluster.launch(cluster.out, "nginx", ["nginx", "-c", directory / "nginx.conf"])
        cluster.launch(cluster.out, "echo", ["/usr/bin/python3", HERE / "probe.py", "serve", WEB4, ECHO_PORT])
        cluster.launch(cluster.out, "iperf4", ["iperf3", "-s"])
        cluster.launch(cluster.cp, "iperf6", ["iperf3", "-s"])

    def _volume(self):
        """The one volume of the cluster, on n1, for the controller's store."""
        place = self.dir / "n1/varlib/isthmus-controller"  # what n1 has as /var/lib/kubelet
        place.mkdir()
        place.chmod(0o777)
        on_n1 = {"key": "kubernetes.io/hostname", "operator": "In", "values": [self.cluster.node_name("n1")]}
        self.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "store"}, "spec": {
            "capacity": {"storage": "100Mi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "lab",
            "hostPath": {"path": "/var/lib/kubelet/isthmus-controller"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_n1]}]}}}})

    def start_resolver(self):
        self.resolver = self.cluster.launch(self.cluster.cp, "knot", ["knotd", "-c", self.dir / "internet/knot.conf"])

    def stop_resolver(self):
        self.resolver.kill()
        self.resolver.wait()

    def _client(self, node):
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"client-{node}", "namespace": "clients"}, "spec": {
            "nodeName": self.cluster.node_name(node), "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False,
            "tolerations": [{"operator": "Exists"}], "dnsPolicy": "None", "dnsConfig": {"nameservers": [DNS64]},
            "containers": [{"name": "client", "image": "localhost/isthmus/client:test", "imagePullPolicy": "Never",
                            "command": ["sleep", "infinity"]}]}})

    # --- the chart ----------------------------------------------------------------------------------------------------

    def apply(self, *objects):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        self.kubectl("apply", "-f", "-", input=text)

    def values_file(self, values):
        path = self.dir / "values.json"
        path.write_text(json.dumps(merged(VALUES, values)))
        return path

    def install(self, values):
        self.helm("install", "isthmus", CHART, "-n", NAMESPACE, "-f", self.values_file(values), "--wait", "--timeout", "5m")

    def upgrade(self, values):
        self.helm("upgrade", "isthmus", CHART, "-n", NAMESPACE, "-f", self.values_file(values), "--wait", "--timeout", "5m")

    def uninstall(self):
        self.helm("uninstall", "isthmus", "-n", NAMESPACE, "--wait", "--timeout", "3m")
        eventually(lambda: not self.pods(), 180, "every pod of the release is gone", every=0.5)

    def pods(self, component=None):
        """The pods of the release: name, node, address, ready."""
        selector = "app.kubernetes.io/instance=isthmus" + (f",app.kubernetes.io/component={component}" if component else "")
        listing = json.loads(self.kubectl("-n", NAMESPACE, "get", "pods", "-l", selector, "-o", "json"))["items"]
        return [{"name": each["metadata"]["name"], "node": each["spec"].get("nodeName"), "address": each["status"].get("podIP"),
                 "component": each["metadata"]["labels"]["app.kubernetes.io/component"], "restarts": sum(
                     status["restartCount"] for status in each["status"].get("containerStatuses", [])),
                 "ready": any(c["type"] == "Ready" and c["status"] == "True" for c in each["status"].get("conditions", []))}
                for each in listing]

    def pod(self, component, node):
        return next(each for each in self.pods(component) if each["node"] == self.cluster.node_name(node))

    def wait_ready(self, component, count, within=120):
        eventually(lambda: sum(each["ready"] for each in self.pods(component)) == count == len(self.pods(component)), within,
                   f"{count} pods of {component} are ready", every=0.5)

    def describe(self):
        """For a failure: what runs, what happened, and the last lines of every log."""
        parts = [self.kubectl(*words, check=False).stdout for words in (
            ("-n", NAMESPACE, "get", "pods", "-o", "wide"), ("-n", NAMESPACE, "get", "events", "--sort-by=.lastTimestamp"))]
        for each in self.pods():
            done = self.kubectl("-n", NAMESPACE, "logs", each["name"], "--tail=15", check=False)
            parts.append(f"--- {each['name']}\n{done.stdout}{done.stderr}")
        return "\n".join(parts)

    # --- clients ------------------------------------------------------------------------------------------------------

    def client(self, node, *words, timeout=60, check=True, **options):
        """Runs in the client pod of a node."""
        return self.kubectl("-n", "clients", "exec", "-i", f"client-{node}", "--", *words, timeout=timeout, check=check, **options)

    def probe(self, node, *words):
        """Starts probe.py in the client pod of a node; .result() waits for its line."""
        return Probe(self, node, [str(word) for word in words])


class Probe:
    def __init__(self, site, node, words):
        argv = [site.cluster.kubectl_program, f"--kubeconfig={site.cluster.config}", "-n", "clients", "exec", "-i", f"client-{node}", "--",
                "python3", "-", *words]
        self.words = words
        with open(HERE / "probe.py", "rb") as program:
            self.process = site.cluster.cp.popen(argv, stdin=program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self, timeout=180):
        out, error = self.process.communicate(timeout=timeout)
        if self.process.returncode != 0:
            raise AssertionError(f"probe {self.words}: {error}")
        return json.loads(out.splitlines()[-1])
