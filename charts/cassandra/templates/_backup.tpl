{{/* Pod that runs files/backup.py: (dict "ctx" . "arguments" LIST). */}}
{{- define "cassandra.backupPod" -}}
{{- $ctx := .ctx -}}
{{- $name := printf "%s-backup" (include "tickloom.fullname" $ctx) -}}
{{- $upload := and (eq (first .arguments) "backup") $ctx.Values.backup.upload.image -}}
metadata:
  labels: {{- include "tickloom.podLabels" (dict "ctx" $ctx "component" "backup") | nindent 4 }}
spec:
  restartPolicy: Never
  serviceAccountName: {{ $name }}
  automountServiceAccountToken: true  # it runs nodetool in the nodes' pods
  enableServiceLinks: false
  {{- include "tickloom.pullSecrets" $ctx | nindent 2 }}
  securityContext: {{- include "tickloom.podSecurity" (dict "user" 999) | nindent 4 }}
  {{ ternary "initContainers" "containers" (not (empty $upload)) }}:
    - name: {{ first .arguments }}
      image: {{ include "tickloom.image" (dict "ctx" $ctx "image" $ctx.Values.backup.image "own" true) }}
      imagePullPolicy: IfNotPresent
      command: [python, /opt/backup/backup.py]
      args: {{ toJson .arguments }}
      env:
        - name: NAMESPACE
          valueFrom:
            fieldRef: {fieldPath: metadata.namespace}
        - {name: KEYSPACE, value: {{ $ctx.Values.global.cassandra.keyspace | quote }}}
        - {name: KEEP, value: {{ $ctx.Values.backup.keep | quote }}}
        - {name: SELECTOR, value: {{ include "cassandra.nodes" $ctx | replace ": " "=" | replace "\n" "," | quote }}}
      resources: {{- toYaml $ctx.Values.backup.resources | nindent 8 }}
      securityContext: {{- include "tickloom.containerSecurity" $ctx | nindent 8 }}
      terminationMessagePolicy: FallbackToLogsOnError
      volumeMounts:
        - {name: script, mountPath: /opt/backup, readOnly: true}
        - {name: tmp, mountPath: /tmp}
  {{- with $upload }}
  containers:
    - name: upload
      image: {{ . }}
      imagePullPolicy: IfNotPresent
      command: {{ toJson $ctx.Values.backup.upload.command }}
      env:
        - {name: HOME, value: /tmp}
      {{- with $ctx.Values.backup.upload.secret }}
      envFrom:
        - secretRef: {name: {{ . }}}
      {{- end }}
      resources: {{- toYaml $ctx.Values.backup.resources | nindent 8 }}
      securityContext: {{- include "tickloom.containerSecurity" $ctx | nindent 8 }}
      terminationMessagePolicy: FallbackToLogsOnError
      volumeMounts:
        - {name: backup, mountPath: /backup, readOnly: true}
        - {name: tmp, mountPath: /tmp}
  {{- end }}
  volumes:
    - name: script
      configMap: {name: {{ $name }}}
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- if $upload }}
    - name: backup
      persistentVolumeClaim: {claimName: {{ include "cassandra.backupClaim" $ctx }}}
    {{- end }}
{{- end }}
