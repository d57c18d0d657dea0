{{- define "watch.environment" -}}
- {name: TICKLOOM_LOG_FORMAT, value: json}
- name: TICKLOOM_WATCH_NAMESPACES
  value: {{ join "," .Values.namespaces | quote }}
- name: TICKLOOM_WATCH_FEATURES
  value: {{ .Values.features | quote }}
- name: TICKLOOM_CASSANDRA
  value: {{ include "tickloom.cassandra" . | quote }}
- name: TICKLOOM_KEYSPACE
  value: {{ .Values.global.cassandra.keyspace | quote }}
{{- include "tickloom.cassandraEnvironment" . }}
{{- include "tickloom.marketEnvironment" . }}
- name: TICKLOOM_MLFLOW
  value: {{ tpl .Values.mlflow.uri . | quote }}
{{- with tpl .Values.mlflow.credentialsSecret . }}
{{- $secret := . }}
{{- range $variable, $key := dict "MLFLOW_TRACKING_USERNAME" "username" "MLFLOW_TRACKING_PASSWORD" "password" }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ $key }}}
{{- end }}
{{- end }}
{{- end }}

{{/* The registry may be anywhere: its port stands for it. */}}
{{- define "watch.egress" -}}
{{- $uri := tpl .Values.mlflow.uri . }}
{{- $said := regexFind ":[0-9]+(/|$)" (regexReplaceAll "^[a-z+]+://([^/@]*@)?" $uri "") | trimPrefix ":" | trimSuffix "/" }}
{{- include "tickloom.toDns" . }}
{{ include "tickloom.toApiServer" . }}
{{ include "tickloom.toCassandra" . }}
- ports:
    - {protocol: TCP, port: {{ default (ternary 443 80 (hasPrefix "https:" $uri)) $said }}}
{{- end }}
