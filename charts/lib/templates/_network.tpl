{{/*
NetworkPolicy that closes the pods of a component in both directions but for the named flows:
(dict "ctx" . "component" NAME "name" NAME "ingress" TEXT "egress" TEXT); the texts are lists of rules.
*/}}
{{- define "tickloom.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  namespace: {{ .ctx.Release.Namespace }}
  labels: {{- include "tickloom.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "tickloom.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with .ingress | default "" | trim }}
  ingress: {{- . | nindent 4 }}
  {{- end }}
  {{- with .egress | default "" | trim }}
  egress: {{- . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Rules, each an item of a list. */}}
{{- define "tickloom.toDns" -}}
{{- $dns := .Values.global.dns -}}
- {{ with $dns.peers }}to: {{- toYaml . | nindent 4 }}
  {{ end }}ports:
{{- range $port := $dns.ports }}
{{- range list "UDP" "TCP" }}
    - {protocol: {{ . }}, port: {{ $port }}}
{{- end }}
{{- end }}
{{- end }}

{{/* The API server has no pod to select: its ports stand for it. */}}
{{- define "tickloom.toApiServer" -}}
- ports:
{{- range .Values.global.apiServerPorts }}
    - {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end }}

{{/* Kafka and Cassandra may be anywhere (another namespace, another cluster): their ports stand for them. */}}
{{- define "tickloom.toKafka" -}}
- ports:
{{- range regexFindAll ":[0-9]+" (include "tickloom.kafka" .) -1 | uniq }}
    - {protocol: TCP, port: {{ trimPrefix ":" . }}}
{{- end }}
{{- end }}

{{- define "tickloom.toCassandra" -}}
- ports:
{{- range regexFindAll ":[0-9]+" (include "tickloom.cassandra" .) -1 | uniq }}
    - {protocol: TCP, port: {{ trimPrefix ":" . }}}
{{- end }}
{{- end }}

{{/* Who may ask a store: Tickloom's pods here, and the drivers and executors of StreamJobs anywhere. */}}
{{- define "tickloom.clients" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/part-of: tickloom
- namespaceSelector: {}
  podSelector:
    matchLabels:
      app.kubernetes.io/name: tickloom-stream
{{- end }}

{{/* Who may read metrics: the peers of global.metricsFrom; none said means all namespaces. */}}
{{- define "tickloom.metricsReaders" -}}
{{- $global := .Values.global | default dict -}}
{{- toYaml ($global.metricsFrom | default (list (dict "namespaceSelector" dict))) -}}
{{- end }}
