"""M17, M3: a rebuilt cluster begins with what was good before, not with what nobody has proven."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollouts.api.application import ApplicationSource
from rollouts.api.application_status import (
    ApplicationReason,
    ApplicationStatus,
    LastGoodRecord,
    OperationPhase,
)
from rollouts.api.git_host import Record, Rollback
from rollouts.errors import SpecError
from rollouts.gitops import plan, revision, validation
from rollouts.gitops.gates import Gate
from rollouts.gitops.hosting import recording
from rollouts.gitops.hosting.recording import Work
from rollouts.gitops.revision import Candidate, Good, Revisions
from rollouts.gitops.snapshot import SourceView, Tokens, Unrenderable
from tests.unit.gitops.builders import NOW, A, B, C, application

RECORDED = Rollback(record=Record())
OLD, NEW, NEWER = Candidate(A, "a"), Candidate(B, "b"), Candidate(C, "c")
SAYS = SourceView(NEW, recorded=OLD)
GOOD = ApplicationStatus(last_good_revision=A, last_good_digest="a")


@pytest.mark.parametrize(
    ("status", "work"),
    [
        (ApplicationStatus(), Work.READ),
        (ApplicationStatus(last_good_record=LastGoodRecord(message="is unreachable")), Work.READ),
        (ApplicationStatus(last_good_record=LastGoodRecord("", NOW)), None),
        (ApplicationStatus(last_good_record=LastGoodRecord(A, NOW)), Work.BRING),
        (GOOD, Work.WRITE),
        (replace(GOOD, last_good_record=LastGoodRecord(B, NOW)), Work.WRITE),
        (replace(GOOD, last_good_record=LastGoodRecord(A, NOW, "refused")), Work.WRITE),
        (replace(GOOD, last_good_record=LastGoodRecord(f"sha1:{'a' * 40}", NOW)), None),
    ],
)
def test_it_is_read_before_the_first_sync_and_written_after_a_promotion(
    status: ApplicationStatus, work: Work | None
) -> None:
    assert recording.due(application(status, rollback=RECORDED)) is work
    assert recording.due(application(status)) is None


def test_nothing_is_synced_for_the_first_time_before_the_record_was_read() -> None:
    unread = application(rollback=RECORDED)
    unreadable = application(
        ApplicationStatus(last_good_record=LastGoodRecord(message="is unreachable")), rollback=RECORDED
    )

    first, second = recording.awaited(unread), recording.awaited(unreadable)

    assert first
    assert first.reason is ApplicationReason.LAST_GOOD_RECORD_UNKNOWN
    assert second
    assert "is unreachable" in second.message
    assert recording.awaited(application(GOOD, rollback=RECORDED)) is None
    assert recording.awaited(application()) is None


def begun(
    source: SourceView, state: Revisions | None = None, gate: Gate | None = None, **tokens: str
) -> Revisions:
    spec = application(rollback=RECORDED).spec
    return plan.begin(state or Revisions(), source, Tokens(**tokens), spec=spec, now=NOW, gate=gate)


def tried(state: Revisions) -> str:
    return state.attempt.revision if state.attempt else ""


def test_m17_the_recorded_revision_comes_first_and_git_keeps_its_word() -> None:
    state = begun(SAYS)

    assert (state.desired, tried(state)) == (B, A)
    assert tried(begun(SAYS, state)) == A
    assert tried(begun(replace(SAYS, candidate=NEWER), state)) == A


def test_m17_what_is_unproven_follows_once_the_recorded_one_is_good() -> None:
    state = revision.succeed(begun(SAYS), NOW, history_limit=10)

    after = begun(SourceView(NEW), state)

    assert tried(after) == B
    assert after.good == Good(A, "a")
    assert after.attempt
    assert after.attempt.phase is OperationPhase.RUNNING


def test_m17_a_head_that_does_not_render_does_not_keep_the_recorded_one_out() -> None:
    view = SourceView(unrenderable=Unrenderable(B, "no kind"), recorded=OLD)

    state = begun(view)

    assert (state.desired, tried(state)) == (B, A)
    assert tried(begun(replace(view, unrenderable=None))) == A


def test_a_person_may_go_on_without_the_record() -> None:
    state = begun(SAYS, sync="now")

    assert tried(state) == B
    assert tried(begun(SAYS, state)) == B
    assert tried(begun(SourceView(NEW), gate=recording.gate("it is being read"), sync="now")) == B
    assert tried(begun(SourceView(NEW), gate=recording.gate("it is being read"))) == ""


def test_the_record_is_called_after_the_application_unless_it_is_named() -> None:
    named = Rollback(record=Record("refs/rollouts/last-good/eu/shop"))

    assert recording.ref(application(rollback=RECORDED)) == "refs/rollouts/last-good/prod/shop"
    assert recording.ref(application(rollback=named)) == "refs/rollouts/last-good/eu/shop"


@pytest.mark.parametrize(
    ("source", "ref", "field"),
    [
        (ApplicationSource("https://git.example.com/a/b"), "refs/heads/main", "spec.rollback.record.ref"),
        (ApplicationSource("https://git.example.com/a/b"), "refs/rollouts/", "spec.rollback.record.ref"),
        (ApplicationSource("https://git.example.com/a/b"), "refs/rollouts/a b", "spec.rollback.record.ref"),
        (ApplicationSource("https://charts.example.com", chart="web"), "", "spec.rollback.record"),
    ],
)
def test_a_record_goes_nowhere_else(source: ApplicationSource, ref: str, field: str) -> None:
    with pytest.raises(SpecError) as refused:
        validation.check(application(source=source, rollback=Rollback(record=Record(ref))))

    assert refused.value.path == field
