"""What argo-rollouts calls an invalid spec is one here, told with its field; what it takes is taken.

Facts of its behaviour (pkg/apis/rollouts/validation), in a table of our own (`peer_specs.yaml`); routers of meshes
and ingresses left out. Each spec goes the way of one that comes from the API server: it is read, then decided on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rollouts.api.meta import ConditionType
from rollouts.api.parse import parse
from rollouts.api.rollout import Rollout, RolloutSpec
from rollouts.delivery import workload
from rollouts.errors import SpecError
from tests.builders import canary, rollout, template
from tests.fakes import FakeCluster

SERVICES = ("active", "preview", "canary", "stable")
TEMPLATES = {
    "once": template("success-rate"),
    "endless": template("errors", interval=30),
    "again": template("success-rate"),
}
TABLE = yaml.safe_load(Path(__file__).with_name("peer_specs.yaml").read_text())


def told(patch: dict[str, Any]) -> str:
    """What is wrong with the spec; nothing, if it is served."""
    base = rollout(canary())
    raw: dict[str, Any] = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": dict(base.spec.template),
        "strategy": {"canary": {}},
        **patch,
    }
    try:
        spec = parse(RolloutSpec, {key: value for key, value in raw.items() if value is not None}, "spec")
        workload.check(spec)
    except SpecError as error:
        return str(error)
    cluster = FakeCluster(Rollout(base.metadata, spec), services=SERVICES, templates=TEMPLATES)
    decided = cluster.decide()
    found = [c.message for c in decided.status.conditions if c.type == ConditionType.INVALID_SPEC]
    assert not (found and decided.actions)
    return "".join(found)


@pytest.mark.parametrize("row", TABLE["refused"], ids=str)
def test_what_is_refused_names_its_field(row: dict[str, Any]) -> None:
    assert told(row["spec"]).startswith(row["field"])


@pytest.mark.parametrize("spec", TABLE["taken"], ids=str)
def test_what_is_taken(spec: dict[str, Any]) -> None:
    assert told(spec) == ""
