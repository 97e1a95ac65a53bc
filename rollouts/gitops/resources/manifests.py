"""Objects as Git declares them: identity, normal form, digest, and where they go.

Decides which object a manifest means and what of it counts; nothing about the cluster's state. Pure;
called by `render`, `plan` and the store of last good revisions.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from rollouts.api.schema import JSON

LAST_APPLIED_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
_HOOKS = frozenset({"rollouts.dev/hook", "argocd.argoproj.io/hook", "helm.sh/hook"})
_SERVER_FIELDS = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)


class ManifestError(Exception):
    """A manifest that cannot be applied: where it stands, which field, what is wrong with it."""

    def __init__(self, origin: str, field: str, problem: str) -> None:
        self.origin = origin
        self.field = field
        self.problem = problem
        super().__init__(f"{origin}: {field}: {problem}" if field else f"{origin}: {problem}")


class ObjectKey(NamedTuple):
    """One object of the cluster, whatever version of its kind is spoken."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One declared object. `origin` is the file and line that it stands in."""

    key: ObjectKey
    version: str
    body: JSON
    origin: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.key.group}/{self.version}" if self.key.group else self.version

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.body["metadata"].get("annotations") or {}


def manifest(value: object, origin: str) -> Manifest:
    """`value` as a manifest in normal form. Raises `ManifestError`."""
    body = _object(value, origin)
    api_version = _text(body, "apiVersion", origin)
    kind = _text(body, "kind", origin)
    metadata = _metadata(body, origin)
    group, _, version = api_version.rpartition("/")
    key = ObjectKey(group, kind, metadata.get("namespace") or "", metadata["name"])
    rest = {k: v for k, v in body.items() if k not in ("metadata", "status")}
    normal = _without_nulls({**rest, "metadata": metadata})
    return Manifest(key, version, _normal_secret(normal) if _is_secret(key) else normal, origin)


def digest(manifests: Iterable[Manifest], *, namespace: str) -> str:
    """What the set amounts to, independent of order, files and formatting."""
    lines = sorted(_canonical([m.api_version, *m.key, m.body]) for m in manifests)
    return "sha256:" + hashlib.sha256("\n".join([namespace, *lines]).encode()).hexdigest()


def body_digest(body: JSON) -> str:
    return hashlib.sha256(_canonical(body).encode()).hexdigest()[:16]


def placed(
    manifests: Iterable[Manifest], *, namespace: str, is_namespaced: Callable[[Manifest], bool]
) -> tuple[Manifest, ...]:
    """Every manifest with the namespace that it goes to. Raises `ManifestError` for a duplicate."""
    seen: dict[ObjectKey, Manifest] = {}
    for declared in manifests:
        found = _place(declared, namespace if is_namespaced(declared) else "", is_namespaced(declared))
        if found.key in seen:
            other = seen[found.key].origin
            raise ManifestError(found.origin, "metadata.name", f"{found.key} is declared twice; see {other}")
        seen[found.key] = found
    return tuple(seen.values())


def scaled_by_others(manifests: Iterable[Manifest]) -> frozenset[ObjectKey]:
    """Objects whose replicas belong to an autoscaler of the same set, or to the Rollout that takes their pods over."""
    return frozenset(
        ObjectKey(
            str(target.get("apiVersion", "")).rpartition("/")[0],
            str(target.get("kind")),
            m.key.namespace,
            str(target.get("name")),
        )
        for m in manifests
        if (target := _scales(m))
    )


def _scales(m: Manifest) -> Mapping[str, Any]:
    spec = m.body.get("spec")
    if not isinstance(spec, Mapping):
        return {}
    if m.key.group == "autoscaling" and m.key.kind == "HorizontalPodAutoscaler":
        return spec.get("scaleTargetRef") or {}
    ref = spec.get("workloadRef") or {} if m.key.kind == "Rollout" else {}
    return ref if ref.get("scaleDown", "never") != "never" else {}


def _place(declared: Manifest, default: str, is_namespaced: bool) -> Manifest:  # noqa: FBT001
    wanted = (declared.key.namespace or default) if is_namespaced else ""
    metadata = {k: v for k, v in declared.body["metadata"].items() if k != "namespace"}
    if wanted:
        metadata["namespace"] = wanted
    return replace(
        declared,
        key=declared.key._replace(namespace=wanted),
        body={**declared.body, "metadata": metadata},
    )


def _object(value: object, origin: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ManifestError(origin, "", f"a Kubernetes object is a mapping, this is {_kind(value)}")
    return value


def _text(body: Mapping[str, Any], field: str, origin: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not value:
        raise ManifestError(origin, field, "is required" if value in (None, "") else "must be a string")
    return value


def _metadata(body: Mapping[str, Any], origin: str) -> dict[str, Any]:
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping):
        raise ManifestError(origin, "metadata", "is required")
    name = metadata.get("name") or _generated(body)
    if not isinstance(name, str) or not name:
        remedy = "; generateName makes a new object with every sync" if "generateName" in metadata else ""
        raise ManifestError(origin, "metadata.name", f"is required and must be a string{remedy}")
    for field in ("labels", "annotations"):
        _check_strings(metadata.get(field), f"metadata.{field}", origin)
    if not isinstance(metadata.get("namespace") or "", str):
        raise ManifestError(origin, "metadata.namespace", "must be a string")
    kept = {k: v for k, v in metadata.items() if k not in _SERVER_FIELDS} | {"name": name}
    kept.pop("generateName", None)
    if annotations := {k: v for k, v in (kept.pop("annotations", None) or {}).items() if _counts(k)}:
        kept["annotations"] = annotations
    return kept


def _generated(body: Mapping[str, Any]) -> str:
    """A hook may leave its name to us: it is the same for the same content."""
    metadata = body["metadata"]
    annotations = metadata.get("annotations")
    prefix = metadata.get("generateName")
    if not prefix or not isinstance(annotations, Mapping) or not _HOOKS & annotations.keys():
        return ""
    return f"{prefix}{body_digest(body)[:7]}"


def _counts(annotation: str) -> bool:
    return annotation != LAST_APPLIED_ANNOTATION


def _check_strings(value: object, field: str, origin: str) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise ManifestError(origin, field, f"must be a mapping of strings, not {_kind(value)}")
    for key, item in value.items():
        if item is not None and not isinstance(item, str):
            raise ManifestError(
                origin, f"{field}.{key}", f'must be a string, not {_kind(item)}; quote it: "{item}"'
            )


def _without_nulls(value: Any) -> Any:
    """A null stands for an absent field, as in a template that left a value out."""
    if isinstance(value, Mapping):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(v) for v in value]
    return value


def _is_secret(key: ObjectKey) -> bool:
    return key.group == "" and key.kind == "Secret"


def _normal_secret(body: dict[str, Any]) -> dict[str, Any]:
    """`stringData` as `data`: the server never gives stringData back, so it could not be compared."""
    texts = body.get("stringData")
    if not isinstance(texts, Mapping) or not all(isinstance(t, str) for t in texts.values()):
        return body
    encoded = {k: base64.b64encode(t.encode()).decode() for k, t in texts.items()}
    rest = {k: v for k, v in body.items() if k != "stringData"}
    return {**rest, "data": {**(body.get("data") or {}), **encoded}}


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _kind(value: object) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return names.get(type(value), "empty" if value is None else "a mapping")
