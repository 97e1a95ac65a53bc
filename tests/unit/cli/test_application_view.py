"""What a person reads about an Application."""

from __future__ import annotations

from typing import Any

from rich.console import Console, RenderableType

from rollouts.cli import application_view
from tests.unit.cli.objects import NOW, ago

GOOD = "main@sha1:" + "a" * 40
BAD = "main@sha1:" + "b" * 40

QUARANTINED: dict[str, Any] = {
    "metadata": {"name": "shop", "namespace": "team", "creationTimestamp": ago(7200)},
    "spec": {
        "source": {"repoURL": "https://git.example/shop.git", "targetRevision": "main", "path": "deploy"}
    },
    "status": {
        "sync": {"status": "OutOfSync", "reason": "RevisionQuarantined"},
        "health": {"status": "Healthy"},
        "desiredRevision": BAD,
        "attemptedRevision": BAD,
        "lastGoodRevision": GOOD,
        "runningRevision": GOOD,
        "quarantine": [
            {"revision": BAD, "reason": "AnalysisFailed", "message": "success-rate was 0.8", "at": ago(300)}
        ],
        "resources": [
            {
                "kind": "Rollout",
                "name": "web",
                "namespace": "team",
                "status": "Synced",
                "health": {"status": "Healthy"},
            }
        ],
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "RevisionQuarantined",
                "message": "it failed",
                "lastTransitionTime": ago(60),
            }
        ],
    },
}


def text(drawn: RenderableType) -> str:
    console = Console(width=120, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(drawn)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def test_the_four_revisions_are_told_in_full() -> None:
    lines = text(application_view.drawn(QUARANTINED, NOW)).splitlines()

    assert lines[:6] == [
        "Application team/shop  OutOfSync  Healthy",
        "  source      https://git.example/shop.git  main  deploy",
        f"  git says    {BAD}",
        f"  last tried  {BAD}",
        f"  last good   {GOOD}",
        f"  running     {GOOD}",
    ]


def test_a_quarantine_is_told_with_what_to_do() -> None:
    shown = text(application_view.drawn(QUARANTINED, NOW))

    assert "  ▶ main@sha1:bbbbbbb  AnalysisFailed  5m ago\n      success-rate was 0.8" in shown
    assert "Next  push a fix, or: rollouts app retry shop" in shown


def test_an_old_quarantine_asks_for_nothing() -> None:
    overtaken = {**QUARANTINED, "status": {**QUARANTINED["status"], "desiredRevision": GOOD}}

    assert "Next" not in text(application_view.drawn(overtaken, NOW))


def test_what_was_told_once_is_not_told_again() -> None:
    stalled = {"type": "Stalled", "status": "True", "reason": "RevisionQuarantined", "message": "it failed"}
    conditions = [*QUARANTINED["status"]["conditions"], stalled]
    twice = {**QUARANTINED, "status": {**QUARANTINED["status"], "conditions": conditions}}

    assert text(application_view.drawn(twice, NOW)).count("it failed") == 1


def test_commits_in_messages_are_short() -> None:
    assert application_view.short_commits(f"{GOOD} runs") == "main@sha1:aaaaaaa runs"


def test_objects_are_told_one_by_one() -> None:
    lines = text(application_view.drawn(QUARANTINED, NOW)).splitlines()
    head = lines.index(next(line for line in lines if line.startswith("KIND")))

    assert lines[head + 1].split() == ["Rollout", "team/web", "Synced", "Healthy"]


def test_a_list_has_a_line_each_that_says_what_runs_and_why() -> None:
    lines = text(application_view.listing([QUARANTINED], NOW, everywhere=True)).splitlines()

    assert lines[1].split() == [
        *("team", "shop", "OutOfSync", "Healthy", "main@sha1:aaaaaaa", "main@sha1:bbbbbbb", "2h"),
        *("quarantined:", "AnalysisFailed"),
    ]


def test_an_application_that_was_never_synced_is_drawn_as_well() -> None:
    fresh = {"metadata": {"name": "shop", "namespace": "team"}, "spec": {"source": {"repoURL": "x"}}}

    assert text(application_view.drawn(fresh, NOW)).startswith("Application team/shop  Unknown  Unknown")
    assert application_view.one_line(fresh) == "Unknown  Unknown"


def test_one_line_holds_the_state() -> None:
    assert application_view.one_line(QUARANTINED) == (
        "OutOfSync  Healthy  running main@sha1:aaaaaaa  git says main@sha1:bbbbbbb  "
        "quarantined: AnalysisFailed"
    )


def test_every_source_has_its_line() -> None:
    sources = [
        {"repoURL": "https://charts.example", "chart": "web", "targetRevision": "1.*"},
        {"repoURL": "https://git.example/config.git", "ref": "values"},
    ]

    shown = text(application_view.drawn({**QUARANTINED, "spec": {"sources": sources}}, NOW))

    assert "https://charts.example  1.*  web" in shown
    assert "https://git.example/config.git  HEAD  $values" in shown


def test_what_the_git_host_knows_is_told() -> None:
    address = "https://git.example/shop/pulls/7"
    status = {
        **QUARANTINED["status"],
        "commitStatus": {"state": "failure", "revision": BAD, "message": "503"},
        "lastGoodRecord": {"revision": GOOD},
        "reverts": [{"state": "Proposed", "revision": BAD, "branch": "rollouts/revert", "url": address}],
    }

    lines = text(application_view.drawn({**QUARANTINED, "status": status}, NOW)).splitlines()

    assert any("commit status" in line and "failure of main@sha1:bbbbbbb; 503" in line for line in lines)
    assert any("good in Git" in line and "main@sha1:aaaaaaa" in line for line in lines)
    assert any(f"Proposed of main@sha1:bbbbbbb: {address}" in line for line in lines)
