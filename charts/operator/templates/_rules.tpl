{{/* What the operator may do where it watches. */}}
{{- define "operator.rules" -}}
- apiGroups: [tickloom.dev]
  resources: [streamjobs]
  verbs: [get, list, watch, patch]
- apiGroups: [tickloom.dev]
  resources: [streamjobs/status]
  verbs: [patch]
- apiGroups: [tickloom.dev]
  resources: [streamjobs/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [pods, configmaps, services, persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [sparkoperator.k8s.io]
  resources: [sparkapplications]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [kafka.strimzi.io]
  resources: [kafkatopics]
  verbs: [get, create, patch]
{{- end }}

{{- define "operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "tickloom.fullname" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
