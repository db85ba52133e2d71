#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real Kubernetes cluster, IPv6 only, in network namespaces: every part is the real program, nothing is simulated.

                    kube-cp                                         kube-out
    etcd, kube-apiserver,      bridge  fd00:250::1/64      out0  20.0.0.1/24 ---- 20.0.0.2/24, 20.0.1.80, 20.0.1.53
    controller-manager,        10.250.0.1/24                     (IPv4 only: the internet of the tests)
    scheduler, cluster DNS        |       |
                            kube-n1       kube-n2          each: containerd, kubelet, kube-proxy
                        up0 fd00:250::11  fd00:250::12     and   10.250.0.11, 10.250.0.12
                        pods fd00:244:0:1::/64, :2::/64    (no IPv4)

A node is a namespace, so a pod with hostNetwork sees up0 and may attach XDP to it. By hand:

    cluster.py up | down | kubectl ARGUMENTS... | helm ARGUMENTS... | enter cp|out|n1|n2 COMMAND...
"""

import base64
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "e2e"))

from lib.daemon import eventually  # noqa: E402
from lib.netns import NamespaceSet, lab_prefix  # noqa: E402

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "isthmus"
BIN = CACHE / "kubernetes-1.20.2"
PODS, SERVICES, NODES = "fd00:244::/48", "fd00:96::/112", "fd00:250::/64"
API = "https://[fd00:250::1]:6443"
CLUSTER_DNS = "fd00:250::1"


def command(program, **flags):
    return [str(program), *(f"--{name.replace('_', '-')}={value}" for name, value in flags.items())]


class Cluster:
    def __init__(self, nodes=2, helm=4):
        self.prefix = lab_prefix("kube-")
        self.nodes = [f"n{number}" for number in range(1, nodes + 1)]
        self.namespaces = NamespaceSet(self.prefix, ["cp", "out", *self.nodes])
        self.cp, self.out = self.namespaces.of["cp"], self.namespaces.of["out"]
        self.dir = pathlib.Path(f"/run/{self.prefix.rstrip('-')}")
        self.config = self.dir / "admin.kubeconfig"
        self.helm_program = CACHE / f"helm/{helm}/helm"
        self.kubectl_program = CACHE / "helm/4/kubectl"

    # --- commands -----------------------------------------------------------------------------------------------------

    def kubectl(self, *arguments, check=True, timeout=180, **options):
        return self.cp.run([self.kubectl_program, f"--kubeconfig={self.config}", *arguments], check, timeout, **options)

    def helm(self, *arguments, check=True, timeout=420, **options):
        home = self.dir / "helm"
        environment = {**os.environ, "KUBECONFIG": str(self.config), "HOME": str(home), "XDG_CACHE_HOME": str(home),
                       "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)}
        return self.cp.run([self.helm_program, *arguments], check, timeout, env=environment, **options)

    def node(self, name):
        return self.namespaces.of[name]

    def node_name(self, name):
        return f"{self.prefix}{name}"

    # --- life ---------------------------------------------------------------------------------------------------------

    def up(self, images=()):
        """`images`: archives that every node imports. About a minute."""
        self.down()
        self.dir.mkdir(parents=True)
        self.namespaces.create()
        self._network()
        self._control_plane()
        for number, name in enumerate(self.nodes, 1):
            Node(self, name, number).start(images)
        eventually(self._ready, 120, "all nodes are Ready", every=0.5)

    def down(self):
        """Pods first, so that no shim and no mount is left; then every process, by its namespace."""
        if (self.dir / "apiserver.pid").exists():
            self.kubectl("delete", "pods", "--all-namespaces", "--all", "--force", "--grace-period=0", check=False, timeout=60)
        for number, name in enumerate(self.nodes, 1):
            Node(self, name, number).stop()
        self.namespaces.remove()
        for mount in reversed([line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]):
            if mount.startswith(f"{self.dir}/"):
                subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    def _ready(self):
        done = self.kubectl("get", "nodes", "--no-headers", check=False)
        return done.returncode == 0 and done.stdout.count(" Ready") == len(self.nodes)

    def launch(self, namespace, name, argv, **options):
        """A program of the cluster: its output in NAME.log, its process id in NAME.pid."""
        with open(self.dir / f"{name}.log", "ab") as log:
            process = namespace.popen(argv, outlive_us=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        (self.dir / f"{name}.pid").write_text(str(process.pid))
        return process

    # --- parts --------------------------------------------------------------------------------------------------------

    def _network(self):
        cp, out = self.cp, self.out
        cp.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for line in ("link add br0 type bridge", "link set br0 up", "addr add 10.250.0.1/24 dev br0",
                     "addr add fd00:250::1/64 dev br0 nodad", f"link add out0 type veth peer name eth0 netns {out.name}",
                     "link set out0 up", "addr add 20.0.0.1/24 dev out0", "route add 20.0.1.0/24 via 20.0.0.2"):
            cp.run(f"ip {line}")
        for line in ("link set eth0 up", "addr add 20.0.0.2/24 dev eth0", "addr add 20.0.1.80/32 dev lo", "addr add 20.0.1.53/32 dev lo",
                     "route add default via 20.0.0.1"):
            out.run(f"ip {line}")
        for number, name in enumerate(self.nodes, 1):
            node = self.node(name)
            cp.run(f"ip link add v{name} type veth peer name up0 netns {node.name}")
            cp.run(f"ip link set v{name} master br0 up")
            # The node's uplink is a wire: what arrives has its checksums and is no longer than the MTU.
            cp.run(f"ethtool -K v{name} tx off tso off gso off")
            for line in ("link set up0 up", f"addr add 10.250.0.1{number}/24 dev up0", f"addr add fd00:250::1{number}/64 dev up0 nodad",
                         "route add default via 10.250.0.1", "route add default via fd00:250::1"):
                node.run(f"ip {line}")
            node.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
            cp.run(f"ip route add fd00:244:0:{number}::/64 via fd00:250::1{number}")
            for other in range(1, len(self.nodes) + 1):
                if other != number:
                    node.run(f"ip route add fd00:244:0:{other}::/64 via fd00:250::1{other}")

    def _certificate(self, name, subject, names):
        pki = self.dir / "pki"
        openssl = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", pki / f"{name}.key", "-subj", subject]
        request = subprocess.run(openssl, capture_output=True, check=True).stdout
        extensions = pki / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        subprocess.run(["openssl", "x509", "-req", "-CA", pki / "ca.crt", "-CAkey", pki / "ca.key", "-CAcreateserial", "-days", "30", "-out",
                        pki / f"{name}.crt", "-extfile", extensions], input=request, capture_output=True, check=True)

    def _kubeconfig(self):
        def inline(name):
            return base64.b64encode((self.dir / "pki" / name).read_bytes()).decode()
        self.config.write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: lab\ncontexts: [{name: lab, context: {cluster: lab, user: admin}}]\n"
            f"clusters: [{{name: lab, cluster: {{server: '{API}', certificate-authority-data: {inline('ca.crt')}}}}}]\n"
            f"users: [{{name: admin, user: {{client-certificate-data: {inline('admin.crt')}, client-key-data: {inline('admin.key')}}}}}]\n")

    def _control_plane(self):
        pki = self.dir / "pki"
        pki.mkdir()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", pki / "ca.key", "-out", pki / "ca.crt", "-subj",
                        "/CN=kube-ca", "-days", "30"], capture_output=True, check=True)
        self._certificate("apiserver", "/CN=kube-apiserver", "DNS:kubernetes,DNS:kubernetes.default.svc,IP:fd00:250::1,IP:fd00:96::1,IP:127.0.0.1")
        self._certificate("admin", "/O=system:masters/CN=admin", "DNS:admin")
        subprocess.run(["openssl", "genrsa", "-out", pki / "sa.key", "2048"], capture_output=True, check=True)
        self._kubeconfig()
        etcd, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
        self.launch(self.cp, "etcd", command("etcd", data_dir=self.dir / "etcd", listen_client_urls=etcd, advertise_client_urls=etcd,
                                             listen_peer_urls=peer))
        self.launch(self.cp, "apiserver", command(
            BIN / "kube-apiserver", etcd_servers=etcd, bind_address="::", advertise_address="fd00:250::1", secure_port=6443,
            tls_cert_file=pki / "apiserver.crt", tls_private_key_file=pki / "apiserver.key", client_ca_file=pki / "ca.crt",
            kubelet_preferred_address_types="InternalIP", kubelet_client_certificate=pki / "admin.crt",
            kubelet_client_key=pki / "admin.key", service_account_issuer="https://kubernetes.default.svc",
            service_account_key_file=pki / "sa.key", service_account_signing_key_file=pki / "sa.key",
            service_cluster_ip_range=SERVICES, authorization_mode="Node,RBAC", allow_privileged="true",
            enable_admission_plugins="NodeRestriction"))
        eventually(lambda: self.kubectl("get", "--raw", "/readyz", check=False).returncode == 0, 90, "the API server is ready", every=0.5)
        self.launch(self.cp, "controller-manager", command(
            BIN / "kube-controller-manager", kubeconfig=self.config, service_account_private_key_file=pki / "sa.key",
            root_ca_file=pki / "ca.crt", use_service_account_credentials="true", leader_elect="false", port=0,
            allocate_node_cidrs="false", cluster_cidr=PODS))
        self.launch(self.cp, "scheduler", command(BIN / "kube-scheduler", kubeconfig=self.config, leader_elect="false", port=0))
        self.launch(self.cp, "dns", ["/usr/bin/python3", HERE / "cluster_dns.py", CLUSTER_DNS, self.kubectl_program, self.config])


class Node:
    """One node: a namespace with containerd, kubelet and kube-proxy, in a mount namespace of its own, because /var/log/pods and
    /var/lib/kubelet are fixed paths and two kubelets would clean up after each other."""

    def __init__(self, cluster, name, number):
        self.cluster, self.name, self.number = cluster, name, number
        self.namespace = cluster.node(name)
        self.dir = cluster.dir / name
        self.cgroup = f"{cluster.prefix}{name}"

    def start(self, images):
        for part in ("root", "state", "kubelet", "cni", "pods", "container-logs", "varlib", "netns"):
            (self.dir / part).mkdir(parents=True)
        self._cgroups()
        for name, text in (("containerd.toml", self._containerd()), ("cni/10-lab.conflist", self._cni()), ("kubelet.yaml", self._kubelet()),
                           ("start.sh", self._script(images))):
            (self.dir / name).write_text(text)
        self.cluster.launch(self.namespace, f"{self.name}.node",
                            ["unshare", "--mount", "--propagation", "slave", "bash", "-eu", self.dir / "start.sh"])

    def stop(self):
        ctr = ["ctr", "--address", str(self.dir / "containerd.sock"), "--namespace", "k8s.io"]
        if (self.dir / "containerd.sock").exists():
            for program in ("kubelet", "proxy"):
                self._end(program)
            for verb in (("task", "kill", "--signal", "SIGKILL"), ("task", "rm", "--force"), ("container", "rm")):
                listing = subprocess.run([*ctr, verb[0], "ls", "-q"], capture_output=True, text=True, check=False, timeout=20)
                for each in listing.stdout.split():
                    subprocess.run([*ctr, *verb, each], capture_output=True, check=False, timeout=20)
            self._end("containerd")
        for path in pathlib.Path("/sys/fs/cgroup").glob(f"*/{self.cgroup}"):
            subprocess.run(["find", path, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"], capture_output=True, check=False)

    def _end(self, program):
        try:
            os.kill(int((self.dir / f"{program}.pid").read_text()), 15)
        except (OSError, ValueError):
            return
        time.sleep(0.5)

    def _cgroups(self):
        for controller in pathlib.Path("/sys/fs/cgroup").iterdir():
            if not controller.is_dir() or controller.name == "unified" or not (controller / "cgroup.procs").exists():
                continue
            (controller / self.cgroup).mkdir(exist_ok=True)
            if controller.name == "cpuset":
                for file in ("cpuset.cpus", "cpuset.mems"):
                    (controller / self.cgroup / file).write_text((controller / file).read_text())

    def _containerd(self):
        return f"""\
version = 2
root = "{self.dir}/root"
state = "{self.dir}/state"
[grpc]
  address = "{self.dir}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true     # the machine may lack CAP_SYS_RESOURCE
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{self.dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""

    def _cni(self):
        return f"""\
{{"cniVersion": "0.4.0", "name": "lab", "plugins": [
 {{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
  "ipam": {{"type": "host-local", "dataDir": "{self.dir}/cni-ipam", "ranges": [[{{"subnet": "fd00:244:0:{self.number}::/64"}}]],
           "routes": [{{"dst": "::/0"}}]}}}},
 {{"type": "portmap", "capabilities": {{"portMappings": true}}}}]}}
"""

    def _kubelet(self):
        return f"""\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
cgroupRoot: /{self.cgroup}
failSwapOn: false
oomScoreAdj: 0
address: "::"
clusterDNS: ["{CLUSTER_DNS}"]
clusterDomain: cluster.local
nodeStatusUpdateFrequency: 4s
featureGates: {{DevicePlugins: false}}
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: false}}, x509: {{clientCAFile: {self.cluster.dir}/pki/ca.crt}}}}
authorization: {{mode: AlwaysAllow}}
evictionHard: {{imagefs.available: "1%", nodefs.available: "1%", memory.available: 100Mi}}
"""

    def _script(self, images):
        imports = "\n".join(f"ctr --address {self.dir}/containerd.sock --namespace k8s.io images import {image} > /dev/null" for image in images)
        kubelet = " ".join(command(
            BIN / "kubelet", config=self.dir / "kubelet.yaml", kubeconfig=self.cluster.config, root_dir=self.dir / "kubelet",
            cert_dir=self.dir / "pki", hostname_override=self.cluster.node_name(self.name), container_runtime="remote",
            container_runtime_endpoint=f"unix://{self.dir}/containerd.sock", node_ip=f"fd00:250::1{self.number}"))
        proxy = " ".join(command(
            BIN / "kube-proxy", kubeconfig=self.cluster.config, hostname_override=self.cluster.node_name(self.name), proxy_mode="iptables",
            cluster_cidr=PODS, bind_address="::", conntrack_max_per_core=0, conntrack_tcp_timeout_established=0,
            conntrack_tcp_timeout_close_wait=0))
        return f"""\
mkdir -p /var/log/pods /var/log/containers /var/lib/kubelet
mount --bind {self.dir}/pods /var/log/pods
mount --bind {self.dir}/container-logs /var/log/containers
mount --bind {self.dir}/varlib /var/lib/kubelet
mount --bind {self.dir}/netns /run/netns
mount --make-shared /run/netns
containerd --config {self.dir}/containerd.toml > {self.dir}/containerd.log 2>&1 & echo $! > {self.dir}/containerd.pid
for _ in $(seq 1 100); do ctr --address {self.dir}/containerd.sock version > /dev/null 2>&1 && break; sleep 0.2; done
{imports}
{kubelet} > {self.dir}/kubelet.log 2>&1 & echo $! > {self.dir}/kubelet.pid
{proxy} > {self.dir}/proxy.log 2>&1 & echo $! > {self.dir}/proxy.pid
wait
"""


def main():
    verb, *rest = sys.argv[1:] or ["help"]
    cluster = Cluster()
    if verb == "up":
        cluster.up(rest)
    elif verb == "down":
        cluster.down()
    elif verb in {"kubectl", "helm"}:
        done = getattr(cluster, verb)(*rest, check=False)
        print(done.stdout, end="")
        print(done.stderr, end="", file=sys.stderr)
        return done.returncode
    elif verb == "enter":
        return subprocess.run(cluster.namespaces.of[rest[0]].argv(rest[1:]), check=False).returncode
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
