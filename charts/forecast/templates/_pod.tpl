{{/* Environment that service and judge share: (dict "ctx" . "credentials" SECRET). */}}
{{- define "forecast.environment" -}}
{{- $credentials := .credentials }}
{{- if .ctx.Values.stores }}
{{- include "tickloom.environment" .ctx }}
{{- include "tickloom.cassandraEnvironment" .ctx }}
{{- else }}
- {name: TICKLOOM_LOG_FORMAT, value: json}
{{- end }}
{{- with include "tickloom.marketEnvironment" .ctx }}{{ . }}{{ end }}
- name: TICKLOOM_MLFLOW
  value: {{ tpl .ctx.Values.mlflow.uri .ctx | quote }}
{{- if $credentials }}
{{- range $variable, $key := dict "MLFLOW_TRACKING_USERNAME" "username" "MLFLOW_TRACKING_PASSWORD" "password" }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef: {name: {{ $credentials }}, key: {{ $key }}}
{{- end }}
{{- end }}
{{- if .ctx.Values.experiments }}
- {name: TICKLOOM_SERVE_EXPERIMENTS, value: /etc/tickloom-experiments}
{{- end }}
{{- end }}

{{/* What the service's settings are told: (dict "ctx" . "arm" NAME). */}}
{{- define "forecast.settings" -}}
{{- $values := .ctx.Values -}}
- {name: TICKLOOM_SERVE_WORKERS, value: {{ $values.workers | quote }}}
- {name: TICKLOOM_SERVE_DRAIN_S, value: {{ $values.drainSeconds | quote }}}
- {name: TICKLOOM_SERVE_PROVIDER, value: {{ ternary "cuda" "cpu" $values.gpu.enabled }}}
{{- with .arm }}
- {name: TICKLOOM_SERVE_ARM, value: {{ . }}}
{{- end }}
{{- if $values.auth.keysSecret }}
- {name: TICKLOOM_SERVE_KEYS, value: /etc/tickloom-keys/keys.yaml}
{{- end }}
{{- with $values.auth.issuer }}
- {name: TICKLOOM_SERVE_ISSUER, value: {{ . | quote }}}
{{- end }}
{{- with $values.auth.audience }}
- {name: TICKLOOM_SERVE_AUDIENCE, value: {{ . | quote }}}
{{- end }}
{{- if $values.redis.existingSecret }}
- name: TICKLOOM_SERVE_REDIS
  valueFrom:
    secretKeyRef: {name: {{ $values.redis.existingSecret }}, key: url}
{{- else if $values.redis.url }}
- {name: TICKLOOM_SERVE_REDIS, value: {{ tpl $values.redis.url .ctx | quote }}}
{{- end }}
{{- range $name, $value := $values.settings }}
{{- if and (kindIs "float64" $value) (eq (floor $value) (float64 $value)) }}{{ $value = int64 $value }}{{ end }}
- {name: TICKLOOM_SERVE_{{ upper $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- end }}

{{/* Seconds by when a pod has ended: it answers on, gives what it has begun its time, and writes down what waits. */}}
{{- define "forecast.grace" -}}
{{ add .Values.drainSeconds 50 }}
{{- end }}

{{/* Away from the other pods of the same component, where there is room. */}}
{{- define "forecast.apart" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "tickloom.selector" . | nindent 12 }}
{{- end }}

{{/* Mounts and volumes that service and judge share. */}}
{{- define "forecast.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.experiments }}
- {name: experiments, mountPath: /etc/tickloom-experiments, readOnly: true}
{{- end }}
{{- if .Values.stores }}
{{- include "tickloom.kafkaMount" . }}
{{- include "tickloom.cassandraMount" . }}
{{- end }}
{{- include "tickloom.marketMount" . }}
{{- end }}

{{- define "forecast.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 2Gi}
{{- if .Values.experiments }}
- name: experiments
  configMap: {name: {{ include "tickloom.fullname" . }}-experiments}
{{- end }}
{{- if .Values.stores }}
{{- include "tickloom.kafkaVolume" . }}
{{- include "tickloom.cassandraVolume" . }}
{{- end }}
{{- include "tickloom.marketVolume" . }}
{{- end }}

{{/* Pods of an arm, or of all: (dict "ctx" . "component" NAME "arm" NAME). */}}
{{- define "forecast.pod" -}}
{{- $ctx := .ctx -}}
{{- $values := .ctx.Values -}}
{{- $placement := deepCopy $values.placement -}}
{{- if not (hasKey $placement "affinity") }}{{ $_ := set $placement "affinity" (include "forecast.apart" . | fromYaml) }}{{ end -}}
{{- if $values.gpu.enabled }}
{{- $_ := set $placement "tolerations" (append ($placement.tolerations | default list) (dict "key" $values.gpu.resource "operator" "Exists" "effect" "NoSchedule")) -}}
{{- end -}}
metadata:
  labels:
    {{- include "tickloom.podLabels" . | nindent 4 }}
    tickloom.dev/answers: forecasts
spec:
  serviceAccountName: {{ include "tickloom.fullname" $ctx }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "forecast.grace" $ctx }}
  {{- if and $values.gpu.enabled $values.gpu.runtimeClassName }}
  runtimeClassName: {{ $values.gpu.runtimeClassName }}
  {{- end }}
  {{- include "tickloom.pullSecrets" $ctx | nindent 2 }}
  {{- include "tickloom.placement" (dict "ctx" $ctx "component" .component "placement" $placement "spread" true) | nindent 2 }}
  securityContext: {{- include "tickloom.podSecurity" (dict "user" 10001) | nindent 4 }}
  containers:
    - name: forecast
      image: {{ include "tickloom.image" (dict "ctx" $ctx "image" $values.image "own" true) }}
      imagePullPolicy: IfNotPresent
      env:
        {{- include "forecast.environment" (dict "ctx" $ctx "credentials" (tpl $values.mlflow.credentialsSecret $ctx)) | nindent 8 }}
        {{- include "forecast.settings" . | nindent 8 }}
        {{- with $values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - {name: http, containerPort: 3000}
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 2
        failureThreshold: 60
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 2
        timeoutSeconds: 2
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      {{- $resources := deepCopy $values.resources }}
      {{- if $values.gpu.enabled }}{{ $_ := set $resources.limits $values.gpu.resource ($values.gpu.count | toString) }}{{ end }}
      resources: {{- toYaml $resources | nindent 8 }}
      securityContext: {{- include "tickloom.containerSecurity" $ctx | nindent 8 }}
      terminationMessagePolicy: FallbackToLogsOnError
      volumeMounts:
        {{- include "forecast.mounts" $ctx | nindent 8 }}
        {{- if $values.auth.keysSecret }}
        - {name: keys, mountPath: /etc/tickloom-keys, readOnly: true}
        {{- end }}
        {{- with $values.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "forecast.volumes" $ctx | nindent 4 }}
    {{- with $values.auth.keysSecret }}
    - name: keys
      secret:
        secretName: {{ . }}
        items: [{key: keys.yaml, path: keys.yaml}]
    {{- end }}
    {{- with $values.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
