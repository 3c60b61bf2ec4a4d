{{/* The operator's objects, and its Lease, Secret and EndpointSlice: the process is told by --service. */}}
{{- define "everstep.operator.name" -}}
{{- include "everstep.release.name" . }}-operator
{{- end -}}

{{/* By these labels its pods are found; they never change, or an upgrade would be refused. */}}
{{- define "everstep.operator.selector" -}}
app.kubernetes.io/name: everstep
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "everstep.operator.labels" -}}
{{ include "everstep.release.labels" . }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "everstep.operator.metadata" -}}
name: {{ include "everstep.operator.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "everstep.operator.labels" . | nindent 2 }}
{{- end -}}

{{/* Binds a role of the given kind, which has the operator's name, to the operator. */}}
{{- define "everstep.operator.binding" -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .role }}
subjects:
  - kind: ServiceAccount
    name: {{ include "everstep.operator.name" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}
