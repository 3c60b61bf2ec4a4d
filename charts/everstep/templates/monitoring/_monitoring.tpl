{{/* The metadata of an object of the monitoring. Takes its name, further labels, and the root. */}}
{{- define "everstep.monitoring.metadata" -}}
name: {{ include "everstep.release.name" .root }}-{{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "everstep.release.labels" .root | nindent 2 }}
  app.kubernetes.io/component: monitoring
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* How a port is scraped. Takes the port's name, the value of the label `job`, and the root. */}}
{{- define "everstep.monitoring.endpoint" -}}
- port: {{ .port }}
  path: /metrics
  interval: {{ .root.Values.monitoring.podMonitors.interval }}
  relabelings:
    # Else it is the namespace and the name of this object. Whose training it is stands in labels of other names.
    - {targetLabel: job, replacement: {{ .job }}}
    # Else it is an address, which the next pod may have.
    - {sourceLabels: [__meta_kubernetes_pod_name], targetLabel: instance}
{{- end -}}
