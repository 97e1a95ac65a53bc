"""Commits and tags signed by the real gpg and ssh-keygen: who is trusted, who is not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from rollouts.gitops.confined import Confined
from rollouts.gitops.sources import signatures
from rollouts.gitops.sources.signatures import UnverifiedError


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody with keys and a repository to sign in."""

    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, directory: Path) -> Author:
        directory.mkdir()
        home = directory / "gnupg"
        home.mkdir(mode=0o700)
        identity = {
            f"GIT_{who}_{what}": "a@example.com"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        environment = {**os.environ, **identity, "GNUPGHOME": str(home), "GIT_CONFIG_GLOBAL": os.devnull}
        author = cls(directory, environment)
        author.run("git", "init", "--quiet", "--initial-branch=main")
        author.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key", "-C", "")
        return author

    def close(self) -> None:
        """The agent that gpg has started to sign."""
        self.run("gpgconf", "--kill", "all")

    def run(self, *argv: str, stdin: bytes = b"") -> bytes:
        done = subprocess.run(
            argv, cwd=self.directory, env=self.environment, input=stdin, capture_output=True, check=True
        )
        return done.stdout

    def new_pgp_key(self, *options: str, expires: str = "never") -> bytes:
        quiet = ("gpg", "--batch", "--quiet", *options, "--passphrase", "", "--pinentry-mode", "loopback")
        self.run(*quiet, "--quick-generate-key", "a@example.com <a@example.com>", "ed25519", "sign", expires)
        return self.run("gpg", "--armor", "--export")

    @property
    def ssh_key(self) -> bytes:
        return (self.directory / "key.pub").read_bytes()

    def commit(self, *, ssh: bool = False, signed: bool = True) -> bytes:
        settings = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={self.directory}/key.pub") if ssh else ()
        sign = ("--gpg-sign",) if signed else ()
        self.run("git", *settings, "commit", "--quiet", "--allow-empty", "--message=a\n\nbody", *sign)
        return self.run("git", "cat-file", "commit", "HEAD")

    def tag(self, name: str) -> bytes:
        settings = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={self.directory}/key.pub")
        self.run("git", *settings, "tag", "--sign", "--message=release", name)
        return self.run("git", "cat-file", "tag", name)


@pytest.fixture
def author(tmp_path: Path) -> Iterator[Author]:
    made = Author.of(tmp_path / "author")
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Author]:
    made = Author.of(tmp_path / "other")
    yield made
    made.close()


CONFINED = Confined()


async def refused(raw: bytes, keys: Mapping[str, bytes]) -> str:
    with pytest.raises(UnverifiedError) as error:
        await signatures.verify(CONFINED, signatures.of_commit(raw), keys)
    return str(error.value)


async def test_a_commit_signed_with_a_trusted_ssh_key_is_verified(author: Author, other: Author) -> None:
    signed = signatures.of_commit(author.commit(ssh=True))

    await signatures.verify(CONFINED, signed, {"a.sshpub": other.ssh_key, "b.sshpub": author.ssh_key})


async def test_a_commit_signed_with_a_trusted_pgp_key_is_verified(author: Author, other: Author) -> None:
    keys = {"other.asc": other.new_pgp_key(), "author.asc": author.new_pgp_key()}
    signed = signatures.of_commit(author.commit())

    await signatures.verify(CONFINED, signed, keys)


async def test_a_verification_leaves_no_agent(author: Author) -> None:
    keys = {"author.asc": author.new_pgp_key()}
    signed = signatures.of_commit(author.commit())
    author.close()

    await signatures.verify(CONFINED, signed, keys)

    assert _agents() == []


def _agents() -> list[Path]:
    return [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"rollouts-verify-" in _read(p)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_anybody_else_is_refused(author: Author, other: Author) -> None:
    pgp = other.new_pgp_key()
    author.new_pgp_key()

    assert "no trusted key made" in await refused(author.commit(ssh=True), {"a.sshpub": other.ssh_key})
    assert "no trusted key made" in await refused(author.commit(ssh=True), {"a.asc": author.ssh_key})
    assert "no trusted key made" in await refused(author.commit(), {"a.asc": pgp})
    assert "no trusted key made" in await refused(author.commit(), {})
    assert await refused(author.commit(signed=False), {"a.sshpub": author.ssh_key}) == "is not signed"


async def test_a_changed_commit_is_refused(author: Author) -> None:
    ssh, key = author.commit(ssh=True), author.new_pgp_key()
    pgp = author.commit()

    assert "no trusted key" in await refused(ssh.replace(b"body", b"evil"), {"a.sshpub": author.ssh_key})
    assert "no trusted key" in await refused(pgp.replace(b"body", b"evil"), {"a.asc": key})


async def test_a_signature_for_another_purpose_is_refused(author: Author) -> None:
    signed = signatures.of_commit(author.commit(ssh=True))
    assert signed is not None
    made = author.run("ssh-keygen", "-Y", "sign", "-n", "file", "-f", "key", stdin=signed.payload)

    with pytest.raises(UnverifiedError):
        await signatures.verify(CONFINED, replace(signed, signature=made), {"a.sshpub": author.ssh_key})


async def test_an_expired_key_is_refused(author: Author) -> None:
    old = ("--faked-system-time", "20200101T000000")
    key = author.new_pgp_key(*old, expires="1d")
    wrapper = author.directory / "old-gpg"
    wrapper.write_text('#!/bin/sh\nexec gpg --faked-system-time 20200101T000000 "$@"\n')
    wrapper.chmod(0o755)
    author.run("git", "config", "gpg.program", str(wrapper))

    assert "expired or revoked" in await refused(author.commit(), {"a.asc": key})


async def test_a_signed_tag_is_verified_and_names_its_commit(author: Author, other: Author) -> None:
    author.commit(signed=False)
    raw = author.tag("v1")
    commit = author.run("git", "rev-parse", "HEAD").decode().strip()

    await signatures.verify(CONFINED, signatures.of_tag(raw), {"a.sshpub": author.ssh_key})
    with pytest.raises(UnverifiedError):
        await signatures.verify(CONFINED, signatures.of_tag(raw), {"a.sshpub": other.ssh_key})

    assert signatures.commit_of_tag(raw) == commit
    assert signatures.of_tag(b"object a\ntype commit\n\nno signature") is None
