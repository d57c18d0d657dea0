{{- define "cassandra.migrateJob" -}}
backoffLimit: 20
template:
  metadata:
    labels: {{- include "tickloom.podLabels" (dict "ctx" . "component" "migrate") | nindent 6 }}
  spec:
    restartPolicy: OnFailure
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- include "tickloom.pullSecrets" . | nindent 4 }}
    securityContext: {{- include "tickloom.podSecurity" (dict "user" 10001) | nindent 6 }}
    containers:
      - name: migrate
        image: {{ include "tickloom.streamImage" . }}
        imagePullPolicy: IfNotPresent
        args:
          - migrate
          - --wait={{ .Values.migrate.wait }}
          {{- $own := ternary (dict) (dict .Values.cassOperator.datacenter .Values.global.replication) (eq .Values.mode "dev") }}
          {{- range $name, $replicas := .Values.migrate.datacenters | default $own }}
          - --data-center={{ $name }}={{ $replicas }}
          {{- end }}
        env:
          {{- include "tickloom.environment" . | nindent 10 }}
          {{- include "tickloom.cassandraEnvironment" . | nindent 10 }}
        resources: {{- toYaml .Values.migrate.resources | nindent 10 }}
        securityContext: {{- include "tickloom.containerSecurity" . | nindent 10 }}
        terminationMessagePolicy: FallbackToLogsOnError
        volumeMounts:
          - {name: tmp, mountPath: /tmp}
          {{- include "tickloom.cassandraMount" . | nindent 10 }}
    volumes:
      - name: tmp
        emptyDir: {sizeLimit: 256Mi}
      {{- include "tickloom.cassandraVolume" . | nindent 6 }}
{{- end }}
