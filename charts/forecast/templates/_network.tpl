{{- define "forecast.ingress" -}}
{{- $own := dict "podSelector" (dict "matchLabels" (dict "app.kubernetes.io/part-of" "tickloom")) }}
{{- $others := .Values.networkPolicy.from | default (list (dict "namespaceSelector" dict)) }}
- from: {{- concat (list $own) $others | toYaml | nindent 4 }}
  ports:
    - {protocol: TCP, port: http}
- from: {{- include "tickloom.metricsReaders" . | nindent 4 }}
  ports:
    - {protocol: TCP, port: http}
{{- end }}

{{/* Registry and Redis may be anywhere: their ports stand for them. */}}
{{- define "forecast.egress" -}}
{{- $ports := list }}
{{- range list (tpl .Values.mlflow.uri .) (tpl .Values.redis.url .) }}
{{- if . }}
{{- $usual := ternary 443 (ternary 80 6379 (hasPrefix "http:" .)) (hasPrefix "https:" .) }}
{{- $said := regexFind ":[0-9]+(/|$)" (regexReplaceAll "^[a-z+]+://([^/@]*@)?" . "") | trimPrefix ":" | trimSuffix "/" }}
{{- $ports = append $ports (int (default $usual $said)) }}
{{- end }}
{{- end }}
{{- if and .Values.redis.existingSecret (not .Values.redis.url) }}{{ $ports = append $ports 6379 }}{{ end }}
{{- include "tickloom.toDns" . }}
{{- if .Values.stores }}
{{ include "tickloom.toKafka" . }}
{{ include "tickloom.toCassandra" . }}
{{- end }}
- ports:
{{- range concat $ports .Values.networkPolicy.ports | uniq }}
    - {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end }}
