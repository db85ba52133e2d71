#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rules, dashboards and docs/metrics.md against the metrics in the sources; rules by promtool."""

import json
import pathlib
import re
import subprocess
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/helm/isthmus/files/rules.yaml"
DASHBOARDS = ROOT / "deploy/helm/isthmus/files/dashboards"
NOT_OURS = {"up", "ALERTS"}  # and what kube-state-metrics exposes, kube_*  # and what kube-state-metrics exposes, kube_*  # and what kube-state-metrics exposes, kube_*  # and what kube-state-metrics exposes, kube_*  # and what kube-state-metrics exposes, kube_*
METRIC = re.compile(r"\bisthmus[_:][a-z0-9_:]+")


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def source_metrics():
    """name -> (type or None, labels or None): None where a name stands in a table and not in a call."""
    found = {}
    for path in sorted(ROOT.glob("*/shell/*metrics*.cpp")):
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r'"(isthmus_[a-z0-9_]+)"', text):
            call = re.search(r"(counter|gauge|histogram)\(\s*$", text[:match.start()])
            statement = text[match.end():].split(";", 1)[0]
            direct = call and text[:call.start()].endswith("page.")
            labels = frozenset(re.findall(r'\{"(\w+)",', statement)) if direct else None
            known = found.get(match.group(1), (None, None))
            found[match.group(1)] = (call.group(1) if call else known[0], labels if direct else known[1])
    return found


def documented_metrics():
    rows = re.findall(r"^\| `(isthmus_\w+)` \| (\w+) \| ([\w, ]*) ?\| (.+) \|$", read("docs/metrics.md"), re.M)
    return {name: (kind, frozenset(re.findall(r"\w+", labels)), meaning) for name, kind, labels, meaning in rows}


def enum_texts(path, name):
    body = re.search(name + r"\s*\{+(.*?)\}", read(path), re.S).group(1)
    return re.findall(r'"(\w+)"', body)


def base_names(expression):
    """The metrics of an expression, histograms by their own name."""
    names = set()
    for name in METRIC.findall(re.sub(r'"[^"]*"', '""', expression)):
        names.add(re.sub(r"(?<=_seconds)_(bucket|sum|count)$", "", name))
    return names


def all_rules():
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def panels():
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            yield path.name, panel


class Metrics(unittest.TestCase):
    def test_sources_name_metrics_at_all(self):
        self.assertGreater(len(source_metrics()), 50)

    def test_documentation_lists_exactly_the_metrics_of_the_sources(self):
        sources, documented = set(source_metrics()), set(documented_metrics())
        self.assertEqual(sorted(sources - documented), [], "in the sources, not in docs/metrics.md")
        self.assertEqual(sorted(documented - sources), [], "in docs/metrics.md, not in the sources")

    def test_documentation_has_the_right_types_and_labels(self):
        documented = documented_metrics()
        for name, (kind, labels) in source_metrics().items():
            with self.subTest(name):
                if kind:
                    self.assertEqual(documented[name][0], kind)
                if labels is not None:
                    self.assertEqual(documented[name][1], labels)

    def test_counters_end_in_total_and_nothing_else_does(self):
        for name, (kind, _, _) in documented_metrics().items():
            self.assertEqual(kind == "counter", name.endswith("_total"), name)

    def test_no_name_holds_its_type(self):  # promtool check metrics refuses such names
        for name in source_metrics():
            self.assertNotRegex(name, "counter|gauge|histogram|summary")

    def test_every_reason_event_and_outcome_is_documented(self):
        words = set(re.findall(r"`(\w+)`", read("docs/metrics.md")))
        for path, name in (("nat64-svc/core/drop_reason.hpp", "kDropReasonNames"), ("nat64-svc/core/counters.hpp", "kEventNames"),
                           ("nat64-svc/shell/io_counters.hpp", "kIoDropNames"), ("dns64-svc/core/outcome.hpp", "kOutcomeNames"),
                           ("dns64-svc/core/drop_reason.hpp", "kDropReasonNames"),
                           ("dns64-svc/core/resolve_failure.hpp", "kResolveFailureNames"), ("dns64-svc/shell/stream_stats.hpp", "kStreamEndNames"),
                           ("controller/core/messages.hpp", "kEventKindNames")):
            texts = enum_texts(path, name)
            self.assertGreater(len(texts), 3, path)
            self.assertEqual(sorted(set(texts) - words), [], path)


    def test_every_reason_and_event_of_the_translator_has_its_place_in_the_drawing(self):
        drawn = set(re.findall(r"\w+", read("docs/counters.md")))
        for path, name in (("nat64-svc/core/drop_reason.hpp", "kDropReasonNames"), ("nat64-svc/core/counters.hpp", "kEventNames"),
                           ("nat64-svc/shell/io_counters.hpp", "kIoDropNames")):
            self.assertEqual(sorted(set(enum_texts(path, name)) - drawn), [], path)


class Rules(unittest.TestCase):
    def test_every_metric_exists(self):
        known = set(source_metrics()) | NOT_OURS
        records = {rule["record"] for rule in all_rules() if "record" in rule}
        for rule in all_rules():
            names = base_names(rule["expr"])
            self.assertTrue(names or re.search(r"up\{|kube_", rule["expr"]), rule["expr"])
            self.assertEqual(names - known - records, set(), rule.get("alert", rule.get("record")))

    def test_label_values_exist_in_the_sources(self):
        sources = "".join(path.read_text(encoding="utf-8") for pattern in ("*/core/*.hpp", "*/core/*/*.cpp", "*/shell/*.hpp", "*/shell/*.cpp",
                          "*/shell/*/*.hpp") for path in ROOT.glob(pattern))
        for rule in all_rules():
            for label, values in re.findall(r'\b(reason|outcome|rcode|state|mode|kind|cache)=~?"([^"]*)"', rule["expr"]):
                for value in values.split("|"):
                    self.assertTrue(f'"{value}"' in sources, f"{label} {value} of {rule.get('alert')}")

    def test_every_alert_has_severity_summary_description_and_a_section_in_the_runbook(self):
        sections = set(re.findall(r"^### (Isthmus\w+)$", read("docs/operations.md"), re.M))
        alerts = [rule for rule in all_rules() if "alert" in rule]
        self.assertEqual({rule["alert"] for rule in alerts}, sections)
        for rule in alerts:
            self.assertIn(rule["labels"]["severity"], {"critical", "warning", "info"}, rule["alert"])
            self.assertEqual(set(rule["annotations"]), {"summary", "description"}, rule["alert"])

    def test_promtool_accepts_them(self):
        done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


# alert -> (minutes until it must fire, series that make it fire, series that must not). A series is (name, values).
GATEWAY = '{instance="g1",node="n1",worker="0"'
CASES = {
    "IsthmusControllerDown": (3, [("isthmus_nat64_ready", "1x60")], [("isthmus_controller_policy_version", "1x60")]),
    "IsthmusTargetDown": (4, [('up{job="isthmus-dns64"}', "0x60")], [('up{job="isthmus-dns64"}', "1x60"), ('up{job="x"}', "0x60")]),
    "IsthmusPolicyRefused": (2, [("isthmus_controller_policy_refused", "1x60")], [("isthmus_controller_policy_refused", "0x60")]),
    "IsthmusServiceRefusesPolicy": (2, [('isthmus_service_rollout{state="rejected"}', "1x60")],
                                    [('isthmus_service_rollout{state="rejected"}', "0x60"),
                                     ('isthmus_service_rollout{state="applied"}', "1x60")]),
    "IsthmusRolloutStuck": (6, [('isthmus_service_rollout{kind="nat64",node="a",state="sent"}', "1x60"),
                                ('isthmus_service_connected{kind="nat64",node="a"}', "1x60")],
                            [('isthmus_service_rollout{kind="nat64",node="a",state="sent"}', "1x60"),
                             ('isthmus_service_connected{kind="nat64",node="a"}', "0x60")]),
    "IsthmusGatewayUnreachable": (3, [('isthmus_service_connected{kind="nat64",node="a"}', "0x60"),
                                      ('isthmus_service_addresses_leased{node="a"}', "2x60")],
                                  [('isthmus_service_connected{kind="nat64",node="a"}', "0x60"),
                                   ('isthmus_service_addresses_leased{node="a"}', "0x60")]),
    "IsthmusDuplicateNode": (2, [("isthmus_service_rivals", "1x60")], [("isthmus_service_rivals", "0x60")]),
    "IsthmusLeaseConflict": (3, [("isthmus_controller_lease_conflicts_total", "0 1x60")],
                             [("isthmus_controller_lease_conflicts_total", "5x60")]),
    "IsthmusAddressesInQuarantine": (17, [('isthmus_controller_addresses{pool="p",state="quarantined"}', "1x60")],
                                     [('isthmus_controller_addresses{pool="p",state="quarantined"}', "1x4 0x60")]),
    "IsthmusHealthHeld": (2, [("isthmus_controller_health_held", "1x60")], [("isthmus_controller_health_held", "0x60")]),
    "IsthmusNoHealthyGateway": (3, [("isthmus_controller_healthy_nodes", "0x60"), ('isthmus_service_connected{kind="nat64"}', "1x60")],
                                [("isthmus_controller_healthy_nodes", "0x60"), ('isthmus_service_connected{kind="dns64"}', "1x60")]),
    "IsthmusNat64NotReady": (3, [("isthmus_nat64_ready", "0x60")], [("isthmus_nat64_ready", "1x60")]),
    "IsthmusServiceWithoutController": (6, [("isthmus_feed_connected", "0x60")], [("isthmus_feed_connected", "1x60")]),
    "IsthmusPortBlocksNearlyEmpty": (7, [(f"isthmus_nat64_port_blocks_used{GATEWAY}}}", "95x60"),
                                         (f"isthmus_nat64_port_blocks{GATEWAY}}}", "100x60")],
                                     [(f"isthmus_nat64_port_blocks_used{GATEWAY}}}", "80x60"),
                                      (f"isthmus_nat64_port_blocks{GATEWAY}}}", "100x60")]),
    "IsthmusPoolExhausted": (9, [(f'isthmus_nat64_answered_packets_total{GATEWAY},reason="pool_exhausted"}}', "0+60x60"),
                                 (f'isthmus_nat64_dropped_packets_total{GATEWAY},reason="pool_exhausted"}}', "0x60")],
                             [(f'isthmus_nat64_answered_packets_total{GATEWAY},reason="excluded"}}', "0+60x60"),
                              (f'isthmus_nat64_dropped_packets_total{GATEWAY},reason="excluded"}}', "0x60")]),
    "IsthmusSubscriberLimits": (18, [(f'isthmus_nat64_answered_packets_total{GATEWAY},reason="block_limit"}}', "0x60"),
                                     (f'isthmus_nat64_dropped_packets_total{GATEWAY},reason="block_limit"}}', "0+600x60")],
                                [(f'isthmus_nat64_answered_packets_total{GATEWAY},reason="block_limit"}}', "0x60"),
                                 (f'isthmus_nat64_dropped_packets_total{GATEWAY},reason="block_limit"}}', "0+6x60")]),
    "IsthmusSessionTableNearlyFull": (7, [(f'isthmus_nat64_sessions{GATEWAY},protocol="tcp"}}', "50x60"),
                                          (f'isthmus_nat64_sessions{GATEWAY},protocol="udp"}}', "45x60"),
                                          (f"isthmus_nat64_sessions_max{GATEWAY}}}", "100x60")],
                                      [(f'isthmus_nat64_sessions{GATEWAY},protocol="tcp"}}', "50x60"),
                                       (f"isthmus_nat64_sessions_max{GATEWAY}}}", "100x60")]),
    "IsthmusNat64Losses": (18, [(f'isthmus_nat64_io_dropped_packets_total{GATEWAY},reason="no_frame"}}', "0+6000x60")],
                           [(f'isthmus_nat64_io_dropped_packets_total{GATEWAY},reason="no_frame"}}', "0+60x60")]),
    "IsthmusNat64Unclassified": (5, [(f'isthmus_nat64_dropped_packets_total{GATEWAY},reason="unclassified"}}', "0 1x60")],
                                 [(f'isthmus_nat64_dropped_packets_total{GATEWAY},reason="excluded"}}', "0+60x60")]),
    "IsthmusEventRecordsLost": (3, [("isthmus_nat64_event_records_lost_total", "0 1x60")],
                                [("isthmus_nat64_event_records_lost_total", "5x60")]),
    "IsthmusPref64Differs": (7, [('isthmus_nat64_announced_pref64{ours="no"}', "1x60")],
                             [('isthmus_nat64_announced_pref64{ours="yes"}', "1x60")]),
    "IsthmusRoutesChanged": (3, [('isthmus_nat64_routes_mended_total{was="missing"}', "0 1x60")],
                             [('isthmus_nat64_routes_mended_total{was="missing"}', "5x60")]),
    "IsthmusProbeUnanswered": (3, [("isthmus_nat64_probe_answered", "0x60")], [("isthmus_nat64_probe_answered", "1x60")]),
    "IsthmusXdpGeneric": (12, [('isthmus_nat64_xdp_mode{mode="generic"}', "1x60")], [('isthmus_nat64_xdp_mode{mode="native"}', "1x60")]),
    "IsthmusDns64NotReady": (3, [("isthmus_dns64_ready", "0x60")], [("isthmus_dns64_ready", "1x60")]),
    "IsthmusDns64Failing": (13, [('isthmus_dns64_responses_total{rcode="SERVFAIL"}', "0+60x60"),
                                 ('isthmus_dns64_responses_total{rcode="NOERROR"}', "0+600x60"),
                                 ('isthmus_dns64_queries_total{outcome="passed"}', "0+660x60")],
                            [('isthmus_dns64_responses_total{rcode="SERVFAIL"}', "0+6x60"),
                             ('isthmus_dns64_responses_total{rcode="NOERROR"}', "0+600x60"),
                             ('isthmus_dns64_queries_total{outcome="passed"}', "0+606x60")]),
    "IsthmusDns64Slow": (18, [('isthmus_dns64_answer_seconds_bucket{cache="miss",le="1"}', "0+10x60"),
                              ('isthmus_dns64_answer_seconds_bucket{cache="miss",le="4"}', "0+90x60"),
                              ('isthmus_dns64_answer_seconds_bucket{cache="miss",le="+Inf"}', "0+90x60")],
                         [('isthmus_dns64_answer_seconds_bucket{cache="miss",le="1"}', "0+90x60"),
                          ('isthmus_dns64_answer_seconds_bucket{cache="miss",le="4"}', "0+90x60"),
                          ('isthmus_dns64_answer_seconds_bucket{cache="miss",le="+Inf"}', "0+90x60")]),
    "IsthmusNat64DropsRising": (24, [(f'isthmus_nat64_answered_packets_total{GATEWAY},reason="excluded"}}', "0x60"),
                                      (f'isthmus_nat64_dropped_packets_total{GATEWAY},reason="excluded"}}', "0+6000x60")],
                                [(f'isthmus_nat64_answered_packets_total{GATEWAY},reason="excluded"}}', "0x60"),
                                 (f'isthmus_nat64_dropped_packets_total{GATEWAY},reason="excluded"}}', "0+60x60")]),
    "IsthmusFewClients": (17, [(f"isthmus_nat64_subscribers{GATEWAY}}}", "1x60"), (f'isthmus_nat64_sessions{GATEWAY},protocol="tcp"}}', "3000x60")],
                          [(f"isthmus_nat64_subscribers{GATEWAY}}}", "500x60"), (f'isthmus_nat64_sessions{GATEWAY},protocol="tcp"}}', "3000x60")]),
    "IsthmusReplicasMissing": (12, [('kube_daemonset_status_number_unavailable{daemonset="isthmus-nat64"}', "1x60")],
                               [('kube_daemonset_status_number_unavailable{daemonset="isthmus-nat64"}', "0x60"),
                                ('kube_daemonset_status_number_unavailable{daemonset="other"}', "1x60")]),
    "IsthmusNoIpv4Uplink": (3, [("isthmus_nat64_node_ipv4_uplink", "0x60")], [("isthmus_nat64_node_ipv4_uplink", "1x60")]),
    "IsthmusClientsMasqueraded": (7, [("isthmus_nat64_node_sources_masqueraded", "1x60")], [("isthmus_nat64_node_sources_masqueraded", "0x60")]),
    "IsthmusNoLeader": (2, [("isthmus_controller_leads", "0x60")], [('isthmus_controller_leads{instance="a"}', "1x60"), ('isthmus_controller_leads{instance="b"}', "0x60")]),
    "IsthmusLeaseEnds": (1, [("isthmus_feed_seconds_to_lease_expiry", "20x60"), ("isthmus_feed_connected", "0x60")],
                         [("isthmus_feed_seconds_to_lease_expiry", "20x60"), ("isthmus_feed_connected", "1x60")]),
    "IsthmusCertificateExpires": (12, [("isthmus_tls_certificate_expiry_timestamp_seconds", "864000x60")],
                                  [("isthmus_tls_certificate_expiry_timestamp_seconds", "8640000x60")]),
    "IsthmusStoreStuck": (3, [("isthmus_controller_store_stuck", "1x60")], [("isthmus_controller_store_stuck", "0x60")]),
    "IsthmusSettling": (12, [("isthmus_controller_settling", "1x60")], [("isthmus_controller_settling", "0x60")]),
}
for _alert, _outcome, _minutes in (("IsthmusDns64Bogus", "bogus", 18), ("IsthmusDns64Stale", "stale", 13),
                                   ("IsthmusDns64ClientsRefused", "no_view", 18)):
    _total = ('isthmus_dns64_queries_total{outcome="passed"}', "0+1000x60")
    CASES[_alert] = (_minutes, [_total, (f'isthmus_dns64_queries_total{{outcome="{_outcome}"}}', "0+300x60")],
                     [_total, (f'isthmus_dns64_queries_total{{outcome="{_outcome}"}}', "0+1x60")])


def promtool_case(alert, minutes, series, fires):
    return {"interval": "1m", "input_series": [{"series": name, "values": values} for name, values in series],
            "promql_expr_test": [{"expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})',
                                  "eval_time": f"{minutes}m",
                                  "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}]}


class Alerts(unittest.TestCase):
    def test_every_alert_has_a_case(self):
        self.assertEqual({rule["alert"] for rule in all_rules() if "alert" in rule}, set(CASES))

    def test_alerts_fire_when_they_should_and_only_then(self):
        tests = []
        for alert, (minutes, firing, quiet) in CASES.items():
            tests.append(promtool_case(alert, minutes, firing, True))
            tests.append(promtool_case(alert, minutes, quiet, False))
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "test.yaml"
            path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}),
                            encoding="utf-8")
            done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Dashboards(unittest.TestCase):
    def test_they_are_up_to_date(self):
        done = subprocess.run([ROOT / "deploy/monitoring/dashboards.py", "--check"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_every_metric_of_every_panel_exists(self):
        known = set(source_metrics()) | {rule["record"] for rule in all_rules() if "record" in rule}
        queries = 0
        for name, panel in panels():
            for target in panel.get("targets", []):
                queries += 1
                names = base_names(target["expr"])
                self.assertTrue(names or "ALERTS" in target["expr"], target["expr"])
                self.assertEqual(names - known, set(), f"{name}: {panel['title']}")
        self.assertGreater(queries, 40)

    def test_prometheus_can_parse_every_query(self):
        groups = []
        for index, (_, panel) in enumerate(panels()):
            rules = [{"record": f"panel:{index}:{target['refId']}",
                      "expr": target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")}
                     for target in panel.get("targets", [])]
            if rules:
                groups.append({"name": f"panel {index}", "rules": rules})
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump({"groups": groups}, file)
            file.flush()
            done = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_panels_have_their_own_number_and_do_not_overlap(self):
        taken = {}
        for name, panel in panels():
            place = panel["gridPos"]
            cells = {(name, x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            self.assertLessEqual(place["x"] + place["w"], 24)
            self.assertTrue(cells.isdisjoint(taken.get(name, set())), f"{name}: {panel['title']}")
            taken.setdefault(name, set()).update(cells)
        self.assertEqual(len(taken), 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
