"""A Rollout's pod template that stands in another object (workloadRef), when a known good set is put back.

Decides whether a change puts the template back, and which one; `diff` marks the Rollout with it. Pure; called
by `plan`.
"""

from __future__ import annotations

from collections.abc import Mapping

from rollouts.api import podtemplate
from rollouts.gitops.resources.diff import Change
from rollouts.gitops.resources.manifests import Manifest, ObjectKey
from rollouts.gitops.snapshot import Snapshot


def holder(s: Snapshot, declared: Manifest) -> Manifest | None:
    """What a Rollout of the set takes its template from, where it is in the set, too."""
    spec = declared.body.get("spec")
    ref = spec.get("workloadRef") if isinstance(spec, Mapping) else None
    ours = (declared.body["kind"], declared.body["apiVersion"]) == ("Rollout", s.names.api_version)
    if not ours or not isinstance(ref, Mapping):
        return None
    group = str(ref.get("apiVersion", "")).rpartition("/")[0]
    key = ObjectKey(group, str(ref.get("kind")), declared.key.namespace, str(ref.get("name")))
    return next((m for m in s.declared.manifests if m.key == key), None)


def digest(change: Change) -> str:
    """Of the template that this change puts back; empty where it leaves the template alone."""
    is_pod_template = change.manifest.key.kind == "PodTemplate"
    at = "template" if is_pod_template else "spec.template"
    if not any(path.startswith(at) for path in change.paths):
        return ""
    within = change.manifest.body if is_pod_template else change.manifest.body["spec"]
    return podtemplate.digest(within["template"])
