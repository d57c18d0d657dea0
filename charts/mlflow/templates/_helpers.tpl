{{- define "mlflow.secret" -}}
{{- .Values.auth.existingSecret | default (include "tickloom.fullname" .) -}}
{{- end }}

{{/* Whether anything lies on a volume. */}}
{{- define "mlflow.volume" -}}
{{- if or (not .Values.database.existingSecret) (not .Values.artifacts.destination) }}true{{ end -}}
{{- end }}

{{- define "mlflow.hosts" -}}
{{- $name := include "tickloom.fullname" . -}}
{{- $own := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) "localhost" -}}
{{- $all := list }}
{{- range concat $own .Values.allowedHosts }}{{ $all = append (append $all .) (printf "%s:*" .) }}{{ end -}}
{{- join "," $all -}}
{{- end }}

{{- define "mlflow.ingress" -}}
- from:
    - podSelector:
        matchLabels:
          app.kubernetes.io/part-of: tickloom
    {{- with .Values.networkPolicy.from }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - {protocol: TCP, port: http}
{{- end }}

{{- define "mlflow.egress" -}}
{{ include "tickloom.toDns" . }}
{{- if or .Values.database.existingSecret .Values.artifacts.destination }}
- ports:
{{- range .Values.networkPolicy.backendPorts }}
    - {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end }}
{{- end }}
