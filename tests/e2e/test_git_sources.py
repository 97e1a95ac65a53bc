"""Repositories behind SSH and behind TLS with a private authority: a real SSH server, a real Git server."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from rollouts import sandbox
from rollouts.api.application_status import ApplicationReason
from rollouts.gitops.sources.credentials import Credentials, MissingError, of_secret
from rollouts.gitops.sources.git import Git, SourceError
from rollouts.gitops.sources.source import Mirror, remote_refs
from rollouts.sandbox import Component

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, slots=True)
class Host:
    """An SSH server that serves one repository to one key."""

    url: str
    commit: str
    identity: str
    known_hosts: str

    @property
    def credentials(self) -> Credentials:
        return Credentials(identity=self.identity, known_hosts=self.known_hosts)


def git(directory: Path, *arguments: str) -> str:
    identity = {
        f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        env={**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def new_repository(directory: Path) -> str:
    directory.mkdir()
    git(directory, "init", "--quiet", "--initial-branch=main")
    (directory / "a.yaml").write_text("a: 1\n")
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "--message=first")
    return git(directory, "rev-parse", "HEAD")


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    commit = new_repository(tmp_path / "repository")
    client, server = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    (tmp_path / "authorized").write_bytes(client.export_public_key())

    async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
        verb, path = shlex.split(process.command or "")
        assert verb == "git-upload-pack"
        child = await asyncio.create_subprocess_exec(
            verb, path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        await process.redirect(stdin=child.stdin, stdout=child.stdout)
        process.exit(await child.wait())
        # What it has redirected is done with only then.
        await process.wait_closed()

    listener = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[server],
        authorized_client_keys=str(tmp_path / "authorized"),
        process_factory=serve,
        encoding=None,
    )
    port = listener.get_port()
    known = f"[127.0.0.1]:{port} {server.export_public_key().decode()}"
    identity = client.export_private_key().decode()
    yield Host(f"ssh://git@127.0.0.1:{port}{tmp_path}/repository", commit, identity, known)
    listener.close()
    await listener.wait_closed()


@pytest.fixture
def runner(tmp_path: Path) -> Git:
    return Git(tmp_path / "home")


async def refusal(runner: Git, url: str, credentials: Credentials | None) -> str:
    with pytest.raises(SourceError) as refused:
        await remote_refs(runner, url, ["main"], credentials)
    assert refused.value.reason is ApplicationReason.AUTHENTICATION_FAILED
    return str(refused.value)


async def test_a_repository_is_fetched_over_ssh(host: Host, runner: Git, tmp_path: Path) -> None:
    refs = await remote_refs(runner, host.url, ["main"], host.credentials)
    mirror = Mirror(runner, host.url, tmp_path / "mirror")
    await mirror.fetch({"refs/heads/main": host.commit}, host.credentials)
    files = await (await mirror.at(host.commit)).read(["a.yaml"])
    await mirror.close()

    assert refs.resolve("main") == ("main", "refs/heads/main", host.commit)
    assert files == {"a.yaml": b"a: 1\n"}


async def test_a_host_that_is_not_the_known_one_is_not_spoken_to(host: Host, runner: Git) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    poser = host.known_hosts.partition(" ")[0] + f" {other}"

    told = await refusal(runner, host.url, Credentials(identity=host.identity, known_hosts=poser))

    assert "its host key is not the one in known_hosts" in told


async def test_a_key_that_is_not_welcome_is_refused(host: Host, runner: Git) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()

    told = await refusal(runner, host.url, Credentials(identity=stranger, known_hosts=host.known_hosts))

    assert "Permission denied" in told
    assert "PRIVATE KEY" not in told


async def test_without_a_key_there_is_no_way_in(host: Host, runner: Git) -> None:
    assert "name a Secret in spec.secretRef" in await refusal(runner, host.url, None)


async def test_a_private_authority_is_trusted_for_the_one_repository(runner: Git, tmp_path: Path) -> None:
    with sandbox.up(tmp_path / "sandbox", wanted=frozenset({Component.GIT}), git_https=True) as hosted:
        repository = hosted.create_repository("team/shop")
        commit = new_repository(tmp_path / "repository")
        git(tmp_path / "repository", "push", "--quiet", str(repository.path), "main")
        authority = hosted.certificate_authority.read_text()
        password = Credentials(hosted.git_username, hosted.git_password)
        known = Credentials(hosted.git_username, hosted.git_password, authority=authority)

        refs = await remote_refs(runner, repository.url, ["main"], known)
        with pytest.raises(SourceError, match="certificate"):
            await remote_refs(runner, repository.url, ["main"], password)

    assert refs.commits["refs/heads/main"] == commit


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "it needs username and password"),
        ({"username": "a"}, "it needs username and password"),
        ({"identity": "key"}, "needs known_hosts"),
        ({"sshPrivateKey": "key"}, "needs known_hosts"),
        ({"tls.crt": "certificate"}, r"tls\.crt and tls\.key"),
    ],
)
def test_a_secret_that_is_not_enough_says_what_is_missing(values: dict[str, str], problem: str) -> None:
    with pytest.raises(MissingError, match=problem):
        of_secret(values)


def test_a_secret_is_read_by_the_names_of_flux_and_of_argo_cd() -> None:
    assert of_secret({"token": "t"}).password == "t"
    assert of_secret({"bearerToken": "t"}).bearer == "t"
    assert of_secret({"tlsClientCertData": "c", "tlsClientCertKey": "k"}).certificate == "c"
    assert of_secret({"sshPrivateKey": "k", "known_hosts": "h"}).identity == "k"
    assert of_secret({"ca.crt": "c", "password": "p"}).authority == "c"
    assert "p" not in repr(of_secret({"password": "p"})).replace("password", "")
