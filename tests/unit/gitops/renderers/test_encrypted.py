"""Files of a commit that sops has encrypted: read with the age keys, or refused without a word of them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from rollouts.gitops.confined import Confined
from rollouts.gitops.resources.render import RenderError
from tests.unit.gitops.renderers.conftest import Repository
from tests.unit.gitops.renderers.test_build import GIVEN, config_map, data

AS_YAML = ("--input-type", "yaml", "--output-type", "yaml", "/dev/stdin")


@pytest.fixture(scope="session")
def key(tools: Path) -> tuple[str, str]:
    return made_key(tools)


def made_key(tools: Path) -> tuple[str, str]:
    """An age identity and its recipient."""
    made = subprocess.run([tools / "age-keygen"], capture_output=True, text=True, check=True)
    recipient = next(line for line in made.stdout.splitlines() if "public key" in line).rpartition(" ")[2]
    return made.stdout, recipient


def encrypted(tools: Path, recipient: str, text: str) -> str:
    done = subprocess.run(
        [tools / "sops", "encrypt", "--age", recipient, "--encrypted-regex", "^(data|stringData)$", *AS_YAML],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


async def test_encrypted_files_are_read_with_the_age_keys(
    confined: Confined, tools: Path, repository: Repository, key: tuple[str, str]
) -> None:
    identity, recipient = key
    locked = encrypted(tools, recipient, config_map("locked", color="blue"))
    commit = repository.commit(
        {"app/a.yaml": locked, "k/kustomization.yaml": "resources: [a.yaml]", "k/a.yaml": locked}
    )
    given = replace(GIVEN, age_keys=identity)

    assert "blue" not in locked
    assert await data(confined, commit, given, path="app") == ("locked", {"color": "blue"})
    assert await data(confined, commit, given, path="k") == ("locked", {"color": "blue"})


async def test_a_file_for_somebody_else_or_tampered_with_is_refused_without_a_word_of_it(
    confined: Confined, tools: Path, repository: Repository, key: tuple[str, str]
) -> None:
    identity, recipient = key
    other, _ = made_key(tools)
    locked = encrypted(tools, recipient, config_map("locked", color="blue"))
    commit = repository.commit(
        {"app/a.yaml": locked, "bad/a.yaml": locked.replace("name: locked", "name: x")}
    )

    with pytest.raises(RenderError, match="none of the keys") as wrong:
        await data(confined, commit, replace(GIVEN, age_keys=other), path="app")
    with pytest.raises(RenderError, match="changed after it was encrypted"):
        await data(confined, commit, replace(GIVEN, age_keys=identity), path="bad")

    assert "AGE-SECRET" not in str(wrong.value)
