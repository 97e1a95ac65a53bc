{{- define "rollouts.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "rollouts.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rollouts.labels" -}}
{{ include "rollouts.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "rollouts.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "rollouts.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is required when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What the delivery half does: rules for the namespaces that it serves. */}}
{{- define "rollouts.deliveryRules" -}}
- apiGroups: [{{ .Values.apiGroup }}]
  resources: [rollouts, analysisruns, analysistemplates, experiments]
  verbs: [get, list, watch]
{{- /* Annotations, such as the generation of the object in workloadRef. */}}
- apiGroups: [{{ .Values.apiGroup }}]
  resources: [rollouts]
  verbs: [patch]
- apiGroups: [{{ .Values.apiGroup }}]
  resources: [rollouts/status, analysisruns/status, experiments/status]
  verbs: [patch]
- apiGroups: [{{ .Values.apiGroup }}]
  resources: [analysisruns, experiments]
  verbs: [create, patch, delete]
{{- /* Owner references with blockOwnerDeletion, where OwnerReferencesPermissionEnforcement is on. */}}
- apiGroups: [{{ .Values.apiGroup }}]
  resources: [rollouts/finalizers, analysisruns/finalizers, experiments/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch, create, patch, delete]
{{- /* spec.workloadRef. */}}
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [""]
  resources: [podtemplates]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, patch]
{{- /* Metrics that are Jobs. */}}
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, create, delete]
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- if .Values.copyConfig.enabled }}
- apiGroups: [""]
  resources: [configmaps, secrets]
  verbs: [get, list, watch, create, delete]
{{- end }}
{{- with .Values.trafficRouting.rules }}
{{ toYaml . }}
{{- end }}
{{- if .Values.analysis.secrets }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
{{- end }}
{{- end -}}

{{/* What the Git half does with Applications themselves, and with what they bring to the namespaces. */}}
{{- define "rollouts.applicationRules" -}}
- apiGroups: [rollouts.dev]
  resources: [applications]
  verbs: [get, list, watch, patch]
- apiGroups: [rollouts.dev]
  resources: [applications/status]
  verbs: [patch]
- apiGroups: [rollouts.dev]
  resources: [applications/finalizers]
  verbs: [update]
{{- /* Credentials of repositories; and the last good set is kept in Secrets, for when Git is down. */}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, create, patch, delete]
{{- /* Values and variables that an Application takes from the cluster. */}}
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get]
{{- /* The delivery kinds are synced like any other. */}}
- apiGroups: [{{ .Values.apiGroup }}]
  resources: [rollouts, analysistemplates]
  verbs: [get, list, watch, create, patch, delete]
{{- end -}}
