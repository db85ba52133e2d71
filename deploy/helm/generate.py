#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes values.schema.json and the value table of README.md from values.yaml and proto/isthmus/v1/policy.proto.

  generate.py           writes both
  generate.py --check   exits 1 when they are not up to date

The schema is closed: what values.yaml does not name is refused. A type follows from the default; TYPES says more where
the default does not tell. The part of the policy follows the proto file; ranges are the business of `isthmusctl validate`.
"""

import json
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
CHART = HERE / "isthmus"
PROTO = HERE.parents[1] / "proto/isthmus/v1/policy.proto"

STRING_MAP = {"type": "object", "additionalProperties": {"type": "string"}}
KUBERNETES = {"type": "object"}  # Kubernetes' own schema, checked by its API server
KUBERNETES_LIST = {"type": "array", "items": {"type": "object"}}
STRINGS = {"type": "array", "items": {"type": "string"}}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
FAMILIES = {"type": "array", "items": {"enum": ["IPv4", "IPv6"]}, "maxItems": 2, "uniqueItems": True}
FAMILY_POLICY = {"enum": ["", "SingleStack", "PreferDualStack", "RequireDualStack"]}
HOURS = {"type": "string", "pattern": "^[0-9]+h$"}
INTERFACE = {"type": "string", "maxLength": 15, "pattern": "^[^/ ]*$"}

# By the last word of the path, or by the whole path.
TYPES = {
    "global": KUBERNETES, "commonLabels": STRING_MAP, "commonAnnotations": STRING_MAP, "annotations": STRING_MAP,
    "labels": STRING_MAP, "podAnnotations": STRING_MAP, "podLabels": STRING_MAP, "nodeSelector": STRING_MAP,
    "alertLabels": STRING_MAP, "affinity": KUBERNETES, "resources": KUBERNETES, "strategy": KUBERNETES,
    "updateStrategy": KUBERNETES, "startupProbe": KUBERNETES, "livenessProbe": KUBERNETES, "readinessProbe": KUBERNETES,
    "tolerations": KUBERNETES_LIST, "extraEnv": KUBERNETES_LIST, "extraVolumes": KUBERNETES_LIST,
    "extraVolumeMounts": KUBERNETES_LIST, "extraContainers": KUBERNETES_LIST, "extraManifests": KUBERNETES_LIST,
    "topologySpreadConstraints": KUBERNETES_LIST, "monitoringFrom": KUBERNETES_LIST, "operatorFrom": KUBERNETES_LIST,
    "imagePullSecrets": {"type": "array", "items": {
        "type": "object", "additionalProperties": False, "required": ["name"], "properties": {"name": {"type": "string"}}}},
    "extraArgs": STRINGS, "nodeCidrs": STRINGS, "loadBalancerSourceRanges": STRINGS, "disabled": STRINGS,
    "pullPolicy": {"enum": ["IfNotPresent", "Always", "Never"]},
    "digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "logLevel": {"enum": ["trace", "debug", "info", "warning", "error"]}, "logFormat": {"enum": ["text", "json"]},
    "port": PORT, "ipFamilies": FAMILIES, "ipFamilyPolicy": FAMILY_POLICY,
    "dns64.service.type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    "externalTrafficPolicy": {"enum": ["Local", "Cluster"]},
    "dnsPolicy": {"enum": ["ClusterFirst", "Default", "None"]},
    "controller.store.kind": {"enum": ["sqlite", "etcd", "memory"]},
    "endpoints": STRINGS, "controller.replicas": {"type": "integer", "minimum": 1, "maximum": 9},
    "replicas": {"type": "integer", "minimum": 1}, "dns64.workers": {"type": "integer", "minimum": 0, "maximum": 256}, "nat64.workers": {"type": "integer", "minimum": 1, "maximum": 64},
    "minReplicas": {"type": "integer", "minimum": 1}, "maxReplicas": {"type": "integer", "minimum": 1},
    "targetCPUUtilizationPercentage": {"type": "integer", "minimum": 1, "maximum": 100},
    "maxUnavailable": {"type": ["integer", "string"]},
    "dns64.drainSeconds": {"type": "integer", "minimum": 0, "maximum": 3600},
    "nat64.drainSeconds": {"type": "integer", "minimum": 0, "maximum": 86400},
    "adoptGraceSeconds": {"type": "integer", "minimum": 6, "maximum": 3600},
    "preStopSeconds": {"type": "integer", "minimum": 0, "maximum": 3600},
    "terminationGracePeriodSeconds": {"type": "integer", "minimum": 0},
    "tls.mode": {"enum": ["generate", "certManager", "existing", "off"]}, "nat64.mode": {"enum": ["gateway", "node"]},
    "validityDays": {"type": "integer", "minimum": 1, "maximum": 36500}, "duration": HOURS, "renewBefore": HOURS,
    "issuerRef": {"type": "object", "additionalProperties": False,
                  "properties": {name: {"type": "string"} for name in ("name", "kind", "group")}},
    "podCidrs": STRINGS, "serviceCidrs": STRINGS, "extraClients": STRINGS, "pool": STRINGS, "resolvers": STRINGS,
    "target": {"type": "string", "pattern": r"^([0-9.]+:[0-9]+)?$"},
    "interface6": INTERFACE, "interface4": INTERFACE, "xdpMode": {"enum": ["auto", "native", "generic"]},
    "busyPoll": {"type": "integer", "minimum": 0, "maximum": 4096},
    "maxSessions": {"type": "integer", "minimum": 1024, "maximum": 1 << 28},
    "httpListen": {"type": "string", "pattern": r"^(\[[0-9a-fA-F:.]+\]|[0-9.]+):[0-9]+$"},
    "stateHostPath": {"type": "string", "pattern": "^/."},
    "interval": {"type": "string", "pattern": "^[0-9]+(ms|s|m)$"},
}


# --- the policy, from the proto file ------------------------------------------------------------------------------------

def policy_definitions(text):
    """One definition for each message; enums by name. Handles just what policy.proto uses."""
    text = re.sub(r"//[^\n]*", "", text)
    text = text[text.index("message Policy"):]
    enums = {}
    for name, body in re.findall(r"enum (\w+) \{([^}]*)\}", text):
        values = re.findall(r"(\w+) = \d+;", body)
        enums[name] = {"enum": [v for v in values if not v.endswith("_UNSPECIFIED")]}
    text = re.sub(r"enum \w+ \{[^}]*\}", "", text)
    messages = dict(re.findall(r"message (\w+) \{([^}]*)\}", text))
    scalars = {
        "string": {"type": "string"}, "bool": {"type": "boolean"},
        "uint32": {"type": "integer", "minimum": 0, "maximum": (1 << 32) - 1}, "uint64": {"type": "integer", "minimum": 0},
        "google.protobuf.Duration": {"type": "string", "pattern": "^[0-9]"},
    }

    def of(kind):
        if kind in messages:
            return {"$ref": f"#/definitions/{kind}"}
        return enums[kind] if kind in enums else scalars[kind]

    definitions = {}
    for name, body in messages.items():
        fields = re.findall(r"(repeated |optional |)([\w.]+) (\w+) = \d+;", body)
        definitions[name] = {"type": "object", "additionalProperties": False, "properties": {
            field: {"type": "array", "items": of(kind)} if label.strip() == "repeated" else of(kind)
            for label, kind, field in fields}}
    return definitions


# --- the values ---------------------------------------------------------------------------------------------------------

def schema_of(value, path):
    name = path.rsplit(".", 1)[-1]
    if path == "policy":
        return {"$ref": "#/definitions/Policy"}
    if path in TYPES or name in TYPES:
        return TYPES.get(path) or TYPES[name]
    if isinstance(value, dict) and value:
        return {"type": "object", "additionalProperties": False,
                "properties": {key: schema_of(each, f"{path}.{key}".lstrip(".")) for key, each in value.items()}}
    for kind, word in ((bool, "boolean"), (int, "integer"), (str, "string")):
        if isinstance(value, kind):
            return {"type": word}
    raise SystemExit(f"generate.py: {path}: the default does not tell the type: add it to TYPES")


def make_schema(values):
    schema = schema_of(values, "")
    return json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", **schema,
                       "definitions": policy_definitions(PROTO.read_text(encoding="utf-8"))}, indent=1) + "\n"


def described(text):
    """(path, description) of every key that has a '# --' comment, in order."""
    stack, comment, rows = [], [], []
    for line in text.splitlines():
        if found := re.match(r"\s*# -- (.*)", line):
            comment = [found.group(1)]
        elif comment and (found := re.match(r"\s*# (.*)", line)):
            comment.append(found.group(1))
        elif found := re.match(r"( *)(\w+):", line):
            while stack and stack[-1][0] >= len(found.group(1)):
                stack.pop()
            stack.append((len(found.group(1)), found.group(2)))
            if comment:
                rows.append((".".join(key for _, key in stack), " ".join(comment)))
            comment = []
        else:
            comment = []
    return rows


def make_readme(text, values, readme):
    rows = []
    for path, description in described(text):
        value = values
        for key in path.split("."):
            value = value[key]
        rows.append(f"| `{path}` | `{json.dumps(value)}` | {description} |")
    table = "| value | default | meaning |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"
    head = readme.split("<!-- values -->")[0]
    return head + "<!-- values -->\n" + table


def main():
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    readme = CHART / "README.md"
    made = {CHART / "values.schema.json": make_schema(values),
            readme: make_readme(text, values, readme.read_text(encoding="utf-8"))}
    stale = [path for path, content in made.items() if not path.exists() or path.read_text(encoding="utf-8") != content]
    if sys.argv[1:] == ["--check"]:
        for path in stale:
            print(f"{path.name} is not up to date: run deploy/helm/generate.py")
        return 1 if stale else 0
    for path in stale:
        path.write_text(made[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
