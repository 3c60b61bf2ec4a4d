{{/* What all objects of a release are named after: `everstep`, or `everstep-` and the release's name. */}}
{{- define "everstep.release.name" -}}
{{- if contains "everstep" .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "everstep-%s" .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The labels of every object. */}}
{{- define "everstep.release.labels" -}}
app.kubernetes.io/name: everstep
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The address of an image: by its digest where there is one. Takes the image's values and the chart. */}}
{{- define "everstep.release.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .chart.AppVersion) -}}
{{- end -}}
{{- end -}}
