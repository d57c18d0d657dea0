{{/* Addresses that every client uses; the values are templates, so that they may name the release. */}}
{{- define "tickloom.kafka" -}}
{{- tpl .Values.global.kafka.bootstrapServers . -}}
{{- end }}

{{- define "tickloom.cassandra" -}}
{{- tpl .Values.global.cassandra.contactPoints . -}}
{{- end }}

{{/* Whether Kafka asks who a client is. */}}
{{- define "tickloom.kafkaAuth" -}}
{{- with .Values.global.kafka }}{{ if or .credentialsSecret .strimziCluster }}true{{ end }}{{ end -}}
{{- end }}

{{/* Environment of a pod that runs Tickloom's own code. */}}
{{- define "tickloom.environment" -}}
- name: TICKLOOM_KAFKA
  value: {{ include "tickloom.kafka" . | quote }}
- name: TICKLOOM_CASSANDRA
  value: {{ include "tickloom.cassandra" . | quote }}
- name: TICKLOOM_KEYSPACE
  value: {{ .Values.global.cassandra.keyspace | quote }}
- name: TICKLOOM_REPLICATION
  value: {{ .Values.global.replication | quote }}
{{- with .Values.global.kafka.topicPrefix }}
- name: TICKLOOM_TOPIC_PREFIX
  value: {{ . | quote }}
{{- end }}
- name: TICKLOOM_LOG_FORMAT
  value: json
{{- if include "tickloom.kafkaAuth" . }}
- name: TICKLOOM_KAFKA_CREDENTIALS
  value: /etc/tickloom-kafka
{{- end }}
{{- end }}

{{/*
Annotation, volume and mount of Kafka's credentials as the code reads them: username, password, ca.crt. They come from one
Secret, or straight from the Secrets that Strimzi keeps current: the KafkaUser's and the cluster's authority.
*/}}
{{- define "tickloom.kafkaAnnotations" -}}
{{- if .Values.global.kafka.strimziCluster }}
tickloom.dev/kafka-user: {{ tpl .Values.kafkaUser . }}
{{- end }}
{{- end }}

{{- define "tickloom.kafkaVolume" -}}
{{- $kafka := .Values.global.kafka }}
{{- if $kafka.credentialsSecret }}
- name: kafka
  secret:
    secretName: {{ tpl $kafka.credentialsSecret . }}
{{- else if $kafka.strimziCluster }}
- name: kafka
  projected:
    sources:
      - downwardAPI:
          items:
            - path: username
              fieldRef: {fieldPath: "metadata.annotations['tickloom.dev/kafka-user']"}
      - secret:
          name: {{ tpl .Values.kafkaUser . }}
          items: [{key: password, path: password}]
      - secret:
          name: {{ tpl $kafka.strimziCluster . }}-cluster-ca-cert
          items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- end }}

{{- define "tickloom.kafkaMount" -}}
{{- if include "tickloom.kafkaAuth" . }}
- name: kafka
  mountPath: /etc/tickloom-kafka
  readOnly: true
{{- end }}
{{- end }}
