"""Desired, attempted, last good, running, quarantined: one transition after the other."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rollouts.api.application_status import ApplicationStatus, FailureReason, OperationPhase
from rollouts.gitops import naming, revision
from rollouts.gitops.revision import Candidate, Good, Revisions, Target
from tests.unit.gitops.builders import NOW, A, B, C

DA, DB, DC = "sha256:a", "sha256:b", "sha256:c"


def desire(state: Revisions, name: str, digest: str, *, automatic: bool = True) -> Revisions:
    return revision.desire(state, Candidate(name, digest), automatic=automatic, now=NOW)


def succeed(state: Revisions) -> Revisions:
    return revision.succeed(state, NOW, history_limit=10)


def fail(state: Revisions, reason: FailureReason = FailureReason.ANALYSIS_FAILED) -> Revisions:
    return revision.fail(state, reason, "it was bad", NOW)


def good_at_a() -> Revisions:
    return succeed(desire(Revisions(), A, DA))


def test_a_revision_that_succeeds_is_desired_attempted_good_and_running() -> None:
    state = good_at_a()

    assert (state.desired, state.good, state.running) == (A, Good(A, DA), A)
    assert revision.target(state) == Target(A, DA, known_good=True)
    assert [h.revision for h in state.history] == [A]


def test_a_failed_revision_gives_way_to_the_last_good_one() -> None:
    state = fail(desire(good_at_a(), B, DB))

    assert state.desired == B
    assert revision.target(state) == Target(A, DA, known_good=True)
    assert [(q.revision, q.digest) for q in state.quarantine] == [(B, DB)]


def test_a_quarantined_revision_is_not_tried_again_however_often_it_is_seen() -> None:
    state = fail(desire(good_at_a(), B, DB))

    assert desire(state, B, DB) == state


def test_a_new_commit_with_the_quarantined_objects_stays_out() -> None:
    state = desire(fail(desire(good_at_a(), B, DB)), C, DB)

    assert state.desired == C
    assert revision.target(state) == Target(A, DA, known_good=True)


def test_a_fix_is_tried() -> None:
    state = desire(fail(desire(good_at_a(), B, DB)), C, DC)

    assert revision.target(state) == Target(C, DC)
    assert revision.quarantined(state, DB) is not None


def test_a_retry_lifts_the_quarantine_once() -> None:
    state = revision.lift(fail(desire(good_at_a(), B, DB)), Candidate(B, DB))

    again = desire(state, B, DB)

    assert revision.target(again) == Target(B, DB)
    assert revision.target(fail(again)) == Target(A, DA, known_good=True)


def test_a_newer_commit_supersedes_and_quarantines_nothing() -> None:
    old = desire(good_at_a(), B, DB)
    new = desire(old, C, DC)

    overtaken = revision.superseded(old, new)

    assert overtaken is not None
    assert overtaken.revision == B
    assert new.quarantine == ()
    assert revision.target(new) == Target(C, DC)


def test_a_commit_that_changes_no_object_moves_every_name_and_starts_nothing() -> None:
    state = desire(good_at_a(), B, DA)

    assert (state.desired, state.running, state.good) == (B, B, Good(B, DA))
    assert state.attempt is not None
    assert state.attempt.phase is OperationPhase.SUCCEEDED
    assert len(state.history) == 1


def test_going_back_to_what_was_good_is_known_to_be_good() -> None:
    state = desire(succeed(desire(good_at_a(), B, DB)), C, DA)

    assert revision.target(state) == Target(C, DA, known_good=True)


def test_a_revert_of_a_quarantined_commit_is_good_at_once() -> None:
    state = desire(fail(desire(good_at_a(), B, DB)), C, DA)

    assert revision.target(state) == Target(C, DA, known_good=True)
    assert succeed(state).good == Good(C, DA)


def test_what_does_not_render_changes_nothing_that_is_going_on() -> None:
    running = desire(good_at_a(), B, DB)
    state = revision.desire_unrenderable(running, C, "file.yaml:1: nonsense", NOW)

    assert state.desired == C
    assert revision.target(state) == Target(B, DB)
    held = revision.holding(state, None)
    assert held is not None
    assert held.reason is FailureReason.RENDER_FAILED


def test_a_commit_that_renders_after_all_is_not_held() -> None:
    state = revision.desire_unrenderable(good_at_a(), B, "no such path", NOW)

    assert revision.holding(desire(state, B, DB), Candidate(B, DB)) is None


def test_what_was_refused_is_tried_again_later_and_ever_more_rarely() -> None:
    state = fail(desire(good_at_a(), B, DB), FailureReason.APPLY_REJECTED)
    first = state.quarantine[0].retry_at
    assert first == NOW + timedelta(seconds=30)
    assert revision.target(desire(state, B, DB)) == Target(A, DA, known_good=True)

    later = NOW + timedelta(seconds=31)
    again = revision.desire(state, Candidate(B, DB), automatic=True, now=later)
    assert revision.target(again) == Target(B, DB)
    refused = revision.fail(again, FailureReason.APPLY_REJECTED, "still", later)

    assert refused.quarantine[0].retry_at == later + timedelta(seconds=60)
    assert refused.quarantine[0].at == state.quarantine[0].at
    assert len(refused.quarantine) == 1


def test_the_first_revision_that_fails_is_left_as_it_is() -> None:
    state = fail(desire(Revisions(), A, DA), FailureReason.HEALTH_TIMEOUT)

    assert revision.target(state) == Target(A, DA, converge=False)
    assert revision.may_recover(state)


def test_the_first_revision_that_an_analysis_failed_does_not_recover() -> None:
    assert not revision.may_recover(fail(desire(Revisions(), A, DA)))


def test_a_first_revision_that_comes_good_after_all_is_good() -> None:
    state = succeed(revision.recover(fail(desire(Revisions(), A, DA), FailureReason.HEALTH_TIMEOUT)))

    assert state.good == Good(A, DA)
    assert state.quarantine == ()


def test_without_automatic_sync_a_new_revision_waits_to_be_asked_for() -> None:
    state = desire(good_at_a(), B, DB, automatic=False)

    assert state.desired == B
    assert revision.target(state) == Target(A, DA, known_good=True)
    assert revision.target(desire(state, B, DB)) == Target(B, DB)


def test_a_recommitted_bad_set_ends_what_was_going_on() -> None:
    back = revision.restored(fail(desire(good_at_a(), B, DB)), NOW)

    state = desire(desire(back, C, DC), A, DB)

    assert revision.target(state) == Target(A, DA, known_good=True)
    assert state.quarantine[0].restored_at is None


def test_a_recommitted_bad_set_finds_the_good_one_in_place() -> None:
    back = revision.restored(fail(desire(good_at_a(), B, DB)), NOW)

    state = desire(succeed(desire(back, C, DC)), A, DB)

    assert revision.target(state) == Target(C, DC, known_good=True)
    assert state.quarantine[0].restored_at == NOW


def test_the_quarantine_and_the_history_are_bounded() -> None:
    state = good_at_a()
    for i in range(30):
        state = fail(desire(state, B, f"sha256:bad{i}"))
    assert len(state.quarantine) == revision.QUARANTINE_LIMIT
    for i in range(30):
        state = succeed(desire(state, C, f"sha256:good{i}"))
    assert len(state.history) == 10
    assert [h.id for h in state.history] == list(range(21, 31))


@pytest.mark.parametrize(
    "state",
    [
        Revisions(),
        good_at_a(),
        fail(desire(good_at_a(), B, DB)),
        desire(good_at_a(), B, DB),
        fail(desire(Revisions(), A, DA), FailureReason.HEALTH_TIMEOUT),
    ],
)
def test_the_status_alone_is_enough_to_go_on(state: Revisions) -> None:
    assert revision.from_status(revision.into_status(ApplicationStatus(), state)) == state


def test_a_commit_is_read_back_from_a_revision() -> None:
    assert naming.commit_of(naming.text("release/1.2@x", "a" * 40)) == "a" * 40
    assert naming.commit_of(naming.text("", "b" * 40)) == "b" * 40
    assert naming.commit_of("main/abc") == ""
