# SPDX-License-Identifier: Apache-2.0
"""A Prometheus in the control plane's network that scrapes the pods of a release, with the rules of the chart as installed."""

import json
import re
import urllib.parse

import yaml

from installation import NAMESPACE, eventually

PORTS = {"controller": 9460, "dns64": 9465, "nat64": 9464}
ADDRESS = "127.0.0.1:9090"


class Prometheus:
    def __init__(self, site):
        self.site = site
        self.dir = site.dir / "prometheus"

    def start(self):
        """Scrapes and evaluates every second; an alert's `for` is cut to 2 s, so that a test can wait for it."""
        self.dir.mkdir()
        rule = json.loads(self.site.kubectl("-n", NAMESPACE, "get", "prometheusrule", "isthmus-rules", "-o", "json"))
        groups = rule["spec"]["groups"]
        for each in (each for group in groups for each in group["rules"]):
            each["expr"] = each["expr"].replace("[5m]", "[15s]").replace("[10m]", "[15s]")
            if "for" in each:
                each["for"] = "2s"
        (self.dir / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
        (self.dir / "prometheus.yaml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(self.dir / "rules.yaml")],
            "scrape_configs": [{"job_name": "isthmus", "file_sd_configs": [{"files": [str(self.dir / "targets.json")], "refresh_interval": "1s"}]}]}))
        self.find_targets()
        self.site.cluster.launch(self.site.cluster.cp, "prometheus", [
            "prometheus", f"--config.file={self.dir}/prometheus.yaml", f"--storage.tsdb.path={self.dir}/data", f"--web.listen-address={ADDRESS}"])
        eventually(lambda: len(self.targets_up()) >= 4, 60, "Prometheus scrapes the pods", every=0.5)

    def find_targets(self):
        """What the PodMonitors would find; Debian's Prometheus has no kubernetes_sd."""
        targets = [{"targets": [f"[{pod['address']}]:{PORTS[pod['component']]}"],
                    "labels": {"job": f"isthmus-{pod['component']}", "node": pod["node"], "pod": pod["name"]}}
                   for pod in self.site.pods() if pod["component"] in PORTS and pod["address"]]
        (self.dir / "targets.json.new").write_text(json.dumps(targets))
        (self.dir / "targets.json.new").rename(self.dir / "targets.json")

    def get(self, path, **parameters):
        url = f"http://{ADDRESS}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        return json.loads(self.site.cluster.cp.run(["curl", "-s", "-m", "10", url]) or "{}")

    def query(self, expression):
        return self.get("query", query=expression)

    def targets_up(self):
        done = self.site.cluster.cp.run(["curl", "-sf", "-m", "5", f"http://{ADDRESS}/api/v1/query?query=up"], check=False)
        if done.returncode != 0:
            return []
        return [each["metric"]["job"] for each in json.loads(done.stdout)["data"]["result"] if each["value"][1] == "1"]

    def firing(self):
        return {each["labels"]["alertname"] for each in self.get("alerts")["data"]["alerts"] if each["state"] == "firing"}

    def wait_firing(self, alert, within):
        def check():
            self.find_targets()
            return alert in self.firing()
        eventually(check, within, f"{alert} fires", every=0.5)
        print(f"fired live: {alert}", flush=True)

    def rules_in_error(self):
        return [rule["name"] for group in self.get("rules")["data"]["groups"] for rule in group["rules"] if rule["health"] == "err"]

    @staticmethod
    def _queries(dashboards):
        for dashboard in dashboards:
            for panel in dashboard["panels"]:
                for target in panel.get("targets", []):
                    text = target["expr"].replace("$__rate_interval", "15s").replace("$__interval", "15s").replace("$__range", "1m")
                    yield panel["title"], re.sub(r"\$\{?\w+(:\w+)?\}?", ".*", text)

    def panels_in_error(self, dashboards):
        return [(title, text) for title, text in self._queries(dashboards) if self.query(text).get("status") != "success"]

    def panels_without_data(self, dashboards):
        full = {title for title, text in self._queries(dashboards) if self.query(text)["data"]["result"]}
        return sorted({title for title, _ in self._queries(dashboards)} - full)
