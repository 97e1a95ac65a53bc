"""What can happen between us and a Git server, each by its name: what was there stays, and it is had again later."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rollouts.api.application_status import ApplicationReason
from rollouts.gitops.sources import git as git_module
from rollouts.gitops.sources import source
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import Git, SourceError
from rollouts.gitops.sources.source import Mirror
from tests import git_host
from tests.git_host import Host, Line

LOGIN = Credentials("git", "s3cr3t-w0rd")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with git_host.serving(tmp_path / "root", LOGIN.username, LOGIN.password) as served:
        yield served


@pytest.fixture
async def line(host: Host) -> AsyncIterator[Line]:
    async with git_host.line_to(host) as made:
        yield made


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path / "home", seconds=20)


@pytest.fixture
async def mirror(git: Git, line: Line, tmp_path: Path) -> AsyncIterator[Mirror]:
    made = Mirror(git, f"{line.url}/shop.git", tmp_path / "mirror.git")
    yield made
    await made.close()


async def tip(git: Git, line: Line) -> str | None:
    refs = await source.remote_refs(git, f"{line.url}/shop.git", ["main"], LOGIN)
    resolved = refs.resolve("main")
    return resolved[2] if resolved else None


def noise(size: int) -> str:
    return random.Random(1).randbytes(size).hex()


async def content(mirror: Mirror, commit: str) -> bytes:
    return (await (await mirror.at(commit)).read(["a.yaml"]))["a.yaml"]


def leftovers(directory: Path) -> list[str]:
    return [p.name for p in (directory / "objects/pack").glob("tmp_*")]


async def test_cut_in_mid_pack(host: Host, line: Line, mirror: Mirror, tmp_path: Path) -> None:
    good = host.repository("shop", **{"a.yaml": "1"})
    await mirror.fetch({"refs/heads/main": good}, LOGIN)
    big = host.repository("shop", **{"a.yaml": "2", "big": noise(200_000)})
    line.cut_after = 100_000

    for _ in range(2):
        with pytest.raises(SourceError) as cut:
            await mirror.fetch({"refs/heads/main": big}, LOGIN)

    assert cut.value.reason is ApplicationReason.GIT_OPERATION_FAILED
    assert not cut.value.definite
    assert leftovers(tmp_path / "mirror.git") == []
    assert await content(mirror, good) == b"1"
    line.cut_after = None
    await mirror.fetch({"refs/heads/main": big}, LOGIN)
    assert await content(mirror, big) == b"2"


async def test_a_server_that_stalls_in_mid_pack_is_given_up(
    host: Host, line: Line, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(git_module._SETTINGS, "http.lowSpeedTime", "1")
    commit = host.repository("shop", **{"a.yaml": "1", "big": noise(200_000)})
    line.cut_after, line.stalls = 100_000, True

    with pytest.raises(SourceError) as slow:
        await mirror.fetch({"refs/heads/main": commit}, LOGIN)

    assert not slow.value.definite
    assert LOGIN.password not in str(slow.value)
    assert leftovers(tmp_path / "mirror.git") == []


async def test_a_fetch_that_takes_for_ever_is_given_up(
    host: Host, line: Line, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_FETCH_SECONDS", 0.5)
    commit = host.repository("shop", **{"a.yaml": "1", "big": noise(200_000)})
    line.cut_after, line.stalls = 100_000, True

    with pytest.raises(SourceError, match="took longer than") as slow:
        await mirror.fetch({"refs/heads/main": commit}, LOGIN)

    assert not slow.value.definite


async def test_force_pushed(host: Host, line: Line, mirror: Mirror, git: Git) -> None:
    first = host.repository("shop", **{"a.yaml": "1"})
    second = host.repository("shop", **{"a.yaml": "2"})
    await mirror.fetch({"refs/heads/main": second}, LOGIN)
    git_host.git(host.root / "shop.git", "reset", "--quiet", "--hard", first)
    third = host.repository("shop", **{"a.yaml": "3"})

    assert await tip(git, line) == third
    await mirror.fetch({"refs/heads/main": third}, LOGIN)

    assert [await content(mirror, c) for c in (second, third)] == [b"2", b"3"]


async def test_replaced_by_another_history(host: Host, mirror: Mirror, line: Line, git: Git) -> None:
    old = host.repository("shop", **{"a.yaml": "1"})
    await mirror.fetch({"refs/heads/main": old}, LOGIN)
    await mirror.keep("application", old)
    shutil.rmtree(host.root / "shop.git")
    new = host.repository("shop", **{"a.yaml": "2"})

    assert await tip(git, line) == new
    await mirror.fetch({"refs/heads/main": new}, LOGIN)

    assert [await content(mirror, c) for c in (old, new)] == [b"1", b"2"]


async def test_emptied(host: Host, mirror: Mirror, line: Line, git: Git) -> None:
    old = host.repository("shop", **{"a.yaml": "1"})
    await mirror.fetch({"refs/heads/main": old}, LOGIN)
    git_host.git(host.root / "shop.git", "update-ref", "-d", "refs/heads/main")

    assert await tip(git, line) is None
    assert await content(mirror, old) == b"1"


async def test_disk_full(
    host: Host, mirror: Mirror, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = host.repository("shop", **{"a.yaml": "1"})
    await mirror.fetch({"refs/heads/main": good}, LOGIN)
    big = host.repository("shop", **{"a.yaml": "2", "big": noise(200_000)})
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{_small_disk(tmp_path)}{os.pathsep}{path}")

    with pytest.raises(SourceError, match="No space left on device") as full:
        await mirror.fetch({"refs/heads/main": big}, LOGIN)

    assert not full.value.definite
    assert await content(mirror, good) == b"1"
    monkeypatch.setenv("PATH", path)
    await mirror.fetch({"refs/heads/main": big}, LOGIN)
    assert await content(mirror, big) == b"2"


def _small_disk(tmp_path: Path) -> Path:
    """A directory with a git that fetches into a file system of 64 KiB."""
    unshare = ("unshare", "--user", "--map-root-user", "--mount")
    mount = f'mount -t tmpfs -o size=64k none "{tmp_path}/mirror.git/objects/pack"'
    real = shutil.which("git")
    if subprocess.run([*unshare, "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("this kernel grants no mount namespace")
    directory = tmp_path / "bin"
    directory.mkdir()
    script = f"""#!/bin/sh
case " $* " in
  *" fetch "*) exec {" ".join(unshare)} sh -c '{mount} && exec {real} "$@"' git "$@";;
  *) exec {real} "$@";;
esac
"""
    (directory / "git").write_text(script)
    (directory / "git").chmod(0o755)
    return directory


async def test_a_client_certificate_lets_us_in(git: Git, tmp_path: Path) -> None:
    made, tls = git_host.certificates(tmp_path / "pki")
    known = Credentials(
        LOGIN.username,
        LOGIN.password,
        authority=made.authority.read_text(),
        certificate=made.certificate("admin").read_text(),
        key=made.key("admin").read_text(),
    )
    stranger = Credentials(LOGIN.username, LOGIN.password, authority=known.authority)

    with git_host.serving(tmp_path / "root", LOGIN.username, LOGIN.password, tls) as host:
        commit = host.repository("shop", **{"a.yaml": "1"})
        refs = await source.remote_refs(git, f"{host.url}/shop.git", ["main"], known)
        with pytest.raises(SourceError) as refused:
            await source.remote_refs(git, f"{host.url}/shop.git", ["main"], stranger)

    assert refs.commits["refs/heads/main"] == commit
    assert "PRIVATE KEY" not in str(refused.value)


def test_a_bearer_token_goes_to_its_host_only(git: Git) -> None:
    environment = git._environment("https://git.example.com/x.git", Credentials(bearer="t0ken"), {})
    settings = {
        environment[f"GIT_CONFIG_KEY_{i}"]: environment[f"GIT_CONFIG_VALUE_{i}"]
        for i in range(int(environment["GIT_CONFIG_COUNT"]))
    }

    assert settings["http.https://git.example.com/.extraHeader"] == "Authorization: Bearer t0ken"
    assert settings["http.followRedirects"] == "false"
