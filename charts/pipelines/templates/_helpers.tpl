{{- define "pipelines.claim" -}}
{{- if .Values.volume.enabled }}{{ .Values.volume.existingClaim | default (include "tickloom.fullname" .) }}{{ end -}}
{{- end }}

{{/* The file that `tickloom pipelines … --settings` reads. */}}
{{- define "pipelines.settings" -}}
{{- $own := dict
  "image" (include "tickloom.image" (dict "ctx" . "image" .Values.image "own" true))
  "configMap" (include "tickloom.fullname" .)
  "mlflowSecret" .Values.mlflow.credentialsSecret
  "cassandraSecret" .Values.cassandra.credentialsSecret }}
{{- with include "pipelines.claim" . }}{{ $own = set $own "volume" . }}{{ end }}
{{- with .Values.global.imagePullSecrets }}{{ $own = set $own "imagePullSecrets" . }}{{ end }}
{{- merge $own .Values.settings | toYaml -}}
{{- end }}

{{- define "pipelines.egress" -}}
{{ include "tickloom.toDns" . }}
- ports:
{{- range .Values.kubeflow.ports }}
    - {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end }}

{{- define "pipelines.uploadJob" -}}
{{- $of := dict "ctx" . "component" "upload" "placement" .Values.placement "name" (include "tickloom.fullname" .) }}
backoffLimit: 10
template:
  metadata:
    labels: {{- include "tickloom.podLabels" $of | nindent 6 }}
    annotations:
      sidecar.istio.io/inject: "false"
      tickloom.dev/settings: {{ include "pipelines.settings" . | sha256sum | trunc 16 }}
  spec:
    restartPolicy: OnFailure
    serviceAccountName: {{ include "tickloom.fullname" . }}
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- include "tickloom.pullSecrets" . | nindent 4 }}
    {{- include "tickloom.placement" $of | nindent 4 }}
    securityContext: {{- include "tickloom.podSecurity" (dict "user" 10001) | nindent 6 }}
    containers:
      - name: upload
        image: {{ include "tickloom.image" (dict "ctx" . "image" .Values.image "own" true) }}
        imagePullPolicy: IfNotPresent
        command: [sh, -c]
        args:
          - |
            {{- if .Values.kubeflow.shared }}
            TICKLOOM_KFP_TOKEN=$(cat /run/tickloom/token) && export TICKLOOM_KFP_TOKEN
            {{- end }}
            exec python -m tickloom.cli.main pipelines upload --settings /etc/tickloom/settings.yaml
            {{- if .Values.kubeflow.shared }} --namespace {{ .Release.Namespace }}{{ end }}
        env:
          - {name: TICKLOOM_KFP, value: {{ tpl .Values.kubeflow.endpoint . | quote }}}
        resources: {{- toYaml .Values.upload.resources | nindent 10 }}
        securityContext: {{- include "tickloom.containerSecurity" . | nindent 10 }}
        terminationMessagePolicy: FallbackToLogsOnError
        volumeMounts:
          - {name: tmp, mountPath: /tmp}
          - {name: settings, mountPath: /etc/tickloom, readOnly: true}
          {{- if .Values.kubeflow.shared }}
          - {name: token, mountPath: /run/tickloom, readOnly: true}
          {{- end }}
    volumes:
      - name: tmp
        emptyDir: {sizeLimit: 256Mi}
      - name: settings
        configMap:
          name: {{ include "tickloom.fullname" . }}
          items: [{key: settings.yaml, path: settings.yaml}]
      {{- if .Values.kubeflow.shared }}
      - name: token
        projected:
          sources:
            - serviceAccountToken: {path: token, audience: {{ .Values.kubeflow.tokenAudience | quote }}, expirationSeconds: 3600}
      {{- end }}
{{- end }}
