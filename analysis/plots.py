"""Plots as SVG text, for a page that needs nothing from anywhere. Pure.

Decided here: axes, ticks and marks. Colours are CSS classes of the page that shows them.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WIDTH = 960
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 28, 12, 28
_TIME_STEPS = tuple(
    timedelta(minutes=m) for m in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7 * 1440)
)
_MOST_TIMES = 9


@dataclass(frozen=True, slots=True)
class Frame:
    """Where time and values are on the plot."""

    begin: datetime
    end: datetime
    low: float
    high: float
    height: int

    def x(self, at: datetime) -> float:
        share = (at - self.begin) / max(self.end - self.begin, timedelta(seconds=1))
        return _LEFT + min(1.0, max(0.0, share)) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.height - _BOTTOM - min(1.0, max(0.0, share)) * (self.height - _TOP - _BOTTOM)


def frame(begin: datetime, end: datetime, values: Iterable[float], height: int = 200) -> Frame:
    """A frame that holds all values, with round ends."""
    known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    step = _step(max(known) - min(known) or abs(known[0]) or 1.0)
    low, high = math.floor(min(known) / step) * step, math.ceil(max(known) / step) * step
    return Frame(begin, end, low, high if high > low else low + step, height)


def svg(frame: Frame, title: str, marks: Iterable[str]) -> str:
    """A whole plot: axes, and the marks over them."""
    inside = "".join((*_value_axis(frame), *_time_axis(frame), *marks))
    return f'<svg viewBox="0 0 {WIDTH} {frame.height}" role="img" aria-label="{html.escape(title)}">{inside}</svg>'


def band(frame: Frame, begin: datetime, end: datetime, css: str, title: str) -> str:
    """A stretch of time from top to bottom."""
    left, right = frame.x(begin), frame.x(end)
    return _rectangle(left, _TOP, right - left, frame.height - _TOP - _BOTTOM, css, title)


def bar(frame: Frame, begin: datetime, end: datetime, value: float, css: str, title: str) -> str:
    """A bar from the bottom up to a value."""
    left, top = frame.x(begin), frame.y(value)
    width = max(1.0, frame.x(end) - left - 1)
    return _rectangle(left, top, width, max(1.0, frame.height - _BOTTOM - top), css, title)


def dots(frame: Frame, points: Iterable[tuple[datetime, float]], css: str, unit: str = "") -> str:
    """One dot a point."""
    return "".join(
        f'<circle class="{css}" cx="{frame.x(at):.1f}" cy="{frame.y(value):.1f}" r="2">'
        f"<title>{at:%d %b %H:%M:%S}: {value:.4g}{unit}</title></circle>"
        for at, value in points
        if math.isfinite(value)
    )


def level(frame: Frame, value: float, css: str, text: str) -> str:
    """A line at one value, with its name; nothing where it lies outside."""
    if not frame.low <= value <= frame.high:
        return ""
    y = frame.y(value)
    return (
        f'<line class="{css}" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="label {css}" x="{WIDTH - _RIGHT}" y="{y - 4:.1f}" text-anchor="end">{html.escape(text)}</text>'
    )


def _rectangle(x: float, y: float, width: float, height: float, css: str, title: str) -> str:
    return (
        f'<rect class="{css}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">'
        f"<title>{html.escape(title)}</title></rect>"
    )


def _value_axis(frame: Frame) -> Sequence[str]:
    step = _step(frame.high - frame.low)
    count = round((frame.high - frame.low) / step)
    return [_value_tick(frame, frame.low + index * step) for index in range(count + 1)]


def _value_tick(frame: Frame, value: float) -> str:
    y = frame.y(value)
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>'
    )


def _time_axis(frame: Frame) -> Sequence[str]:
    length = frame.end - frame.begin
    step = next((s for s in _TIME_STEPS if length / s <= _MOST_TIMES), _TIME_STEPS[-1])
    midnight = frame.begin.replace(hour=0, minute=0, second=0, microsecond=0)
    first = math.ceil((frame.begin - midnight) / step)
    count = int((frame.end - midnight) / step)
    form = "%d %b" if step >= timedelta(days=1) else "%H:%M"
    return [_time_tick(frame, midnight + index * step, form) for index in range(first, count + 1)]


def _time_tick(frame: Frame, at: datetime, form: str) -> str:
    return f'<text class="tick" x="{frame.x(at):.1f}" y="{frame.height - 8}" text-anchor="middle">{at:{form}}</text>'


def _step(length: float) -> float:
    """A round number that divides the length into four to ten parts."""
    unit = 10.0 ** math.floor(math.log10(length))
    return next(step for step in (unit / 5, unit / 2, unit, 2 * unit) if length / step <= 8)
