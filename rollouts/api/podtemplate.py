"""Identity of a pod template: its hash as Argo Rollouts makes it, and its digest by meaning.

Decides when two pod templates are the same. Malformed values are a `SpecError` with their path. Pure;
called by the controller when it reads Rollouts and ReplicaSets.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rollouts.api import injected, quantity
from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL
from rollouts.api.podtemplate_fields import STRUCTS
from rollouts.api.schema import JSON
from rollouts.errors import SpecError

_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_ROOT = "PodTemplateSpec"
_KINDS = {"s": (str, "a string"), "i": (int, "an integer"), "b": (bool, "true or false")}
_ZERO: Mapping[str, Any] = {"s": "", "i": 0, "b": False, "q": "0", "x": 0, "y": "", "f": None, "t": None}
_OMITTED = object()
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z0-9+._-]+:[0-9a-fA-F]{32,}))?"
)
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def pod_template_hash(template: JSON, collision_count: int | None = None) -> str:
    """The value of `rollouts-pod-template-hash` (argo-rollouts: utils/hash/hash.go)."""
    state = fnv32a(_text(_Encoder(fill=False, stored=True).struct(_ROOT, template, "spec.template")))
    if collision_count is not None:
        state = fnv32a(collision_count.to_bytes(8, "little"), state)
    return safe_encode(str(state))


def canonical(template: JSON, path: str = "spec.template") -> bytes:
    """The template as Go's encoder writes corev1.PodTemplateSpec. Raises `SpecError`."""
    return _text(_Encoder(fill=False).struct(_ROOT, template, path))


def digest(template: JSON, path: str = "spec.template") -> str:
    """Identifies the template by meaning; labels and annotations by role are taken out before. Raises `SpecError`.

    The API server's defaults are filled in, because a ReplicaSet's template has them and that of a custom
    resource does not; our own label and anti-affinity are left out; fields that are not known here are kept.
    """
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != POD_TEMPLATE_HASH_LABEL}
    meant = {**injected.without_affinity(template), "metadata": {**metadata, "labels": labels}}
    return hashlib.sha256(_text(_Encoder(fill=True).struct(_ROOT, meant, path))).hexdigest()


def fnv32a(data: bytes, state: int = 0x811C9DC5) -> int:
    """FNV-1a, 32 bit."""
    for byte in data:
        state = ((state ^ byte) * 0x01000193) & 0xFFFFFFFF
    return state


def safe_encode(text: str) -> str:
    """Letters and digits that make no words (k8s.io/apimachinery: pkg/util/rand)."""
    return "".join(_SAFE[ord(char) % len(_SAFE)] for char in text)


@dataclass(frozen=True, slots=True)
class _Type:
    """`form` is "*", "[]", "{}" with `of`, or "" with the `name` of a scalar or a struct."""

    form: str
    name: str
    of: _Type | None = None

    @property
    def is_struct(self) -> bool:
        return not self.form and self.name not in _ZERO


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    type: _Type
    always: bool
    may_be_absent: bool
    """Most fields of most templates are: Go leaves out what is empty, but no struct and no amount."""


@dataclass(frozen=True, slots=True)
class _Encoder:
    """JSON -> the same in Go's field order.

    With `fill` as the API server would store it in a ReplicaSet, with `stored` as in a Rollout: the peer's
    CRDs have one default that the encoding shows.
    """

    fill: bool
    stored: bool = False

    def struct(self, name: str, value: object, path: str) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise SpecError(path, value, "must be an object")
        given = _filled(name, value) if self.fill else value
        if self.stored and name == "ContainerPort" and not value.get("protocol"):
            given = {**value, "protocol": "TCP"}
        out: dict[str, Any] = {}
        for field in _structs()[name]:
            item = given.get(field.name)
            if item is None and field.may_be_absent:
                continue
            encoded = self._field(field, item, f"{path}.{field.name}")
            if encoded is not _OMITTED:
                out[field.name] = encoded
        out.update((key, given[key]) for key in sorted(given.keys() - _known_names(name)))
        return out

    def _field(self, field: _Field, value: object, path: str) -> object:
        kind = field.type
        if value is None:
            if kind.is_struct:
                return self.struct(kind.name, {}, path)
            return None if kind.form else _ZERO[kind.name]
        encoded = self._value(kind, value, path)
        plain = kind.form in ("[]", "{}") or (not kind.form and not kind.is_struct and kind.name != "q")
        return _OMITTED if plain and not field.always and not encoded else encoded

    def _value(self, kind: _Type, value: object, path: str) -> object:
        if kind.of is not None:
            match kind.form:
                case "*":
                    return self._value(kind.of, value, path)
                case "[]":
                    return self._list(kind.of, value, path)
                case _:
                    return self._map(kind.of, value, path)
        if kind.is_struct:
            return self.struct(kind.name, value, path)
        return self._scalar(kind.name, value, path, smallest=-9)

    def _list(self, of: _Type, value: object, path: str) -> list[object]:
        if not isinstance(value, list | tuple):
            raise SpecError(path, value, "must be a list")
        return [self._value(of, item, f"{path}[{index}]") for index, item in enumerate(value)]

    def _map(self, of: _Type, value: object, path: str) -> dict[str, object]:
        if not isinstance(value, Mapping):
            raise SpecError(path, value, "must be an object")
        # the API server rounds the amounts of resource lists up to milli
        smallest = -3 if self.fill else -9
        return {
            key: self._scalar(of.name, value[key], f"{path}.{key}", smallest=smallest)
            for key in sorted(value)
        }

    def _scalar(self, name: str, value: object, path: str, *, smallest: int) -> object:
        if name == "q":
            return _amount(value, path, smallest)
        if name == "x" and (isinstance(value, bool) or not isinstance(value, int | str)):
            raise SpecError(path, value, "must be an integer or a string")
        if name in _KINDS:
            kind, words = _KINDS[name]
            if not isinstance(value, kind) or (name == "i" and isinstance(value, bool)):
                remedy = f'quote it: "{value}"' if name == "s" else ""
                raise SpecError(path, value, f"must be {words}", remedy)
        return value


def _amount(value: object, path: str, smallest: int) -> str:
    text = str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    spelled = quantity.canonical(text, smallest=smallest)
    if spelled is None:
        raise SpecError(path, value, "is no quantity", "write an amount such as 500m, 0.5 or 128Mi")
    return spelled


@functools.cache
def _structs() -> Mapping[str, tuple[_Field, ...]]:
    lines = (line.split() for line in STRUCTS.strip().splitlines())
    return {name: tuple(_field(text) for text in fields) for name, *fields in lines}


@functools.cache
def _known_names(struct: str) -> frozenset[str]:
    return frozenset(field.name for field in _structs()[struct])


def _field(text: str) -> _Field:
    name, _, kind = text.partition(":")
    type_, always = _type(kind.removeprefix("!")), kind.startswith("!")
    is_amount = (type_.form, type_.name) == ("", "q")
    return _Field(name, type_, always, may_be_absent=not (always or type_.is_struct or is_amount))


def _type(text: str) -> _Type:
    for form in ("*", "[]", "{}"):
        if text.startswith(form):
            of = _type(text.removeprefix(form))
            return _Type(form, of.name, of)
    return _Type("", text)


def _text(value: object) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for char, escaped in _HTML.items():
        text = text.replace(char, escaped)
    return text.encode()


# What the API server fills in (k8s.io/kubernetes: pkg/apis/core/v1/defaults.go and the generated defaults of
# apps/v1 ReplicaSet): where a field is zero, or, for a pointer, absent.
_CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_MODE = {"defaultMode": 0o644}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "PodSpec": {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
        "schedulerName": "default-scheduler",
    },
    "Container": _CONTAINER,
    "EphemeralContainer": _CONTAINER,
    "ContainerPort": {"protocol": "TCP"},
    "Probe": {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    "HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "GRPCAction": {"service": ""},
    "ObjectFieldSelector": {"apiVersion": "v1"},
    "FileKeySelector": {"optional": False},
    "HostPathVolumeSource": {"type": ""},
    "SecretVolumeSource": _MODE,
    "ConfigMapVolumeSource": _MODE,
    "DownwardAPIVolumeSource": _MODE,
    "ProjectedVolumeSource": _MODE,
    "ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "ISCSIVolumeSource": {"iscsiInterface": "default"},
    "RBDVolumeSource": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "AzureDiskVolumeSource": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "readOnly": False,
        "kind": "Shared",
    },
    "ScaleIOVolumeSource": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
    "PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
}


def _filled(name: str, value: JSON) -> JSON:
    defaults = _DEFAULTS.get(name, {})
    pointers = {field.name for field in _structs()[name] if field.type.form == "*"}
    missing = {
        key: default
        for key, default in defaults.items()
        if value.get(key) is None or (key not in pointers and value.get(key) in ("", 0))
    }
    filled = {**value, **missing}
    special = _SPECIAL.get(name)
    return special(filled) if special else filled


def _filled_pod(spec: JSON) -> JSON:
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or ""
    filled = {**spec, "serviceAccountName": account, "serviceAccount": account}
    if not spec.get("hostNetwork"):
        return filled
    # older API servers wrote this default into templates, newer ones only into pods
    lists = {
        kind: spec[kind] for kind in ("containers", "initContainers") if isinstance(spec.get(kind), list)
    }
    return {**filled, **{kind: [_host_ports(c) for c in items] for kind, items in lists.items()}}


def _host_ports(container: object) -> object:
    if not isinstance(container, Mapping) or not isinstance(container.get("ports"), list):
        return container
    ports = [
        {**port, "hostPort": port.get("hostPort") or port.get("containerPort")}
        if isinstance(port, Mapping)
        else port
        for port in container["ports"]
    ]
    return {**container, "ports": ports}


def _filled_container(container: JSON) -> JSON:
    if container.get("imagePullPolicy"):
        return container
    return {**container, "imagePullPolicy": _pull_policy(container.get("image"))}


def _filled_image(image: JSON) -> JSON:
    if image.get("pullPolicy"):
        return image
    return {**image, "pullPolicy": _pull_policy(image.get("reference"))}


def _filled_volume(volume: JSON) -> JSON:
    sources = [key for key, value in volume.items() if key != "name" and value is not None]
    return volume if sources else {**volume, "emptyDir": {}}


def _pull_policy(image: object) -> str:
    found = _IMAGE.fullmatch(str(image or ""))
    is_latest = found is not None and (found["tag"] == "latest" or not (found["tag"] or found["digest"]))
    return "Always" if is_latest else "IfNotPresent"


_SPECIAL: Mapping[str, Callable[[JSON], JSON]] = {
    "PodSpec": _filled_pod,
    "Container": _filled_container,
    "EphemeralContainer": _filled_container,
    "ImageVolumeSource": _filled_image,
    "Volume": _filled_volume,
}
