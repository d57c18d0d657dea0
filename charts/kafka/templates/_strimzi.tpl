{{- define "kafka.strimziPod" -}}
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "kafka.strimziSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
{{- end }}

{{/* One ACL: (dict "ctx" . "role" ROLE "operations" LIST). */}}
{{- define "kafka.topicAcl" -}}
- resource: {type: topic, name: {{ include "kafka.topic" . }}, patternType: literal}
  operations: {{ toJson .operations }}
{{- end }}
