"""Metrics before all of their arguments are known: what can be said of them already. Pure.

Decided here: what stands in for an argument that only the run will know (a Secret's, a pod template hash), and
which fields cannot be judged with it. Called by the linter and before a release begins, so that a template that
can never work is told before anything moves.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from analysis import parse, template
from analysis.model import Metric

_LIMITS = ("failureLimit", "inconclusiveLimit", "consecutiveSuccessLimit")
_REFERENCE = re.compile(r"\{\{\s*args\.([^{}]*?)\s*\}\}")


def metrics(
    specs: Sequence[Mapping[str, object]],
    known: Mapping[str, str],
    unknown: Collection[str],
    *,
    dry_run: Iterable[str] = (),
    retention: Iterable[tuple[str, int]] = (),
) -> tuple[Metric, ...]:
    """The metrics with what is known filled in; AnalysisError if they fail whatever the rest may be."""
    values = {**_placeholders(unknown), **known}
    settled = [_settled(spec, unknown) for spec in specs]
    resolved = [template.resolve_metric(spec, values) for spec in settled]
    return parse.metrics(resolved, dry_run=dry_run, retention=retention)


def _placeholders(unknown: Iterable[str]) -> Mapping[str, str]:
    """Each reads as a number and as a duration, and no two are the same: a canary is not its control."""
    return {name: str(number) for number, name in enumerate(sorted(unknown), start=1)}


def _settled(spec: Mapping[str, object], unknown: Collection[str]) -> Mapping[str, object]:
    """Without the fields whose values contradict each other, or do not, depending on what is unknown."""
    open_ = {field for field in ("count", *_LIMITS) if _refers(spec.get(field), unknown)}
    left = {field: value for field, value in spec.items() if not (open_ and field in _LIMITS)}
    if "count" in open_:
        left["count"] = 1
    comparison = spec.get("comparison")
    if isinstance(comparison, Mapping) and _refers(comparison.get("confidence"), unknown):
        left["comparison"] = {key: value for key, value in comparison.items() if key != "confidence"}
    return left


def _refers(value: object, unknown: Collection[str]) -> bool:
    return isinstance(value, str) and any(name in unknown for name in _REFERENCE.findall(value))
