{{/*
Code on a volume that takes changed files, for `skaffold dev`; the root file system stays read-only. A shell starts the
process again whenever it ends, for a restart of the container would wait longer each time. Each is a part of a pod:
the initial container (dict "ctx" . "image" IMAGE "resources" RESOURCES), the command before the process's own, the mount and the volume.
*/}}
{{- define "tickloom.syncInit" -}}
- name: code
  image: {{ .image }}
  imagePullPolicy: IfNotPresent
  command: [sh, -c, cp -rp /opt/tickloom/app/* /code/]
  resources: {{- toYaml .resources | nindent 4 }}
  securityContext: {{- include "tickloom.containerSecurity" .ctx | nindent 4 }}
  volumeMounts:
    - {name: code, mountPath: /code}
{{- end }}

{{- define "tickloom.syncCommand" -}}
- sh
- -c
- |
  trap 'kill "$child"; wait "$child"; exit' TERM INT
  while :; do
    "$@" & child=$!
    echo "$child" >/opt/tickloom/app/.process
    wait "$child"
    sleep 1
  done
- sync
{{- end }}

{{- define "tickloom.syncMount" -}}
- {name: code, mountPath: /opt/tickloom/app}
{{- end }}

{{- define "tickloom.syncVolume" -}}
- name: code
  emptyDir: {sizeLimit: 64Mi}
{{- end }}
