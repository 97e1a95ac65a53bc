"""What keeps a new revision waiting: dependencies, sync windows; and what goes on regardless."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rollouts.api.application import ApplicationSpec, Dependency, SyncPolicy, SyncWindow, WindowKind
from rollouts.api.application_status import ApplicationReason, ApplicationStatus
from rollouts.api.meta import Condition, ObjectMeta
from rollouts.errors import SpecError
from rollouts.gitops import gates, plan, revision, windows
from rollouts.gitops.actions import ApplyObjects
from rollouts.gitops.gates import Gate, Known
from rollouts.gitops.revision import Candidate
from rollouts.gitops.snapshot import SourceView, Tokens
from tests.unit.gitops.builders import NOW, A, B, after, application, applied, config_map, digest_of, snapshot

NIGHTS = SyncWindow(WindowKind.DENY, "0 22 * * *", timedelta(hours=8), "Europe/Berlin")
EVERY_MINUTE = SyncWindow(WindowKind.DENY, "* * * * *", timedelta(seconds=40))
WORK = SyncWindow(WindowKind.ALLOW, "0 9 * * 1-5", timedelta(hours=8))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "now", "automatic", "manual", "until"),
    [
        ((), "2026-01-05T12:00:00", True, True, None),
        ((NIGHTS,), "2026-01-05T20:59:59", True, True, "2026-01-05T21:00:00"),  # 22:00 in Berlin
        ((NIGHTS,), "2026-01-05T21:00:00", False, False, "2026-01-06T05:00:00"),
        ((NIGHTS,), "2026-01-06T04:59:59", False, False, "2026-01-06T05:00:00"),
        ((NIGHTS,), "2026-01-06T05:00:00", True, True, "2026-01-06T21:00:00"),
        ((replace(NIGHTS, manual_sync=True),), "2026-01-05T22:30:00", False, True, "2026-01-06T05:00:00"),
        ((WORK,), "2026-01-05T08:59:59", False, False, "2026-01-05T09:00:00"),  # a Monday
        ((WORK,), "2026-01-05T09:00:00", True, True, "2026-01-05T17:00:00"),
        ((WORK,), "2026-01-10T12:00:00", False, False, "2026-01-12T09:00:00"),  # a Saturday
        ((replace(WORK, manual_sync=True),), "2026-01-10T12:00:00", False, True, "2026-01-12T09:00:00"),
        ((EVERY_MINUTE,), "2026-01-05T12:00:13", False, False, "2026-01-05T12:00:40"),
        ((EVERY_MINUTE,), "2026-01-05T12:00:40", True, True, "2026-01-05T12:01:00"),
        ((WORK, NIGHTS), "2026-01-05T12:00:00", True, True, "2026-01-05T17:00:00"),
        (
            (WORK, replace(NIGHTS, schedule="0 * * * *")),
            "2026-01-05T12:00:00",
            False,
            False,
            "2026-01-05T17:00:00",
        ),
    ],
)
def test_windows(
    given: tuple[SyncWindow, ...], now: str, automatic: bool, manual: bool, until: str | None
) -> None:
    found = windows.verdict(given, at(now))

    assert (found.automatic, found.manual) == (automatic, manual)
    assert found.until == (at(until) if until else None)


def test_a_window_over_the_change_to_summer_time_is_as_long_as_it_says() -> None:
    window = SyncWindow(WindowKind.DENY, "0 1 * * *", timedelta(hours=2), "Europe/Berlin")

    # at 01:00 UTC the clocks of Berlin went from 02:00 to 03:00
    assert windows.verdict((window,), at("2026-03-29T01:59:59")).until == at("2026-03-29T02:00:00")


@pytest.mark.parametrize(
    ("window", "path"),
    [
        (replace(WORK, schedule="61 * * * *"), "w.schedule"),
        (replace(WORK, schedule="0 0 30 2 *"), "w.schedule"),
        (replace(WORK, time_zone="Mars/Olympus"), "w.timeZone"),
        (replace(WORK, time_zone="../etc/passwd"), "w.timeZone"),
        (replace(WORK, duration=timedelta(0)), "w.duration"),
    ],
)
def test_a_window_that_cannot_be_read(window: SyncWindow, path: str) -> None:
    with pytest.raises(SpecError) as error:
        windows.check(window, "w")

    assert error.value.path == path


def known(name: str, *needs: str, ready: str = "True", generation: int = 1) -> Known:
    spec = replace(application().spec, depends_on=tuple(Dependency(n) for n in needs))
    conditions = (Condition("Ready", ready, "Any", ""),)
    status = ApplicationStatus(conditions=conditions, observed_generation=1)
    return Known(ObjectMeta(name, "prod", generation=generation), spec, status)


def gate(own: Known, *others: Known) -> Gate | None:
    found = {(o.metadata.namespace, o.metadata.name): o for o in others}
    return gates.closed(own.metadata, own.spec, found.get, NOW)


def test_a_dependency_has_to_be_ready_with_its_latest_spec() -> None:
    shop = known("shop", "database")

    assert gate(shop, known("database")) is None
    for others, problem in (
        ((), "it does not exist"),
        ((known("database", ready="False"),), "it is not Ready (Any)"),
        ((known("database", ready="Unknown"),), "it is not Ready (Any)"),
        ((known("database", generation=2),), "its latest spec is not synced yet"),
    ):
        closed = gate(shop, *others)
        assert closed is not None
        assert closed.reason is ApplicationReason.DEPENDENCY_NOT_READY
        assert closed.message == f"waits for Application prod/database: {problem}"


def test_applications_that_wait_for_each_other_are_told_so() -> None:
    shop, cart, database = known("shop", "cart"), known("cart", "database"), known("database", "shop")

    with pytest.raises(SpecError, match="prod/shop -> prod/cart -> prod/database -> prod/shop"):
        gate(shop, cart, database)
    with pytest.raises(SpecError, match="prod/shop -> prod/shop"):
        gate(known("shop", "shop"))


def test_a_circle_of_others_is_not_ours() -> None:
    assert gate(known("shop", "a"), known("a", "b", ready="False"), known("b", "a")) is not None


CLOSED = Gate(
    ApplicationReason.SYNC_WINDOW_CLOSED, "waits for the window", manual=False, until=NOW + timedelta(hours=1)
)


def begun(tokens: Tokens, closed: Gate | None) -> bool:
    """Whether B is tried, where A is good."""
    app = application()
    source = SourceView(Candidate(B, digest_of(B)))
    state = plan.begin(revision.from_status(app.status), source, tokens, spec=app.spec, now=NOW, gate=closed)
    return state.attempt is not None


@pytest.mark.parametrize(
    ("tokens", "closed", "is_tried"),
    [
        (Tokens(), None, True),
        (Tokens(), CLOSED, False),
        (Tokens(sync="now"), CLOSED, False),
        (Tokens(sync="now"), replace(CLOSED, manual=True), True),
    ],
)
def test_a_closed_gate_keeps_new_revisions_from_being_tried(
    tokens: Tokens, closed: Gate | None, is_tried: bool
) -> None:
    assert begun(tokens, closed) is is_tried


def test_behind_a_closed_gate_what_is_good_is_healed_and_the_condition_says_what_is_waited_for() -> None:
    sets = {A: [config_map(color="blue")], B: [config_map(color="red")]}
    first = snapshot(sets, git=A, live_objects=[])
    app = after(first, plan.decide(first).status)
    there = snapshot(sets, git=A, live_objects=[applied(sets[A][0])], app=app)
    app = after(there, plan.decide(there).status)
    edited = applied(sets[A][0])
    edited["data"]["color"] = "green"

    s = replace(snapshot(sets, git=A, live_objects=[edited], app=app), gate=CLOSED)
    newer = SourceView(Candidate(B, digest_of(B)))
    state = plan.begin(revision.from_status(app.status), newer, Tokens(), spec=app.spec, now=NOW, gate=CLOSED)
    s = replace(s, source=newer, revisions=state)
    healing = plan.decide(s)
    resting = plan.decide(replace(s, live=there.live))

    assert isinstance(healing.action, ApplyObjects)
    ready = next(c for c in resting.status.conditions if c.type == "Ready")
    assert (ready.status, ready.reason) == ("False", "SyncWindowClosed")
    assert ready.message == f"{B} waits for the window; {A} runs"
    assert resting.status.sync.status == "OutOfSync"
    assert resting.requeue_at == CLOSED.until


def test_windows_and_dependencies_are_read_from_a_spec() -> None:
    spec: ApplicationSpec = replace(application().spec, sync_policy=SyncPolicy(sync_windows=(WORK,)))
    found = gates.closed(ObjectMeta("shop", "prod"), spec, {}.get, at("2026-01-10T12:00:00"))

    assert found is not None
    assert found.message == (
        'waits for the allow window "0 9 * * 1-5" for 8:00:00 (UTC), at the earliest at 2026-01-12T09:00:00Z'
    )
