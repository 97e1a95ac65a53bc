"""Durations as Go and Kubernetes write them: `30s`, `1h30m`, `1.5h`, `300ms`. Pure."""

from __future__ import annotations

import re
from datetime import timedelta

_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_MAX_LENGTH = 64


def parse(text: str) -> timedelta:
    """The duration that a text stands for; ValueError if it is none."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    parts = _PART.findall(digits) if len(digits) <= _MAX_LENGTH else []
    if digits != "0" and (not parts or "".join(map("".join, parts)) != digits):
        raise ValueError(f'"{text[:_MAX_LENGTH]}" is not a duration such as 30s, 5m or 1h30m')
    try:
        return sign * timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
    except OverflowError:
        raise ValueError(f'"{text}" is too long a duration') from None
