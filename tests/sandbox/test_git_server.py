"""The Git server's own decisions: who may come in, and how a request reaches `git http-backend`."""

from __future__ import annotations

import base64
import io

import pytest

from rollouts.sandbox import git_server, repository
from rollouts.sandbox.errors import SandboxError
from rollouts.sandbox.git_server import Settings

SETTINGS = Settings(root="/srv/git", username="git", password="s3cret")


def basic(credentials: str) -> str:
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"


@pytest.mark.parametrize(
    ("header", "welcome"),
    [
        (basic("git:s3cret"), True),
        (basic("git:s3cret").replace("Basic", "basic"), True),
        (basic("git:wrong"), False),
        (basic("root:s3cret"), False),
        (basic("git"), False),
        ("Bearer s3cret", False),
        ("Basic ???", False),
        ("", False),
    ],
)
def test_only_the_right_credentials_are_welcome(header: str, *, welcome: bool) -> None:
    assert git_server.is_authorized(header, SETTINGS) is welcome


def variables(**headers: str) -> dict[str, str]:
    return git_server.cgi_variables(
        method="POST",
        path="/team/shop.git/git-upload-pack",
        query="",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        settings=SETTINGS,
    )


def test_git_learns_who_signed_in_and_what_was_sent() -> None:
    told = variables(content_length="12", content_encoding="gzip", git_protocol="version=2")

    assert told["REMOTE_USER"] == "git"
    assert told["PATH_INFO"] == "/team/shop.git/git-upload-pack"
    assert (told["CONTENT_LENGTH"], told["HTTP_CONTENT_ENCODING"]) == ("12", "gzip")
    assert told["GIT_PROTOCOL"] == "version=2"


def test_a_chunked_request_has_no_length_for_git_reads_it_to_its_end() -> None:
    assert "CONTENT_LENGTH" not in variables(transfer_encoding="chunked")


def body(content: bytes, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return b"".join(git_server.body_blocks(io.BytesIO(content), named))


def test_a_body_with_a_length_is_read_to_that_length_only() -> None:
    assert body(b"wantNEXT", content_length="4") == b"want"


def test_a_body_in_chunks_is_put_together() -> None:
    chunked = b"4\r\nwant\r\n6;name=value\r\n have \r\n0\r\nTrailer: x\r\n\r\nNEXT"

    assert body(chunked, transfer_encoding="chunked") == b"want have "


def test_a_request_without_a_body_is_empty() -> None:
    assert body(b"NEXT") == b""


def test_a_client_that_leaves_in_the_middle_is_noticed() -> None:
    with pytest.raises(ConnectionError):
        body(b"wa", content_length="4")


@pytest.mark.parametrize("name", ["", "../etc", "/etc", "a//b", "a b", ".git", "a/.."])
def test_a_repository_name_cannot_leave_the_root(tmp_path: object, name: str) -> None:
    with pytest.raises(SandboxError, match="no name"):
        repository.create(tmp_path, name, server="http://x")  # type: ignore[arg-type]
