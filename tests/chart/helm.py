# SPDX-License-Identifier: Apache-2.0
"""Helm 3 and 4 as tools/get-helm.sh installs them, and what they render."""

import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/isthmus"
GATEWAY = CHART / "examples/gateway.yaml"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "isthmus/helm"
VERSIONS = (3, 4)


def need_helm():
    """Ends the program with 77 (ctest: skipped), in CI with 1, when Helm is not there."""
    missing = [f"Helm {major}" for major in VERSIONS if not os.access(CACHE / str(major) / "helm", os.X_OK)]
    if not (CACHE / "kubernetes/node_modules").is_dir():
        missing.append("types of Kubernetes")
    if missing:
        print(f"missing: {', '.join(missing)}: NOTHING ABOUT THE CHART WAS TESTED. Run tools/get-helm.sh",
              file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") == "true" else 77)


def helm(major, *arguments, values=None):
    """Runs Helm; `values` is a map of values given on top of all others."""
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "HOME": directory, "XDG_CACHE_HOME": directory, "XDG_CONFIG_HOME": directory,
                       "XDG_DATA_HOME": directory, "KUBECONFIG": "/dev/null"}
        command = [CACHE / str(major) / "helm", *arguments]
        if values is not None:
            path = pathlib.Path(directory) / "values.yaml"
            path.write_text(yaml.safe_dump(values), encoding="utf-8")
            command += ["-f", path]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


class Rendered:
    """The objects of one rendering, by kind and name without the release's prefix."""

    def __init__(self, text):
        self.text = text
        self.objects = [each for each in yaml.safe_load_all(text) if each]

    def kinds(self):
        return sorted({each["kind"] for each in self.objects})

    def get(self, kind, name):
        found = [each for each in self.objects if each["kind"] == kind and each["metadata"]["name"] == f"r-isthmus-{name}"]
        if len(found) != 1:
            raise AssertionError(f"{len(found)} objects {kind} {name}")
        return found[0]

    def has(self, kind, name=None):
        return any(each["kind"] == kind and (name is None or each["metadata"]["name"] == f"r-isthmus-{name}")
                   for each in self.objects)

    def pod(self, kind, name):
        return self.get(kind, name)["spec"]["template"]["spec"]

    def pods(self):
        """(name, pod spec, labels) of everything that runs."""
        for each in self.objects:
            if each["kind"] == "Pod":
                yield each["metadata"]["name"], each["spec"], each["metadata"]["labels"]
            elif each["kind"] in {"Deployment", "StatefulSet", "DaemonSet", "Job"}:
                template = each["spec"]["template"]
                yield each["metadata"]["name"], template["spec"], template["metadata"]["labels"]


@functools.lru_cache(maxsize=None)
def _template(values, major, base, kubernetes):
    return helm(major, "template", "r", CHART, "-n", "isthmus", "-f", base, "--kube-version", kubernetes, values=json.loads(values))


def render(values=None, major=4, base=GATEWAY, kubernetes="1.34.0"):
    """Renders the chart with `base` and `values`; an AssertionError carries Helm's message. The same is rendered once."""
    done = _template(json.dumps(values or {}, sort_keys=True), major, base, kubernetes)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return Rendered(done.stdout)
