{{- define "kafka.ingress" -}}
- from: {{- include "tickloom.clients" . | nindent 4 }}
  ports:
    - {protocol: TCP, port: kafka}
{{- end }}

{{/* It connects to itself alone, and by the address that it tells clients. */}}
{{- define "kafka.egress" -}}
{{ include "tickloom.toDns" . }}
- to:
    - podSelector:
        matchLabels: {{- include "tickloom.selector" (dict "ctx" . "component" "broker") | nindent 10 }}
  ports:
    - {protocol: TCP, port: kafka}
{{- end }}

{{- define "kafka.topicsEgress" -}}
{{ include "tickloom.toDns" . }}
{{ include "tickloom.toKafka" . }}
{{- end }}
