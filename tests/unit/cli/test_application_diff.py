"""P15: what a commit would change is told before anybody syncs it, to people and to pull requests."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rollouts.api.meta import Names
from rollouts.cli import comments, object_diff
from rollouts.cli.main import app
from rollouts.cli.object_diff import Kind
from rollouts.cli.target import CliError
from rollouts.gitops.resources.manifests import ObjectKey
from tests import provider_host
from tests.git_host import git
from tests.provider_host import TOKEN, ProviderHost

APPLICATION = """\
apiVersion: rollouts.dev/v1alpha1
kind: Application
metadata: {name: shop, namespace: prod}
spec:
  source: {repoURL: https://git.example.com/team/shop.git, path: shop}
"""
SETTINGS = ObjectKey("", "ConfigMap", "prod", "settings")
TOKENS = ObjectKey("", "Secret", "prod", "tokens")


def settings(color: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{color: {color}}}\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two commits: main, and the pull request on top of it."""
    where = tmp_path / "shop"
    where.mkdir()
    git(where, "init", "--quiet", "--initial-branch=main")
    (where / "shop").mkdir()
    (where / "shop/settings.yaml").write_text(settings("blue"))
    (where / "app.yaml").write_text(APPLICATION)
    git(where, "add", "--all")
    git(where, "commit", "--quiet", "--message=one")
    git(where, "checkout", "--quiet", "-b", "change")
    (where / "shop/settings.yaml").write_text(settings("green"))
    (where / "shop/more.yaml").write_text(settings("red").replace("settings", "more"))
    git(where, "add", "--all")
    git(where, "commit", "--quiet", "--message=two")
    return where


def run(checkout: Path, *arguments: str, **environ: str) -> tuple[int, str]:
    told = ["app", "preview", "-f", str(checkout / "app.yaml"), "--path", str(checkout), *arguments]
    result = CliRunner().invoke(app, told, env=environ)
    return result.exit_code, result.output


def test_p15_a_preview_needs_no_cluster(checkout: Path) -> None:
    code, told = run(checkout, "--base", "main", KUBECONFIG="/nowhere")

    assert code == 1
    assert "-  color: blue\n+  color: green" in told
    assert "+++ after/ConfigMap more" in told


def test_a_preview_tells_by_its_exit_code(checkout: Path) -> None:
    equal, said = run(checkout, "--base", "change", "--quiet")
    short, named = run(checkout, "--base", "main", "--quiet")
    absent, why = run(checkout, "--base", "gone")
    sly, _ = run(checkout, "--base", "--output=x")

    assert (equal, said) == (0, "HEAD changes no object of application shop\n")
    assert (short, named) == (1, "+ ConfigMap more\n~ ConfigMap settings\n")
    assert (absent, sly) == (2, 2)
    assert "has no commit gone" in why


def test_what_only_a_cluster_knows_is_said(checkout: Path) -> None:
    more = "  postBuild: {substituteFrom: [{kind: Secret, name: values}]}\n"
    (checkout / "app.yaml").write_text(APPLICATION + more)

    code, why = run(checkout, "--base", "main")

    assert code == 2
    assert "spec.postBuild.substituteFrom can be read in a cluster only" in why


def secret(**values: str) -> dict[str, Any]:
    data = {k: base64.b64encode(v.encode()).decode() for k, v in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tokens"}, "data": data}


def test_values_of_secrets_are_never_told() -> None:
    before = {TOKENS: secret(a="same-secret", b="old-secret", d="gone")}
    after = {TOKENS: secret(a="same-secret", b="new-secret", c="added")}

    (found,) = object_diff.differences(before, after, Names())

    assert found.kind is Kind.CHANGED
    assert "-  b: '*** (before)'" in found.text
    assert "+  b: '*** (after)'" in found.text
    for value in ("same-secret", "old-secret", "new-secret", "added", "gone"):
        assert base64.b64encode(value.encode()).decode() not in found.text


def test_what_the_server_keeps_for_itself_is_no_difference() -> None:
    body: Mapping[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "uid": "1", "resourceVersion": "7", "generation": 2},
        "data": {"color": "blue"},
    }
    declared = {**body, "metadata": {"name": "settings"}}

    assert object_diff.differences({SETTINGS: body}, {SETTINGS: declared}, Names()) == ()
    assert [d.kind for d in object_diff.differences({SETTINGS: body}, {}, Names())] == [Kind.REMOVED]


@pytest.fixture
def host(request: pytest.FixtureRequest) -> Iterator[ProviderHost]:
    with provider_host.serving(request.param) as served:
        yield served


@pytest.mark.parametrize(
    ("host", "environ"),
    [
        (
            "github",
            {"GITHUB_REPOSITORY": "team/shop", "GITHUB_REF": "refs/pull/7/merge", "GITHUB_TOKEN": TOKEN},
        ),
        ("gitlab", {"GITLAB_CI": "true", "CI_PROJECT_PATH": "team/shop", "CI_MERGE_REQUEST_IID": "7"}),
        (
            "gitea",
            {"GITEA_ACTIONS": "true", "GITHUB_REPOSITORY": "team/shop", "GITHUB_REF": "refs/pull/7/head"},
        ),
    ],
    indirect=["host"],
)
def test_p15_a_pull_request_has_one_comment_that_is_kept_up_to_date(
    checkout: Path, host: ProviderHost, environ: dict[str, str]
) -> None:
    api = dict.fromkeys(("GITHUB_API_URL", "CI_API_V4_URL", "GITEA_API_URL"), host.url)
    environ = {**environ, **api, "GITLAB_TOKEN": TOKEN, "GITEA_TOKEN": TOKEN}
    host.comments.append({"id": 1, "repo": "team/shop", "number": "7", "body": "a person's"})

    first, _ = run(checkout, "--base", "main", "--comment", "ci", **environ)
    second, said = run(checkout, "--base", "change", "--comment", "ci", **environ)

    assert (first, second) == (1, 0)
    assert [c["number"] for c in host.comments] == ["7", "7"]
    assert host.comments[0]["body"] == "a person's"
    assert host.comments[1]["body"].startswith("<!-- rollouts preview prod/shop -->")
    assert "No object changes." in host.comments[1]["body"]
    assert TOKEN not in said


@pytest.mark.parametrize("host", ["github"], indirect=True)
def test_a_comment_that_is_refused_is_an_error(checkout: Path, host: ProviderHost) -> None:
    environ = {"GITHUB_API_URL": host.url, "GITHUB_TOKEN": "another"}

    code, why = run(checkout, "--base", "main", "--comment", "github:team/shop#7", **environ)

    assert code == 2
    assert "answers 401" in why


@pytest.mark.parametrize(
    ("where", "environ", "word"),
    [
        ("somewhere", {}, "write ci, or github:owner/name#7"),
        ("github:team/shop#7", {}, "GITHUB_TOKEN is missing"),
        ("ci", {"GITHUB_TOKEN": "x", "GITHUB_REPOSITORY": "a/b"}, "the number of the pull request"),
        ("gitea:team/shop#7", {"GITEA_TOKEN": "x"}, "GITEA_API_URL"),
    ],
)
def test_what_is_missing_for_a_comment_is_named(where: str, environ: dict[str, str], word: str) -> None:
    with pytest.raises(CliError, match=word):
        comments.target(where, environ)


def test_a_comment_is_cut_to_what_hosts_take_and_cannot_end_its_own_fence() -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    long = {**body, "data": {f"key-{i}": "```" + "x" * 100 for i in range(1000)}}

    told = comments.text("prod/shop", "main", "HEAD", object_diff.differences({}, {SETTINGS: long}, Names()))

    assert len(told) < 65_536
    assert "The rest is cut" in told
    assert "````diff" in told
