{{/* Labels that select Cassandra's pods, whoever made them. */}}
{{- define "cassandra.nodes" -}}
{{- if eq .Values.mode "dev" -}}
{{ include "tickloom.selector" (dict "ctx" . "component" "node") }}
{{- else -}}
cassandra.datastax.com/cluster: {{ include "tickloom.fullname" . }}
{{- end }}
{{- end }}

{{- define "cassandra.backupClaim" -}}
{{- .Values.backup.volume.existingClaim | default (printf "%s-backup" (include "tickloom.fullname" .)) -}}
{{- end }}

{{- define "cassandra.withBackup" -}}
{{- if or .Values.backup.enabled .Values.restore.tag }}true{{ end -}}
{{- end }}

{{- define "cassandra.ingress" -}}
- from: {{- include "tickloom.clients" . | nindent 4 }}
  ports:
    - {protocol: TCP, port: 9042}
{{- if ne .Values.mode "dev" }}
- from:
    - podSelector:
        matchLabels: {{- include "cassandra.nodes" . | nindent 10 }}
# cass-operator asks each node's management API
- from:
    - namespaceSelector: {}
      podSelector:
        matchLabels:
          app.kubernetes.io/name: cass-operator
  ports:
    - {protocol: TCP, port: 8080}
- from: {{- include "tickloom.metricsReaders" . | nindent 4 }}
  ports:
    - {protocol: TCP, port: 9000}
{{- end }}
{{- end }}

{{- define "cassandra.egress" -}}
{{ include "tickloom.toDns" . }}
{{- if ne .Values.mode "dev" }}
- to:
    - podSelector:
        matchLabels: {{- include "cassandra.nodes" . | nindent 10 }}
{{- end }}
{{- end }}

{{- define "cassandra.migrateEgress" -}}
{{ include "tickloom.toDns" . }}
{{ include "tickloom.toCassandra" . }}
{{- end }}

{{- define "cassandra.backupEgress" -}}
{{ include "tickloom.toDns" . }}
{{- /* the API server, and the object store where there is one */}}
{{ include "tickloom.toApiServer" . }}
{{- end }}
