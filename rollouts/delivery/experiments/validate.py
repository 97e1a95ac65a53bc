"""What the spec of an Experiment must be beyond its schema. Called by `plan`, and by the linter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rollouts.api.experiment import ExperimentSpec, ExperimentTemplate
from rollouts.delivery import selectors
from rollouts.errors import SpecError


def fault(spec: ExperimentSpec) -> SpecError | None:
    """The first fault, in the order in which a reader of the spec would meet it."""
    return next(_faults(spec), None)


def repeated(names: Iterable[str], path: str) -> Iterator[SpecError]:
    """A name of a list of templates or analyses that is there twice."""
    met: set[str] = set()
    for index, name in enumerate(names):
        if name in met:
            yield SpecError(f"{path}[{index}].name", name, "is there twice", "give each a name of its own")
        met.add(name)


def _faults(spec: ExperimentSpec) -> Iterator[SpecError]:
    if not spec.templates:
        yield SpecError("spec.templates", None, "is empty", "name at least one template")
    yield from repeated((t.name for t in spec.templates), "spec.templates")
    yield from repeated((a.name for a in spec.analyses), "spec.analyses")
    for index, template in enumerate(spec.templates):
        yield from _template(spec, template, f"spec.templates[{index}]")
    services = [t.service.name for t in spec.templates if t.service and t.service.name]
    for name in sorted({name for name in services if services.count(name) > 1}):
        yield SpecError("spec.templates", name, "is the Service of two templates", "use two Services")


def _template(spec: ExperimentSpec, template: ExperimentTemplate, path: str) -> Iterator[SpecError]:
    yield from selectors.faults(template.selector, template.template, path)
    if template.min_ready_seconds > spec.progress_deadline_seconds:
        yield SpecError(
            f"{path}.minReadySeconds",
            template.min_ready_seconds,
            f"must not be more than progressDeadlineSeconds, which is {spec.progress_deadline_seconds}",
        )
