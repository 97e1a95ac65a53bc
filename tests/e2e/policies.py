"""Admission policies that deny, as a platform team sets them: real ones, in force in one namespace."""

from __future__ import annotations

from tests.api.harness import Object, eventually
from tests.e2e.world import World

_GROUP = "admissionregistration.k8s.io"


async def forbid_images(world: World, image: str) -> None:
    """No new ReplicaSet of this namespace may run images that are named like this."""
    expression = f"object.spec.template.spec.containers.all(c, !c.image.startsWith('{image}'))"
    message = f"images named {image} are not for this namespace"
    await _forbid(world, "images", "apps", "replicasets", expression, message)
    template: Object = {
        "metadata": {"labels": {"app": "probe"}},
        "spec": {"containers": [{"name": "main", "image": f"{image}:0"}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "probe"}}, "template": template}
    await _in_force(world, {"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": spec}, message)


async def forbid_config(world: World, key: str) -> None:
    """No new ConfigMap of this namespace may have this key."""
    expression = f"!has(object.data) || !('{key}' in object.data)"
    message = f"configuration named {key} is not for this namespace"
    await _forbid(world, "config", "", "configmaps", expression, message)
    await _in_force(world, {"apiVersion": "v1", "kind": "ConfigMap", "data": {key: "probe"}}, message)


async def _forbid(world: World, what: str, group: str, plural: str, expression: str, message: str) -> None:
    name = f"{world.namespace}-{what}"
    rule = {
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": [plural],
    }
    here = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    policy = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": expression, "message": message}],
    }
    binding = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": here},
    }
    specs = {"ValidatingAdmissionPolicy": policy, "ValidatingAdmissionPolicyBinding": binding}
    for kind, spec in specs.items():
        body = {"apiVersion": f"{_GROUP}/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        answer = await world.applied(body)
        assert answer.code == 0, answer.err


async def _in_force(world: World, probe: Object, message: str) -> None:
    """A policy takes a moment until it denies."""

    async def denied() -> bool:
        tried = await world.applied({**probe, "metadata": {"name": "probe"}}, "--dry-run=server")
        return message in tried.err

    await eventually(denied)
