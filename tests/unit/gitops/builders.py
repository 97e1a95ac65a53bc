"""Applications, declared objects and live objects in domain words."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rollouts.api.application import (
    Application,
    ApplicationSource,
    ApplicationSpec,
    SyncPolicy,
    SyncPolicyAutomated,
)
from rollouts.api.application_status import ApplicationStatus
from rollouts.api.meta import Names, ObjectMeta
from rollouts.gitops import plan, revision
from rollouts.gitops.resources import hooks, inventory, live, manifests
from rollouts.gitops.resources.live import FIELD_MANAGER, Live
from rollouts.gitops.resources.manifests import Manifest
from rollouts.gitops.revision import Candidate
from rollouts.gitops.snapshot import DeclaredSet, Snapshot, SourceView, Tokens

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
NAMES = Names()
OWNER = {NAMES.application_name_label: "shop", NAMES.application_namespace_label: "prod"}
A, B, C = (f"main@sha1:{digit * 40}" for digit in "abc")

Object = dict[str, Any]


def config_map(name: str = "settings", **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "prod"},
        "data": data or {"color": "blue"},
    }


def rollout(name: str = "web", image: str = "web:1") -> Object:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": image}]},
    }
    return {
        "apiVersion": "rollouts.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name, "namespace": "prod"},
        "spec": {"replicas": 2, "template": template},
    }


def service(name: str = "web") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "prod"},
        "spec": {"selector": {"app": name}},
    }


def declared(body: Object) -> Manifest:
    return manifests.manifest(body, f"{body['metadata']['name']}.yaml:1")


def applied(body: Object, *, version: str = "1", manager: str = FIELD_MANAGER, **more: Any) -> Object:
    """What the API server holds after an apply of `body`, with the owner labels, by `manager`."""
    metadata = {**body["metadata"], "labels": {**OWNER, **(body["metadata"].get("labels") or {})}}
    sent = copy.deepcopy({**body, "metadata": metadata})
    entry = {"manager": manager, "operation": "Apply", "fieldsV1": fields_of(sent)}
    stored = {
        **sent["metadata"],
        "uid": f"uid-{metadata['name']}",
        "resourceVersion": version,
        "generation": 1,
    }
    return {**sent, **more, "metadata": {**stored, "managedFields": [entry]}}


def fields_of(sent: Object) -> Object:
    """FieldsV1 of an applied object: lists of named items are associative, other lists atomic."""
    rest = {k: v for k, v in sent.items() if k not in ("apiVersion", "kind", "metadata", "status")}
    metadata = {k: v for k, v in sent["metadata"].items() if k not in ("name", "namespace")}
    return _fields({"metadata": metadata, **rest})


def with_manager(body: Object, manager: str, fields: Object, *, operation: str = "Update") -> Object:
    entry = {"manager": manager, "operation": operation, "fieldsV1": fields}
    managed = [*body["metadata"]["managedFields"], entry]
    return {**body, "metadata": {**body["metadata"], "managedFields": managed}}


def seen(body: Object) -> Live:
    return live.trim(body, NAMES)


def application(status: ApplicationStatus | None = None, **spec: Any) -> Application:
    policy = SyncPolicy(SyncPolicyAutomated(prune=True, self_heal=True))
    given: dict[str, Any] = {
        "source": ApplicationSource("https://git.example.com/shop.git"),
        "sync_policy": policy,
        **spec,
    }
    metadata = ObjectMeta("shop", "prod", "uid-shop", "1", 1)
    return Application(metadata, ApplicationSpec(**given), status or ApplicationStatus())


def snapshot(
    objects: Mapping[str, list[Object]],
    *,
    git: str,
    live_objects: list[Object],
    app: Application | None = None,
    now: datetime = NOW,
    tokens: Tokens | None = None,
) -> Snapshot:
    """What is seen when Git says `git`; `objects` are the sets of all revisions, digest = revision."""
    app = app or application()
    source = SourceView(Candidate(git, digest_of(git)))
    tokens = tokens or Tokens()
    state = plan.begin(revision.from_status(app.status), source, tokens, spec=app.spec, now=now)
    target = revision.target(state)
    sets = {digest_of(name): found for name, found in objects.items()}
    wanted = tuple(declared(o) for o in sets[target.digest]) if target else ()
    return Snapshot(
        app,
        NAMES,
        now,
        state,
        source,
        tokens,
        target=target,
        declared=DeclaredSet(*hooks.split(wanted)),
        inventory=inventory.parse(app.status.inventory),
        live={found.key: found for found in map(seen, live_objects)},
    )


def after(s: Snapshot, status: ApplicationStatus) -> Application:
    return replace(s.application, status=status)


def digest_of(name: str) -> str:
    """Of a set that is named after a revision."""
    return f"digest-of-{name[-1]}"


def _fields(value: Any) -> Object:
    if isinstance(value, Mapping) and value:
        return {f"f:{k}": _fields(v) for k, v in value.items()}
    if isinstance(value, list) and value and all(isinstance(i, Mapping) and "name" in i for i in value):
        return {f"k:{json.dumps({'name': i['name']})}": {".": {}, **_fields(i)} for i in value}
    return {}
