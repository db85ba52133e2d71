#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The controller and DNS64 as the chart starts them: they take its arguments and certificates, and their pages are what
docs/metrics.md says.

Needs no root: the addresses of the rendered arguments become free ports of the loopback, the policy is an example's.
"""

import base64
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from helm import CHART, ROOT, need_helm, render
from monitoring_test import documented_metrics

BIN = pathlib.Path(os.environ.get("ISTHMUS_BIN", ROOT / "build/dev/bin"))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def page(port, path):
    """(status, text); (0, reason) when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        rendered = render(base=CHART / "examples/dns64-only.yaml")
        policy = pathlib.Path(directory.name) / "policy.yaml"
        policy.write_text(rendered.get("ConfigMap", "policy")["data"]["policy.yaml"], encoding="utf-8")
        cls.ports = {name: free_port() for name in ("grpc", "controller", "dns", "dns64")}
        here = "127.0.0.1:{}".format
        changes = {
            "policy-file": str(policy), "grpc-listen": here(cls.ports["grpc"]), "controller": here(cls.ports["grpc"]),
            "listen": here(cls.ports["dns"]), "node-id": "test", "state-dir": f"{directory.name}/state",
        }
        for name, program in (("controller", "isthmus-controller"), ("dns64", "dns64-svc")):
            command = [str(BIN / program)]
            for file, content in rendered.get("Secret", f"{name}-tls")["data"].items():
                path = pathlib.Path(directory.name) / f"{name}-{file}"
                path.write_bytes(base64.b64decode(content))
                changes[{"ca.crt": "tls-ca", "tls.crt": "tls-certificate", "tls.key": "tls-key"}[file]] = str(path)
            for argument in rendered.pod("Deployment", name)["containers"][0]["args"]:
                flag = argument.split("=")[0].removeprefix("--")
                value = here(cls.ports[name]) if flag == "http-listen" else changes.get(flag)
                argument = f"--{flag}={value}" if value else argument
                if argument not in command:
                    command.append(argument)
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            cls.addClassCleanup(cls.end, process)
            cls.wait(process, cls.ports[name], "/healthz", lambda status, _: status == 200)
        # DNS64 runs the policy, and the controller's page has the metrics of a service.
        cls.wait(process, cls.ports["dns64"], "/readyz", lambda _, text: "upstream" in text)
        cls.wait(process, cls.ports["controller"], "/metrics", lambda _, text: 'isthmus_service_connected{kind="dns64"' in text)

    @classmethod
    def wait(cls, process, port, path, good):
        deadline = time.monotonic() + 30
        while not good(*page(port, path)):
            if process.poll() is not None:
                raise AssertionError(f"{process.args}: {process.stderr.read()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{process.args[0]}: {path} is not as wanted after 30 s: {page(port, path)}")
            time.sleep(0.05)

    @staticmethod
    def end(process):
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def test_controller_is_ready_and_dns64_says_why_it_is_not(self):
        self.assertEqual(page(self.ports["controller"], "/readyz")[0], 200)
        status, why = page(self.ports["dns64"], "/readyz")
        self.assertEqual(status, 503, why)
        self.assertIn("no upstream has answered", why)  # 2001:db8::53 does not exist

    def test_promtool_finds_nothing_in_the_pages(self):
        for name in ("controller", "dns64"):
            text = page(self.ports[name], "/metrics")[1]
            done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, f"{name}: {done.stdout}{done.stderr}")

    def test_pages_have_the_documented_types_and_labels(self):
        documented = documented_metrics()
        for name in ("controller", "dns64"):
            text = page(self.ports[name], "/metrics")[1]
            kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
            self.assertGreater(len(kinds), 8)
            for metric, kind in kinds.items():
                self.assertEqual(kind, documented[metric][0], metric)
            for metric, labels in re.findall(r"^(isthmus_\w+)\{([^}]*)\}", text, re.M):
                base = re.sub(r"(?<=_seconds)_(bucket|sum|count)$", "", metric)
                self.assertEqual(set(re.findall(r'(\w+)="', labels)) - {"le"}, set(documented[base][1]), metric)


if __name__ == "__main__":
    need_helm()
    unittest.main(verbosity=2)
