{{- define "weir.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "weir.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "weir.labels" -}}
{{ include "weir.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "weir.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{/* weir.yaml: the operator's, with what the chart decides. */}}
{{- define "weir.config" -}}
{{- $server := dict "listen" "0.0.0.0:8080" "admin" "0.0.0.0:8081" }}
{{- if .Values.tls.secret }}
{{- $_ := set $server "tls" (dict "cert" "/etc/weir-tls/tls.crt" "key" "/etc/weir-tls/tls.key") }}
{{- end }}
{{- mergeOverwrite (deepCopy .Values.config) (dict "data" "/var/lib/weir" "server" $server) | toYaml }}
{{- end }}
