# SPDX-License-Identifier: Apache-2.0
"""A program running in a namespace: its log, its readiness, its end."""

import os
import signal
import subprocess
import time

from lib.netns import CommandFailed


# All patience is multiplied by it: a virtual machine without KVM takes its time.
PATIENCE = float(os.environ.get("ISTHMUS_PATIENCE", "1"))


def eventually(condition, timeout, what, every=0.05):
    """Waits until condition() is true (its value is returned) or fails saying `what` did not happen."""
    timeout *= PATIENCE
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(every)


class Daemon:
    """One long-running process. `http` is its management address (host:port), asked for /readyz."""

    def __init__(self, namespace, name, command, log_path, http=None, outlive_us=False):
        self.namespace, self.name, self.command, self.log_path = namespace, name, command, log_path
        self.http, self.outlive_us = http, outlive_us
        self.process = None

    def start(self, ready_within=15):
        """Starts and, when ready_within is not None, waits until it says that it is ready."""
        self.launch()
        if ready_within is not None:
            self.wait_ready(ready_within)
        return self

    def launch(self):
        with open(self.log_path, "ab") as log:
            self.process = self.namespace.popen(self.command, self.outlive_us, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=subprocess.STDOUT)

    def wait_ready(self, within):
        if self.http is None:
            return

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with status {self.process.returncode}:\n{self.log_tail()}")
            return self.is_ready()

        try:
            eventually(ready, within, f"{self.name} is ready")
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.log_tail()}") from None

    def is_ready(self):
        return self.namespace.run(["curl", "-sf", "-m", "2", "-o", "/dev/null", f"http://{self.http}/readyz"],
                                  check=False).returncode == 0

    def running(self):
        return self.process is not None and self.process.poll() is None

    def metrics(self):
        """Samples of /metrics as {'name{labels}': value}."""
        page = self.namespace.run(["curl", "-sf", "-m", "5", f"http://{self.http}/metrics"])
        samples = {}
        for line in page.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                samples[name] = float(value)
        return samples

    def metric_sum(self, name, *labels):
        """The sum over all samples of `name` whose label text contains every one of `labels`."""
        return sum(value for key, value in self.metrics().items()
                   if key.split("{")[0] == name and all(label in key for label in labels))

    def terminate(self, within):
        """SIGTERM; returns (exit status, seconds it took). Fails when it takes longer than `within`."""
        begin = time.monotonic()
        within *= PATIENCE
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {within} s of SIGTERM:\n{self.log_tail()}") from None
        return status, time.monotonic() - begin

    def kill(self):
        """kill -9, and gone when this returns."""
        if self.running():
            self.process.kill()
            self.process.wait()

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def log_tail(self, lines=25):
        return "".join(f"  {self.name}| {line}\n" for line in self.log().splitlines()[-lines:])


__all__ = ["CommandFailed", "Daemon", "eventually"]
