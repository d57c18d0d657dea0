{{/* Security of a pod: (dict "user" UID). */}}
{{- define "tickloom.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .user }}
runAsGroup: {{ .user }}
fsGroup: {{ .user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Security of a container. */}}
{{- define "tickloom.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/*
Reference of an image: (dict "ctx" . "image" VALUES "own" true).
Tickloom's own images come from global.imageRegistry, others from global.thirdPartyRegistry; image.registry goes first.
*/}}
{{- define "tickloom.image" -}}
{{- $global := .ctx.Values.global | default dict -}}
{{- $shared := ternary $global.imageRegistry $global.thirdPartyRegistry (.own | default false) -}}
{{- $registry := .image.registry | default $shared -}}
{{- $name := .image.repository -}}
{{- if $registry }}{{ $name = printf "%s/%s" (trimSuffix "/" $registry) $name }}{{ end -}}
{{- if .image.digest -}}
{{ $name }}{{ with .image.tag }}:{{ . }}{{ end }}@{{ .image.digest }}
{{- else -}}
{{- $tag := .image.tag | default .ctx.Chart.AppVersion | toString -}}
{{- if eq $tag "latest" }}{{ fail (printf "image %s:latest is a different one each day; set its tag to a version%s" $name (ternary (printf ", such as %s" .ctx.Chart.AppVersion) "" (.own | default false))) }}{{ end -}}
{{ $name }}:{{ $tag }}
{{- end -}}
{{- end }}

{{- define "tickloom.streamImage" -}}
{{ include "tickloom.image" (dict "ctx" . "image" .Values.global.stream.image "own" true) }}
{{- end }}

{{- define "tickloom.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where pods of a class go: (dict "ctx" . "placement" VALUES "component" NAME "spread" true). */}}
{{- define "tickloom.placement" -}}
{{- with .placement.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .placement.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .placement.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .placement.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if .spread }}
topologySpreadConstraints:
{{- range $key, $when := dict "topology.kubernetes.io/zone" "ScheduleAnyway" "kubernetes.io/hostname" "ScheduleAnyway" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $when }}
    labelSelector:
      matchLabels: {{- include "tickloom.selector" $ | nindent 8 }}
{{- end }}
{{- end }}
{{- end }}

{{/* PodDisruptionBudget: (dict "ctx" . "component" NAME "name" NAME "allowed" NUMBER). */}}
{{- define "tickloom.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .ctx.Release.Namespace }}
  labels: {{- include "tickloom.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .allowed }}
  selector:
    matchLabels: {{- include "tickloom.selector" . | nindent 6 }}
{{- end }}
