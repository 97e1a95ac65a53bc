"""How the objects of a source are rendered: Helm, Kustomize, substitution, decryption.

Field names and meaning of `helm` and `kustomize` are Argo CD's, of `postBuild` and `decryption` Flux's
Kustomization. Single source of the CRD and the reference for these fields; decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from rollouts.api.schema import JSON, OBJECT_NAME, Field, Rule

__all__ = [
    "Decryption",
    "DecryptionProvider",
    "HelmFileParameter",
    "HelmParameter",
    "HelmSource",
    "KustomizePatch",
    "KustomizePatchTarget",
    "KustomizeReplica",
    "KustomizeSource",
    "PostBuild",
    "ValuesKind",
    "ValuesReference",
]


class ValuesKind(StrEnum):
    CONFIG_MAP = "ConfigMap"
    SECRET = "Secret"  # noqa: S105 - the name of a kind


@dataclass(frozen=True, slots=True)
class ValuesReference:
    """A ConfigMap or Secret in the Application's own namespace."""

    kind: Annotated[ValuesKind, Field("ConfigMap or Secret.")]
    name: Annotated[str, Field("Name, in the Application's namespace.", min_length=1, pattern=OBJECT_NAME)]
    values_key: Annotated[str, Field("Key that holds the values, for Helm.")] = "values.yaml"
    optional: Annotated[bool, Field("True: nothing is wrong if it is not there.")] = False


@dataclass(frozen=True, slots=True)
class HelmParameter:
    name: Annotated[str, Field("Name, as for `helm --set`.", min_length=1)]
    value: Annotated[str, Field("Value.")] = ""
    force_string: Annotated[bool, Field("Take the value as a string, whatever it looks like.")] = False


@dataclass(frozen=True, slots=True)
class HelmFileParameter:
    name: Annotated[str, Field("Name, as for `helm --set-file`.", min_length=1)]
    path: Annotated[str, Field("File in the repository, relative to the chart.", min_length=1)]


@dataclass(frozen=True, slots=True)
class HelmSource:
    """What wins: parameters, valuesObject, values, valuesFrom, valueFiles (the last first), the chart's own."""

    release_name: Annotated[str, Field("Name of the release. Default: the Application's.")] = ""
    namespace: Annotated[str, Field("Namespace of the release. Default: the destination's.")] = ""
    value_files: Annotated[
        tuple[str, ...],
        Field("Values files, relative to the chart; with a leading / relative to the repository."),
    ] = ()
    ignore_missing_value_files: Annotated[
        bool, Field("Leave out values files that are not in the commit.")
    ] = False
    values_from: Annotated[
        tuple[ValuesReference, ...], Field("Values from ConfigMaps and Secrets, the last one wins.")
    ] = ()
    values: Annotated[str, Field("Values as YAML text.")] = ""
    values_object: Annotated[JSON | None, Field("Values as an object; wins over `values`.")] = None
    parameters: Annotated[tuple[HelmParameter, ...], Field("Single values.")] = ()
    file_parameters: Annotated[tuple[HelmFileParameter, ...], Field("Single values read from files.")] = ()
    skip_crds: Annotated[bool, Field("Leave out the chart's directory crds/.")] = False
    skip_tests: Annotated[bool, Field("Leave out test hooks. They are never run; always true here.")] = True
    skip_schema_validation: Annotated[bool, Field("Do not check values against the chart's schema.")] = False
    kube_version: Annotated[str, Field("What the chart takes for the cluster's version.")] = ""
    api_versions: Annotated[
        tuple[str, ...], Field("What the chart takes for API versions of the cluster, beside the built-in.")
    ] = ()


@dataclass(frozen=True, slots=True)
class KustomizeReplica:
    name: Annotated[str, Field("Name of the workload.", min_length=1)]
    count: Annotated[int, Field("Its replicas.", minimum=0)]


@dataclass(frozen=True, slots=True)
class KustomizePatchTarget:
    """Which objects a patch is for; regular expressions, selectors."""

    group: Annotated[str, Field("API group.")] = ""
    version: Annotated[str, Field("API version.")] = ""
    kind: Annotated[str, Field("Kind.")] = ""
    name: Annotated[str, Field("Name.")] = ""
    namespace: Annotated[str, Field("Namespace.")] = ""
    label_selector: Annotated[str, Field("Labels.")] = ""
    annotation_selector: Annotated[str, Field("Annotations.")] = ""


@dataclass(frozen=True, slots=True)
class KustomizePatch:
    RULES = (Rule("has(self.patch) != has(self.path)", "exactly one of patch and path must be set"),)

    patch: Annotated[str, Field("Strategic merge patch or JSON patch, as YAML.")] = ""
    path: Annotated[str, Field("File that holds it, relative to the kustomization.")] = ""
    target: Annotated[KustomizePatchTarget | None, Field("Which objects it is for.")] = None
    options: Annotated[Mapping[str, bool], Field("allowNameChange, allowKindChange.")] = field(
        default_factory=dict
    )


@dataclass(frozen=True, slots=True)
class KustomizeSource:
    """Laid over the kustomization at the path, as `kustomize edit` would."""

    name_prefix: Annotated[str, Field("Prefix of every name.")] = ""
    name_suffix: Annotated[str, Field("Suffix of every name.")] = ""
    namespace: Annotated[str, Field("Namespace of every object.")] = ""
    images: Annotated[
        tuple[str, ...], Field("Images: `name=new-name:tag`, `name:tag` or `name@sha256:…`.")
    ] = ()
    replicas: Annotated[tuple[KustomizeReplica, ...], Field("Replicas of single workloads.")] = ()
    common_labels: Annotated[Mapping[str, str], Field("Labels of every object.")] = field(
        default_factory=dict
    )
    label_without_selector: Annotated[bool, Field("Keep common labels out of selectors.")] = False
    label_include_templates: Annotated[
        bool, Field("With labelWithoutSelector: put them on pod templates, too.")
    ] = False
    common_annotations: Annotated[Mapping[str, str], Field("Annotations of every object.")] = field(
        default_factory=dict
    )
    patches: Annotated[tuple[KustomizePatch, ...], Field("Patches, after those of the kustomization.")] = ()
    components: Annotated[tuple[str, ...], Field("Components, relative to the kustomization.")] = ()


@dataclass(frozen=True, slots=True)
class PostBuild:
    """`${name}`, `${name:-default}` and their like in the rendered objects (Flux: spec.postBuild)."""

    substitute: Annotated[Mapping[str, str], Field("Variables.")] = field(default_factory=dict)
    substitute_from: Annotated[
        tuple[ValuesReference, ...],
        Field("ConfigMaps and Secrets whose keys are variables; `substitute` wins over them."),
    ] = ()


class DecryptionProvider(StrEnum):
    SOPS = "sops"


@dataclass(frozen=True, slots=True)
class DecryptionSecret:
    name: Annotated[
        str, Field("Name of a Secret in the Application's namespace.", min_length=1, pattern=OBJECT_NAME)
    ]


@dataclass(frozen=True, slots=True)
class Decryption:
    """How encrypted files in Git are read (Flux: spec.decryption)."""

    provider: Annotated[DecryptionProvider, Field("sops.")]
    secret_ref: Annotated[
        DecryptionSecret, Field("Secret with age keys: every key of it that ends in .agekey.")
    ]
