#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the Grafana dashboards of the chart: deploy/helm/isthmus/files/dashboards/*.json.

  dashboards.py           writes them
  dashboards.py --check   exits 1 when they are not up to date

A panel is (title, kind, unit, [(query, legend)...]); kinds: stat, timeseries, table.
"""

import json
import pathlib
import sys

OUT = pathlib.Path(__file__).resolve().parents[1] / "helm/isthmus/files/dashboards"
RATE = "[$__rate_interval]"

OVERVIEW = [
    ("Is it all right", [
        ("Alerts firing", "stat", "short", [('count(ALERTS{alertname=~"Isthmus.*", alertstate="firing"}) or vector(0)', "")]),
        ("Healthy gateways", "stat", "short", [("isthmus_controller_healthy_nodes", "")]),
        ("Gateways translating", "stat", "short", [("sum(isthmus_nat64_ready)", "")]),
        ("Nodes without IPv4 uplink", "stat", "short", [("count(isthmus_nat64_node_ipv4_uplink == 0) or vector(0)", "")]),
        ("DNS64 ready", "stat", "short", [("sum(isthmus_dns64_ready)", "")]),
        ("Policy refused at the source", "stat", "short", [("isthmus_controller_policy_refused", "")]),
        ("Health held", "stat", "short", [("isthmus_controller_health_held", "")]),
    ]),
    ("Traffic", [
        ("Queries by outcome", "timeseries", "reqps",
         [(f"sum by (outcome) (rate(isthmus_dns64_queries_total{RATE}))", "{{outcome}}")]),
        ("Translated bits", "timeseries", "bps",
         [(f"8 * sum by (from) (rate(isthmus_nat64_translated_bytes_total{RATE}))", "from {{from}}")]),
        ("Sessions by gateway", "timeseries", "short", [("sum by (node) (isthmus_service_sessions)", "{{node}}")]),
        ("SERVFAIL", "timeseries", "percentunit", [("isthmus:dns64_servfail:ratio_rate5m", "ratio")]),
    ]),
    ("Control", [
        ("Services", "table", "short", [("isthmus_service_connected", "")]),
        ("Rollouts not applied", "table", "short", [('isthmus_service_rollout{state!="applied"} == 1', "")]),
        ("Pool addresses by state", "timeseries", "short",
         [("sum by (pool, state) (isthmus_controller_addresses)", "{{pool}} {{state}}")]),
        ("Events", "timeseries", "short",
         [("sum by (event) (increase(isthmus_controller_events_total[5m])) > 0", "{{event}}")]),
        ("Seconds since heard", "timeseries", "s", [("isthmus_service_seconds_since_heard", "{{kind}} {{node}}")]),
        ("Refused by services", "timeseries", "short", [("isthmus_feed_rejected_total", "{{instance}}")]),
    ]),
]

DNS64 = [
    ("Answers", [
        ("Queries by transport", "timeseries", "reqps",
         [(f'sum by (transport) (rate(isthmus_dns64_queries_total{{instance=~"$instance"}}{RATE}))', "{{transport}}")]),
        ("Queries by outcome", "timeseries", "reqps",
         [(f'sum by (outcome) (rate(isthmus_dns64_queries_total{{instance=~"$instance"}}{RATE}))', "{{outcome}}")]),
        ("Responses by RCODE", "timeseries", "reqps",
         [(f'sum by (rcode) (rate(isthmus_dns64_responses_total{{instance=~"$instance"}}{RATE}))', "{{rcode}}")]),
        ("Requests without reply", "timeseries", "reqps",
         [(f'sum by (transport, reason) (rate(isthmus_dns64_drops_total{{instance=~"$instance"}}{RATE})) > 0',
           "{{transport}} {{reason}}")]),
    ]),
    ("Time to answer", [
        ("From the cache", "timeseries", "s",
         [(f'histogram_quantile({q}, sum by (le) (rate(isthmus_dns64_answer_seconds_bucket{{cache="hit",'
           f' instance=~"$instance"}}{RATE})))', f"p{int(q * 100)}") for q in (0.5, 0.99)]),
        ("With a lookup", "timeseries", "s",
         [(f'histogram_quantile({q}, sum by (le) (rate(isthmus_dns64_answer_seconds_bucket{{cache="miss",'
           f' instance=~"$instance"}}{RATE})))', f"p{int(q * 100)}") for q in (0.5, 0.99)]),
    ]),
    ("Cache and upstreams", [
        ("Answered from the cache", "timeseries", "percentunit",
         [(f'sum(rate(isthmus_dns64_answer_seconds_count{{cache="hit", instance=~"$instance"}}{RATE}))'
           f' / sum(rate(isthmus_dns64_answer_seconds_count{{instance=~"$instance"}}{RATE}))', "ratio")]),
        ("Cache bytes", "timeseries", "bytes", [('isthmus_dns64_cache_bytes{instance=~"$instance"}', "{{instance}}")]),
        ("Cache entries", "timeseries", "short", [('isthmus_dns64_cache_entries{instance=~"$instance"}', "{{instance}}")]),
        ("Cache turnover", "timeseries", "ops",
         [(f'sum(rate(isthmus_dns64_cache_{kind}_total{{instance=~"$instance"}}{RATE}))', kind)
          for kind in ("inserts", "evictions", "expired")]),
        ("Lookups in flight", "timeseries", "short",
         [('isthmus_dns64_lookups_in_flight{instance=~"$instance"}', "{{instance}}"),
          ('isthmus_dns64_pending_queries{instance=~"$instance"}', "{{instance}} queries that wait")]),
        ("Failures", "timeseries", "ops",
         [(f'rate(isthmus_dns64_lookup_failures_total{{instance=~"$instance"}}{RATE})', "{{instance}} lookup {{reason}}"),
          (f'rate(isthmus_dns64_udp_send_failures_total{{instance=~"$instance"}}{RATE})', "{{instance}} udp_send_failures")]),
        ("Connections", "timeseries", "short",
         [('isthmus_dns64_connections{instance=~"$instance"}', "{{instance}} {{transport}}")]),
    ]),
]

NAT64 = [
    ("Traffic", [
        ("Packets translated", "timeseries", "pps",
         [(f'sum by (from, protocol) (rate(isthmus_nat64_translated_packets_total{{instance=~"$instance"}}{RATE}))',
           "from {{from}} {{protocol}}")]),
        ("Bits translated", "timeseries", "bps",
         [(f'8 * sum by (instance, from) (rate(isthmus_nat64_translated_bytes_total{{instance=~"$instance"}}{RATE}))',
           "{{instance}} from {{from}}")]),
        ("Frames by interface", "timeseries", "pps",
         [(f'sum by (instance, interface) (rate(isthmus_nat64_interface_received_packets_total{{instance=~"$instance"}}'
           f"{RATE}))", "{{instance}} {{interface}} in"),
          (f'sum by (instance, interface) (rate(isthmus_nat64_interface_transmitted_packets_total{{instance=~"$instance"}}'
           f"{RATE}))", "{{instance}} {{interface}} out")]),
        ("XDP mode", "table", "short", [('isthmus_nat64_xdp_mode{instance=~"$instance"}', "")]),
    ]),
    ("Pools and sessions", [
        ("Port blocks used", "timeseries", "percentunit",
         [('isthmus:nat64_port_blocks_used:ratio{instance=~"$instance"}', "{{instance}}")]),
        ("Leased addresses", "timeseries", "short",
         [('isthmus_nat64_leased_addresses{instance=~"$instance"}', "{{instance}}")]),
        ("Sessions", "timeseries", "short",
         [('sum by (instance, protocol) (isthmus_nat64_sessions{instance=~"$instance"})', "{{instance}} {{protocol}}")]),
        ("BIB entries", "timeseries", "short",
         [('sum by (instance, protocol) (isthmus_nat64_bib_entries{instance=~"$instance"})', "{{instance}} {{protocol}}")]),
        ("Session table", "timeseries", "percentunit",
         [('isthmus:nat64_sessions:ratio{instance=~"$instance"}', "{{instance}} worker {{worker}}")]),
        ("Subscribers", "timeseries", "short",
         [('sum by (instance) (isthmus_nat64_subscribers{instance=~"$instance"})', "{{instance}}")]),
        ("Events", "timeseries", "ops",
         [(f'sum by (event) (rate(isthmus_nat64_events_total{{instance=~"$instance"}}{RATE})) > 0', "{{event}}")]),
    ]),
    ("Drops", [
        ("Dropped, by reason", "timeseries", "pps",
         [(f'sum by (from, reason) (rate(isthmus_nat64_dropped_packets_total{{instance=~"$instance"}}{RATE})) > 0',
           "from {{from}} {{reason}}")]),
        ("Answered with ICMP, by reason", "timeseries", "pps",
         [(f'sum by (from, reason) (rate(isthmus_nat64_answered_packets_total{{instance=~"$instance"}}{RATE})) > 0',
           "from {{from}} {{reason}}")]),
        ("Lost around the translator", "timeseries", "pps",
         [(f'sum by (instance, reason) (rate(isthmus_nat64_io_dropped_packets_total{{instance=~"$instance"}}{RATE})) > 0',
           "{{instance}} {{reason}}")]),
        ("AF_XDP sockets", "timeseries", "ops",
         [(f'sum by (instance, interface, event) (rate(isthmus_nat64_socket_events_total{{instance=~"$instance"}}{RATE})) > 0',
           "{{instance}} {{interface}} {{event}}")]),
        ("Held back", "timeseries", "short",
         [('sum by (instance) (isthmus_nat64_held_syns{instance=~"$instance"})', "{{instance}} SYNs"),
          ('sum by (instance) (isthmus_nat64_held_fragments{instance=~"$instance"})', "{{instance}} fragments"),
          ('sum by (instance) (isthmus_nat64_held_for_neighbour{instance=~"$instance"})', "{{instance}} for a neighbour")]),
        ("Free frames", "timeseries", "short",
         [('sum by (instance) (isthmus_nat64_free_frames{instance=~"$instance"})', "{{instance}}")]),
    ]),
]

DASHBOARDS = {  # file: title, metric that names the instances, rows
    "overview": ("Isthmus / Overview", None, OVERVIEW),
    "dns64": ("Isthmus / DNS64", "isthmus_dns64_ready", DNS64),
    "nat64": ("Isthmus / NAT64", "isthmus_nat64_ready", NAT64),
}

SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def panel(number, place, title, kind, unit, queries):
    x, y, width, height = place
    made = {
        "id": number, "title": title, "type": kind, "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [{"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expr, "legendFormat": legend,
                     "instant": kind != "timeseries", "range": kind == "timeseries",
                     "format": "table" if kind == "table" else "time_series"}
                    for i, (expr, legend) in enumerate(queries)],
        "options": {},
    }
    if kind == "timeseries":
        made["options"] = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                           "tooltip": {"mode": "multi", "sort": "desc"}}
    return made


def rows_of(rows):
    panels, y, number = [], 0, 1
    for row, entries in rows:
        panels.append({"id": number, "type": "row", "title": row, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        number, y, x = number + 1, y + 1, 0
        for title, kind, unit, queries in entries:
            width, height = (4, 4) if kind == "stat" else (12, 8)
            if x + width > 24:
                x, y = 0, y + height
            panels.append(panel(number, (x, y, width, height), title, kind, unit, queries))
            number, x = number + 1, x + width
        y += height
    return panels


def dashboard(name, title, instances, rows):
    variables = [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}]
    if instances:
        query = f"label_values({instances}, instance)"
        variables.append({"name": "instance", "type": "query", "label": "Instance", "datasource": SOURCE,
                          "query": {"query": query, "refId": "instances"}, "definition": query, "refresh": 2,
                          "multi": True, "includeAll": True, "allValue": ".*",
                          "current": {"text": "All", "value": "$__all"}})
    return {"uid": f"isthmus-{name}", "title": title, "tags": ["isthmus"], "schemaVersion": 39, "editable": True,
            "refresh": "30s", "time": {"from": "now-3h", "to": "now"}, "templating": {"list": variables},
            "panels": rows_of(rows)}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    stale = 0
    for name, (title, instances, rows) in DASHBOARDS.items():
        path = OUT / f"{name}.json"
        text = json.dumps(dashboard(name, title, instances, rows), indent=1) + "\n"
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if sys.argv[1:] == ["--check"]:
            print(f"{path.name} is not up to date: run deploy/monitoring/dashboards.py")
            stale = 1
        else:
            path.write_text(text, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
