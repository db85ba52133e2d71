{{/* Names. Called with the root context, or with (dict "root" $ "component" NAME "values" .Values.NAME). */}}
{{- define "isthmus.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "isthmus.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "isthmus.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "isthmus.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "isthmus.selector" -}}
app.kubernetes.io/name: {{ include "isthmus.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "isthmus.labels" -}}
{{ include "isthmus.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* name, labels and annotations of an object; "annotations": a map of its own */}}
{{- define "isthmus.metadata" -}}
name: {{ include "isthmus.fullname" .root }}-{{ .suffix | default .component }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "isthmus.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "isthmus.image" -}}
{{- $image := .values.image }}
{{- $name := $image.repository }}
{{- with .root.Values.image.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" .) $name }}{{ end }}
{{- if $image.digest }}
{{- printf "%s@%s" $name $image.digest }}
{{- else }}
{{- printf "%s:%s" $name ($image.tag | default .root.Values.image.tag | default .root.Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* labels and annotations of a pod */}}
{{- define "isthmus.podMetadata" -}}
labels:
  {{- include "isthmus.labels" . | nindent 2 }}
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* what every pod has: account, pull secrets, placement */}}
{{- define "isthmus.podSpec" -}}
{{- if .root.Values.serviceAccount.create }}
serviceAccountName: {{ include "isthmus.fullname" .root }}-{{ .component }}
{{- end }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector | default .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- tpl (toYaml .) $.root | nindent 2 }}
{{- end }}
{{- end }}

{{/* image, log flags' values and probes of the program's container; "port" names the port of health and metrics */}}
{{- define "isthmus.image.fields" -}}
image: {{ include "isthmus.image" . | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- end }}

{{- define "isthmus.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  {{- toYaml .values.startupProbe | nindent 2 }}
livenessProbe:
  httpGet: {path: /healthz, port: http}
  {{- toYaml .values.livenessProbe | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: http}
  {{- toYaml .values.readinessProbe | nindent 2 }}
{{- with .values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A program that needs nothing from the kernel. */}}
{{- define "isthmus.unprivileged" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "isthmus.unprivilegedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "isthmus.controllerTarget" -}}
{{ include "isthmus.fullname" . }}-controller.{{ .Release.Namespace }}.svc:{{ .Values.controller.service.port | int }}
{{- end }}

{{/* The Secret with ca.crt, tls.crt and tls.key of a component. */}}
{{- define "isthmus.tlsSecret" -}}
{{- if eq .root.Values.tls.mode "existing" }}
{{- $key := printf "tls.existing.%s" .component }}
{{- required (printf "tls.mode is existing and %s is empty: name the Secret" $key) (index .root.Values.tls.existing .component) }}
{{- else }}
{{- printf "%s-%s-tls" (include "isthmus.fullname" .root) .component }}
{{- end }}
{{- end }}

{{- define "isthmus.tlsArguments" -}}
{{- if ne .Values.tls.mode "off" }}
- --tls-ca=/etc/isthmus-tls/ca.crt
- --tls-certificate=/etc/isthmus-tls/tls.crt
- --tls-key=/etc/isthmus-tls/tls.key
{{- end }}
{{- end }}

{{- define "isthmus.tlsMount" -}}
{{- if ne .Values.tls.mode "off" }}
- {name: tls, mountPath: /etc/isthmus-tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "isthmus.tlsVolume" -}}
{{- if ne .root.Values.tls.mode "off" }}
- name: tls
  secret: {secretName: {{ include "isthmus.tlsSecret" . }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* Names that a component's certificate carries; the controller's are what its clients call it. */}}
{{- define "isthmus.tlsNames" -}}
{{- $name := printf "%s-%s" (include "isthmus.fullname" .root) .component }}
{{- /* The last names say what the owner may do: docs/operations.md. */}}
{{- $names := list $name }}
{{- if eq .component "operator" }}{{ $names = list $name "chart.operator.isthmus.internal" }}{{ end }}
{{- if has .component (list "dns64" "nat64") }}{{ $names = list $name (printf "*.%s.isthmus.internal" .component) }}{{ end }}
{{- if eq .component "controller" }}
{{- $service := printf "%s.%s" $name .root.Release.Namespace }}
{{- $names = list $name $service (printf "%s.svc" $service) (printf "%s.svc.%s" $service .root.Values.cluster.domain) (printf "*.%s-peers.%s.svc" $name .root.Release.Namespace) "localhost" "chart.controller.isthmus.internal" "chart.operator.isthmus.internal" }}
{{- end }}
{{- toJson $names }}
{{- end }}

{{- define "isthmus.components" -}}
{{- $components := list "controller" }}
{{- if .Values.dns64.enabled }}{{ $components = append $components "dns64" }}{{ end }}
{{- if .Values.nat64.enabled }}{{ $components = append $components "nat64" }}{{ end }}
{{- join "," $components }}
{{- end }}

{{- define "isthmus.policy" -}}
{{- if and (eq .Values.controller.store.kind "etcd") (not .Values.policy.revision) }}
# Which of two texts is newer, for several controllers whose nodes get this ConfigMap at different times.
revision: {{ .Values.controller.policyRevision | default .Release.Revision | int }}
{{ end }}
{{- if .Values.policy }}
{{- toYaml .Values.policy }}
{{- else if .Values.cluster.podCidrs }}
{{- include "isthmus.clusterPolicy" . }}
{{- else }}
{{- fail "policy is empty and so is cluster.podCidrs: name the pods' prefixes, or give a policy with -f FILE; deploy/helm/isthmus/examples has some" }}
{{- end }}
{{- end }}

{{/* The policy for the pods of this cluster, from .Values.cluster. */}}
{{- define "isthmus.clusterPolicy" -}}
{{- $c := .Values.cluster }}
{{- $clients := $c.extraClients }}
{{- $excluded := list "127.0.0.0/8" "169.254.0.0/16" }}
{{- range $c.podCidrs }}{{ if contains ":" . }}{{ $clients = append $clients . }}{{ end }}{{ end }}
{{- range concat $c.podCidrs $c.serviceCidrs $c.nodeCidrs }}{{ if not (contains ":" .) }}{{ $excluded = append $excluded . }}{{ end }}{{ end }}
{{- if not $clients }}{{ fail "cluster.podCidrs has no IPv6 prefix: nobody could be translated" }}{{ end }}
translation_prefixes:
  - name: cluster
    prefix: {{ $c.translationPrefix | quote }}
    clients: {{ toJson $clients }}
exclusions:
  ipv4_destinations: {{ toJson (uniq $excluded) }}
{{- if .Values.nat64.enabled }}
pools:
  {{- if eq .Values.nat64.mode "node" }}
  - name: node
    kind: NODE_LOCAL
    addresses: {{ toJson ($c.pool | default (list "169.254.64.0/22")) }}
  {{- else }}
  {{- if not $c.pool }}{{ fail "cluster.pool is empty: gateways need public IPv4 addresses" }}{{ end }}
  - name: public
    addresses: {{ toJson $c.pool }}
    subscribers: {prefix_length: 128}
  {{- end }}
nat64:
  # Paths beyond the translator often drop ICMP Packet Too Big.
  mss_clamp: true
{{- end }}
{{- if .Values.dns64.enabled }}
dns64:
  resolvers:
    - name: main
      mode: {{ ternary "FORWARD" "RECURSE" (not (empty $c.resolvers)) }}
      dnssec: {{ $c.dnssec }}
      {{- with $c.resolvers }}
      upstreams:
        {{- range . }}
        - {address: {{ . | quote }}}
        {{- end }}
      {{- end }}
      {{- with $c.dnsServer }}
      zones:
        {{- range list $c.domain "in-addr.arpa" "ip6.arpa" }}
        - {name: {{ printf "%s." (trimSuffix "." .) | quote }}, kind: FORWARD, upstreams: [{address: {{ $c.dnsServer | quote }}}]}
        {{- end }}
      {{- end }}
      {{- if and $c.dnsServer $c.dnssec }}
      # The cluster's own DNS does not sign.
      negative_trust_anchors: [{{ printf "%s." (trimSuffix "." $c.domain) | quote }}, "in-addr.arpa.", "ip6.arpa."]
      {{- end }}
  views:
    - {name: pods, clients: {{ toJson $clients }}, prefixes: [cluster], resolver: main}
{{- end }}
{{- end }}
