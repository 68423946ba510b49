{{- define "gateway.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "gateway.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* What the server's pods and the migration's have: no rights, a read-only root, settings and secrets. */}}
{{- define "gateway.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false # or the cluster's GATEWAY_PORT and the like would look like settings
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- end }}

{{- define "gateway.container" -}}
{{- $repository := required "image.repository is needed: the image that you have built and pushed" .Values.image.repository }}
{{- $secret := required "secret is needed: the name of a Secret with STRIPE_SECRET_KEY and DATABASE_URL" .Values.secret }}
{{- if .Values.image.digest }}
image: {{ printf "%s@%s" $repository .Values.image.digest | quote }}
{{- else }}
image: {{ printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
{{- end }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
envFrom:
  - secretRef: {name: {{ $secret | quote }}}
{{- with .Values.settings }}
env:
{{- range $name, $value := . }}
  {{- /* YAML's large numbers come as 1e+07 */}}
  - {name: {{ $name }}, value: {{ kindIs "float64" $value | ternary (int64 $value | toString) (toString $value) | quote }}}
{{- end }}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{ toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end }}
