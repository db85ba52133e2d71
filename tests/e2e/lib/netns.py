# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of one lab: made, entered, and removed together with every process inside.

All namespaces of a lab share a prefix ("isthmus-demo-"), and the prefix is locked while the lab is being used, so that
two runs never meet. Checkouts that test at the same time set ISTHMUS_LAB to something of their own, which goes before it. Commands enter by nsenter and not by `ip netns exec`, which would hide /sys/fs/bpf and the cgroups.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import time

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def die_with_parent():
    """For preexec_fn: the child is killed when the test that started it dies, however it dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def lab_prefix(prefix):
    """The prefix of a lab, made this checkout's own by ISTHMUS_LAB."""
    return os.environ.get("ISTHMUS_LAB", "") + prefix


def move_into(handle):
    """This process's sockets belong to that network namespace (an open file of it) from now on."""
    if _libc.setns(handle.fileno(), 0) != 0:
        raise OSError(ctypes.get_errno(), f"setns {handle.name}")


class CommandFailed(AssertionError):
    """A command that had to succeed did not; the text holds what it printed."""


class Namespace:
    """One network namespace, by its global name."""

    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"

    def create(self):
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.sysctl("net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
                    "net.ipv6.conf.all.accept_ra=0", "net.ipv6.conf.default.accept_ra=0")
        self.run("ip link set lo up")

    def exists(self):
        return os.path.exists(self.path)

    def processes(self):
        listing = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True)
        return [int(pid) for pid in listing.stdout.split()]

    def remove(self):
        """Ends every process inside, then deletes the namespace."""
        if not self.exists():
            return
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 3
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        subprocess.run(["ip", "netns", "del", self.name], check=False)

    def argv(self, command):
        """The command (a list, or words) as it is run from outside."""
        words = command.split() if isinstance(command, str) else [str(word) for word in command]
        return ["nsenter", f"--net={self.path}", "--", *words]

    def run(self, command, check=True, timeout=30, **options):
        """Runs to the end and returns stdout; with check=False the CompletedProcess."""
        try:
            done = subprocess.run(self.argv(command), capture_output=True, text=True, timeout=timeout, **options)
        except subprocess.TimeoutExpired as late:
            raise CommandFailed(f"{self.name}$ {command}\n  took longer than {timeout} s") from late
        if not check:
            return done
        if done.returncode != 0:
            raise CommandFailed(f"{self.name}$ {command}\n  exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def popen(self, command, outlive_us=False, **options):
        """Starts in the background; the process dies with us unless outlive_us."""
        if outlive_us:
            options.setdefault("start_new_session", True)
        else:
            options.setdefault("preexec_fn", die_with_parent)
        return subprocess.Popen(self.argv(command), **options)

    def sysctl(self, *settings):
        self.run(["sysctl", "-qw", *settings])


class NamespaceSet:
    """The namespaces of one lab, under one locked prefix."""

    def __init__(self, prefix, roles):
        self.prefix = prefix
        self.roles = roles
        self.of = {role: Namespace(f"{prefix}{role}") for role in roles}
        self._lock = None

    def lock(self, wait=120):
        """Waits for another run under the same prefix to end."""
        self._lock = open(f"/run/lock/{self.prefix.rstrip('-')}.lock", "w")
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise SystemExit(f"another run uses the namespaces {self.prefix}*: wait for it or end it") from None
                time.sleep(0.2)

    def unlock(self):
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def create(self):
        self.remove()  # what a killed run may have left
        for namespace in self.of.values():
            namespace.create()

    def remove(self):
        for namespace in self.of.values():
            namespace.remove()

    def leftovers(self):
        return [namespace.name for namespace in self.of.values() if namespace.exists()]
