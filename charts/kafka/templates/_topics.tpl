{{/* Name of a role's topic: (dict "ctx" . "role" ROLE). */}}
{{- define "kafka.topic" -}}
{{- get .ctx.Values.topics.names .role | default (include "kafka.topicOfApplication" .) -}}
{{- end }}

{{/* The name that the application gives it. */}}
{{- define "kafka.topicOfApplication" -}}
{{- printf "%s%s" .ctx.Values.global.kafka.topicPrefix .role -}}
{{- end }}
