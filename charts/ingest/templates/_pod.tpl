{{/* The configuration of one source alone: so a change of another one restarts nothing here. */}}
{{- define "ingest.config" -}}
{{- $document := dict "sources" (list (omit .source "pod")) -}}
{{- with .ctx.Values.topic }}{{ $_ := set $document "topic" . }}{{ end -}}
{{- toYaml $document -}}
{{- end }}

{{/* Template of a pod: (dict "ctx" . "source" SOURCE "component" NAME "name" NAME "run" always|cron|once). */}}
{{- define "ingest.pod" -}}
{{- $ctx := .ctx -}}
{{- $pod := .source.pod | default dict -}}
{{- $always := eq .run "always" -}}
metadata:
  labels: {{- include "tickloom.podLabels" . | nindent 4 }}
  annotations:
    checksum/config: {{ include "ingest.config" . | sha256sum }}
spec:
  {{- if not $always }}
  restartPolicy: OnFailure
  {{- end }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 30
  {{- include "tickloom.pullSecrets" $ctx | nindent 2 }}
  {{- include "tickloom.placement" (dict "ctx" $ctx "component" .component "placement" ($pod.placement | default dict)) | nindent 2 }}
  securityContext: {{- include "tickloom.podSecurity" (dict "user" 10001) | nindent 4 }}
  {{- $image := include "tickloom.image" (dict "ctx" $ctx "image" $ctx.Values.image "own" true) }}
  {{- $sync := and $ctx.Values.sync $always }}
  {{- if $sync }}
  initContainers: {{- include "tickloom.syncInit" (dict "ctx" $ctx "image" $image "resources" $ctx.Values.resources) | nindent 4 }}
  {{- end }}
  containers:
    - name: ingest
      image: {{ $image }}
      imagePullPolicy: IfNotPresent
      {{- if $sync }}
      command: {{- include "tickloom.syncCommand" $ctx | nindent 8 }}
      {{- end }}
      args: [{{ if $sync }}python, -m, services.ingest, {{ end }}--config, /etc/tickloom/ingest.yaml{{ if not $always }}, --until-finished{{ end }}]
      env:
        {{- include "tickloom.environment" $ctx | nindent 8 }}
        {{- include "tickloom.marketEnvironment" $ctx | nindent 8 }}
        {{- with $pod.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - {name: http, containerPort: 8080}
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 2
        failureThreshold: 60
      {{- if $always }}
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
      {{- end }}
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        failureThreshold: 6
      resources: {{- toYaml ($pod.resources | default $ctx.Values.resources) | nindent 8 }}
      securityContext: {{- include "tickloom.containerSecurity" $ctx | nindent 8 }}
      terminationMessagePolicy: FallbackToLogsOnError
      volumeMounts:
        - {name: config, mountPath: /etc/tickloom, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- if $sync }}
        {{- include "tickloom.syncMount" $ctx | nindent 8 }}
        {{- end }}
        {{- include "tickloom.kafkaMount" $ctx | nindent 8 }}
        {{- include "tickloom.marketMount" $ctx | nindent 8 }}
        {{- with $pod.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ .name }}}
    - name: tmp
      emptyDir: {sizeLimit: 256Mi}
    {{- if $sync }}
    {{- include "tickloom.syncVolume" $ctx | nindent 4 }}
    {{- end }}
    {{- include "tickloom.kafkaVolume" $ctx | nindent 4 }}
    {{- include "tickloom.marketVolume" $ctx | nindent 4 }}
    {{- with $pod.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "ingest.egress" -}}
{{ include "tickloom.toDns" . }}
{{ include "tickloom.toKafka" . }}
{{- with .Values.networkPolicy.sourcePorts }}
- ports:
{{- range . }}
    - {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "ingest.ingress" -}}
- from: {{- include "tickloom.metricsReaders" . | nindent 4 }}
  ports:
    - {protocol: TCP, port: http}
{{- end }}
