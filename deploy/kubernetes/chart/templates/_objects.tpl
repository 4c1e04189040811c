{{/*
The objects of a file of ../base or ../examples as {objects: [...]}, with the labels that the kustomization gives all of
them. A template includes it, changes what the values ask for, and writes the objects.
*/}}
{{- define "shipyard.file" -}}
{{- $labels := index (.root.Files.Get "base/kustomization.yaml" | fromYaml).labels 0 -}}
objects:
{{- range splitList "\n---\n" (.root.Files.Get .file) }}
{{- $object := fromYaml . }}
{{- $_ := set $object.metadata "labels" (merge (deepCopy $labels.pairs) (default dict $object.metadata.labels)) }}
  -
{{ toYaml $object | indent 4 }}
{{- end }}
{{- end -}}

{{/* Objects as documents of YAML. */}}
{{- define "shipyard.write" -}}
{{- range . }}
---
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A variable of a container: from the name and a text, a number, or where its value comes from. */}}
{{- define "shipyard.variable" -}}
{{- if kindIs "map" .value -}}
{{ dict "name" .name "valueFrom" .value | toYaml }}
{{- else if and (kindIs "float64" .value) (eq (floor .value) .value) -}}
{{- /* All numbers of values are such ones, and large ones would be written with an exponent. */ -}}
{{ dict "name" .name "value" (.value | int64 | toString) | toYaml }}
{{- else -}}
{{ dict "name" .name "value" (.value | toString) | toYaml }}
{{- end }}
{{- end -}}
