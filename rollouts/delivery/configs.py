"""`spec.copyConfig`: ConfigMaps and Secrets that go with a revision, as copies that are named by their content.

Decides what a pod template refers to, what a copy is called, which copies are to be made and which nobody needs
any more. A template that refers to copies is another template when the content is another one, so everything
about updates follows by itself. Sees no content but in `content_hash`. Called by the controller and by `plan`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rollouts.api import podtemplate
from rollouts.api.meta import Names
from rollouts.api.rollout_status import ConfigCopy
from rollouts.delivery.actions import CopyConfig, DeleteConfigCopy
from rollouts.delivery.snapshot import Config
from rollouts.delivery.view import View

__all__ = ["content_hash", "copy_name", "is_copied", "key", "missing", "references", "rewritten", "unused"]

CONFIG_MAP, SECRET = "ConfigMap", "Secret"
_LONGEST_NAME = 253
_HASH = 12
_WRITTEN_BY_CONTROLLERS = frozenset({"kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"})
_CERTIFICATE = "cert-manager.io/certificate-name"

Rename = Callable[[Config], str]

_EACH = "[]"
_PLACES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (CONFIG_MAP, ("volumes", _EACH, "configMap", "name")),
    (SECRET, ("volumes", _EACH, "secret", "secretName")),
    (CONFIG_MAP, ("volumes", _EACH, "projected", "sources", _EACH, "configMap", "name")),
    (SECRET, ("volumes", _EACH, "projected", "sources", _EACH, "secret", "name")),
    *(
        (kind, (containers, _EACH, *place))
        for containers in ("initContainers", "containers")
        for kind, place in (
            (CONFIG_MAP, ("envFrom", _EACH, "configMapRef", "name")),
            (SECRET, ("envFrom", _EACH, "secretRef", "name")),
            (CONFIG_MAP, ("env", _EACH, "valueFrom", "configMapKeyRef", "name")),
            (SECRET, ("env", _EACH, "valueFrom", "secretKeyRef", "name")),
        )
    ),
)


def references(template: Mapping[str, Any]) -> tuple[Config, ...]:
    """What the pods of a template read, each once."""
    found: dict[Config, None] = {}

    def note(config: Config) -> str:
        found[config] = None
        return config.name

    rewritten(template, note)
    return tuple(found)


def rewritten(template: Mapping[str, Any], rename: Rename) -> Mapping[str, Any]:
    """The template with other names for what it refers to. What is malformed stays as it is."""
    spec = template.get("spec")
    for kind, path in _PLACES:
        spec = _renamed(spec, path, kind, rename)
    return {**template, "spec": spec} if "spec" in template else template


def is_copied(body: Mapping[str, Any], names: Names) -> bool:
    """Not a copy itself, nor left out by its annotation, nor renewed by a controller all the time."""
    metadata = body.get("metadata") or {}
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    wish = annotations.get(names.config_copy_annotation)
    if names.config_copy_label in labels or wish == "false":
        return False
    renewed = body.get("type") in _WRITTEN_BY_CONTROLLERS or _CERTIFICATE in annotations
    return wish == "true" or not renewed


def content_hash(rollout: str, body: Mapping[str, Any], names: Names) -> str:
    """Of what pods read, for the copies of one Rollout. Keys that the annotation names are left out."""
    annotations = (body.get("metadata") or {}).get("annotations") or {}
    ignored = {key.strip() for key in annotations.get(names.config_ignore_annotation, "").split(",")}
    read = {
        part: {key: value for key, value in (body.get(part) or {}).items() if key not in ignored}
        for part in ("data", "binaryData")
    }
    text = json.dumps([rollout, body.get("type", ""), read], sort_keys=True)
    return podtemplate.safe_encode(hashlib.sha256(text.encode()).hexdigest()[:_HASH])


def copy_name(source: str, content: str) -> str:
    return f"{source[: _LONGEST_NAME - _HASH - 1]}-{content}"


def key(kind: str, name: str) -> str:
    """A copy as ReplicaSets remember it."""
    return f"{kind}/{name}"


def missing(seen: View) -> tuple[CopyConfig, ...]:
    """Copies that the current set needs and that are not there."""
    there = {(copy.kind, copy.name) for copy in seen.snapshot.existing_copies}
    return tuple(
        CopyConfig(copy.kind, copy.name, copy.copy)
        for copy in seen.snapshot.wanted_copies
        if (copy.kind, copy.copy) not in there
    )


def unused(seen: View, deleted: Iterable[str]) -> tuple[DeleteConfigCopy, ...]:
    """Copies that neither the spec nor any ReplicaSet refers to; `deleted`: sets that go in this very plan."""
    gone = frozenset(deleted)
    used = {each for rs in seen.sets if rs.name not in gone for each in rs.config_copies}
    used |= {key(copy.kind, copy.copy) for copy in seen.snapshot.wanted_copies}
    return tuple(
        DeleteConfigCopy(copy.kind, copy.name, copy.uid)
        for copy in seen.snapshot.existing_copies
        if key(copy.kind, copy.name) not in used
    )


def known(copies: Iterable[ConfigCopy]) -> Mapping[Config, str]:
    """What a status remembers, for when a source cannot be read."""
    return {Config(copy.kind, copy.name): copy.copy for copy in copies}


def _renamed(value: Any, path: tuple[str, ...], kind: str, rename: Rename) -> Any:
    head, *rest = path
    if head == _EACH:
        return (
            [_renamed(item, tuple(rest), kind, rename) for item in value]
            if isinstance(value, list)
            else value
        )
    if not isinstance(value, Mapping) or not value.get(head):
        return value
    if rest:
        return {**value, head: _renamed(value[head], tuple(rest), kind, rename)}
    name = value[head]
    return {**value, head: rename(Config(kind, name))} if isinstance(name, str) else value
