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

{{/* Secret with the nodes' key and certificate for clients; empty: no TLS. */}}
{{- define "cassandra.serverTls" -}}
{{- $tls := .Values.cassOperator.clientTls -}}
{{- if $tls.secret }}{{ tpl $tls.secret . }}{{ else if $tls.issuer }}{{ include "tickloom.fullname" . }}-server{{ end -}}
{{- end }}

{{/* What cassandra.yaml says of it: PEM files, so that no password of a keystore stands in the CassandraDatacenter. */}}
{{- define "cassandra.clientEncryption" -}}
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: {{ .Values.cassOperator.clientTls.clientCertificates }}
  ssl_context_factory: {class_name: org.apache.cassandra.security.PEMBasedSslContextFactory}
  keystore: /etc/cassandra-tls/tls-combined.pem
  truststore: /etc/cassandra-tls/ca.crt
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
