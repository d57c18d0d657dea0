{{- define "operator.environment" -}}
{{- $v := .ctx.Values -}}
- name: TICKLOOM_OPERATOR_OWN_NAMESPACE
  valueFrom:
    fieldRef: {fieldPath: metadata.namespace}
{{- $given := dict
  "NAMESPACES" (join "," $v.watch.namespaces)
  "IDENTITY" $v.settings.identity
  "LEASE" $v.settings.lease
  "LEASE_SECONDS" $v.settings.leaseSeconds
  "SHARDS" $v.shards
  "SHARD" .shard
  "WORKERS" $v.settings.workers
  "RESYNC_SECONDS" $v.settings.resyncSeconds
  "POLL_SECONDS" $v.settings.pollSeconds
  "POLL_SETTLING_SECONDS" $v.settings.pollSettlingSeconds
  "PROGRESS_URL" $v.settings.progressUrl
  "STARTS_PER_SECOND" $v.settings.startsPerSecond
  "STARTS_BURST" $v.settings.startsBurst
  "HEALTH_PORT" $v.port
  "IMAGE" (include "tickloom.streamImage" .ctx)
  "IMAGE_PULL_SECRETS" (join "," $v.global.imagePullSecrets)
  "SERVICE_ACCOUNT" $v.settings.serviceAccount
  "SPARK_SERVICE_ACCOUNT" $v.global.spark.serviceAccount
  "KAFKA" (include "tickloom.kafka" .ctx)
  "KAFKA_CREDENTIALS" (include "tickloom.kafkaCredentials" .ctx)
  "KAFKA_CERTIFICATES" (include "tickloom.kafkaCertificates" .ctx)
  "CASSANDRA_CREDENTIALS" (include "tickloom.cassandraCredentials" .ctx)
  "CASSANDRA_CERTIFICATES" (include "tickloom.cassandraCertificates" .ctx)
  "CASSANDRA" (include "tickloom.cassandra" .ctx)
  "KEYSPACE" $v.global.cassandra.keyspace
  "TOPIC_PREFIX" $v.global.kafka.topicPrefix
  "REPLICATION" $v.global.replication
  "INSTRUMENTS" (include "tickloom.instruments" .ctx)
  "HOLIDAYS" (include "tickloom.holidays" .ctx)
  "KUBEFLOW" (include "operator.kubeflow" .ctx)
  "KUBEFLOW_IDENTITY" (ternary "/etc/tickloom-kubeflow/token" "" (and (ne (include "operator.kubeflow" .ctx) "") (ne $v.kubeflow.tokenAudience "")))
  "KUBEFLOW_AUTHORITY" (ternary "/etc/tickloom-kubeflow/ca.crt" "" (and (ne (include "operator.kubeflow" .ctx) "") (ne $v.kubeflow.certificatesSecret "")))
  "KUBEFLOW_NAMESPACE" $v.kubeflow.namespace
  "KUBEFLOW_EXPERIMENT" $v.kubeflow.experiment
  "MLFLOW" (ternary (tpl $v.mlflow.uri .ctx) "" (ne (include "operator.kubeflow" .ctx) "")) }}
{{- range $name, $value := $given }}
- name: TICKLOOM_OPERATOR_{{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- include "tickloom.marketEnvironment" .ctx }}
{{- end }}

{{- define "operator.ingress" -}}
- from: {{- include "tickloom.metricsReaders" . | nindent 4 }}
  ports:
    - {protocol: TCP, port: http}
{{- end }}

{{- define "operator.egress" -}}
{{ include "tickloom.toDns" . }}
{{ include "tickloom.toApiServer" . }}
- to:
    - namespaceSelector: {}
      podSelector:
        matchLabels:
          app.kubernetes.io/name: tickloom-stream
  ports:
    - {protocol: TCP, port: 4040}
{{- if include "operator.kubeflow" . }}
- ports:
    {{- range .Values.kubeflow.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
{{- end }}

{{- define "operator.kubeflow" -}}
{{- tpl .Values.kubeflow.endpoint . -}}
{{- end }}

{{/* Whether there is something to mount for Kubeflow Pipelines. */}}
{{- define "operator.kubeflowFiles" -}}
{{- if and (include "operator.kubeflow" .) (or .Values.kubeflow.tokenAudience .Values.kubeflow.certificatesSecret) }}true{{- end }}
{{- end }}

{{- define "operator.kubeflowVolume" -}}
{{- if include "operator.kubeflowFiles" . }}
- name: kubeflow
  projected:
    sources:
      {{- with .Values.kubeflow.tokenAudience }}
      - serviceAccountToken:
          path: token
          audience: {{ . }}
          expirationSeconds: {{ $.Values.kubeflow.tokenSeconds | int }}
      {{- end }}
      {{- with .Values.kubeflow.certificatesSecret }}
      - secret:
          name: {{ tpl . $ }}
          items: [{key: ca.crt, path: ca.crt}]
      {{- end }}
{{- end }}
{{- end }}

{{/* Annotations of what is there only while the release goes; its argument is the hook's weight. */}}
{{- define "operator.beforeDeletion" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
