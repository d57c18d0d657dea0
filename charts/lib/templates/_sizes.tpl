{{/* Size of a volume: (dict "ctx" . "path" "dev.storage.size"). A schema could refuse a wrong one, but not say a right one. */}}
{{- define "tickloom.size" -}}
{{- $size := .ctx.Values -}}
{{- range splitList "." .path }}{{ $size = get $size . }}{{ end -}}
{{- if not (regexMatch "^[1-9][0-9]*([kMGTP]|[KMGTP]i)$" $size) -}}
{{- $unit := regexFind "[kmgtpKMGTP]" (regexFind "^[0-9]+ *[kmgtpKMGTP]" $size) | default "g" | upper -}}
{{- fail (printf "%s: %s is %s, no size that Kubernetes knows; write %s%si, for example" .ctx.Chart.Name .path (quote $size) (regexFind "^[1-9][0-9]*" $size | default "10") $unit) -}}
{{- end -}}
{{- $size -}}
{{- end }}
