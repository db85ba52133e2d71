# SPDX-License-Identifier: Apache-2.0
"""Where the controller of a lab keeps what it knows: nowhere, in an SQLite file, or in an etcd of three members. A suite says what
it needs; ISTHMUS_STORE (memory, sqlite or etcd) says otherwise, so that the same suite runs with each."""

import os

from lib.daemon import Daemon, eventually

MEMBERS = 3


def etcd_members(namespace, directory, count=MEMBERS):
    """One etcd as so many daemons; the data is theirs, not the disk's (--unsafe-no-fsync: no test cuts the power)."""
    cluster = ",".join(f"m{n}=http://127.0.0.1:{2480 + n}" for n in range(count))
    return [Daemon(namespace, f"etcd{i}", [
        "etcd", "--name", f"m{i}", "--data-dir", f"{directory}/m{i}", "--listen-peer-urls", f"http://127.0.0.1:{2480 + i}",
        "--initial-advertise-peer-urls", f"http://127.0.0.1:{2480 + i}", "--listen-client-urls", f"http://127.0.0.1:{2380 + i}",
        "--advertise-client-urls", f"http://127.0.0.1:{2380 + i}", "--initial-cluster", cluster, "--initial-cluster-state", "new",
        "--unsafe-no-fsync", "--logger", "zap", "--log-level", "error"], f"{directory}/etcd{i}.log") for i in range(count)]


class LocalStore:
    shared = False

    def __init__(self, text):
        self.text = text

    def start(self):
        pass

    def flags(self, _address):
        """Of a controller that is reached at this address."""
        return ["--store", self.text]


class EtcdStore:
    shared = True  # several controllers may use it: a policy file says its revision

    def __init__(self, lab):
        self.text = "etcd:" + ",".join(f"127.0.0.1:{2380 + i}" for i in range(MEMBERS))
        self.namespace = lab.node
        self.members = etcd_members(lab.node, lab.dir)

    def start(self):
        if self.members[0].process is not None:
            return
        for member in self.members:
            member.start()
        eventually(lambda: self.namespace.run(["env", "ETCDCTL_API=3", "etcdctl", "--endpoints", self.text.removeprefix("etcd:"),
                                               "endpoint", "health"], check=False).returncode == 0, 30, "etcd answers")

    def flags(self, address):
        return ["--store", self.text, "--advertise", address]


def store_of(lab, unless_told):
    engine = os.environ.get("ISTHMUS_STORE", unless_told)
    if engine == "etcd":
        return EtcdStore(lab)
    return LocalStore({"memory": "memory", "sqlite": f"sqlite:{lab.dir}/controller.db"}[engine])
