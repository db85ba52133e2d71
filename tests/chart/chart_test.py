#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The chart as Helm 3 and 4 render it: what is refused, what runs with which rights, what belongs together."""

import base64
import ipaddress
import os
import pathlib
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

import yaml

from helm import CACHE, CHART, GATEWAY, ROOT, VERSIONS, helm, need_helm, render

EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
EVERYTHING = {
    "networkPolicy": {"enabled": True, "nodeCidrs": ["2001:db8::/64"], "operatorFrom": [{"podSelector": {}}],
                      "monitoringFrom": [{"namespaceSelector": {}}]},
    "monitoring": {"podMonitor": {"enabled": True}, "rules": {"enabled": True}, "dashboards": {"enabled": True}},
    "dns64": {"autoscaling": {"enabled": True}},
}
NODE_MODE = {"nat64": {"mode": "node"}, "coredns": {"corefile": True}, "dns64": {"service": {"clusterIP": "fd00:96::53"}},
             "cluster": {"podCidrs": ["fd00:244::/48", "10.244.0.0/16"], "serviceCidrs": ["fd00:96::/112", "10.96.0.0/12"],
                         "nodeCidrs": ["192.0.2.0/24", "2001:db8::/64"]}}
PROGRAMS = (("StatefulSet", "controller"), ("Deployment", "dns64"), ("DaemonSet", "nat64"))


def container(pod):
    return pod["containers"][0]


def argument(pod, flag):
    found = [each.split("=", 1)[1] for each in container(pod)["args"] if each.startswith(f"--{flag}=")]
    return found[0] if len(found) == 1 else found


class Lint(unittest.TestCase):
    def test_both_helms_find_nothing_in_any_example(self):
        for major in VERSIONS:
            for example in EXAMPLES:
                with self.subTest(helm=major, example=example.name):
                    done = helm(major, "lint", "--strict", CHART, "-f", example)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_both_helms_render_the_same(self):
        for example in EXAMPLES:
            values = {**EVERYTHING, "tls": {"mode": "certManager"}}  # what Helm generates differs each time
            texts = [render(values, major, example) for major in VERSIONS]
            self.assertEqual(texts[0].objects, texts[1].objects)

    def test_schema_and_readme_are_up_to_date(self):
        done = subprocess.run([ROOT / "deploy/helm/generate.py", "--check"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_every_value_is_described(self):
        described = (CHART / "README.md").read_text(encoding="utf-8")
        values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
        comments = (CHART / "values.yaml").read_text(encoding="utf-8").count("# -- ")

        def leaves(value, path):
            if isinstance(value, dict) and value and f"| `{path}` |" not in described:
                return [leaf for key, each in value.items() for leaf in leaves(each, f"{path}.{key}".lstrip("."))]
            return [path]
        paths = leaves(values, "")
        self.assertEqual([path for path in paths if f"| `{path}` |" not in described], [])
        self.assertEqual(len(paths), comments)


class Types(unittest.TestCase):
    """Against the types of current Kubernetes and of the Prometheus operator."""

    def check(self, text):
        return subprocess.run(["node", ROOT / "tests/chart/kubernetes/check.mjs", CACHE / "kubernetes"], input=text,
                              capture_output=True, text=True, check=False)

    def test_everything_rendered_is_valid(self):
        service = {"type": "LoadBalancer", "loadBalancerIP": "2001:db8::53", "loadBalancerClass": "x/y",
                   "loadBalancerSourceRanges": ["2001:db8::/32"], "ipFamilies": ["IPv6", "IPv4"]}
        dns64 = {**EVERYTHING["dns64"], "service": service, "extraEnv": [{"name": "E", "value": "1"}]}
        done = self.check(render({**EVERYTHING, "dns64": dns64, "imagePullSecrets": [{"name": "key"}]}).text)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_everything_rendered_is_valid_in_node_mode_and_with_the_other_stores_and_certificates(self):
        for values in ({**NODE_MODE, "tls": {"mode": "certManager"}, "controller": {"store": {"kind": "sqlite"}}},
                       {**NODE_MODE, "tls": {"mode": "off"},
                        "controller": {"store": {"kind": "etcd", "etcd": {"endpoints": ["etcd:2379"]}}, "replicas": 3}}):
            done = self.check(render(values, base=CHART / "values.yaml").text)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_misspelt_and_missing_fields_would_be_found(self):
        text = render().text
        mistakes = (("publishNotReadyAddresses", "publishUnready", "publishUnready"),
                    ("kind: DaemonSet", "kind: DemonSet", "DemonSet"), ("restartPolicy: Never", "restartPolicy: 5", "restartPolicy"))
        for right, wrong, _ in mistakes:
            self.assertIn(right, text)
            text = text.replace(right, wrong)
        done = self.check(text)
        self.assertEqual(done.returncode, 1)
        for _, _, word in mistakes:
            self.assertIn(word, done.stdout)


class Refusals(unittest.TestCase):
    def refused(self, values, *words, base=GATEWAY):
        for major in VERSIONS[-1:]:  # what both refuse alike is shown once, by test_both_helms_refuse_alike
            with self.subTest(helm=major, values=values):
                with self.assertRaises(AssertionError) as caught:
                    render(values, major, base)
                for word in words:
                    self.assertIn(word, str(caught.exception))

    def test_both_helms_refuse_alike(self):
        for values, word in (({"dns46": {}}, "dns46"), ({"dns64": {"replicas": 0}}, "replicas"),
                             ({"nat64": {"interface6": ""}}, "nat64.interface6 is empty")):
            for major in VERSIONS:
                with self.assertRaisesRegex(AssertionError, word):
                    render(values, major)

    def test_misspelt_values_anywhere(self):
        self.refused({"dns46": {}}, "dns46")
        self.refused({"image": {"tags": "x"}}, "tags")
        self.refused({"nat64": {"interface": "eth0"}}, "interface")
        self.refused({"monitoring": {"rules": {"enable": True}}}, "enable")
        self.refused({"policy": {"pool": []}}, "pool")
        self.refused({"policy": {"dns64": {"views": [{"client": []}]}}}, "client")
        self.refused({"policy": {"nat64": {"timeouts": {"tcp": "1s"}}}}, "tcp")

    def test_values_out_of_range(self):
        self.refused({"dns64": {"replicas": 0}}, "replicas")
        self.refused({"dns64": {"service": {"type": "ExternalName"}}}, "type")
        self.refused({"dns64": {"service": {"port": 70000}}}, "port")
        self.refused({"dns64": {"service": {"ipFamilies": ["IPv5"]}}}, "ipFamilies")
        self.refused({"nat64": {"xdpMode": "fast"}}, "xdpMode")
        self.refused({"nat64": {"maxSessions": 1}}, "maxSessions")
        self.refused({"nat64": {"interface6": "a-name-beyond-15-bytes"}}, "interface6")
        self.refused({"nat64": {"httpListen": "9464"}}, "httpListen")
        self.refused({"controller": {"logLevel": "loud"}}, "logLevel")
        self.refused({"controller": {"image": {"digest": "sha256:1"}}}, "digest")
        self.refused({"policy": {"nat64": {"filtering": "NONE"}}}, "filtering")
        self.refused({"policy": {"pools": [{"name": 5}]}}, "name")

    def test_what_must_be_given(self):
        self.refused({}, "policy is empty", base=CHART / "values.yaml")
        self.refused({"cluster": {"podCidrs": ["10.0.0.0/8"]}}, "no IPv6 prefix", base=CHART / "values.yaml")
        self.refused({"cluster": {"podCidrs": ["fd00::/48"]}, "nat64": {"interface6": "a", "interface4": "b"}}, "cluster.pool is empty", base=CHART / "values.yaml")
        self.refused({"tls": {"mode": "existing"}}, "tls.existing.", "is empty: name the Secret")
        self.refused({"controller": {"replicas": 2}}, "controller.store.kind=etcd")
        self.refused({"controller": {"store": {"kind": "etcd"}}}, "endpoints is empty")
        self.refused({"dns64": {"dot": True}}, "dns64.tlsSecret")
        self.refused({"coredns": {"corefile": True}}, "dns64.service.clusterIP")
        self.refused({"nat64": {"interface6": ""}}, "nat64.interface6 is empty")
        self.refused({"nat64": {"interface4": ""}}, "nat64.interface4 is empty")


class Rights(unittest.TestCase):
    def test_only_nat64_has_capabilities_and_exactly_those_it_needs(self):
        needed = (ROOT / "nat64-svc/shell/preflight.cpp").read_text(encoding="utf-8")
        for name, pod, _ in render(EVERYTHING).pods():
            with self.subTest(name):
                rights = container(pod)["securityContext"]
                self.assertEqual(rights["capabilities"]["drop"], ["ALL"])
                self.assertIs(rights["allowPrivilegeEscalation"], False)
                self.assertIs(rights["readOnlyRootFilesystem"], True)
                self.assertFalse(rights.get("privileged", False))
                self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertIs(pod["automountServiceAccountToken"], False)
                added = rights["capabilities"].get("add", [])
                if name != "r-isthmus-nat64":
                    self.assertEqual(added, [])
                    self.assertIs(pod["securityContext"]["runAsNonRoot"], True)
                    self.assertNotIn("hostNetwork", pod)
                    continue
                self.assertEqual(sorted(added), ["BPF", "IPC_LOCK", "NET_ADMIN", "NET_RAW", "PERFMON"])
                self.assertEqual(needed.count('"CAP_'), len(added))
                for capability in added:
                    self.assertIn(f'"CAP_{capability}"', needed)
                self.assertIs(pod["hostNetwork"], True)

    def test_only_the_state_directory_of_nat64_is_on_the_node(self):
        for name, pod, _ in render(EVERYTHING).pods():
            paths = [volume["hostPath"]["path"] for volume in pod.get("volumes", []) if "hostPath" in volume]
            self.assertEqual(paths, ["/var/lib/isthmus"] if name == "r-isthmus-nat64" else [])

    def test_nobody_gets_rights_in_the_cluster(self):
        self.assertEqual([kind for kind in render(EVERYTHING).kinds() if "Role" in kind], [])


class Wiring(unittest.TestCase):
    def test_selectors_find_exactly_their_pods(self):
        rendered = render(EVERYTHING)
        wanted = {"controller": ["r-isthmus-controller"], "dns64": ["r-isthmus-dns64"], "nat64": ["r-isthmus-nat64"]}

        def chosen(selector):
            return [name for name, _, labels in rendered.pods() if selector.items() <= labels.items()]
        checked = 0
        for each in rendered.objects:
            spec, name = each.get("spec", {}), each["metadata"]["name"].removeprefix("r-isthmus-")
            selector = spec.get("selector") or spec.get("podSelector")
            if not selector:
                continue
            checked += 1
            self.assertEqual(chosen(selector.get("matchLabels", selector)), wanted[name], f"{each['kind']} {name}")
        self.assertEqual(checked, 3 + 2 + 1 + 3 + 2)  # workloads, Services, PDB, PodMonitors, NetworkPolicies

    def test_named_ports_exist_in_the_pods(self):
        rendered = render(EVERYTHING)
        for kind, name in PROGRAMS:
            ports = {(port["name"], port["protocol"]) for port in container(rendered.pod(kind, name))["ports"]}
            if rendered.has("Service", name):
                for port in rendered.get("Service", name)["spec"]["ports"]:
                    self.assertIn((port["targetPort"], port["protocol"]), ports)
            self.assertIn((rendered.get("PodMonitor", name)["spec"]["podMetricsEndpoints"][0]["port"], "TCP"), ports)
            if rendered.has("NetworkPolicy", name):
                for rule in rendered.get("NetworkPolicy", name)["spec"]["ingress"]:
                    for port in rule["ports"]:
                        self.assertIn((port["port"], port["protocol"]), ports)

    def test_dns_is_served_on_udp_and_tcp_at_53(self):
        ports = render().get("Service", "dns64")["spec"]["ports"]
        self.assertEqual([(port["port"], port["protocol"]) for port in ports], [(53, "UDP"), (53, "TCP")])

    def test_programs_listen_where_their_ports_say(self):
        rendered = render({"controller": {"service": {"port": 7777}}, "nat64": {"httpListen": "192.0.2.1:1234"}})

        def ports(kind, name):
            return {port["name"]: port["containerPort"] for port in container(rendered.pod(kind, name))["ports"]}
        self.assertEqual(argument(rendered.pod("StatefulSet", "controller"), "grpc-listen"), "[::]:7777")
        self.assertEqual(ports("StatefulSet", "controller"), {"grpc": 7777, "http": 9460})
        self.assertEqual(argument(rendered.pod("Deployment", "dns64"), "listen"), ["[::]:1053", "0.0.0.0:1053"])
        self.assertEqual(ports("Deployment", "dns64"), {"dns": 1053, "dns-tcp": 1053, "http": 9465})
        self.assertEqual(argument(rendered.pod("DaemonSet", "nat64"), "http-listen"), "192.0.2.1:1234")
        self.assertEqual(ports("DaemonSet", "nat64"), {"http": 1234})
        for kind, name in PROGRAMS[1:]:
            self.assertEqual(argument(rendered.pod(kind, name), "controller"), "r-isthmus-controller.isthmus.svc:7777")

    def test_every_flag_is_one_the_program_has(self):
        sources = {"controller": "controller/main.cpp", "dns64": "dns64-svc/shell/startup_config.cpp",
                   "nat64": "nat64-svc/shell/startup_config.cpp"}
        rendered = render()
        for kind, name in PROGRAMS:
            source = (ROOT / sources[name]).read_text(encoding="utf-8")
            for each in container(rendered.pod(kind, name))["args"]:
                self.assertIn(f'"{each.split("=")[0]}"', source, name)

    def test_probes_ask_health_and_readiness(self):
        rendered = render()
        for kind, name in PROGRAMS:
            program = container(rendered.pod(kind, name))
            for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
                self.assertEqual(program[probe]["httpGet"], {"path": path, "port": "http"})

    def test_termination_leaves_time_to_drain(self):
        rendered = render({"dns64": {"preStopSeconds": 30, "drainSeconds": 7}, "nat64": {"drainSeconds": 600}})
        dns64, nat64 = rendered.pod("Deployment", "dns64"), rendered.pod("DaemonSet", "nat64")
        self.assertEqual(container(dns64)["lifecycle"]["preStop"]["exec"]["command"], ["sleep", "30"])
        self.assertEqual(argument(dns64, "drain-timeout"), "7")
        self.assertGreater(dns64["terminationGracePeriodSeconds"], 37)
        self.assertEqual(argument(nat64, "drain-timeout"), "600")
        self.assertGreater(nat64["terminationGracePeriodSeconds"], 600)

    def test_one_controller_at_a_time(self):
        self.assertEqual(render().get("StatefulSet", "controller")["spec"]["replicas"], 1)
        spec = render({"controller": {"store": {"kind": "memory"}}}).get("Deployment", "controller")["spec"]
        self.assertEqual((spec["replicas"], spec["strategy"]), (1, {"type": "Recreate"}))

    def test_encrypted_dns_and_balancers(self):
        dns64 = {"dot": True, "doh": True, "tlsSecret": "dns-cert", "proxyFrom": ["2001:db8::/64"], "ecsFrom": ["192.0.2.1"], "cookieSecret": "c1"}
        rendered = render({"dns64": dns64, "networkPolicy": EVERYTHING["networkPolicy"]})
        self.assertEqual([(port["name"], port["port"]) for port in rendered.get("Service", "dns64")["spec"]["ports"]],
                         [("dns", 53), ("dns-tcp", 53), ("dot", 853), ("doh", 443)])
        pod = rendered.pod("Deployment", "dns64")
        ports = {port["name"]: port["containerPort"] for port in container(pod)["ports"]}
        self.assertEqual((ports["dot"], ports["doh"]), (1853, 1443))
        self.assertEqual(argument(pod, "dot-listen"), ["[::]:1853", "0.0.0.0:1853"])
        self.assertEqual((argument(pod, "proxy-from"), argument(pod, "ecs-from")), ("2001:db8::/64", "192.0.2.1"))
        secrets = {volume["name"]: volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        self.assertEqual((secrets["dns-tls"], secrets["cookies"]), ("dns-cert", "c1"))
        source = (ROOT / "dns64-svc/shell/startup_config.cpp").read_text(encoding="utf-8")
        for each in container(pod)["args"]:
            self.assertIn(f'"{each.split("=")[0]}"', source)

    def test_gateways_run_only_on_labelled_nodes(self):
        self.assertEqual(render().pod("DaemonSet", "nat64")["nodeSelector"], {"isthmus.io/gateway": "true"})

    def test_node_mode_runs_on_every_node_and_names_no_interface(self):
        pod = render(NODE_MODE, base=CHART / "values.yaml").pod("DaemonSet", "nat64")
        self.assertEqual(pod["nodeSelector"], {"kubernetes.io/os": "linux"})
        self.assertEqual(pod["tolerations"], [{"operator": "Exists"}])
        self.assertEqual((argument(pod, "mode"), argument(pod, "interface6"), argument(pod, "interface4")), ("node", [], []))

    def test_forwarding_is_set_by_a_privileged_init_container_only_when_asked_for(self):
        self.assertNotIn("initContainers", render().pod("DaemonSet", "nat64"))
        init = render({"nat64": {"setForwarding": True}}).pod("DaemonSet", "nat64")["initContainers"]
        self.assertEqual([each["securityContext"]["privileged"] for each in init], [True])


class Stores(unittest.TestCase):
    def test_sqlite_is_one_pod_with_a_volume(self):
        rendered = render({"controller": {"store": {"kind": "sqlite", "sqlite": {"storageClass": "fast", "size": "2Gi"}}}})
        self.assertFalse(rendered.has("Deployment", "controller"))
        spec = rendered.get("StatefulSet", "controller")["spec"]
        self.assertEqual((spec["replicas"], spec["serviceName"]), (1, "r-isthmus-controller"))
        claim = spec["volumeClaimTemplates"][0]
        self.assertEqual(claim["spec"]["storageClassName"], "fast")
        self.assertEqual(claim["spec"]["resources"], {"requests": {"storage": "2Gi"}})
        pod = spec["template"]["spec"]
        self.assertEqual(argument(pod, "store"), "sqlite:/var/lib/isthmus/controller.db")
        self.assertIn({"name": claim["metadata"]["name"], "mountPath": "/var/lib/isthmus"}, container(pod)["volumeMounts"])

    def test_sqlite_on_a_claim_of_the_operators(self):
        spec = render({"controller": {"store": {"kind": "sqlite", "sqlite": {"existingClaim": "mine"}}}}).get(
            "StatefulSet", "controller")["spec"]
        self.assertNotIn("volumeClaimTemplates", spec)
        self.assertIn({"name": "state", "persistentVolumeClaim": {"claimName": "mine"}}, spec["template"]["spec"]["volumes"])

    def test_large_lists_come_from_a_claim(self):
        rendered = render({"controller": {"lists": {"existingClaim": "domains"}},
                           "policy": {"exclusions": {"never_synthesize_lists": [{"file": "/lists/ads.txt"}]}}})
        for pod in (rendered.get("StatefulSet", "controller")["spec"]["template"]["spec"],
                    rendered.get("Job", "validate-policy")["spec"]["template"]["spec"]):
            self.assertIn({"name": "lists", "mountPath": "/lists", "readOnly": True}, container(pod)["volumeMounts"])
            self.assertIn({"name": "lists", "persistentVolumeClaim": {"claimName": "domains", "readOnly": True}}, pod["volumes"])

    def test_etcd_carries_several_controllers(self):
        rendered = render({"controller": {"replicas": 3, "store": {"kind": "etcd", "etcd": {"endpoints": ["a:2379", "b:2379"]}}}})
        spec = rendered.get("StatefulSet", "controller")["spec"]
        self.assertEqual((spec["replicas"], spec["serviceName"]), (3, "r-isthmus-controller-peers"))
        pod = spec["template"]["spec"]
        self.assertEqual(argument(pod, "store"), "etcd:a:2379,b:2379")
        self.assertEqual(argument(pod, "advertise"), "$(POD_NAME).r-isthmus-controller-peers.isthmus.svc:7400")
        self.assertEqual(rendered.get("Service", "controller-peers")["spec"]["clusterIP"], "None")
        self.assertTrue(rendered.has("PodDisruptionBudget", "controller"))

    def test_several_controllers_are_told_which_policy_is_newer(self):
        etcd = {"store": {"kind": "etcd", "etcd": {"endpoints": ["a:2379"]}}}

        def revision(values):
            return yaml.safe_load(render(values).get("ConfigMap", "policy")["data"]["policy.yaml"]).get("revision")
        self.assertEqual(revision({"controller": etcd}), 1)  # of a first installation
        self.assertEqual(revision({"controller": {**etcd, "policyRevision": 7}}), 7)
        self.assertEqual(revision({"controller": {**etcd, "policyRevision": 7}, "policy": {"revision": 9}}), 9)
        self.assertIsNone(revision({}))


class Certificates(unittest.TestCase):
    FLAGS = {"tls-ca": "ca.crt", "tls-certificate": "tls.crt", "tls-key": "tls.key"}

    def check_wiring(self, rendered, secrets):
        for kind, name in PROGRAMS:
            pod = rendered.pod(kind, name)
            for flag, file in self.FLAGS.items():
                self.assertEqual(argument(pod, flag), f"/etc/isthmus-tls/{file}")
            self.assertNotIn("--allow-plaintext", container(pod)["args"])
            self.assertIn({"name": "tls", "mountPath": "/etc/isthmus-tls", "readOnly": True}, container(pod)["volumeMounts"])
            volume = [each for each in pod["volumes"] if each["name"] == "tls"][0]
            self.assertEqual(volume["secret"]["secretName"], secrets[name])

    def test_generated_ones_are_signed_by_the_generated_ca_and_name_the_controllers_service(self):
        rendered = render()
        self.check_wiring(rendered, {name: f"r-isthmus-{name}-tls" for _, name in PROGRAMS})
        with tempfile.TemporaryDirectory() as directory:
            for name in ("controller", "dns64", "nat64", "operator"):
                data = rendered.get("Secret", f"{name}-tls")["data"]
                for file in self.FLAGS.values():
                    (pathlib.Path(directory) / file).write_bytes(base64.b64decode(data[file]))
                done = subprocess.run(["openssl", "verify", "-CAfile", "ca.crt", "tls.crt"], cwd=directory, capture_output=True,
                                      text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                # What controller/core/access.hpp reads from the names.
                role = {"dns64": "*.dns64", "nat64": "*.nat64", "operator": "chart.operator", "controller": "chart.controller"}[name]
                self.assertIn(f"DNS:{role}.isthmus.internal", subprocess.run(
                    ["openssl", "x509", "-in", "tls.crt", "-noout", "-ext", "subjectAltName"], cwd=directory, capture_output=True, text=True,
                    check=True).stdout)
                if name == "controller":
                    text = subprocess.run(["openssl", "x509", "-in", "tls.crt", "-noout", "-ext", "subjectAltName"], cwd=directory,
                                          capture_output=True, text=True, check=True).stdout
                    target = argument(rendered.pod("Deployment", "dns64"), "controller").rsplit(":", 1)[0]
                    for wanted in (f"DNS:{target}", "DNS:localhost", "IP Address:127.0.0.1"):
                        self.assertIn(wanted, text)

    def test_cert_managers_name_the_controllers_service(self):
        rendered = render({"tls": {"mode": "certManager"}})
        self.check_wiring(rendered, {name: f"r-isthmus-{name}-tls" for _, name in PROGRAMS})
        certificate = rendered.get("Certificate", "controller")["spec"]
        self.assertIn("r-isthmus-controller.isthmus.svc", certificate["dnsNames"])
        self.assertEqual(certificate["issuerRef"]["name"], "r-isthmus-ca")
        issuer = {"name": "corp", "kind": "ClusterIssuer"}
        rendered = render({"tls": {"mode": "certManager", "certManager": {"issuerRef": issuer}}})
        self.assertEqual(rendered.get("Certificate", "dns64")["spec"]["issuerRef"], issuer)
        self.assertFalse(rendered.has("Issuer"))

    def test_existing_ones_are_mounted_and_nothing_is_made(self):
        rendered = render({"tls": {"mode": "existing", "existing": {"controller": "c1", "dns64": "d1", "nat64": "n1"}}})
        self.check_wiring(rendered, {"controller": "c1", "dns64": "d1", "nat64": "n1"})
        self.assertFalse(rendered.has("Secret"))

    def test_off_says_that_plain_text_is_meant(self):
        rendered = render({"tls": {"mode": "off"}})
        self.assertIn("--allow-plaintext", container(rendered.pod("StatefulSet", "controller"))["args"])
        self.assertFalse(rendered.has("Secret"))


class Policy(unittest.TestCase):
    def test_policy_arrives_as_it_was_written(self):
        for example in EXAMPLES:
            rendered = render(base=example)
            written = yaml.safe_load(example.read_text(encoding="utf-8")).get("policy")
            if written is None:  # made from `cluster`: see below
                continue
            for name in ("policy", "validate-policy"):
                self.assertEqual(yaml.safe_load(rendered.get("ConfigMap", name)["data"]["policy.yaml"]), written)

    def test_it_is_made_from_the_clusters_prefixes(self):
        made = render(NODE_MODE, base=CHART / "values.yaml").get("ConfigMap", "policy")["data"]["policy.yaml"]
        policy = yaml.safe_load(made)
        self.assertEqual(policy["translation_prefixes"], [{"name": "cluster", "prefix": "64:ff9b::/96", "clients": ["fd00:244::/48"]}])
        self.assertEqual(policy["exclusions"]["ipv4_destinations"],
                         ["127.0.0.0/8", "169.254.0.0/16", "10.244.0.0/16", "10.96.0.0/12", "192.0.2.0/24"])
        self.assertEqual(policy["pools"], [{"name": "node", "kind": "NODE_LOCAL", "addresses": ["169.254.64.0/22"]}])

    def test_isthmusctl_accepts_what_is_made_from_the_cluster(self):
        more = {**NODE_MODE["cluster"], "resolvers": ["2001:db8::53"], "dnsServer": "fd00:96::a", "extraClients": ["2001:db8:5::/64"]}
        for values in (NODE_MODE, {**NODE_MODE, "cluster": more}, {**NODE_MODE, "cluster": {**more, "dnssec": False}},
                       {"cluster": {**more, "pool": ["203.0.113.0/28"]}, "nat64": {"interface6": "a", "interface4": "b"}}):
            self.accepted(render(values, base=CHART / "values.yaml"), values)

    def test_large_numbers_stay_integers(self):
        rendered = render({"policy": {"revision": 9007199254740991, "dns64": {"limits": {"cache_bytes": 34359738368}}},
                           "nat64": {"maxSessions": 268435456}})
        text = rendered.get("ConfigMap", "policy")["data"]["policy.yaml"]
        self.assertIn("cache_bytes: 34359738368", text)
        self.assertIn("revision: 9007199254740991", text)
        self.assertEqual(argument(rendered.pod("DaemonSet", "nat64"), "max-sessions"), "268435456")

    def test_isthmusctl_accepts_the_examples(self):
        for example in EXAMPLES:
            self.accepted(render(base=example), example.name)

    def accepted(self, rendered, what):
        program = pathlib.Path(os.environ.get("ISTHMUS_BIN", ROOT / "build/dev/bin")) / "isthmusctl"
        self.assertTrue(program.exists(), f"{program} is not built: ninja -C build/dev isthmusctl")
        text = rendered.get("ConfigMap", "policy")["data"]["policy.yaml"]
        done = subprocess.run([program, "validate", "-"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, f"{what}: {done.stdout}{done.stderr}")

    def test_hook_validates_before_install_and_upgrade(self):
        rendered = render()
        job = rendered.get("Job", "validate-policy")
        self.assertEqual(job["metadata"]["annotations"]["helm.sh/hook"], "pre-install,pre-upgrade")
        self.assertEqual(container(job["spec"]["template"]["spec"])["args"], ["validate", "/etc/isthmus/policy.yaml"])
        weights = [int(rendered.get(kind, "validate-policy")["metadata"]["annotations"]["helm.sh/hook-weight"])
                   for kind in ("ConfigMap", "Job")]
        self.assertLess(weights[0], weights[1])
        self.assertFalse(render({"validatePolicy": {"enabled": False}}).has("Job"))

    def test_change_of_policy_restarts_nothing(self):
        before, after = render(), render({"policy": {"exclusions": {"never_synthesize": ["corp.example."]}}})
        self.assertNotEqual(before.get("ConfigMap", "policy"), after.get("ConfigMap", "policy"))
        for kind, name in PROGRAMS:
            self.assertEqual(before.get(kind, name), after.get(kind, name))


class Switches(unittest.TestCase):
    def test_defaults(self):
        self.assertEqual(render().kinds(), ["ConfigMap", "DaemonSet", "Deployment", "Job", "Pod", "PodDisruptionBudget",
                                            "Secret", "Service", "ServiceAccount", "StatefulSet"])

    def test_each_program_can_be_left_out(self):
        self.assertFalse(render({"nat64": {"enabled": False}}).has("DaemonSet"))
        rendered = render({"dns64": {"enabled": False}, **{key: EVERYTHING[key] for key in ("networkPolicy", "monitoring")}})
        for kind in ("Deployment", "Service", "ServiceAccount", "PodMonitor", "NetworkPolicy"):
            self.assertFalse(rendered.has(kind, "dns64"), kind)
        self.assertFalse(rendered.has("Pod") or rendered.has("PodDisruptionBudget"))

    def test_apis_follow_the_cluster(self):
        for major in VERSIONS:
            for version, budget, scaler in (("1.20.2", "policy/v1beta1", "autoscaling/v2beta2"),
                                            ("1.21.0", "policy/v1", "autoscaling/v2beta2"),
                                            ("1.23.5-gke.1", "policy/v1", "autoscaling/v2"),
                                            ("1.34.0", "policy/v1", "autoscaling/v2")):
                with self.subTest(helm=major, kubernetes=version):
                    rendered = render(EVERYTHING, major, kubernetes=version)
                    self.assertEqual(rendered.get("PodDisruptionBudget", "dns64")["apiVersion"], budget)
                    self.assertEqual(rendered.get("HorizontalPodAutoscaler", "dns64")["apiVersion"], scaler)

    def test_older_clusters_are_refused(self):
        with self.assertRaisesRegex(AssertionError, "1.20"):
            render(kubernetes="1.19.16")

    def test_autoscaler_owns_the_number_of_pods(self):
        self.assertEqual(render({"dns64": {"replicas": 5}}).get("Deployment", "dns64")["spec"]["replicas"], 5)
        self.assertNotIn("replicas", render(EVERYTHING).get("Deployment", "dns64")["spec"])

    def test_load_balancer_keeps_client_addresses(self):
        service = {"type": "LoadBalancer", "loadBalancerIP": "2001:db8::53", "loadBalancerSourceRanges": ["2001:db8::/32"],
                   "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"], "annotations": {"a": "b"}}
        made = render({"dns64": {"service": service}}).get("Service", "dns64")
        self.assertEqual(made["spec"]["externalTrafficPolicy"], "Local")
        for key in ("type", "loadBalancerIP", "loadBalancerSourceRanges", "ipFamilyPolicy", "ipFamilies"):
            self.assertEqual(made["spec"][key], service[key])
        self.assertEqual(made["metadata"]["annotations"], {"a": "b"})
        plain = render({"dns64": {"service": {"clusterIP": "fd00::53"}}}).get("Service", "dns64")["spec"]
        self.assertEqual(plain["clusterIP"], "fd00::53")
        self.assertNotIn("externalTrafficPolicy", plain)

    def test_images(self):
        digest = "sha256:" + "a" * 64
        rendered = render({"image": {"registry": "reg.example/", "tag": "9"}, "nat64": {"image": {"digest": digest}},
                           "controller": {"image": {"tag": "8"}}, "imagePullSecrets": [{"name": "key"}]})
        images = {name: container(pod)["image"] for name, pod, _ in rendered.pods()}
        self.assertEqual(images["r-isthmus-controller"], "reg.example/isthmus/controller:8")
        self.assertEqual(images["r-isthmus-dns64"], "reg.example/isthmus/dns64-svc:9")
        self.assertEqual(images["r-isthmus-nat64"], f"reg.example/isthmus/nat64-svc@{digest}")
        for _, pod, _ in rendered.pods():
            self.assertEqual(pod["imagePullSecrets"], [{"name": "key"}])

    def test_usual_knobs_reach_every_program(self):
        knobs = {"podLabels": {"pl": "1"}, "podAnnotations": {"pa": "1"}, "extraArgs": ["--log-level=debug"],
                 "extraEnv": [{"name": "E", "value": "1"}], "extraVolumes": [{"name": "v", "emptyDir": {}}],
                 "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}], "extraContainers": [{"name": "side", "image": "x"}],
                 "tolerations": [{"key": "t", "operator": "Exists"}], "nodeSelector": {"zone": "a"}, "priorityClassName": "p",
                 "affinity": {"nodeAffinity": {}}, "resources": {"limits": {"memory": "1Gi"}}}
        rendered = render({"controller": knobs, "dns64": knobs, "nat64": knobs})
        for kind, name in PROGRAMS:
            with self.subTest(name):
                template = rendered.get(kind, name)["spec"]["template"]
                pod, program = template["spec"], container(template["spec"])
                self.assertEqual(template["metadata"]["labels"]["pl"], "1")
                self.assertEqual(template["metadata"]["annotations"], {"pa": "1"})
                self.assertEqual(program["args"][-1], "--log-level=debug")
                self.assertIn({"name": "E", "value": "1"}, program["env"])
                self.assertIn({"name": "v", "emptyDir": {}}, pod["volumes"])
                self.assertIn({"name": "v", "mountPath": "/v"}, program["volumeMounts"])
                self.assertEqual(pod["containers"][1]["name"], "side")
                self.assertEqual(pod["tolerations"], knobs["tolerations"])
                self.assertEqual(pod["nodeSelector"]["zone"], "a")
                self.assertEqual(pod["priorityClassName"], "p")
                self.assertEqual(pod["affinity"], knobs["affinity"])
                self.assertEqual(program["resources"]["limits"], {"memory": "1Gi"})

    def test_common_labels_annotations_names_and_extra_manifests(self):
        rendered = render({"commonLabels": {"team": "net"}, "commonAnnotations": {"note": "x"}, "extraManifests": [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "{{ .Release.Name }}-extra"}}], **EVERYTHING})
        for each in rendered.objects:
            if each["metadata"]["name"] == "r-extra":
                continue
            self.assertEqual(each["metadata"]["labels"]["team"], "net")
            self.assertEqual(each["metadata"]["annotations"]["note"], "x")
            self.assertEqual(each["metadata"]["namespace"], "isthmus")
        renamed = render({"fullnameOverride": "translator"})
        self.assertTrue(all(each["metadata"]["name"].startswith("translator-") for each in renamed.objects))

    def test_service_accounts(self):
        accounts = render({"serviceAccount": {"annotations": {"a": "b"}}})
        for kind, name in PROGRAMS:
            self.assertEqual(accounts.pod(kind, name)["serviceAccountName"], f"r-isthmus-{name}")
            self.assertEqual(accounts.get("ServiceAccount", name)["metadata"]["annotations"], {"a": "b"})
        without = render({"serviceAccount": {"create": False}})
        self.assertFalse(without.has("ServiceAccount"))
        self.assertNotIn("serviceAccountName", without.pod("Deployment", "dns64"))

    def test_only_those_named_reach_the_controller(self):
        ingress = render(EVERYTHING).get("NetworkPolicy", "controller")["spec"]["ingress"]
        peers = [next(iter(peer)) for peer in ingress[0]["from"]]
        self.assertEqual(peers, ["podSelector", "ipBlock", "podSelector"])
        self.assertEqual(ingress[0]["from"][1], {"ipBlock": {"cidr": "2001:db8::/64"}})
        self.assertEqual(ingress[1]["from"], [{"namespaceSelector": {}}])

    def test_rules_can_be_left_out_labelled_and_linked(self):
        source = yaml.safe_load((CHART / "files/rules.yaml").read_text(encoding="utf-8"))
        all_names = [rule["alert"] for group in source["groups"] for rule in group["rules"] if "alert" in rule]
        rules = {"enabled": True, "disabled": ["IsthmusXdpGeneric"], "alertLabels": {"team": "net"}, "labels": {"release": "p"},
                 "runbookUrl": "https://runbook.example/operations.md"}
        made = render({"monitoring": {"rules": rules}}).get("PrometheusRule", "rules")
        alerts = [rule for group in made["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
        self.assertEqual([rule["alert"] for rule in alerts], [name for name in all_names if name != "IsthmusXdpGeneric"])
        self.assertEqual(made["metadata"]["labels"]["release"], "p")
        for rule in alerts:
            self.assertEqual(rule["labels"]["team"], "net")
            self.assertEqual(rule["annotations"]["runbook_url"],
                             f"https://runbook.example/operations.md#{rule['alert'].lower()}")
        plain = render({"monitoring": {"rules": {"enabled": True}}}).get("PrometheusRule", "rules")
        self.assertEqual(plain["spec"]["groups"], source["groups"])

    def test_dashboards_arrive_unchanged(self):
        rendered = render(EVERYTHING)
        for path in (CHART / "files/dashboards").glob("*.json"):
            made = rendered.get("ConfigMap", f"dashboard-{path.stem}")
            self.assertEqual(made["metadata"]["labels"]["grafana_dashboard"], "1")
            self.assertEqual(made["data"][f"isthmus-{path.stem}.json"].strip(), path.read_text(encoding="utf-8").strip())


class DnsServer(threading.Thread):
    """Answers one DNS query over TCP: with a AAAA, or with an RCODE only."""

    def __init__(self, address=None, rcode=0):
        super().__init__(daemon=True)
        self.address, self.rcode, self.query = address, rcode, b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        with self.listener, self.listener.accept()[0] as connection:
            length = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))[0]
            self.query = connection.recv(length, socket.MSG_WAITALL)
            answers = 1 if self.address else 0
            reply = self.query[:2] + struct.pack("!HHHHH", 0x8180 | self.rcode, 1, answers, 0, 0) + self.query[12:]
            if self.address:
                reply += struct.pack("!HHHIH", 0xC00C, 28, 1, 60, 16) + ipaddress.IPv6Address(self.address).packed
            connection.sendall(struct.pack("!H", len(reply)) + reply)


class HelmTest(unittest.TestCase):
    """The script of `helm test`, taken out of the rendered pod and run."""

    def run_script(self, server, target=""):
        pod = render().get("Pod", "test")
        self.assertEqual(pod["metadata"]["annotations"]["helm.sh/hook"], "test")
        program = container(pod["spec"])
        script, *words = program["args"]
        self.assertEqual((program["command"], words), (["bash", "-c"], ["test", "r-isthmus-dns64.isthmus.svc", "53", "1.1.1.1:443"]))
        server.start()
        with tempfile.TemporaryDirectory() as directory:
            done = subprocess.run(["bash", "-c", script, "test", "127.0.0.1", str(server.port), target], capture_output=True, text=True,
                                  check=False, cwd=directory, timeout=30)
        server.join(5)
        return done

    def test_passes_when_the_answer_is_synthesized(self):
        server = DnsServer("64:ff9b::c000:aa")
        done = self.run_script(server)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(server.query[12:], b"\x08ipv4only\x04arpa\x00\x00\x1c\x00\x01")

    def test_opens_a_connection_under_the_prefix_it_was_told(self):
        # An IPv4-mapped prefix leads to IPv4 without any translator.
        with socket.create_server(("127.0.0.1", 0)) as web:
            target = f"127.0.0.1:{web.getsockname()[1]}"
            done = self.run_script(DnsServer("::ffff:192.0.0.170"), target)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("was opened as 0000:0000:0000:0000:0000:ffff:7f00:0001", done.stdout)
        done = self.run_script(DnsServer("::ffff:192.0.0.170"), target)  # nobody listens any more
        self.assertEqual(done.returncode, 1)
        self.assertIn("Connection refused", done.stdout)

    def test_fails_when_the_client_is_refused_or_nothing_is_synthesized(self):
        for server, word in ((DnsServer(rcode=5), "RCODE 5"), (DnsServer(), "RCODE 0"), (DnsServer("2001:db8::1"), "RCODE 0")):
            done = self.run_script(server)
            self.assertEqual(done.returncode, 1)
            self.assertIn(word, done.stdout)


if __name__ == "__main__":
    need_helm()
    unittest.main(verbosity=2)
