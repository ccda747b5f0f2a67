{{/* The site's file: what the user wrote, and what the chart knows better. */}}

{{- define "dicom-router.site" -}}
{{- include "dicom-router.refuse" . -}}
{{- $site := deepCopy .Values.site -}}
{{- $_ := set $site "rules" "/etc/dicom-router/rules" -}}
{{- $_ := set $site "metrics" (dict "bind" "0.0.0.0" "port" (int .Values.metrics.port)) -}}
{{- if eq .Values.mode "distributed" -}}
{{- $_ := set $site "store" .Values.store.url -}}
{{- $_ := set $site "spool" "/var/lib/dicom-router/spool" -}}
{{- $_ := set $site "ledger" "file:/etc/dicom-router/urls/ledger" -}}
{{- $_ := set $site "broker" "file:/etc/dicom-router/urls/broker" -}}
{{- else -}}
{{- $_ := set $site "store" "file:/var/lib/dicom-router/store" -}}
{{- $_ := set $site "ledger" "sqlite:////var/lib/dicom-router/ledger.db" -}}
{{- end -}}
{{- toYaml $site -}}
{{- end -}}

{{/* What needs a restart when it changes; all else is reloaded by the running pods. */}}
{{- define "dicom-router.siteChecksum" -}}
{{- $site := include "dicom-router.site" . | fromYaml -}}
{{- omit $site "sources" "destinations" "rules" "rules_shadow" "on_no_match" "keys" "vault" "loops" "retention" | toJson | sha256sum -}}
{{- end -}}

{{/* Values that the schema cannot refuse in words a person understands. */}}
{{- define "dicom-router.refuse" -}}
{{- range $key := list "rules" "store" "spool" "ledger" "broker" "metrics" -}}
{{- if hasKey $.Values.site $key -}}
{{- fail (printf "site.%s is set by the chart: leave it out of `site` and use the chart's own values" $key) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.rules.files .Values.rules.existingConfigMap -}}
{{- fail "rules.files and rules.existingConfigMap exclude each other" -}}
{{- end -}}
{{- $names := dict -}}
{{- $ports := dict -}}
{{- range .Values.site.listeners -}}
{{- $port := include "dicom-router.portName" . -}}
{{- if hasKey $ports $port -}}
{{- fail (printf "listeners %s and %s need names that differ in their first 13 characters" (get $ports $port) .name) -}}
{{- end -}}
{{- $_ := set $ports $port .name -}}
{{- $_ := set $names .name true -}}
{{- end -}}
{{- range $block, $ports := dict "ports" .Values.ingress.service.ports "nodePorts" .Values.ingress.service.nodePorts -}}
{{- range $name, $port := $ports -}}
{{- if not (hasKey $names $name) -}}
{{- fail (printf "ingress.service.%s names %s, and site.listeners has no such listener" $block $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.mode "distributed" -}}
{{- if not .Values.ledger.existingSecret -}}
{{- fail "mode distributed needs ledger.existingSecret: the Secret with PostgreSQL's URL" -}}
{{- end -}}
{{- if not .Values.broker.existingSecret -}}
{{- fail "mode distributed needs broker.existingSecret: the Secret with RabbitMQ's URL" -}}
{{- end -}}
{{- if not .Values.store.url -}}
{{- fail "mode distributed needs store.url: s3://BUCKET/PREFIX, or file:PATH on store.existingClaim" -}}
{{- end -}}
{{- if and (hasPrefix "file:" .Values.store.url) (not .Values.store.existingClaim) -}}
{{- fail "a store of files needs store.existingClaim: a claim that every pod can mount" -}}
{{- end -}}
{{- if and (hasPrefix "s3:" .Values.store.url) .Values.store.existingClaim -}}
{{- fail "store.existingClaim is for a store of files, and store.url names a bucket" -}}
{{- end -}}
{{- $kinds := list .Values.workers.rules.autoscaling.kind .Values.workers.egress.autoscaling.kind -}}
{{- if and (has "keda" $kinds) (not .Values.keda.existingSecret) -}}
{{- fail "autoscaling by keda needs keda.existingSecret: the Secret with the URLs that KEDA reads" -}}
{{- end -}}
{{- range $role, $of := .Values.workers -}}
{{- if gt (int $of.autoscaling.min) (int $of.autoscaling.max) -}}
{{- fail (printf "workers.%s.autoscaling: min is more than max" $role) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The rule files as the data of a ConfigMap. */}}
{{- define "dicom-router.ruleFiles" -}}
{{- range $name, $content := .Values.rules.files }}
{{ $name }}: |
  {{- if kindIs "string" $content }}
  {{- $content | trimSuffix "\n" | nindent 2 }}
  {{- else }}
  {{- toYaml $content | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}
