"""A timeline as an SVG: shares of the requests as areas, phases as a strip, steps and verdicts as marks.

Decides nothing but where things are drawn. Pure: a timeline in, text out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from xml.sax.saxutils import escape

from rollouts.api.meta import Reason
from rollouts.api.parse import format_duration
from rollouts.simulate.timeline import Moment, Timeline

_WIDTH, _HEIGHT = 960, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 936, 84, 304
_STRIP = 312
_LABEL_WIDTH = 34
_FONT = 'font-family="system-ui, sans-serif" font-size="12" fill="#0f172a" shape-rendering="crispEdges"'
_COLOURS = ("#94a3b8", "#2563eb", "#f59e0b", "#0d9488", "#9333ea")
_PHASES = {"Healthy": "#16a34a", "Progressing": "#38bdf8", "Paused": "#facc15", "Degraded": "#dc2626"}
_VERDICTS = {Reason.ABORTED: "aborted", Reason.COMPLETED: "promoted"}
_INTERVALS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


def svg(timeline: Timeline) -> str:
    spans = list(_spans(timeline))
    revisions = sorted({pods.revision for moment in timeline.moments for pods in moment.pods})
    colours = {revision: _COLOURS[i % len(_COLOURS)] for i, revision in enumerate(revisions)}
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="26" font-size="16" font-weight="600">{escape(timeline.name)}</text>',
        *_legend(colours),
        *_grid(_shown(timeline)),
        *_areas(spans, colours),
        *_phases(spans),
        *_steps(timeline),
        *_verdicts(timeline),
        "</svg>",
    ]
    return "\n".join(drawn) + "\n"


def _shown(timeline: Timeline) -> timedelta:
    """What is drawn: a little more than what happened, so that the end can be seen."""
    return max(timeline.ends_at * 1.05, timedelta(seconds=1))


def _spans(timeline: Timeline) -> Iterator[tuple[float, float, Moment]]:
    """(from x, to x, what held in between)."""
    end = _shown(timeline)
    ends = [moment.at for moment in timeline.moments[1:]] + [end]
    for moment, until in zip(timeline.moments, ends, strict=True):
        yield _x(moment.at, end), _x(until, end), moment


def _x(at: timedelta, end: timedelta) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * (at / end), 1)


def _y(percent: float) -> float:
    return round(_BOTTOM - (_BOTTOM - _TOP) * percent / 100, 1)


def _legend(colours: dict[int, str]) -> Iterator[str]:
    entries = [(f"revision {revision}", colour) for revision, colour in colours.items()]
    x = _LEFT
    for name, colour in [*entries, *_PHASES.items()]:
        yield f'<rect x="{x}" y="40" width="12" height="12" rx="2" fill="{colour}"/>'
        yield f'<text x="{x + 17}" y="50">{name}</text>'
        x += 34 + 7 * len(name)


def _grid(end: timedelta) -> Iterator[str]:
    for percent in (0, 25, 50, 75, 100):
        y = _y(percent)
        yield f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y}" y2="{y}" stroke="#e2e8f0"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{percent} %</text>'
    seconds = end.total_seconds()
    interval = next((i for i in _INTERVALS if seconds / i <= 10), 86400 * max(1, round(seconds / 864000)))
    for second in range(0, int(seconds) + 1, interval):
        x = _x(timedelta(seconds=second), end)
        yield f'<line x1="{x}" x2="{x}" y1="{_STRIP + 14}" y2="{_STRIP + 20}" stroke="#64748b"/>'
        label = format_duration(timedelta(seconds=second))
        yield f'<text x="{x}" y="{_STRIP + 34}" text-anchor="middle">{label}</text>'


def _areas(spans: list[tuple[float, float, Moment]], colours: dict[int, str]) -> Iterator[str]:
    """Stacked from the oldest revision up; each span is a rectangle, as shares jump."""
    for start, end, moment in spans:
        below = 0
        for revision, colour in colours.items():
            weight = moment.weight(revision)
            if weight and end > start:
                top, height = _y(below + weight), round(_y(below) - _y(below + weight), 1)
                yield (
                    f'<rect x="{start}" y="{top}" width="{round(end - start, 1)}" height="{height}" '
                    f'fill="{colour}" fill-opacity="0.75"/>'
                )
            below += weight


def _phases(spans: list[tuple[float, float, Moment]]) -> Iterator[str]:
    for start, end, moment in spans:
        if end > start:
            yield (
                f'<rect x="{start}" y="{_STRIP}" width="{round(end - start, 1)}" height="12" '
                f'fill="{_PHASES[moment.phase]}"><title>{escape(moment.message or moment.phase)}</title></rect>'
            )


def _steps(timeline: Timeline) -> Iterator[str]:
    """A line where the step changes; labels only where there is room."""
    end, before, labelled = _shown(timeline), "", float("-inf")
    for moment in timeline.moments:
        if moment.step and moment.step != before:
            x = _x(moment.at, end)
            yield (
                f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{_BOTTOM}" stroke="#0f172a" stroke-dasharray="2 3"/>'
            )
            if x - labelled >= _LABEL_WIDTH:
                yield f'<text x="{x}" y="{_TOP - 6}" text-anchor="middle">{moment.step}</text>'
                labelled = x
        before = moment.step


def _verdicts(timeline: Timeline) -> Iterator[str]:
    end = _shown(timeline)
    for moment in timeline.moments:
        for event in moment.events:
            if event.reason in _VERDICTS:
                x = _x(moment.at, end)
                anchor = "start" if x < (_LEFT + _RIGHT) / 2 else "end"
                said = f"{_VERDICTS[event.reason]} at {format_duration(moment.at)}"
                yield f'<circle cx="{x}" cy="{_STRIP + 6}" r="5" fill="#0f172a"/>'
                yield (
                    f'<text x="{x}" y="{_STRIP + 56}" text-anchor="{anchor}" font-weight="600">'
                    f"{said}<title>{escape(event.message)}</title></text>"
                )
