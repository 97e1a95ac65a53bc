"""A quarantined revision is taken back in Git: once for each set of objects, and nothing else with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rollouts.api.application import ApplicationSource, SecretReference, Verify
from rollouts.api.application_status import (
    ApplicationReason,
    ApplicationStatus,
    FailureReason,
    OperationPhase,
    OperationState,
    QuarantineEntry,
    RevertRecord,
    RevertState,
    SyncResult,
)
from rollouts.api.git_host import CommitAuthor, GitProvider, Revert, Rollback
from rollouts.errors import SpecError
from rollouts.gitops import validation
from rollouts.gitops.hosting import reverting
from rollouts.gitops.hosting.reverting import Due
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import Git, SourceError
from rollouts.gitops.sources.source import Mirror
from tests import git_host
from tests.unit.gitops.builders import NOW, A, B, application

FAILED = QuarantineEntry(B, FailureReason.ANALYSIS_FAILED, "step 2: success-rate 0.5 < 0.95", NOW, "b")
HELD = ApplicationStatus(
    desired_revision=B,
    last_good_revision=A,
    last_good_digest="a",
    quarantine=(FAILED,),
    operation_state=OperationState(OperationPhase.FAILED, NOW, sync_result=SyncResult(B, "b")),
)
BRANCH = Rollback(Revert.BRANCH)
SOURCE = ApplicationSource("https://git.example.com/team/shop.git", "main", "shop")


def record(state: RevertState, digest: str = "b") -> RevertRecord:
    return RevertRecord(digest, B, state, NOW)


@pytest.mark.parametrize(
    ("status", "rollback", "is_due"),
    [
        (HELD, BRANCH, True),
        (HELD, Rollback(), False),
        (replace(HELD, reverts=(record(RevertState.COMMITTED),)), BRANCH, False),
        (replace(HELD, reverts=(record(RevertState.NOT_NEEDED),)), BRANCH, False),
        (replace(HELD, reverts=(record(RevertState.FAILED),)), BRANCH, True),
        (replace(HELD, reverts=(record(RevertState.PENDING),)), BRANCH, True),
        (replace(HELD, reverts=(record(RevertState.COMMITTED, "c"),)), BRANCH, True),
        # Nothing to go back to.
        (replace(HELD, last_good_revision="", last_good_digest=""), BRANCH, False),
        # What the API server refused is tried again by itself.
        (replace(HELD, quarantine=(replace(FAILED, retry_at=NOW),)), BRANCH, False),
        # Git has brought something else.
        (replace(HELD, desired_revision=A), BRANCH, False),
    ],
)
def test_one_revert_for_each_quarantined_set(
    status: ApplicationStatus, rollback: Rollback, is_due: bool
) -> None:
    app = application(status, source=SOURCE, rollback=rollback)

    assert (reverting.due(app) is not None) is is_due


@pytest.mark.parametrize(
    ("status", "rollback", "looked_for"),
    [
        (replace(HELD, desired_revision=A, reverts=(record(RevertState.PENDING),)), BRANCH, "b"),
        # The push may have arrived, and its answer not.
        (replace(HELD, desired_revision=A, reverts=(record(RevertState.FAILED),)), BRANCH, "b"),
        (ApplicationStatus(reverts=(record(RevertState.PENDING),)), BRANCH, "b"),
        (replace(HELD, desired_revision=A, reverts=(record(RevertState.COMMITTED),)), BRANCH, None),
        (replace(HELD, desired_revision=A, reverts=(record(RevertState.PENDING),)), Rollback(), None),
        (replace(HELD, desired_revision=A), BRANCH, None),
        # A person has said: try it again.
        (replace(HELD, quarantine=(), reverts=(record(RevertState.FAILED),)), BRANCH, None),
    ],
)
def test_a_revert_without_an_end_is_looked_for_when_git_has_gone_on(
    status: ApplicationStatus, rollback: Rollback, looked_for: str | None
) -> None:
    app = application(status, source=SOURCE, rollback=rollback)

    found = reverting.begun(app)

    assert (found and found.digest) == looked_for
    if found:
        assert (found.base, found.branch, found.bad) == (asked().base, asked().branch, asked().bad)
        assert reverting.trailer(found) == reverting.trailer(asked())


def test_it_is_noted_before_it_is_made() -> None:
    noted = replace(HELD, reverts=(record(RevertState.PENDING),))

    first, second = (
        reverting.due(application(status, source=SOURCE, rollback=BRANCH)) for status in (HELD, noted)
    )

    assert first
    assert second
    assert (first.is_noted, second.is_noted) == (False, True)


async def test_a_revert_is_found_below_what_came_after_it(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    host = git_host.Host("", tmp_path / "root")
    where = tmp_path / "root/shop.git"
    bad = host.repository("shop", **{"shop/a.yaml": "bad"})
    mirror = Mirror(Git(tmp_path / "home"), where.as_uri(), tmp_path / "mirror")
    await mirror.fetch({"refs/heads/main": bad}, None)
    other = replace(asked(), digest="c")
    made = {}
    for one in (asked(), other):
        git_host.git(where, "commit", "--quiet", "--allow-empty", f"--message=x\n\n{reverting.text(one)}")
        made[one.digest] = git_host.git(where, "rev-parse", "HEAD")
    head = host.repository("shop", **{"docs/notes.txt": "newer"})
    await mirror.fetch({"refs/heads/main": head}, None)

    found = [
        await mirror.saying(reverting.trailer(one), head, since)
        for one, since in [
            (asked(), bad),
            (other, bad),
            (asked(), "0" * 40),
            (asked(), made["b"]),
            (replace(asked(), digest="d"), bad),
            (replace(asked(), application="prod/web"), bad),
        ]
    ]

    assert found == [made["b"], made["c"], made["b"], "", "", ""]
    await mirror.close()


def asked() -> Due:
    found = reverting.due(application(HELD, source=SOURCE, rollback=BRANCH))
    assert found
    return found


def test_the_words_name_what_failed_and_what_comes_back() -> None:
    text = reverting.text(asked())

    assert reverting.title(asked()) == "Revert shop to aaaaaaaaaaaa: AnalysisFailed"
    for word in (A, B, "AnalysisFailed: step 2: success-rate 0.5 < 0.95", "Rollouts-Quarantined: b"):
        assert word in text
    assert asked().branch == "rollouts/revert-prod-shop-bbbbbbbbbbbb"
    assert asked().base == "main"


@pytest.mark.parametrize(
    ("paths", "places"),
    [
        (("shop",), ("shop",)),
        (("shop/", "shop/base", "common/values.yaml"), ("common/values.yaml", "shop")),
        (("shop", "shop-2"), ("shop", "shop-2")),
        (("", "shop"), (".",)),
        (("./shop/../shop",), ("shop",)),
    ],
)
def test_places_are_not_inside_each_other(paths: tuple[str, ...], places: tuple[str, ...]) -> None:
    assert reverting.places(paths) == places


@pytest.mark.parametrize(
    ("places", "restored"),
    [
        (("shop",), {"shop/a.yaml": "good", "other.txt": "new", "base/x.yaml": "new"}),
        (("base", "shop"), {"shop/a.yaml": "good", "other.txt": "new"}),
        ((".",), {"shop/a.yaml": "good", "other.txt": "old"}),
    ],
)
async def test_the_commit_restores_those_places_and_nothing_else(
    tmp_path: Path, places: tuple[str, ...], restored: dict[str, str]
) -> None:
    (tmp_path / "root").mkdir()
    host = git_host.Host("", tmp_path / "root")
    good = host.repository("shop", **{"shop/a.yaml": "good", "other.txt": "old"})
    files = {"shop/a.yaml": "bad", "shop/b.yaml": "bad", "other.txt": "new", "base/x.yaml": "new"}
    head = host.repository("shop", **files)
    mirror = Mirror(Git(tmp_path / "home"), (tmp_path / "root/shop.git").as_uri(), tmp_path / "mirror")
    await mirror.fetch({"refs/heads/main": head}, None)
    await mirror.fetch({"": good}, None)
    listed = await mirror.listed(good, [p for p in places if p != "."])
    if "." in places:
        (tree,) = await mirror.ids([(good, "")])
        listed["."] = ("040000", tree)

    author = CommitAuthor("Robot", "robot@example.com")
    text = reverting.stream("refs/rollouts/reverts/x", asked(), head, listed, places, author)
    commit = await mirror.imported("refs/rollouts/reverts/x", text)
    again = await mirror.imported("refs/rollouts/reverts/x", text)
    await mirror.push(commit, "refs/heads/robot", None)

    found = await (await mirror.at(commit)).below(["."])
    assert {path: f.content.decode() for path, f in found.items()} == restored
    assert again == commit
    where = tmp_path / "root/shop.git"
    told = git_host.git(where, "log", "-1", "--format=%P %an <%ae> %ct %s", "robot")
    assert told == (
        f"{head} Robot <robot@example.com> {int(NOW.timestamp())} Revert shop to aaaaaaaaaaaa: AnalysisFailed"
    )
    await mirror.close()


@pytest.mark.parametrize(
    ("source", "rollback", "field"),
    [
        (replace(SOURCE, target_revision="1.*"), BRANCH, "spec.rollback.branch"),
        (replace(SOURCE, target_revision="a" * 40), BRANCH, "spec.rollback.branch"),
        (SOURCE, replace(BRANCH, branch="--force"), "spec.rollback.branch"),
        (SOURCE, BRANCH, "spec.rollback.revert"),
        (SOURCE, Rollback(Revert.PULL_REQUEST), "spec.rollback.provider"),
        (
            replace(SOURCE, repo_url="file:///srv/shop.git"),
            Rollback(Revert.PULL_REQUEST, GitProvider.GITEA),
            "spec.rollback.url",
        ),
        (
            ApplicationSource("https://charts.example.com", "1.2.3", chart="web"),
            BRANCH,
            "spec.rollback.revert",
        ),
    ],
)
def test_what_cannot_be_reverted_is_refused(
    source: ApplicationSource, rollback: Rollback, field: str
) -> None:
    verify = Verify(SecretReference("keys")) if (source, rollback) == (SOURCE, BRANCH) else None

    with pytest.raises(SpecError) as refused:
        validation.check(application(source=source, rollback=rollback, verify=verify))

    assert refused.value.path == field


async def test_nothing_is_pushed_over_somebodys_newer_commit(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    host = git_host.Host("", tmp_path / "root")
    good = host.repository("shop", **{"shop/a.yaml": "good"})
    seen = host.repository("shop", **{"shop/a.yaml": "bad"})
    mirror = Mirror(Git(tmp_path / "home"), (tmp_path / "root/shop.git").as_uri(), tmp_path / "mirror")
    await mirror.fetch({"refs/heads/main": seen}, None)
    await mirror.fetch({"": good}, None)
    listed = await mirror.listed(good, ["shop"])
    text = reverting.stream("refs/rollouts/reverts/x", asked(), seen, listed, ["shop"], CommitAuthor())
    commit = await mirror.imported("refs/rollouts/reverts/x", text)
    newer = host.repository("shop", **{"shop/a.yaml": "fixed"})

    with pytest.raises(SourceError) as refused:
        await mirror.push(commit, "refs/heads/main", None)

    assert not refused.value.definite
    assert git_host.git(tmp_path / "root/shop.git", "rev-parse", "main") == newer
    await mirror.close()


async def test_credentials_that_may_only_read_are_told_what_to_name(tmp_path: Path) -> None:
    with git_host.serving(tmp_path / "root", "git", "s3cr3t-w0rd") as host:
        seen = host.repository("shop", **{"shop/a.yaml": "bad"})
        git_host.git(host.root / "shop.git", "config", "http.receivepack", "false")
        reader = Credentials("git", "s3cr3t-w0rd")
        mirror = Mirror(Git(tmp_path / "home"), f"{host.url}/shop.git", tmp_path / "mirror")
        await mirror.fetch({"refs/heads/main": seen}, reader)

        with pytest.raises(SourceError) as refused:
            await mirror.push(seen, "refs/heads/robot", reader)

        assert refused.value.reason is ApplicationReason.AUTHENTICATION_FAILED
        assert "spec.rollback.secretRef that may push" in str(refused.value)
        assert "s3cr3t-w0rd" not in str(refused.value)
        await mirror.close()


def test_a_revision_that_a_person_left_has_not_failed() -> None:
    left = replace(FAILED, reason=FailureReason.ROLLED_BACK, message=f"rolled back by hand to {A}")
    app = application(replace(HELD, quarantine=(left,)), source=SOURCE, rollback=BRANCH)

    found = reverting.due(app)

    assert found
    assert f"{B} was rolled back." in reverting.text(found)


def test_a_range_with_a_branch_is_accepted() -> None:
    source = replace(SOURCE, target_revision="1.*")

    validation.check(application(source=source, rollback=replace(BRANCH, branch="main")))
