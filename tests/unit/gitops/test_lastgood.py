"""The last good set survives in Secrets, whole or not at all."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest

from rollouts.gitops import lastgood
from rollouts.gitops.lastgood import UnreadableError
from rollouts.gitops.resources import manifests
from rollouts.gitops.resources.manifests import Manifest
from tests.unit.gitops.builders import application, config_map, declared

SET = (declared(config_map("a")), declared(config_map("b", color="red")))
DIGEST = manifests.digest(SET, namespace="prod")


def big() -> tuple[Manifest, ...]:
    """Does not compress well: more than one Secret."""
    noise = [base64.b64encode(os.urandom(300_000)).decode() for _ in range(4)]
    return tuple(declared(config_map(f"big-{i}", noise=text)) for i, text in enumerate(noise))


def test_a_set_is_read_back() -> None:
    secrets = lastgood.secrets(application(), DIGEST, SET)

    assert [s["metadata"]["ownerReferences"][0]["uid"] for s in secrets] == ["uid-shop"]
    assert lastgood.read(secrets, DIGEST, namespace="prod").manifests == SET


def test_a_big_set_is_split_and_read_back_in_any_order() -> None:
    found = big()
    digest = manifests.digest(found, namespace="prod")

    secrets = lastgood.secrets(application(), digest, found)

    assert len(secrets) > 1
    assert all(len(s["data"]["set"]) < 1024 * 1024 for s in secrets)
    assert lastgood.read(tuple(reversed(secrets)), digest, namespace="prod").manifests == found


def test_two_sets_live_side_by_side_until_one_is_outdated() -> None:
    new = (declared(config_map("c")),)
    digest = manifests.digest(new, namespace="prod")
    both = (*lastgood.secrets(application(), DIGEST, SET), *lastgood.secrets(application(), digest, new))

    assert lastgood.read(both, DIGEST, namespace="prod").manifests == SET
    assert lastgood.read(both, digest, namespace="prod").manifests == new
    assert [lastgood.is_outdated(s, [digest]) for s in both] == [True, False]


@pytest.mark.parametrize("damage", ["missing part", "nonsense", "another set", "nothing"])
def test_a_damaged_set_is_not_taken_for_the_good_one(damage: str) -> None:
    found = big()
    digest = manifests.digest(found, namespace="prod")
    secrets: list[dict[str, Any]] = list(lastgood.secrets(application(), digest, found))
    if damage == "missing part":
        secrets = secrets[1:]
    elif damage == "nonsense":
        secrets[0]["data"]["set"] = base64.b64encode(b"nonsense").decode()
    elif damage == "another set":
        secrets = list(lastgood.secrets(application(), digest, SET))
    else:
        secrets = []

    with pytest.raises(UnreadableError):
        lastgood.read(secrets, digest, namespace="prod")
