{{/* Addresses that every client uses; the values are templates, so that they may name the release. */}}
{{- define "tickloom.kafka" -}}
{{- tpl .Values.global.kafka.bootstrapServers . -}}
{{- end }}

{{- define "tickloom.cassandra" -}}
{{- tpl .Values.global.cassandra.contactPoints . -}}
{{- end }}

{{/* First label of each host of `host:port,…`, which for a Service is its name; one a line. */}}
{{- define "tickloom.firstLabels" -}}
{{- range splitList "," . }}{{ regexFind "^[^.:]+" (trim .) }}
{{ end -}}
{{- end }}

{{/*
Secrets that show a server who a client is: with user name and password, and with certificates. Either may be none. Strimzi keeps
a KafkaUser's login and the cluster's authority in a Secret each, and current.
*/}}
{{- define "tickloom.kafkaCredentials" -}}
{{- $kafka := .Values.global.kafka -}}
{{- if $kafka.credentialsSecret }}{{ tpl $kafka.credentialsSecret . }}{{ else if $kafka.strimziCluster }}{{ tpl .Values.kafkaUser . }}{{ end -}}
{{- end }}

{{- define "tickloom.kafkaCertificates" -}}
{{- $kafka := .Values.global.kafka -}}
{{- if $kafka.certificatesSecret }}{{ tpl $kafka.certificatesSecret . }}
{{- else if and $kafka.strimziCluster (not $kafka.credentialsSecret) }}{{ tpl $kafka.strimziCluster . }}-cluster-ca-cert{{ end -}}
{{- end }}

{{- define "tickloom.cassandraCredentials" -}}
{{- tpl (.Values.global.cassandra.credentialsSecret | default "") . -}}
{{- end }}

{{- define "tickloom.cassandraCertificates" -}}
{{- tpl (.Values.global.cassandra.certificatesSecret | default "") . -}}
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
{{- if or (include "tickloom.kafkaCredentials" .) (include "tickloom.kafkaCertificates" .) }}
- name: TICKLOOM_KAFKA_CREDENTIALS
  value: /etc/tickloom-kafka
{{- end }}
{{- end }}

{{/* What more a pod has that asks Cassandra. */}}
{{- define "tickloom.cassandraEnvironment" -}}
{{- if or (include "tickloom.cassandraCredentials" .) (include "tickloom.cassandraCertificates" .) }}
- name: TICKLOOM_CASSANDRA_CREDENTIALS
  value: /etc/tickloom-cassandra
{{- end }}
{{- end }}

{{/* The two Secrets as one folder, as the code reads it: (dict "part" NAME "credentials" SECRET "certificates" SECRET). */}}
{{- define "tickloom.accessVolume" -}}
{{- if .certificates }}
- name: {{ .part }}
  projected:
    sources:
      {{- with .credentials }}
      - secret: {name: {{ . }}}
      {{- end }}
      - secret:
          name: {{ .certificates }}
          items: [{key: ca.crt, path: ca.crt}]
      {{- if eq .part "cassandra" }}
      - secret:
          name: {{ .certificates }}
          items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
          optional: true
      {{- end }}
{{- else if .credentials }}
- name: {{ .part }}
  secret:
    secretName: {{ .credentials }}
{{- end }}
{{- end }}

{{- define "tickloom.accessMount" -}}
{{- if or .credentials .certificates }}
- name: {{ .part }}
  mountPath: /etc/tickloom-{{ .part }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "tickloom.kafkaAccess" -}}
{{- dict "part" "kafka" "credentials" (include "tickloom.kafkaCredentials" .) "certificates" (include "tickloom.kafkaCertificates" .) | toJson -}}
{{- end }}

{{- define "tickloom.cassandraAccess" -}}
{{- dict "part" "cassandra" "credentials" (include "tickloom.cassandraCredentials" .) "certificates" (include "tickloom.cassandraCertificates" .) | toJson -}}
{{- end }}

{{- define "tickloom.kafkaVolume" -}}
{{- include "tickloom.accessVolume" (include "tickloom.kafkaAccess" . | fromJson) -}}
{{- end }}

{{- define "tickloom.kafkaMount" -}}
{{- include "tickloom.accessMount" (include "tickloom.kafkaAccess" . | fromJson) -}}
{{- end }}

{{- define "tickloom.cassandraVolume" -}}
{{- include "tickloom.accessVolume" (include "tickloom.cassandraAccess" . | fromJson) -}}
{{- end }}

{{- define "tickloom.cassandraMount" -}}
{{- include "tickloom.accessMount" (include "tickloom.cassandraAccess" . | fromJson) -}}
{{- end }}

{{/* ConfigMaps with instruments and holidays beyond those that Tickloom ships; either may be none. */}}
{{- define "tickloom.instruments" -}}
{{- tpl .Values.global.market.instruments . -}}
{{- end }}

{{- define "tickloom.holidays" -}}
{{- tpl .Values.global.market.holidays . -}}
{{- end }}

{{- define "tickloom.marketEnvironment" -}}
{{- range $name := list "instruments" "holidays" }}
{{- if include (printf "tickloom.%s" $name) $ }}
- name: TICKLOOM_{{ upper $name }}
  value: /etc/tickloom-market/{{ $name }}.csv
{{- end }}
{{- end }}
{{- end }}

{{- define "tickloom.marketMount" -}}
{{- if or (include "tickloom.instruments" .) (include "tickloom.holidays" .) }}
- {name: market, mountPath: /etc/tickloom-market, readOnly: true}
{{- end }}
{{- end }}

{{- define "tickloom.marketVolume" -}}
{{- if or (include "tickloom.instruments" .) (include "tickloom.holidays" .) }}
- name: market
  projected:
    sources:
      {{- range $name := list "instruments" "holidays" }}
      {{- with include (printf "tickloom.%s" $name) $ }}
      - configMap:
          name: {{ . }}
          items: [{key: {{ $name }}.csv, path: {{ $name }}.csv}]
      {{- end }}
      {{- end }}
{{- end }}
{{- end }}
