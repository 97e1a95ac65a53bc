"""Declared against live: which fields differ, and what exactly is sent to put that right.

Decides by field ownership: what we own and Git says otherwise, what Git says and we do not own, what we own
and Git no longer says. What the server fills in or others add is none of our business. While a Rollout is
in progress the delivery half owns the pod template hash in Service selectors, and an autoscaler owns
replicas; both are carried over, so no user has to exclude them. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rollouts.api import podtemplate
from rollouts.api.application import IgnoreDifference
from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL, Names
from rollouts.gitops.resources import ignoring, options
from rollouts.gitops.resources.live import LEAF, Live, Tree, join
from rollouts.gitops.resources.manifests import Manifest, body_digest
from rollouts.gitops.resources.options import Options, Policy

PATHS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Context:
    """For whom and as what a set is applied."""

    namespace: str
    """Of the Application."""
    name: str
    names: Names
    revision: str
    marks_revision: bool = False
    """What changes now comes from `revision`; otherwise a hand edit is undone and old marks stay."""
    known_good: bool = False
    ignored: tuple[IgnoreDifference, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One object that is not as declared, and the body that makes it so."""

    manifest: Manifest
    body: Mapping[str, Any]
    paths: tuple[str, ...]
    """Fields that differ; empty for an object that is missing."""
    live: Live | None

    @property
    def fingerprint(self) -> tuple[str, str]:
        """What was compared: a pair that a dry run or an apply found equal is equal from then on."""
        return body_digest(self.body), self.live.owned_hash if self.live else ""

    @property
    def options(self) -> Options:
        return options.of(self.manifest.body["metadata"])

    @property
    def takes_over(self) -> bool:
        """What people declare beside Git is taken from them."""
        return self.options.policy is not Policy.MERGE

    @property
    def fields(self) -> str:
        shown = ", ".join(self.paths[:PATHS_SHOWN])
        more = len(self.paths) - PATHS_SHOWN
        return f"{shown} and {more} more" if more > 0 else shown

    @property
    def told(self) -> str:
        """Which fields differ, and who holds them (never their values)."""
        if self.live is None:
            return f"{self.manifest.key} was gone"
        holders = self.live.holders(self.paths)
        by = f" (changed by {', '.join(holders)})" if holders else ""
        return f"{self.manifest.key}: {self.fields}{by}"


def change(
    declared: Manifest, live: Live | None, context: Context, *, autoscaled: bool, vouched: str = ""
) -> Change | None:
    """What has to be done to one object; None when it is as declared. `autoscaled`: an HPA targets it.

    `vouched`: digest of the good template that a Rollout gets back in another object (`vouching`).
    """
    plain = _payload(declared, live, context, autoscaled=autoscaled)
    if live is None:
        return Change(declared, _marked(plain, None, context, ()), (), None)
    rules = ignoring.applicable(context.ignored, declared.key)
    plain = ignoring.without(plain, live, rules) if rules else plain
    due = {context.names.fast_rollback_annotation: vouched} if vouched else {}
    kept = _with_annotations(plain, {**live.annotations, **due}, context.names)
    usurped = {p for p in live.usurped if not ignoring.is_ignored(p, declared.body, rules)}
    if options.of(declared.body["metadata"]).policy is Policy.MERGE:
        usurped = set()
    paths = tuple(sorted(set(_differences(kept, live.tree)) | usurped))
    if not paths:
        return None
    carries_scale = autoscaled and not live.is_autoscaled
    marked = _with_annotations(_marked(plain, live, context, paths), due, context.names)
    body = _carried(marked, live, carries_scale=carries_scale)
    return Change(declared, body, paths, live)


def removals(tree: Tree, path: str) -> Iterator[str]:
    """Every leaf below a node that is no longer declared."""
    if LEAF in tree:
        yield path
        return
    for name, below in tree.items():
        yield from removals(below, join(path, name))


def _payload(declared: Manifest, live: Live | None, context: Context, *, autoscaled: bool) -> dict[str, Any]:
    """The declared body with owner labels, and with an autoscaler's replicas."""
    names, body = context.names, dict(declared.body)
    metadata = dict(body["metadata"])
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        names.application_name_label: context.name,
        names.application_namespace_label: context.namespace,
    }
    body["metadata"] = metadata
    if live and "replicas" in (body.get("spec") or {}):
        body["spec"] = _with_scale(body["spec"], live, autoscaled=autoscaled)
    return body


def _with_scale(spec: Mapping[str, Any], live: Live, *, autoscaled: bool) -> Mapping[str, Any]:
    """An autoscaler's replicas stay. Dropped only once it owns them: else the server would reset them to 1."""
    if live.is_autoscaled:
        return {k: v for k, v in spec.items() if k != "replicas"}
    if autoscaled and live.replicas is not None:
        return {**spec, "replicas": live.replicas}
    return spec


def _carried(body: dict[str, Any], live: Live, *, carries_scale: bool) -> dict[str, Any]:
    """With what delivery owns sent back as it is, and a precondition, because it may move meanwhile."""
    is_service = body["kind"] == "Service" and body["apiVersion"] == "v1"
    if is_service and live.selected_hash and "selector" in body["spec"]:
        selector = {**body["spec"]["selector"], POD_TEMPLATE_HASH_LABEL: live.selected_hash}
        body = {**body, "spec": {**body["spec"], "selector": selector}}
    if is_service or carries_scale:
        return {**body, "metadata": {**body["metadata"], "resourceVersion": live.resource_version}}
    return body


def _marked(
    body: dict[str, Any], live: Live | None, context: Context, paths: tuple[str, ...]
) -> dict[str, Any]:
    """A Rollout says which revision last changed it, and whether its template was good before."""
    if not _is_rollout(body, context.names):
        return body
    names, old = context.names, live.annotations if live else {}
    marks = dict(old)
    if context.marks_revision or names.git_revision_annotation not in old:
        marks[names.git_revision_annotation] = context.revision
    if live and any(p.startswith("spec.template") for p in paths):
        marks.pop(names.fast_rollback_annotation, None)
        if context.known_good:
            template = (body.get("spec") or {}).get("template") or {}
            marks[names.fast_rollback_annotation] = podtemplate.digest(template)
    return _with_annotations(body, marks, names)


def _with_annotations(body: dict[str, Any], marks: Mapping[str, str], names: Names) -> dict[str, Any]:
    if not _is_rollout(body, names):
        return body
    ours = (names.git_revision_annotation, names.fast_rollback_annotation)
    metadata = body["metadata"]
    annotations = {**(metadata.get("annotations") or {}), **{k: marks[k] for k in ours if k in marks}}
    return {**body, "metadata": {**metadata, "annotations": annotations}} if annotations else body


def _is_rollout(body: Mapping[str, Any], names: Names) -> bool:
    return (body["kind"], body["apiVersion"]) == ("Rollout", names.api_version)


def _differences(body: Mapping[str, Any], tree: Tree) -> Iterator[str]:
    for name, value in body.items():
        if name == "metadata":
            rest = {k: v for k, v in value.items() if k not in ("name", "namespace")}
            yield from _walk(rest, tree.get("f:metadata", {}), "metadata")
        elif name not in ("apiVersion", "kind"):
            yield from _field(value, tree.get(f"f:{name}"), name)
    for name, below in tree.items():
        if name.removeprefix("f:") not in body:
            yield from removals(below, join("", name))


def _field(value: Any, node: Tree | None, path: str) -> Iterator[str]:
    if node is None:
        if isinstance(value, Mapping):
            yield from _walk(value, {}, path)
        elif value != []:
            yield path
    elif LEAF in node:
        if value != node[LEAF]:
            yield path
    else:
        yield from _walk(value, node, path)


def _walk(value: Any, tree: Tree, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _walk_map(value, tree, path)
    elif isinstance(value, list):
        yield from _walk_list(value, tree, path)
    else:
        yield path


def _walk_map(value: Mapping[str, Any], tree: Tree, path: str) -> Iterator[str]:
    for name, below in value.items():
        yield from _field(below, tree.get(f"f:{name}"), join(path, f"f:{name}"))
    for name, node in tree.items():
        if name[2:] not in value:
            yield from removals(node, join(path, name))


def _walk_list(value: list[Any], tree: Tree, path: str) -> Iterator[str]:
    """Associative lists item by item (`k:`), sets by value (`v:`); anything else is a leaf before."""
    left = dict(tree)
    for item in value:
        name = next((n for n in left if _is_item(n, item)), None)
        if name is None:
            yield path
            continue
        node = left.pop(name)
        if LEAF not in node:
            yield from _walk(item, node, join(path, name))
    for name, node in left.items():
        yield from removals(node, join(path, name))


def _is_item(name: str, item: Any) -> bool:
    wanted = json.loads(name[2:])
    if name.startswith("k:"):
        # A key that the manifest leaves to its default (protocol) is in the name, not in the manifest.
        return isinstance(item, Mapping) and all(item.get(k, v) == v for k, v in wanted.items())
    return bool(wanted == item)
