{{/* The pod of a role: (dict "root" $ "role" NAME "of" ITS-VALUES "args" LIST "receives" BOOL). */}}

{{- define "dicom-router.pod" -}}
{{- $root := .root -}}
{{- $of := .of -}}
metadata:
  labels:
    {{- include "dicom-router.roleLabels" . | nindent 4 }}
    {{- with $of.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Rules, destinations and sources are reloaded; a change of anything else in the site's file starts new pods.
    checksum/site: {{ include "dicom-router.siteChecksum" $root }}
    {{- with $of.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "dicom-router.serviceAccountName" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $of.terminationGracePeriodSeconds }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $of.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  containers:
    - name: {{ .role }}
      image: {{ include "dicom-router.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: {{ toJson .args }}
      securityContext:
        {{- toYaml $root.Values.containerSecurityContext | nindent 8 }}
      {{- include "dicom-router.environment" (dict "root" $root "more" $of.env) | nindent 6 }}
      ports:
        - name: http
          containerPort: {{ $root.Values.metrics.port }}
        {{- if .receives }}
        {{- range $root.Values.site.listeners }}
        - name: {{ include "dicom-router.portName" . }}
          containerPort: {{ default 11112 .port }}
        {{- end }}
        {{- end }}
      startupProbe:
        httpGet: {path: /live, port: http}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /live, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /ready, port: http}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      {{- if .receives }}
      lifecycle:
        # Load balancers hear of the end first: what they still send in these seconds is received.
        preStop:
          exec: {command: ["sleep", "5"]}
      {{- end }}
      resources:
        {{- toYaml $of.resources | nindent 8 }}
      volumeMounts:
        {{- include "dicom-router.mounts" $root | nindent 8 }}
        - name: data
          mountPath: /var/lib/dicom-router
        {{- with $of.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "dicom-router.volumes" (dict "root" $root "before" "") | nindent 4 }}
    {{- if not .receives }}
    - name: data
      emptyDir: {}
    {{- end }}
    {{- with $of.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: {{ $root.Values.topologySpread.hosts }}
      labelSelector:
        matchLabels:
          {{- include "dicom-router.selector" . | nindent 10 }}
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: {{ $root.Values.topologySpread.zones }}
      labelSelector:
        matchLabels:
          {{- include "dicom-router.selector" . | nindent 10 }}
  {{- with $of.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $of.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $of.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* A port's name has at most 15 characters, and none of what a listener's name may have besides. */}}
{{- define "dicom-router.portName" -}}
{{- printf "d-%s" (.name | lower | replace "." "-" | replace "_" "-") | trunc 15 | trimSuffix "-" -}}
{{- end -}}

{{/* (dict "root" $ "more" LIST) */}}
{{- define "dicom-router.environment" -}}
env:
  - name: DICOM_ROUTER_CONFIG
    value: /etc/dicom-router/site/site.yaml
  {{- with .more }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .root.Values.store.existingSecret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
{{- end -}}

{{- define "dicom-router.mounts" -}}
- name: site
  mountPath: /etc/dicom-router/site
  readOnly: true
- name: rules
  mountPath: /etc/dicom-router/rules
  readOnly: true
{{- if eq .Values.mode "distributed" }}
- name: urls
  mountPath: /etc/dicom-router/urls
  readOnly: true
{{- if .Values.store.existingClaim }}
- name: store
  mountPath: {{ trimPrefix "file:" .Values.store.url | trimPrefix "//" }}
{{- end }}
{{- end }}
{{- range .Values.mountedSecrets }}
- name: secret-{{ . }}
  mountPath: /etc/dicom-router/secrets/{{ . }}
  readOnly: true
{{- end }}
- name: tmp
  mountPath: /tmp
{{- end -}}

{{/* (dict "root" $ "before" SUFFIX): a hook that runs before all else has ConfigMaps of its own. */}}
{{- define "dicom-router.volumes" -}}
{{- $root := .root -}}
- name: site
  configMap:
    name: {{ include "dicom-router.fullname" $root }}-site{{ .before }}
- name: rules
  configMap:
    {{- if $root.Values.rules.existingConfigMap }}
    name: {{ $root.Values.rules.existingConfigMap }}
    {{- else }}
    name: {{ include "dicom-router.rulesConfigMap" $root }}{{ .before }}
    {{- end }}
{{- if eq $root.Values.mode "distributed" }}
- name: urls
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ $root.Values.ledger.existingSecret }}
          items:
            - key: {{ $root.Values.ledger.key }}
              path: ledger
      - secret:
          name: {{ $root.Values.broker.existingSecret }}
          items:
            - key: {{ $root.Values.broker.key }}
              path: broker
{{- with $root.Values.store.existingClaim }}
- name: store
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end }}
{{- end }}
{{- range $root.Values.mountedSecrets }}
- name: secret-{{ . }}
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
- name: tmp
  emptyDir: {}
{{- end -}}
