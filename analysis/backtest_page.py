"""The report of a backtest as one HTML page with plots. Pure: a report in, a page out.

The page is complete in itself: no script, no font and no image comes from anywhere.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from analysis import backtest, plots, thresholds
from analysis.backtest import Figures, Plan, Report
from analysis.model import Metric, Phase
from analysis.replay import Replay

_SHOWN_RUNS = 100
_SHOWN_DOTS = 4000
_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--dim:#5b6675;--paper:#fff;--card:#f5f7f9;--line:#dde3e9;
--Successful:#2f8f63;--Failed:#c4362b;--Inconclusive:#c98a00;--Error:#7a5ba6;--bad:#c4362b22;--now:#1c2430;--new:#1268b3}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf0;--dim:#9aa6b2;--paper:#12171d;--card:#1b222a;--line:#2c3640;
--Successful:#4fb887;--Failed:#ef6a5e;--Inconclusive:#e6b13d;--Error:#a98bd8;--bad:#ef6a5e2e;--now:#e6ebf0;--new:#5aa9ee}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1040px;padding:32px 24px;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:32px 0 8px}p{margin:4px 0;color:var(--dim)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(118px,1fr));gap:12px;margin:20px 0}
.tile{background:var(--card);border-radius:8px;padding:12px 14px}.tile b{display:block;font-size:24px;line-height:1.2}
.tile span{color:var(--dim);font-size:13px}
svg{width:100%;height:auto;background:var(--card);border-radius:8px}
.grid{stroke:var(--line)}.tick{fill:var(--dim);font-size:12px}.label{font-size:12px;stroke:none}
.bad{fill:var(--bad)}.dot{fill:var(--Successful);opacity:.55}.dotbad{fill:var(--Failed);opacity:.7}
line.now{stroke:var(--now);stroke-width:1.5}text.now{fill:var(--now)}
line.new{stroke:var(--new);stroke-width:1.5;stroke-dasharray:6 4}text.new{fill:var(--new)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:6px 10px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right}td.m{overflow-wrap:anywhere}code{font-size:13px;overflow-wrap:anywhere}
.key{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 6px 0 0}.legend span{margin-right:6px}.legend i{font-style:normal;margin-right:14px}td:first-child{white-space:nowrap}
""" + "".join(
    f".{phase}{{fill:var(--{phase})}}.text{phase}{{color:var(--{phase})}}.back{phase}{{background:var(--{phase})}}"
    for phase in ("Successful", "Failed", "Inconclusive", "Error")
)


def page(report: Report, title: str) -> str:
    """The whole page."""
    plan = report.plan
    body = (
        f"<h1>Backtest of {html.escape(title)}</h1>",
        _when(plan),
        _tiles(report),
        "<h2>What would have happened</h2>",
        _legend(bool(plan.bad)),
        _timeline(report),
        *_metrics(report),
        "<h2>Queries</h2>",
        _queries(report),
        "<h2>Runs that would not have passed</h2>",
        _stopped(report),
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Backtest of {html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _when(plan: Plan) -> str:
    every, longest = duration(plan.every.total_seconds()), duration(plan.longest.total_seconds())
    return (
        f"<p>{plan.begin:%d %b %Y %H:%M} to {plan.end:%d %b %Y %H:%M} UTC, a release every {every}, "
        f"each analysed for up to {longest}</p>"
    )


def duration(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "—"
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return " ".join(f"{n} {unit}" for n, unit in parts if n) or "0 s"


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _tiles(report: Report) -> str:
    known_bad = bool(report.plan.bad)
    tiles = [
        (str(report.everything.runs), "runs replayed"),
        *((percent(report.everything.share(phase)), _outcome(phase)) for phase in _seen(report.everything)),
        (percent(report.false_alarms), "false alarms in good times" if known_bad else "stopped, all times"),
        *([(percent(report.found), "of bad releases stopped")] if known_bad else []),
        (duration(report.everything.median_seconds), "median time to stop"),
        (duration(report.everything.p90_seconds), "9 of 10 stopped within"),
    ]
    return f'<div class="tiles">{"".join(f"<div class=tile><b>{n}</b><span>{t}</span></div>" for n, t in tiles)}</div>'


def _seen(figures: Figures) -> Iterator[Phase]:
    yield Phase.SUCCESSFUL
    yield Phase.FAILED
    yield from (p for p in (Phase.INCONCLUSIVE, Phase.ERROR) if figures.phases.get(p))


def _outcome(phase: Phase) -> str:
    return {
        Phase.SUCCESSFUL: "would have passed",
        Phase.FAILED: "would have failed",
        Phase.INCONCLUSIVE: "inconclusive",
        Phase.ERROR: "could not be measured",
    }[phase]


def _legend(with_bad: bool) -> str:  # noqa: FBT001
    phases = (Phase.SUCCESSFUL, Phase.FAILED, Phase.INCONCLUSIVE, Phase.ERROR)
    keys = "".join(f'<span class="key back{phase}"></span><i>{phase}</i>' for phase in phases)
    bad = '<span class="key" style="background:var(--bad)"></span><i>known bad</i>' if with_bad else ""
    told = "Each bar is a release: when it started, and how many minutes until it was decided."
    return f'<p>{told}</p><p class="legend">{keys}{bad}</p>'


def _timeline(report: Report) -> str:
    plan = report.plan
    frame = plots.frame(plan.begin, plan.end, [0.0, plan.longest.total_seconds() / 60], 180)
    bars = (
        plots.bar(
            frame,
            run.started_at,
            run.started_at + plan.every,
            _minutes(run.ended_at - run.started_at),
            str(run.phase),
            f"{run.started_at:%d %b %H:%M} {run.phase} after "
            f"{duration((run.ended_at - run.started_at).total_seconds())}. {run.message}",
        )
        for run in report.runs
    )
    return plots.svg(frame, "Minutes until each release was decided", (*_bands(frame, plan), *bars))


def _minutes(length: timedelta) -> float:
    return length.total_seconds() / 60


def _bands(frame: plots.Frame, plan: Plan) -> Iterator[str]:
    for window in plan.bad:
        yield plots.band(frame, window.begin, window.end, "bad", f"known bad until {window.end:%H:%M}")


def _metrics(report: Report) -> Iterator[str]:
    for metric in report.plan.metrics:
        values = sorted({point for run in report.observed for point in backtest.numbers(run, metric.name)})
        thinned = values[:: max(1, len(values) // _SHOWN_DOTS)]
        what = "score of the comparison, 0 is harmful" if metric.comparison else _conditions(metric)
        yield f"<h2>{html.escape(metric.name)}</h2><p>{what}</p>"
        if not values:
            yield "<p>No value that is one number.</p>"
            continue
        yield _metric_plot(report, metric, thinned)
        yield _suggested(report, metric)


def _conditions(metric: Metric) -> str:
    written = (("successCondition", metric.success_condition), ("failureCondition", metric.failure_condition))
    return (
        ", ".join(f"{name} <code>{html.escape(text)}</code>" for name, text in written if text)
        or "no condition"
    )


def _metric_plot(report: Report, metric: Metric, points: list[tuple[datetime, float]]) -> str:
    limit = thresholds.limit_of(metric)
    found = next((s for s in report.suggestions if s.metric == metric.name), None)
    levels = [limit.value] if limit else []
    levels += [found.value] if found else []
    shown = [value for _, value in points]
    frame = plots.frame(report.plan.begin, report.plan.end, [*shown, *_near(levels, shown)])
    marks = (
        *_bands(frame, report.plan),
        plots.dots(frame, points, "dot"),
        plots.level(frame, limit.value, "now", f"limit {limit.value:g}") if limit else "",
        plots.level(frame, found.value, "new", f"suggested {found.value:g}")
        if found and _moved(found)
        else "",
    )
    return plots.svg(frame, metric.name, marks)


def _near(levels: Iterable[float], values: list[float]) -> Iterator[float]:
    """Limits that would not squeeze the values to a line."""
    length = (max(values) - min(values)) or abs(values[0]) or 1.0
    for level in levels:
        if min(values) - 2 * length <= level <= max(values) + 2 * length:
            yield level


def _moved(found: thresholds.Suggestion) -> bool:
    return abs(found.value - found.limit.value) > 1e-9


def _suggested(report: Report, metric: Metric) -> str:
    found = next((s for s in report.suggestions if s.metric == metric.name), None)
    return f"<p>{html.escape(suggestion(found))}</p>" if found else ""


def suggestion(found: thresholds.Suggestion) -> str:
    """One sentence about a limit."""
    if not found.separable:
        return (
            f"No limit tells good from bad: good runs need {found.strictest:g}, bad ones are stopped only beyond "
            f"{found.loosest:g}. Measure something else, or compare with the stable version."
        )
    reach = f"every good run passes up to {found.strictest:g}"
    reach += f", every bad one is stopped from {found.loosest:g} on" if found.loosest is not None else ""
    kept = "" if _moved(found) else " (as it is)"
    return f"Suggested: {found.condition}{kept}; {reach}."


def _queries(report: Report) -> str:
    rows = "".join(
        f'<tr><td>{html.escape(s.metric)}</td><td class="n">{s.measurements}</td><td class="n">{s.without_data}</td>'
        f'<td class="n">{s.errors}</td><td class="m">{html.escape(s.example[:300])}</td></tr>'
        for s in report.silent
    )
    head = '<th>Metric</th><th class="n">Measurements</th><th class="n">Without data</th><th class="n">Errors</th>'
    return f'<div class="scroll"><table><tr>{head}<th>For example</th></tr>{rows}</table></div>'


def _stopped(report: Report) -> str:
    stopped = [run for run in report.runs if run.phase is not Phase.SUCCESSFUL]
    if not stopped:
        return "<p>None.</p>"
    rows = "".join(map(_row, stopped[:_SHOWN_RUNS]))
    more = f"<p>and {len(stopped) - _SHOWN_RUNS} more</p>" if len(stopped) > _SHOWN_RUNS else ""
    head = '<th>Started</th><th>Outcome</th><th class="n">After</th><th>Why</th>'
    return f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>{more}'


def _row(run: Replay) -> str:
    after = duration((run.ended_at - run.started_at).total_seconds())
    return (
        f'<tr><td>{run.started_at:%d %b %H:%M}</td><td class="text{run.phase}">{run.phase}</td>'
        f'<td class="n">{after}</td><td class="m">{html.escape(run.message)}</td></tr>'
    )
