"""Back to an earlier good revision by hand: which one, what stays out, what ends it."""

from __future__ import annotations

import pytest

from rollouts.api.application_status import FailureReason, OperationPhase
from rollouts.gitops import revision, rollback
from rollouts.gitops.revision import Candidate, Good, Revisions, Target
from tests.unit.gitops.builders import NOW, A, B, C

DA, DB, DC = "sha256:a", "sha256:b", "sha256:c"
AT_A, AT_B = Target(A, DA, known_good=True), Target(B, DB, known_good=True)


def desire(state: Revisions, name: str, digest: str) -> Revisions:
    return revision.desire(state, Candidate(name, digest), automatic=True, now=NOW)


def good(*revisions: tuple[str, str]) -> Revisions:
    state = Revisions()
    for name, digest in revisions:
        state = revision.succeed(desire(state, name, digest), NOW, history_limit=10)
    return state


def back(state: Revisions, token: str = "now", candidate: Candidate | None = None) -> Revisions:
    return rollback.roll_back(state, candidate, token, NOW)


def test_it_goes_to_the_good_revision_before_and_keeps_the_left_one_out() -> None:
    state = back(good((A, DA), (B, DB)), candidate=Candidate(B, DB))

    assert revision.target(state) == AT_A
    assert [(q.revision, q.reason) for q in state.quarantine] == [(B, FailureReason.ROLLED_BACK)]
    assert desire(state, B, DB) == state


def test_it_needs_no_git() -> None:
    assert revision.target(back(good((A, DA), (B, DB)))) == AT_A


def test_during_a_rollout_it_goes_to_the_last_good_one() -> None:
    state = back(desire(good((A, DA)), B, DB), candidate=Candidate(B, DB))

    assert revision.target(state) == AT_A
    assert state.attempt is not None
    assert state.attempt.phase is OperationPhase.FAILED


@pytest.mark.parametrize("token", ["0", "0@again"])
def test_it_goes_to_the_id_that_is_named(token: str) -> None:
    state = good((A, DA), (B, DB), (C, DC))

    assert revision.target(back(state, token)) == AT_A


def test_an_id_that_is_not_there_changes_nothing() -> None:
    state = good((A, DA), (B, DB))

    assert back(state, "9") == state
    assert back(good((A, DA))) == good((A, DA))


def test_twice_goes_further_back_and_has_to_be_put_back_again() -> None:
    once = revision.restored(back(good((A, DA), (B, DB), (C, DC)), "1", Candidate(C, DC)), NOW)
    twice = back(once, "0", Candidate(C, DC))

    assert revision.target(once) == AT_B
    assert revision.target(twice) == AT_A
    assert [q.restored_at for q in twice.quarantine] == [None]


def test_a_newer_commit_ends_it_and_a_retry_takes_it_back() -> None:
    state = back(good((A, DA), (B, DB)), candidate=Candidate(B, DB))

    assert revision.target(desire(state, C, DC)) == Target(C, DC)
    lifted = desire(revision.lift(state, Candidate(B, DB)), B, DB)
    assert revision.target(lifted) == AT_B


def test_going_back_to_what_git_says_lifts_its_quarantine() -> None:
    state = back(good((A, DA), (B, DB)), candidate=Candidate(B, DB))
    again = back(state, "1", Candidate(B, DB))

    assert again.quarantine == ()
    assert again.good == Good(B, DB)
