"""Webhooks as Git hosts document them: signatures, payloads, forgeries."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.gitops.hosting.webhooks import identity, is_signed, repositories

SECRET = b"s3cr3t"

GITHUB = {
    "ref": "refs/heads/main",
    "repository": {
        "full_name": "team/shop",
        "url": "https://git.example.com/team/shop",
        "clone_url": "https://git.example.com/team/shop.git",
        "ssh_url": "git@git.example.com:team/shop.git",
        "html_url": "https://git.example.com/team/shop",
    },
}
GITLAB = {
    "object_kind": "push",
    "project": {
        "git_http_url": "https://git.example.com/team/shop.git",
        "git_ssh_url": "git@git.example.com:team/shop.git",
        "web_url": "https://git.example.com/team/shop",
    },
}
BITBUCKET = {"repository": {"links": {"html": {"href": "https://git.example.com/team/shop"}}}}
BITBUCKET_SERVER = {
    "repository": {
        "links": {
            "clone": [
                {"href": "ssh://git@git.example.com:7999/team/shop.git", "name": "ssh"},
                {"href": "https://git.example.com/scm/team/shop.git", "name": "http"},
            ],
            "self": [{"href": "https://git.example.com/projects/team/repos/shop/browse"}],
        }
    }
}
GENERIC = {"repository": {"url": "https://git.example.com/team/shop"}}


def signature(body: bytes, secret: bytes = SECRET) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    "payload",
    [GITHUB, GITLAB, BITBUCKET, BITBUCKET_SERVER, GENERIC],
    ids=["github", "gitlab", "bitbucket", "bitbucket-server", "generic"],
)
def test_a_payload_names_its_repository(payload: dict[str, Any]) -> None:
    named = repositories(json.dumps(payload).encode())

    assert named
    assert "git.example.com/team/shop" in named


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("X-Hub-Signature-256", "sha256={}"),
        ("X-Hub-Signature", "sha256={}"),
        ("X-Gitea-Signature", "{}"),
        ("X-Gogs-Signature", "{}"),
        ("X-Forgejo-Signature", "{}"),
        ("X-Signature", "sha256={}"),
    ],
)
def test_a_signature_by_any_of_the_secrets_counts(name: str, form: str) -> None:
    body = b'{"a": 1}'

    assert is_signed({name: form.format(signature(body))}, body, [b"old", SECRET])
    assert not is_signed({name: form.format(signature(body))}, body + b" ", [SECRET])
    assert not is_signed({name: form.format(signature(body, b"other"))}, body, [SECRET])


def test_a_token_counts_only_if_it_is_one_of_the_secrets() -> None:
    assert is_signed({"X-Gitlab-Token": "s3cr3t"}, b"", [SECRET])
    assert not is_signed({"X-Gitlab-Token": "s3cr3"}, b"", [SECRET])
    assert not is_signed({"X-Gitlab-Token": "é"}, b"", [SECRET])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hub-Signature-256": ""},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature": "sha1=" + hmac.new(SECRET, b"", hashlib.sha1).hexdigest()},
        {"X-Hub-Signature-256": "sha256=00", "X-Gitlab-Token": "s3cr3t"},
        {"Authorization": "Bearer s3cr3t"},
    ],
)
def test_a_forged_request_is_not_signed(headers: dict[str, str]) -> None:
    assert not is_signed(headers, b"", [SECRET])


def test_without_a_secret_nothing_is_signed() -> None:
    assert not is_signed({"X-Hub-Signature-256": f"sha256={signature(b'', b'')}"}, b"", [b""])
    assert not is_signed({"X-Gitlab-Token": ""}, b"", [])


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/team/shop",
        "https://git.example.com/team/shop.git",
        "http://user@GIT.example.com:3000/Team/Shop/",
        "ssh://git@git.example.com:22/team/shop.git",
        "git@git.example.com:team/shop.git",
    ],
)
def test_a_repository_is_the_same_however_it_is_written(url: str) -> None:
    assert identity(url) == "git.example.com/team/shop"


@given(
    st.binary()
    | st.recursive(
        st.none() | st.text(),
        lambda c: (
            st.lists(c) | st.dictionaries(st.sampled_from(["repository", "links", "clone", "url", "href"]), c)
        ),
    ).map(lambda v: json.dumps(v).encode())
)
def test_no_payload_is_more_than_names(body: bytes) -> None:
    assert all(isinstance(name, str) and name for name in repositories(body) or ())
