{{/* Name of everything of a chart: RELEASE-CHART. */}}
{{- define "tickloom.fullname" -}}
{{- .Values.fullnameOverride | default (printf "%s-%s" .Release.Name .Chart.Name) | trunc 45 | trimSuffix "-" -}}
{{- end }}

{{/* Name of what belongs to no namespace, so that two releases of one name do not meet. */}}
{{- define "tickloom.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "tickloom.fullname" .) | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* Labels that select: of (dict "ctx" . "component" "NAME"). */}}
{{- define "tickloom.selector" -}}
app.kubernetes.io/name: tickloom-{{ .ctx.Chart.Name }}
app.kubernetes.io/instance: {{ .ctx.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of pods: no version in them, so that a new chart alone restarts nothing. */}}
{{- define "tickloom.podLabels" -}}
{{ include "tickloom.selector" . }}
app.kubernetes.io/part-of: tickloom
{{- end }}

{{/* Labels of objects. */}}
{{- define "tickloom.labels" -}}
{{ include "tickloom.podLabels" . }}
app.kubernetes.io/version: {{ .ctx.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .ctx.Release.Service }}
helm.sh/chart: {{ .ctx.Chart.Name }}-{{ .ctx.Chart.Version }}
{{- end }}

{{/* Name of a Job that is made anew when what it does changes, and only then: (dict "base" NAME "spec" TEXT). */}}
{{- define "tickloom.jobName" -}}
{{- printf "%s-%s" (.base | trunc 54 | trimSuffix "-") (.spec | sha256sum | trunc 8) -}}
{{- end }}
