{{/* Refuses what only the experiments together can be wrong in. Their fields are the schema's. */}}
{{- define "forecast.checked" -}}
{{- $names := list }}
{{- range $experiment := .Values.experiments }}
{{- $name := $experiment.metadata.name }}
{{- if has $name $names }}
{{- fail (printf "forecast: experiments: there are two of the name %s; rename one" $name) }}
{{- end }}
{{- $names = append $names $name }}
{{- $arms := list }}
{{- $sum := 0.0 }}
{{- $given := 0 }}
{{- range $experiment.spec.arms }}
{{- if has .name $arms }}
{{- fail (printf "forecast: experiment %s: two arms have the name %s; rename one" $name .name) }}
{{- end }}
{{- $arms = append $arms .name }}
{{- if hasKey . "weight" }}{{ $sum = addf $sum .weight }}{{ $given = add1 $given }}{{ end }}
{{- end }}
{{- if not (has "champion" $arms) }}
{{- fail (printf "forecast: experiment %s: no arm has the name champion, which the others are compared with; there are: %s" $name (join ", " $arms)) }}
{{- end }}
{{- if and $given (or (lt $sum 0.999999999) (gt $sum 1.000000001)) }}
{{- fail (printf "forecast: experiment %s: the weights of its arms sum to %v, and must sum to 1" $name $sum) }}
{{- end }}
{{- end }}
{{- if eq .Values.serviceMode "perArm" }}
{{- if ne (len .Values.experiments) 1 }}
{{- fail (printf "forecast: serviceMode perArm makes a Service for each arm of one experiment, and experiments has %d; have a release for each" (len .Values.experiments)) }}
{{- end }}
{{- else if .Values.route.enabled }}
{{- fail "forecast: route.enabled shares requests between Services of arms; set serviceMode to perArm" }}
{{- end }}
{{- end }}

{{/* Names of the arms that answer, as JSON; of one alone, the empty name of all. */}}
{{- define "forecast.arms" -}}
{{- $arms := list }}
{{- if eq .Values.serviceMode "perArm" }}
{{- range (first .Values.experiments).spec.arms }}{{ if not .shadow }}{{ $arms = append $arms .name }}{{ end }}{{ end }}
{{- else }}
{{- $arms = list "" }}
{{- end }}
{{- toJson $arms -}}
{{- end }}

{{/* Name of what belongs to an arm: (dict "ctx" . "arm" NAME). */}}
{{- define "forecast.name" -}}
{{- $name := include "tickloom.fullname" .ctx -}}
{{- if .arm }}{{ printf "%s-%s" $name .arm | trunc 63 | trimSuffix "-" }}{{ else }}{{ $name }}{{ end -}}
{{- end }}

{{/*
Weights of the arms that answer, as JSON and out of 10000, for a route cannot say fractions. In champion-challenger the champion
answers always, whatever weights the file has.
*/}}
{{- define "forecast.weights" -}}
{{- $experiment := first .Values.experiments }}
{{- $mode := $experiment.spec.mode | default "championChallenger" }}
{{- if not (has $mode (list "fixed" "championChallenger")) }}
{{- fail (printf "forecast: experiment %s: mode %s moves its weights as it goes, and a route's stay as they were rendered; take mode fixed, or serviceMode one" $experiment.metadata.name $mode) }}
{{- end }}
{{- $weights := dict }}
{{- range $experiment.spec.arms }}
{{- if not .shadow }}
{{- $weight := ternary 1.0 0.0 (eq .name "champion") }}
{{- if eq $mode "fixed" }}
{{- $weight = required (printf "forecast: experiment %s: arm %s has no weight, which mode fixed needs" $experiment.metadata.name .name) .weight }}
{{- end }}
{{- $_ := set $weights .name (int (round (mulf $weight 10000) 0)) }}
{{- end }}
{{- end }}
{{- toJson $weights -}}
{{- end }}
