"""What Git LFS keeps is rendered where a source asks for it, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rollouts.api.application_status import ApplicationReason
from rollouts.controller.applications.hosting import Turns
from rollouts.controller.applications.large import LargeFiles
from rollouts.controller.applications.positions import RemoteKey
from rollouts.controller.applications.remotes import Outside
from rollouts.gitops.confined import Confined
from rollouts.gitops.resources.render import MAX_FILE_BYTES, RenderError
from rollouts.gitops.sources import credentials
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import Git, SourceError
from rollouts.gitops.sources.github_app import GitHubApps
from rollouts.gitops.sources.lfs import Storage
from rollouts.gitops.sources.web import Web
from tests import lfs_host
from tests.lfs_host import PASSWORD, USERNAME, LfsHost
from tests.unit.gitops.renderers.conftest import Repository
from tests.unit.gitops.renderers.test_build import CHART, config_map, data, rendered

BLUE = config_map("a", color="blue")


@pytest.fixture
def host() -> Iterator[LfsHost]:
    with lfs_host.serving() as served:
        yield served


@pytest.fixture
def large(tmp_path: Path) -> LargeFiles:
    async def read(_: str, name: str) -> Credentials:
        assert name == "git"
        return credentials.of_secret({"username": USERNAME, "password": PASSWORD})

    outside = Outside(Git(tmp_path / "none"), read, GitHubApps(lambda: datetime.now(UTC)))
    return LargeFiles(outside, Storage(tmp_path / "lfs", Web(ApplicationReason.GIT_OPERATION_FAILED, 5)))


def remote(host: LfsHost) -> RemoteKey:
    return RemoteKey(f"{host.url}/team/shop.git", "team", "git")


@pytest.mark.parametrize(
    "case",
    [
        ({"app/a.yaml": BLUE}, {}, {"path": "app"}),
        ({"app/a.yaml": BLUE}, {"app/kustomization.yaml": "resources: [a.yaml]\n"}, {"path": "app"}),
        ({"app/kustomization.yaml": "resources: [a.yaml]\n"}, {"app/a.yaml": BLUE}, {"path": "app"}),
        ({"prod.yaml": "color: blue\n"}, CHART, {"path": "chart", "helm": {"valueFiles": ["/prod.yaml"]}}),
        ({"chart/values.yaml": "color: blue\n"}, CHART, {"path": "chart"}),
    ],
)
async def test_what_is_kept_elsewhere_is_rendered_as_if_it_were_here(
    confined: Confined,
    repository: Repository,
    host: LfsHost,
    large: LargeFiles,
    case: tuple[Mapping[str, str], Mapping[str, str], dict[str, Any]],
) -> None:
    kept, files, source = case
    pointers = {name: host.keep(text.encode()) for name, text in kept.items()}
    commit = repository.commit({**files, **pointers})

    with pytest.raises(RenderError):
        await rendered(confined, replace(commit), **source)
    asked = list(host.asked)
    found = await data(confined, replace(commit, large=large.of(remote(host))), **source)

    assert found[1] == {"color": "blue"}
    assert asked == []


async def test_it_is_asked_for_once_and_only_if_it_is_read(
    confined: Confined, repository: Repository, host: LfsHost, large: LargeFiles
) -> None:
    files = {"a.yaml": host.keep(BLUE.encode()), "b.yaml": host.keep(b""), "logo.png": host.keep(b"x" * 100)}
    commit = replace(repository.commit(files), large=large.of(remote(host)))

    first = await data(confined, commit)
    asked = list(host.asked)
    host.broken = (503, b"")
    again = await data(confined, commit)

    assert first == again == ("a", {"color": "blue"})
    assert len(asked) == 3
    assert host.asked == asked


async def test_the_limits_of_a_file_hold_for_what_it_points_to(
    confined: Confined, repository: Repository, host: LfsHost, large: LargeFiles
) -> None:
    files = {"a.yaml": host.keep(b"#" * (MAX_FILE_BYTES + 1))}
    commit = replace(repository.commit(files), large=large.of(remote(host)))

    with pytest.raises(RenderError, match=rf"a\.yaml: is {MAX_FILE_BYTES + 1} bytes long"):
        await rendered(confined, commit)


async def test_without_the_option_the_file_and_the_option_are_named(
    confined: Confined, repository: Repository
) -> None:
    files = {"a.yaml": lfs_host.LfsHost().keep(b"x")}

    with pytest.raises(
        RenderError, match=r"a\.yaml: is a pointer of Git LFS.*set enableLfs: true on the source"
    ):
        await rendered(confined, repository.commit(files))


async def test_a_host_that_fails_is_the_source_s_trouble_and_not_the_commit_s(
    confined: Confined, repository: Repository, host: LfsHost, large: LargeFiles
) -> None:
    commit = replace(repository.commit({"a.yaml": host.keep(BLUE.encode())}), large=large.of(remote(host)))
    host.broken = (503, b"")

    with pytest.raises(SourceError, match="HTTP 503") as failed:
        await rendered(confined, commit)

    assert not failed.value.definite
    host.broken = None
    assert await data(confined, commit) == ("a", {"color": "blue"})


async def test_while_a_host_does_not_answer_nobody_else_waits_for_it(
    confined: Confined, repository: Repository, host: LfsHost, large: LargeFiles
) -> None:
    commit = replace(repository.commit({"a.yaml": host.keep(BLUE.encode())}), large=large.of(remote(host)))
    turns = Turns(host.url, asking=1, is_slow=True)
    large.turns[host.url] = turns

    with pytest.raises(SourceError, match="does not answer at the moment"):
        await rendered(confined, commit)
    turns.asking = 0

    assert await data(confined, commit) == ("a", {"color": "blue"})
    assert not turns.is_slow
