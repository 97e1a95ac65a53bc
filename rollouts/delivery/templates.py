"""Analysis templates and arguments -> the spec of one AnalysisRun.

Decides what a run measures and with which arguments; every fault is a `SpecError` that names the field of
the Rollout. Called by `validate` (may it ever run?) and by `runs` (run it).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from analysis import model, precheck
from rollouts.api.analysis import (
    AnalysisRunArgument,
    AnalysisRunSpec,
    AnalysisTemplateRef,
    AnalysisTemplateSpec,
    Argument,
    DryRun,
    MeasurementRetention,
    Metric,
    PodTemplateHashValue,
)
from rollouts.api.parse import dump, model_fields
from rollouts.api.rollout import Rollout
from rollouts.api.strategy import RolloutAnalysis
from rollouts.delivery.snapshot import Snapshot
from rollouts.errors import SpecError

Templates = Mapping[AnalysisTemplateRef, AnalysisTemplateSpec | None]

_SECTIONS = re.compile(r"[.\[\]]+")
_QUOTED_KEY = re.compile(r"\['([^']+)'\]|\[\"([^\"]+)\"\]")


@dataclass(frozen=True, slots=True)
class Hashes:
    stable: str
    latest: str


# Of the first revision the stable hash is empty, of the last one both are the same: no fault of a template.
ANY_HASHES = Hashes(stable="stable", latest="latest")


@dataclass(frozen=True, slots=True)
class _Named:
    ref: AnalysisTemplateRef
    spec: AnalysisTemplateSpec
    path: str


def compose(snapshot: Snapshot, analysis: RolloutAnalysis, path: str, hashes: Hashes) -> AnalysisRunSpec:
    """The run that `analysis` (at `path` in the Rollout) asks for. Raises `SpecError`."""
    if not analysis.templates:
        raise SpecError(f"{path}.templates", None, "names no template", "name at least one AnalysisTemplate")
    return composed(
        snapshot.templates,
        [(ref, f"{path}.templates[{i}].templateName") for i, ref in enumerate(analysis.templates)],
        given(snapshot.rollout, analysis.args, path, hashes),
        path,
        dry_run=analysis.dry_run,
        measurement_retention=analysis.measurement_retention,
    )


def composed(
    templates: Templates,
    refs: Iterable[tuple[AnalysisTemplateRef, str]],
    args: Iterable[Argument],
    path: str,
    *,
    dry_run: tuple[DryRun, ...],
    measurement_retention: tuple[MeasurementRetention, ...],
) -> AnalysisRunSpec:
    """The run of the named templates (each with the path where it is named). Raises `SpecError`."""
    found = _found(templates, refs, ())
    tried = (*dry_run, *(d for t in found for d in t.spec.dry_run))
    retained = (*measurement_retention, *(m for t in found for m in t.spec.measurement_retention))
    _once([rule.metric_name for rule in tried], f"{path}.dryRun")
    _once([rule.metric_name for rule in retained], f"{path}.measurementRetention")
    return AnalysisRunSpec(
        metrics=_metrics(found),
        args=_args(found, args, path),
        dry_run=tried,
        measurement_retention=retained,
    )


def measurable(spec: AnalysisRunSpec) -> tuple[model.Metric, ...]:
    """The metrics as they will be measured, as far as the arguments are known. Raises `AnalysisError`."""
    return precheck.metrics(
        [dump(metric) for metric in spec.metrics],
        {arg.name: arg.value for arg in spec.args if arg.value is not None},
        {arg.name for arg in spec.args if arg.value is None},
        dry_run=[d.metric_name for d in spec.dry_run],
        retention=[(m.metric_name, m.limit) for m in spec.measurement_retention],
    )


def given(
    rollout: Rollout, args: tuple[AnalysisRunArgument, ...], path: str, hashes: Hashes
) -> tuple[Argument, ...]:
    """The arguments of an analysis (at `path` in the Rollout) with their values. Raises `SpecError`."""
    return tuple(
        Argument(arg.name, value=_value(rollout, arg, f"{path}.args[{i}]", hashes))
        for i, arg in enumerate(args)
    )


def _found(
    templates: Templates, refs: Iterable[tuple[AnalysisTemplateRef, str]], met: tuple[_Named, ...]
) -> tuple[_Named, ...]:
    """The templates that are named and those that they name in turn, each once, after those `met` before."""
    for ref, here in refs:
        if any(template.ref == ref for template in met):
            continue
        spec = templates.get(ref)
        if spec is None:
            raise _missing(ref, here)
        inner = [(r, f"{here}.templates[{i}].templateName") for i, r in enumerate(spec.templates)]
        met = _found(templates, inner, (*met, _Named(ref, spec, here)))
    return met


def _once(names: list[str], path: str) -> None:
    """Of two rules with one name, here or in the templates, it would not be clear which holds."""
    for index, name in enumerate(names):
        if name in names[:index]:
            raise SpecError(path, name, "is there twice, here or in the templates", "remove one of them")


def _missing(ref: AnalysisTemplateRef, path: str) -> SpecError:
    kind = "ClusterAnalysisTemplate" if ref.cluster_scope else "AnalysisTemplate"
    return SpecError(path, ref.template_name, f"{kind} not found", f"create the {kind} or correct the name")


def _metrics(found: tuple[_Named, ...]) -> tuple[Metric, ...]:
    metrics: dict[str, str] = {}
    out: list[Metric] = []
    for template in found:
        for metric in template.spec.metrics:
            if metric.name in metrics:
                raise SpecError(
                    template.path,
                    template.ref.template_name,
                    f'metric "{metric.name}" is also in template "{metrics[metric.name]}"',
                    "metric names must be unique across the templates of one analysis; rename one",
                )
            metrics[metric.name] = template.ref.template_name
            out.append(metric)
    if not out:
        raise SpecError(found[0].path, found[0].ref.template_name, "has no metrics")
    return tuple(out)


def _args(found: tuple[_Named, ...], args: Iterable[Argument], path: str) -> tuple[Argument, ...]:
    own = {arg.name: arg for arg in args if arg.value is not None or arg.value_from is not None}
    declared: dict[str, Argument] = {}
    for template in found:
        for arg in template.spec.args:
            declared[arg.name] = _merged(declared.get(arg.name), arg, template)
    merged = [own.get(name, arg) for name, arg in declared.items()]
    for arg in merged:
        if arg.value is None and arg.value_from is None:
            raise SpecError(
                f"{path}.args",
                None,
                f'argument "{arg.name}" has no value',
                "give it one here or in the template",
            )
    return tuple(merged)


def _merged(before: Argument | None, arg: Argument, template: _Named) -> Argument:
    if before is None or (before.value is None and before.value_from is None):
        return arg
    if arg.value is not None and before.value is not None and arg.value != before.value:
        raise SpecError(
            template.path,
            template.ref.template_name,
            f'argument "{arg.name}" is "{arg.value}" here and "{before.value}" in another template',
            "use one value, or another name",
        )
    return before


def _value(rollout: Rollout, arg: AnalysisRunArgument, path: str, hashes: Hashes) -> str:
    source = arg.value_from
    if source is None:
        return arg.value
    if source.pod_template_hash_value is not None:
        stable = source.pod_template_hash_value is PodTemplateHashValue.STABLE
        return hashes.stable if stable else hashes.latest
    if source.field_ref is not None:
        field_path = source.field_ref.field_path
        if hashes is ANY_HASHES and field_path.startswith("status."):
            return ""  # known when the run is made
        return _field(rollout, field_path, f"{path}.valueFrom.fieldRef.fieldPath")
    raise SpecError(f"{path}.valueFrom", None, "names no source", "set podTemplateHashValue or fieldRef")


def _field(rollout: Rollout, field_path: str, path: str) -> str:
    """The scalar at a path such as metadata.labels['region'] or spec.replicas."""
    value: object = rollout
    for section in _sections(field_path):
        inside, value = value, _child(value, section)
        if value is None and (inside is rollout.metadata.labels or inside is rollout.metadata.annotations):
            return ""  # as the downward API of Kubernetes has it
        if value is None:
            raise SpecError(path, field_path, f'the Rollout has no "{section}" there')
    if not isinstance(value, str | int | float):
        raise SpecError(path, field_path, "is not a single value", "name a field that holds text or a number")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sections(field_path: str) -> tuple[str, ...]:
    quoted = _QUOTED_KEY.search(field_path)
    if quoted:  # labels and annotations hold dots in their keys
        return (*_split(field_path[: quoted.start()]), quoted[1] or quoted[2])
    return _split(field_path)


def _split(field_path: str) -> tuple[str, ...]:
    return tuple(section for section in _SECTIONS.split(field_path) if section)


def _child(value: object, section: str) -> object:
    if isinstance(value, Mapping):
        return value.get(section)
    if isinstance(value, tuple):
        return value[int(section)] if section.isdigit() and int(section) < len(value) else None
    if dataclasses.is_dataclass(value):
        fields = model_fields(cast("Hashable", type(value)))
        field = next((f for f in fields if f.json == section), None)
        return getattr(value, field.name) if field else None
    return None
