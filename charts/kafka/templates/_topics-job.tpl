{{- define "kafka.topicsJob" -}}
{{- $ctx := .ctx -}}
backoffLimit: 20
template:
  metadata:
    labels: {{- include "tickloom.podLabels" .of | nindent 6 }}
  spec:
    restartPolicy: OnFailure
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- include "tickloom.pullSecrets" $ctx | nindent 4 }}
    {{- include "tickloom.placement" .of | nindent 4 }}
    securityContext: {{- include "tickloom.podSecurity" (dict "user" 10001) | nindent 6 }}
    containers:
      - name: topics
        image: {{ include "tickloom.streamImage" $ctx }}
        imagePullPolicy: IfNotPresent
        args: [topics, --wait, "120"]
        env: {{- include "tickloom.environment" $ctx | nindent 10 }}
        resources: {{- toYaml $ctx.Values.topics.resources | nindent 10 }}
        securityContext: {{- include "tickloom.containerSecurity" $ctx | nindent 10 }}
        terminationMessagePolicy: FallbackToLogsOnError
        volumeMounts:
          - {name: tmp, mountPath: /tmp}
          {{- include "tickloom.kafkaMount" $ctx | nindent 10 }}
    volumes:
      - name: tmp
        emptyDir: {sizeLimit: 256Mi}
      {{- include "tickloom.kafkaVolume" $ctx | nindent 6 }}
{{- end }}
