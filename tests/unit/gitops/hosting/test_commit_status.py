"""What a Git host is told about a commit, and when it is not told again (M14)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollouts.api.application import ApplicationSource
from rollouts.api.application_status import (
    ApplicationStatus,
    CommitState,
    FailureReason,
    OperationPhase,
    OperationState,
    PostedCommitStatus,
    QuarantineEntry,
    SyncResult,
    SyncState,
    SyncStatus,
)
from rollouts.api.git_host import CommitStatus, GitProvider
from rollouts.errors import SpecError
from rollouts.gitops import validation
from rollouts.gitops.hosting import commit_status
from tests.unit.gitops.builders import NOW, A, B, application

TOLD = CommitStatus(GitProvider.GITHUB)
FAILED = QuarantineEntry(
    B, FailureReason.ANALYSIS_FAILED, "step 2: success-rate was 0.5, needs >= 0.95", NOW, "b"
)


def status(desired: str, attempted: str, phase: OperationPhase, **more: object) -> ApplicationStatus:
    digest = "b" if attempted == B else "a"
    operation = OperationState(phase, NOW, sync_result=SyncResult(attempted, digest))
    found = ApplicationStatus(desired_revision=desired, operation_state=operation)
    return replace(found, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "state", "words"),
    [
        (status(A, A, OperationPhase.RUNNING), CommitState.PENDING, "is being rolled out"),
        (status(A, A, OperationPhase.SUCCEEDED), CommitState.SUCCESS, "promoted and healthy"),
        (status(B, A, OperationPhase.SUCCEEDED), CommitState.PENDING, "waits to be synced"),
        (
            status(B, B, OperationPhase.FAILED, quarantine=(FAILED,)),
            CommitState.FAILURE,
            "AnalysisFailed: step 2: success-rate was 0.5, needs >= 0.95",
        ),
        (
            status(
                B,
                A,
                OperationPhase.SUCCEEDED,
                quarantine=(QuarantineEntry(B, FailureReason.RENDER_FAILED, "web.yaml: no kind", NOW),),
            ),
            CommitState.FAILURE,
            "RenderFailed: web.yaml: no kind",
        ),
        # Another commit with the same objects as a refused one.
        (
            status(
                A,
                B,
                OperationPhase.FAILED,
                quarantine=(FAILED,),
                sync=SyncState(SyncStatus.OUT_OF_SYNC, A, "RevisionQuarantined"),
            ),
            CommitState.FAILURE,
            "AnalysisFailed: step 2: success-rate was 0.5, needs >= 0.95",
        ),
        # A newer commit that may not be synced yet is not to blame for the one before.
        (
            status(
                A,
                B,
                OperationPhase.FAILED,
                quarantine=(FAILED,),
                sync=SyncState(SyncStatus.OUT_OF_SYNC, A, "OutOfSync"),
            ),
            CommitState.PENDING,
            "waits to be synced",
        ),
    ],
)
def test_m14_success_comes_only_after_promotion(
    given: ApplicationStatus, state: CommitState, words: str
) -> None:
    told = commit_status.due(application(given, commit_status=TOLD))

    assert told is not None
    assert (told.state, told.description, told.revision) == (state, words, given.desired_revision)
    assert f"@sha1:{told.commit}" in given.desired_revision


def test_what_the_host_knows_is_not_told_again() -> None:
    done = status(A, A, OperationPhase.SUCCEEDED)

    def due(state: CommitState, revision: str = A) -> bool:
        known = replace(done, commit_status=PostedCommitStatus(revision, state, NOW))
        return commit_status.due(application(known, commit_status=TOLD)) is not None

    assert not due(CommitState.SUCCESS)
    assert due(CommitState.PENDING)
    assert due(CommitState.SUCCESS, B)


def test_nothing_is_told_without_being_asked_for_or_before_git_has_spoken() -> None:
    assert commit_status.due(application(status(A, A, OperationPhase.RUNNING))) is None
    assert commit_status.due(application(commit_status=TOLD)) is None


def test_of_several_sources_the_repository_is_meant() -> None:
    revision = f"1.2.3@sha256:{'0' * 64} + {A}"
    chart = ApplicationSource("https://charts.example.com", chart="web")
    values = ApplicationSource("https://git.example.com/team/config.git", ref="values")
    app = application(
        status(revision, revision, OperationPhase.SUCCEEDED),
        source=None,
        sources=(chart, values),
        commit_status=TOLD,
    )

    told = commit_status.due(app)

    assert told is not None
    assert (told.source, told.commit) == (values, "a" * 40)


def test_the_status_is_called_after_the_application_unless_it_is_named() -> None:
    named = replace(TOLD, context="deploy/eu")

    assert commit_status.context(application(commit_status=TOLD)) == "rollouts/prod/shop"
    assert commit_status.context(application(commit_status=named)) == "deploy/eu"


@pytest.mark.parametrize(
    ("source", "url", "field", "word"),
    [
        (
            ApplicationSource("https://charts.example.com", chart="web"),
            "",
            "spec.commitStatus",
            "there are 0",
        ),
        (ApplicationSource("file:///srv/git/shop.git"), "", "spec.commitStatus.url", "must be set"),
        (
            ApplicationSource("https://git.example.com/a/b"),
            "ftp://x",
            "spec.commitStatus.url",
            "https or http",
        ),
        (
            ApplicationSource("https://git.example.com/a/b"),
            "https://me:pw@x",
            "spec.commitStatus.url",
            "Secret",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(source: ApplicationSource, url: str, field: str, word: str) -> None:
    app = application(source=source, commit_status=replace(TOLD, url=url))

    with pytest.raises(SpecError) as refused:
        validation.check(app)

    assert refused.value.path == field
    assert word in str(refused.value)
    assert "pw" not in str(refused.value)


ABORTED = (
    "AnalysisFailed: Rollout team/checkout: Update to revision 3 (main@sha1:bf2d67a96a551b730d709117d8e9c1df1128ac14) "
    "aborted at step 2/5: metric success-rate of Canary AnalysisRun checkout-5c9f-3-2 is Failed: value [0.5], "
    "condition result[0] >= 0.95; going back to revision 2"
)


def test_what_is_short_enough_is_told_as_it_is() -> None:
    assert commit_status.brief(ABORTED, 1000) == ABORTED


def test_step_metric_value_and_threshold_fit_into_what_a_host_shows() -> None:
    assert commit_status.brief(ABORTED, 140) == (
        "AnalysisFailed: Rollout team/checkout: aborted at step 2/5: metric success-rate is Failed: value [0.5], "
        "condition result[0] >= 0.95"
    )


@pytest.mark.parametrize("length", [140, 141, 500])
def test_what_is_too_long_keeps_its_beginning_and_its_end(length: int) -> None:
    text = f"first {'x' * (length - 11)} last"

    told = commit_status.brief(text, 140)

    assert len(told) == 140
    assert told.startswith("first")
    assert told.endswith("last")
