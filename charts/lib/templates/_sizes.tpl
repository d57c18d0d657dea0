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

{{/* A size in bytes; empty where its unit is another one. */}}
{{- define "tickloom.bytes" -}}
{{- $units := list "" "k" "m" "g" "t" "p" }}
{{- $said := regexFind "[a-zA-Z]*$" . }}
{{- $unit := trimSuffix "i" $said | lower }}
{{- if has $unit $units }}
{{- $base := ternary 1024 1000 (hasSuffix "i" $said) }}
{{- $size := regexFind "^[0-9]+" . | int64 }}
{{- range $units }}
{{- if eq . $unit }}{{ print $size }}{{ end }}
{{- $size = mul $size $base }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Size of the volume of a StatefulSet's one pod, which must stay as it is: (dict "ctx" . "path" "dev.storage.size" "name" NAME). The
API server would only say that the update is forbidden.
*/}}
{{- define "tickloom.lastingSize" -}}
{{- $size := include "tickloom.size" . }}
{{- $there := lookup "apps/v1" "StatefulSet" .ctx.Release.Namespace .name }}
{{- range dig "spec" "volumeClaimTemplates" list $there }}
{{- $was := .spec.resources.requests.storage }}
{{- $before := include "tickloom.bytes" $was | trim }}
{{- $after := include "tickloom.bytes" $size | trim }}
{{- if and $before (ne $before $after) }}
{{- $way := ": a volume never shrinks" }}
{{- if gt (int64 $after) (int64 $before) }}
{{- $patch := printf "{\"spec\": {\"resources\": {\"requests\": {\"storage\": \"%s\"}}}}" $size }}
{{- $way = printf ", or, where the volume's storage class can expand it, do so, and let the StatefulSet be made anew around its pod, then upgrade again: kubectl -n %s patch pvc %s-%s-0 -p '%s' && kubectl -n %s delete statefulset %s --cascade=orphan" $.ctx.Release.Namespace .metadata.name $.name $patch $.ctx.Release.Namespace $.name }}
{{- end }}
{{- fail (printf "%s: %s is %s, but the StatefulSet %s was made with %s, and Kubernetes changes that in none; leave it at %s%s" $.ctx.Chart.Name $.path $size $.name $was $was $way) }}
{{- end }}
{{- end }}
{{- $size -}}
{{- end }}
