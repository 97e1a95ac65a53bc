"""An Experiment in words: what runs, and how it ends. Called by the linter."""

from __future__ import annotations

from collections.abc import Iterator

from rollouts.api.experiment import ExperimentSpec
from rollouts.delivery import events
from rollouts.delivery.explain import words


def explain(spec: ExperimentSpec) -> str:
    versions = ", ".join(f"{t.name} ({events.pods(t.replicas)})" for t in spec.templates)
    ends = [*_ends(spec)]
    how = f"ends {' or '.join(ends)}" if ends else "can run for ever: only terminate ends it"
    beside = " side by side" if len(spec.templates) > 1 else ""
    return f"runs {versions}{beside}; {how}"


def _ends(spec: ExperimentSpec) -> Iterator[str]:
    required = [a.name for a in spec.analyses if a.required_for_completion]
    if required:
        yield f"when {' and '.join(required)} succeeded"
    elif spec.duration is not None:
        yield f"{words(spec.duration)} after all pods are available"
    if spec.analyses and (required or spec.duration is not None):
        yield f"when {' or '.join(a.name for a in spec.analyses)} did not succeed"
