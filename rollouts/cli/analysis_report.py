"""The report of a backtest for a terminal, for programs and as a page. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analysis import backtest_page
from analysis.backtest import Figures, Report
from analysis.backtest_page import duration, percent, suggestion
from analysis.model import Phase
from rollouts.api.parse import format_duration, format_timestamp
from rollouts.cli.output import styled

_SHOWN_RUNS = 10
_PHASES = (Phase.SUCCESSFUL, Phase.FAILED, Phase.INCONCLUSIVE, Phase.ERROR)


def page(report: Report, title: str) -> str:
    return backtest_page.page(report, title)


def table(report: Report, title: str) -> RenderableType:
    """Figures first, then what to do about them."""
    plan = report.plan
    parts: list[RenderableType] = [
        Text.assemble("Backtest of ", (title, "bold"), f": {report.everything.runs} releases, ")
        + Text(
            f"one every {format_duration(plan.every)}, {plan.begin:%d %b %H:%M} to {plan.end:%d %b %H:%M} UTC"
        ),
        Text(),
        _outcomes(report),
        Text(),
        *_sentences(report),
        _queries(report),
        *_stopped(report),
    ]
    return Group(*parts)


def figures(report: Report) -> dict[str, Any]:
    """Everything for a program."""
    return {
        "from": format_timestamp(report.plan.begin),
        "to": format_timestamp(report.plan.end),
        "everySeconds": report.plan.every.total_seconds(),
        "all": _figures(report.everything),
        "good": _figures(report.good),
        "bad": _figures(report.bad),
        "falseAlarms": report.false_alarms,
        "found": report.found if report.bad.runs else None,
        "metrics": [
            {
                "name": s.metric,
                "measurements": s.measurements,
                "withoutData": s.without_data,
                "errors": s.errors,
                "example": s.example,
            }
            for s in report.silent
        ],
        "suggestions": [
            {
                "metric": s.metric,
                "condition": s.condition,
                "field": "successCondition" if s.limit.success else "failureCondition",
                "strictest": s.strictest,
                "loosest": s.loosest,
                "separable": s.separable,
            }
            for s in report.suggestions
        ],
        "runs": [
            {
                "startedAt": format_timestamp(run.started_at),
                "endedAt": format_timestamp(run.ended_at),
                "phase": run.phase.value,
                "message": run.message,
            }
            for run in report.runs
        ],
    }


def _figures(found: Figures) -> dict[str, Any]:
    return {
        "runs": found.runs,
        "phases": {phase.value: found.phases.get(phase, 0) for phase in _PHASES},
        "medianSeconds": found.median_seconds,
        "p90Seconds": found.p90_seconds,
    }


def _outcomes(report: Report) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("", "RUNS", *(phase.upper() for phase in _PHASES), "STOPPED AFTER", "90 % WITHIN"):
        shown.add_column(
            column, justify="left" if not column else "right", style="bold" if not column else ""
        )
    rows = {"all": report.everything}
    if report.plan.bad:
        rows |= {"good times": report.good, "bad times": report.bad}
    for name, found in rows.items():
        shares = (f"{found.phases.get(phase, 0)} ({percent(found.share(phase))})" for phase in _PHASES)
        shown.add_row(
            name, str(found.runs), *shares, duration(found.median_seconds), duration(found.p90_seconds)
        )
    return shown


def _sentences(report: Report) -> Iterator[RenderableType]:
    if report.plan.bad:
        yield Text(
            f"False alarms: {percent(report.false_alarms)} of {report.good.runs} releases in good times."
        )
        yield Text(f"Found: {percent(report.found)} of {report.bad.runs} releases in bad times.")
    else:
        stopped = percent(report.false_alarms)
        yield Text(
            f"Stopped: {stopped}. If all of this time was good, that is how often it raises a false alarm;"
        )
        yield Text("say what was not with --bad FROM/TO.")
    for found in report.suggestions:
        yield Text(f"{found.metric}: {suggestion(found)}")
    yield Text()


def _queries(report: Report) -> Table:
    shown = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("METRIC", "MEASUREMENTS", "WITHOUT DATA", "ERRORS", "FOR EXAMPLE"):
        shown.add_column(
            column, justify="right" if column in {"MEASUREMENTS", "WITHOUT DATA", "ERRORS"} else "left"
        )
    for s in report.silent:
        numbers = (str(s.measurements), str(s.without_data), str(s.errors))
        shown.add_row(s.metric, *numbers, s.example[:120])
    return shown


def _stopped(report: Report) -> Iterator[RenderableType]:
    stopped = [run for run in report.runs if run.phase is not Phase.SUCCESSFUL]
    if not stopped:
        return
    shown = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("STARTED", "OUTCOME", "AFTER", "WHY"):
        shown.add_column(column)
    for run in stopped[:_SHOWN_RUNS]:
        after = duration((run.ended_at - run.started_at).total_seconds())
        shown.add_row(f"{run.started_at:%d %b %H:%M}", styled(run.phase), after, run.message)
    yield Text()
    yield shown
    if len(stopped) > _SHOWN_RUNS:
        yield Text(f"and {len(stopped) - _SHOWN_RUNS} more", style="dim")
