"""An object of the cluster, trimmed to what comparing, healing and health need.

Decides what is kept: the values of the fields that we own (by server-side apply), who else holds fields,
and a few marks. Pure; `controller.applications` trims every watch event with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollouts.api.application import HealthCheckExpr
from rollouts.api.meta import APPLICATION_GROUP, POD_TEMPLATE_HASH_LABEL, Names
from rollouts.gitops.resources import expressions, health, options
from rollouts.gitops.resources.health import Health
from rollouts.gitops.resources.manifests import ObjectKey
from rollouts.gitops.resources.options import Options

FIELD_MANAGER = "rollouts-gitops"

HOOK_ANNOTATION = f"application.{APPLICATION_GROUP}/hook-of"
"""On a hook in the cluster: the attempt that it was created for."""

LEAF = "="
"""Key under which a tree of owned fields holds a value; other keys are `f:name`, `k:{…}`, `v:…`."""

Body = Mapping[str, Any]
Tree = dict[str, Any]

# Whoever edits an object with these writes a declaration beside Git's. Metadata verbs (annotate, label)
# and operations (rollout restart, scale) are people's tools for an incident, and stay.
_DECLARING_MANAGERS = frozenset(
    {
        "before-first-apply",
        "kubectl",
        "kubectl-client-side-apply",
        "kubectl-create",
        "kubectl-edit",
        "kubectl-patch",
        "kubectl-replace",
        "kubectl-set",
    }
)
# On a Rollout these are operations, too: `kubectl rollouts pause` and `restart`.
_OPERATIONS = frozenset({"spec.paused", "spec.restartAt"})
_USURPED_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Live:
    """One object as last seen."""

    key: ObjectKey
    version: str
    uid: str
    resource_version: str
    owner: tuple[str, str]
    """Namespace and name of the Application in its labels; empty without one."""
    health: Health
    owned: bytes
    """Tree of the fields that we own, with their values, as JSON."""
    owned_hash: str
    usurped: tuple[str, ...] = ()
    """Fields that kubectl declares beside us."""
    replicas: int | None = None
    is_autoscaled: bool = False
    """Something other than kubectl holds the replicas through the scale subresource."""
    selected_hash: str = ""
    """Of a Service: the pod template hash that delivery keeps in its selector."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """The few that decide something here."""
    options: Options = options.DEFAULT
    deleting: bool = False
    generation: int = 0
    takes_from: tuple[str, str, str] | None = None
    """Of a Rollout with a workloadRef: kind, name and observed generation of that object."""
    foreign: bytes = b""
    """Fields that managers other than ours hold outside of the status, by manager, as JSON."""

    @property
    def tree(self) -> Tree:
        return json.loads(self.owned)  # type: ignore[no-any-return]

    def holders(self, paths: Iterable[str]) -> tuple[str, ...]:
        """The field managers, other than ours, that hold one of these fields or something in it."""
        wanted = tuple(paths)
        managers: Mapping[str, Tree] = json.loads(self.foreign) if self.foreign else {}
        return tuple(
            sorted(
                name
                for name, fields in managers.items()
                if any(_overlap(held, path) for held in _paths(fields) for path in wanted)
            )
        )


def key_of(body: Body) -> ObjectKey:
    metadata = body["metadata"]
    group = body["apiVersion"].rpartition("/")[0]
    return ObjectKey(group, body["kind"], metadata.get("namespace", ""), metadata["name"])


def owner_of(body: Body, names: Names) -> tuple[str, str]:
    """Namespace and name of the Application in its labels; empty without one."""
    labels = body["metadata"].get("labels") or {}
    return (
        labels.get(names.application_namespace_label, ""),
        labels.get(names.application_name_label, ""),
    )


def trim(body: Body, names: Names, rules: Iterable[HealthCheckExpr] = ()) -> Live:
    """What is kept of an object; `rules` say how kinds are that have rules of their own."""
    metadata = body["metadata"]
    managed = metadata.get("managedFields") or ()
    tree = _project(_owned_fields(managed), body)
    selected_hash = _hold_selector(tree, body, names)
    owned = json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()
    return Live(
        key=key_of(body),
        version=body["apiVersion"].rpartition("/")[2],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        owner=owner_of(body, names),
        health=_health(body, rules),
        owned=owned,
        owned_hash=hashlib.sha256(owned).hexdigest()[:16],
        usurped=_usurped(managed, body["kind"]),
        replicas=_replicas(body),
        is_autoscaled=_is_autoscaled(managed),
        selected_hash=selected_hash,
        annotations=_marks(metadata.get("annotations") or {}, names),
        options=options.of(metadata),
        deleting="deletionTimestamp" in metadata,
        generation=metadata.get("generation", 0),
        takes_from=_takes_from(body),
        foreign=_foreign(managed),
    )


def _health(body: Body, rules: Iterable[HealthCheckExpr]) -> Health:
    rule = expressions.rule_for(rules, body)
    if rule is None or "deletionTimestamp" in body["metadata"]:
        return health.of(body)
    return expressions.judged(rule, body)


def taken_over(managed: list[Body]) -> list[Body] | None:
    """managedFields in which what kubectl declares is ours, so that an apply can drop it; None: nothing to do."""
    theirs = [m for m in managed if _declares(m)]
    if not theirs:
        return None
    ours = next((m for m in managed if _is_ours(m)), None)
    fields: Tree = dict((ours or {}).get("fieldsV1") or {})
    for entry in theirs:
        fields = _union(fields, entry.get("fieldsV1") or {})
    base = ours or theirs[0]
    merged = {**base, "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}
    return [merged, *(m for m in managed if m is not ours and not _declares(m))]


def _owned_fields(managed: Any) -> Tree:
    return next((dict(m.get("fieldsV1") or {}) for m in managed if _is_ours(m)), {})


def _is_ours(entry: Body) -> bool:
    return (
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    )


def _declares(entry: Body) -> bool:
    return entry.get("manager") in _DECLARING_MANAGERS and not entry.get("subresource")


def _project(fields: Tree, value: Any) -> Tree:
    """The values of the owned fields, in a tree of the same shape; fields that are not there are left out."""
    tree: Tree = {}
    for name, below in fields.items():
        if name == ".":
            continue
        found, child = _child(name, value)
        if not found:
            continue
        inner = {k: v for k, v in below.items() if k != "."}
        tree[name] = _project(inner, child) if inner else {LEAF: child}
    return tree


def _child(name: str, value: Any) -> tuple[bool, Any]:
    kind, text = name[:2], name[2:]
    if kind == "f:":
        return (text in value, value.get(text)) if isinstance(value, Mapping) else (False, None)
    if not isinstance(value, list):
        return False, None
    wanted = json.loads(text)
    if kind == "k:":
        item = next((i for i in value if isinstance(i, Mapping) and _has(i, wanted)), None)
        return item is not None, item
    return wanted in value, wanted


def _has(item: Body, keys: Body) -> bool:
    return all(item.get(k) == v for k, v in keys.items())


def _hold_selector(tree: Tree, body: Body, names: Names) -> str:
    """A Service's selector without delivery's hash; while delivery manages it, it counts as ours."""
    if body["kind"] != "Service" or body["apiVersion"] != "v1":
        return ""
    selector = (body.get("spec") or {}).get("selector") or {}
    selected = str(selector.get(POD_TEMPLATE_HASH_LABEL, ""))
    annotations = body["metadata"].get("annotations") or {}
    is_ours = "f:selector" in tree.get("f:spec", {})
    if selector and (is_ours or names.managed_by_annotation in annotations):
        plain = {k: v for k, v in selector.items() if k != POD_TEMPLATE_HASH_LABEL}
        tree.setdefault("f:spec", {})["f:selector"] = {LEAF: plain}
    return selected


def _usurped(managed: Any, kind: str) -> tuple[str, ...]:
    ours = set(_paths(_owned_fields(managed)))
    tolerated = _OPERATIONS if kind == "Rollout" else frozenset()
    theirs = {p for m in managed if _declares(m) for p in _paths(m.get("fieldsV1") or {})}
    return tuple(sorted(theirs - ours - tolerated))[:_USURPED_LIMIT]


def _paths(fields: Body, prefix: str = "") -> Iterator[str]:
    for name, below in fields.items():
        if name == ".":
            continue
        path = join(prefix, name)
        inner = {k: v for k, v in below.items() if k != "."}
        if inner:
            yield from _paths(inner, path)
        else:
            yield path


def join(prefix: str, name: str) -> str:
    """`spec.containers[name=web].image`, from the names in managedFields."""
    kind, text = name[:2], name[2:]
    if kind == "f:":
        plain = text if all(c.isalnum() or c in "-_" for c in text) else f"[{text}]"
        return f"{prefix}.{plain}" if prefix and not plain.startswith("[") else f"{prefix}{plain}"
    if kind == "k:":
        return prefix + "[" + ",".join(f"{k}={v}" for k, v in json.loads(text).items()) + "]"
    return f"{prefix}[{text}]"


def _overlap(a: str, b: str) -> bool:
    shorter, longer = sorted((a, b), key=len)
    return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}["))


def _foreign(managed: Any) -> bytes:
    found: dict[str, Tree] = {}
    for entry in managed:
        if not _is_ours(entry) and entry.get("subresource") != "status":
            name = str(entry.get("manager", ""))
            found[name] = _union(found.get(name, {}), entry.get("fieldsV1") or {})
    return json.dumps(found, separators=(",", ":")).encode() if found else b""


def _replicas(body: Body) -> int | None:
    replicas = (body.get("spec") or {}).get("replicas") if isinstance(body.get("spec"), Mapping) else None
    return replicas if isinstance(replicas, int) else None


def _is_autoscaled(managed: Any) -> bool:
    return any(
        m.get("subresource") == "scale"
        and not str(m.get("manager", "")).startswith("kubectl")
        and "f:replicas" in ((m.get("fieldsV1") or {}).get("f:spec") or {})
        for m in managed
    )


def _takes_from(body: Body) -> tuple[str, str, str] | None:
    spec = body.get("spec")
    ref = spec.get("workloadRef") if body["kind"] == "Rollout" and isinstance(spec, Mapping) else None
    if not isinstance(ref, Mapping):
        return None
    observed = (body.get("status") or {}).get("workloadObservedGeneration", "")
    return str(ref.get("kind", "")), str(ref.get("name", "")), str(observed)


def _marks(annotations: Mapping[str, str], names: Names) -> Mapping[str, str]:
    kept = (names.git_revision_annotation, names.fast_rollback_annotation, HOOK_ANNOTATION)
    return {k: annotations[k] for k in kept if k in annotations}


def _union(a: Tree, b: Body) -> Tree:
    merged = dict(a)
    for name, below in b.items():
        merged[name] = _union(merged[name], below) if name in merged else below
    return merged
