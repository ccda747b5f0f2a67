{{/* Names and labels. */}}

{{- define "dicom-router.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "dicom-router.fullname" -}}
{{- $name := include "dicom-router.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of one role: (dict "root" $ "role" "egress"). */}}
{{- define "dicom-router.roleName" -}}
{{- printf "%s-%s" (include "dicom-router.fullname" .root) .role -}}
{{- end -}}

{{- define "dicom-router.instance" -}}
app.kubernetes.io/name: {{ include "dicom-router.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "dicom-router.selector" -}}
{{ include "dicom-router.instance" .root }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "dicom-router.labels" -}}
{{ include "dicom-router.instance" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "dicom-router.roleLabels" -}}
{{ include "dicom-router.labels" .root }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "dicom-router.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "dicom-router.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "dicom-router.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "dicom-router.rulesConfigMap" -}}
{{- default (printf "%s-rules" (include "dicom-router.fullname" .)) .Values.rules.existingConfigMap -}}
{{- end -}}
