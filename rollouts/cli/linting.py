"""What is wrong with manifests, found without a cluster. Pure: documents in, findings out.

Decides nothing of its own: the models say what is well formed, `delivery.validate` and `analysis` say what
can be served. What manifests name and these files do not hold is told, and taken to be right.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from analysis import errors as metric_errors
from analysis import precheck
from rollouts import routing
from rollouts.api import parse, podtemplate
from rollouts.api.analysis import (
    AnalysisRunSpec,
    AnalysisTemplateRef,
    AnalysisTemplateSpec,
    Metric,
    MetricProvider,
)
from rollouts.api.application import Application, ApplicationSpec
from rollouts.api.experiment import Experiment, ExperimentSpec
from rollouts.api.meta import APPLICATION_GROUP, DEFAULT_GROUP, ObjectMeta
from rollouts.api.rollout import Rollout, RolloutSpec
from rollouts.api.traffic import Feature
from rollouts.cli.facts import dig
from rollouts.delivery import experiment_step, explain, rolling, validate, view, workload
from rollouts.delivery.experiments import analyses as experiment_analyses
from rollouts.delivery.experiments import explain as experiments_in_words
from rollouts.delivery.experiments import validate as experiments
from rollouts.delivery.experiments.snapshot import Snapshot as ExperimentSnapshot
from rollouts.delivery.snapshot import PodTemplate, Route, Service, Snapshot, Workload
from rollouts.errors import SpecError
from rollouts.gitops import validation

_SPECS: Mapping[str, type] = {
    "Rollout": RolloutSpec,
    "AnalysisTemplate": AnalysisTemplateSpec,
    "ClusterAnalysisTemplate": AnalysisTemplateSpec,
    "AnalysisRun": AnalysisRunSpec,
    "Experiment": ExperimentSpec,
    "Application": ApplicationSpec,
}
_TOP_LEVEL = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
PEER_GROUP = "argoproj.io"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One document of a file; `document` and `line` count from 1."""

    file: str
    document: int
    line: int
    body: Any

    @property
    def kind(self) -> str:
        return str(dig(self.body, "kind") or "")

    @property
    def name(self) -> str:
        return str(dig(self.body, "metadata", "name") or "")

    @property
    def namespace(self) -> str:
        return str(dig(self.body, "metadata", "namespace") or "")

    @property
    def group(self) -> str:
        return str(dig(self.body, "apiVersion") or "").rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, where it stands and what to write instead."""

    file: str
    document: int
    line: int
    object: str
    path: str
    problem: str

    @property
    def told(self) -> str:
        """Without where it stands."""
        what = f"{self.object}: " if self.object else ""
        where = f"{self.path}: " if self.path and not self.problem.startswith(self.path) else ""
        return f"{what}{where}{self.problem}"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: document {self.document}: {self.told}"


@dataclass(frozen=True, slots=True)
class Report:
    checked: int
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]
    """What manifests name and the files do not hold."""
    explained: tuple[str, ...] = ()
    """Each Rollout and Experiment that can be served, in words."""


@dataclass(frozen=True, slots=True)
class _Files:
    """What the files hold that a Rollout may name."""

    rollouts: tuple[tuple[Manifest, RolloutSpec], ...]
    experiments: tuple[tuple[Manifest, ExperimentSpec], ...]
    services: Mapping[tuple[str, str], Mapping[str, str]]
    templates: Mapping[tuple[str, AnalysisTemplateRef], AnalysisTemplateSpec]
    workloads: Mapping[tuple[str, str, str], Workload]
    """By namespace, kind and name."""
    unknown: dict[str, None] = field(default_factory=dict)


def check(manifests: Iterable[Manifest], groups: frozenset[str], now: datetime) -> Report:
    """Everything that is wrong, in the order of the files. `groups` are those whose Rollouts are ours."""
    every = [item for manifest in manifests for item in _items(manifest)]
    ours = [m for m in every if _is_ours(m, groups)]
    findings: list[Finding] = []
    specs = [(m, spec) for m in ours if (spec := _parsed(m, findings)) is not None]
    files = _files(every, specs)
    for manifest, spec in specs:
        findings.extend(_finding(manifest, *fault) for fault in _faults(manifest, spec, files, now))
    wrong = {(f.file, f.document, f.object) for f in findings}
    order = {(m.file, m.document): i for i, m in enumerate(every)}
    return Report(
        checked=len(ours),
        findings=tuple(sorted(findings, key=lambda f: order[f.file, f.document])),
        unknown=tuple(files.unknown),
        explained=tuple(_explained(files, wrong)),
    )


def _explained(files: _Files, wrong: Container[tuple[str, int, str]]) -> Iterator[str]:
    for manifest, spec in files.rollouts:
        what = f"Rollout {manifest.name}"
        if (manifest.file, manifest.document, what) not in wrong:
            templates = dict(_templates(references(spec), manifest.namespace, files))
            yield f"{what}: {explain.explain(spec, templates)}"
    for manifest, experiment in files.experiments:
        what = f"Experiment {manifest.name}"
        if (manifest.file, manifest.document, what) not in wrong:
            yield f"{what}: {experiments_in_words.explain(experiment)}"


def _items(manifest: Manifest) -> Iterator[Manifest]:
    items = dig(manifest.body, "items")
    if manifest.kind.endswith("List") and isinstance(items, list):
        for item in items:
            yield Manifest(manifest.file, manifest.document, manifest.line, item)
    else:
        yield manifest


def _is_ours(manifest: Manifest, groups: frozenset[str]) -> bool:
    if manifest.kind == "Application":
        return manifest.group == APPLICATION_GROUP
    return manifest.kind in _SPECS and manifest.group in groups | {DEFAULT_GROUP, PEER_GROUP}


def _parsed(manifest: Manifest, findings: list[Finding]) -> Any:
    """The spec as a model, or None and a finding."""
    try:
        _check_frame(manifest)
        return parse.parse(_SPECS[manifest.kind], manifest.body.get("spec"), "spec")
    except SpecError as e:
        findings.append(_finding(manifest, e.path, str(e)))
        return None


def _check_frame(manifest: Manifest) -> None:
    if not manifest.name:
        raise SpecError("metadata.name", None, "is required")
    unknown = next((key for key in manifest.body if key not in _TOP_LEVEL), None)
    if unknown is not None:
        raise SpecError(str(unknown), None, "unknown field", f"known fields: {', '.join(sorted(_TOP_LEVEL))}")


def _files(every: Iterable[Manifest], specs: Sequence[tuple[Manifest, Any]]) -> _Files:
    return _Files(
        rollouts=tuple((m, spec) for m, spec in specs if isinstance(spec, RolloutSpec)),
        experiments=tuple((m, spec) for m, spec in specs if isinstance(spec, ExperimentSpec)),
        services={
            (m.namespace, m.name): dig(m.body, "spec", "selector") or {}
            for m in every
            if m.kind == "Service" and m.group == ""
        },
        templates={_template_key(m): spec for m, spec in specs if isinstance(spec, AnalysisTemplateSpec)},
        workloads={
            (m.namespace, m.kind, m.name): workload.of(m.body)
            for m in every
            if m.kind in workload.KINDS and dig(m.body, "apiVersion") == workload.KINDS[m.kind]
        },
    )


def _template_key(manifest: Manifest) -> tuple[str, AnalysisTemplateRef]:
    cluster_scope = manifest.kind == "ClusterAnalysisTemplate"
    namespace = "" if cluster_scope else manifest.namespace
    return namespace, AnalysisTemplateRef(manifest.name, cluster_scope)


def _faults(manifest: Manifest, spec: Any, files: _Files, now: datetime) -> Iterator[tuple[str, str]]:
    """(path, problem) of what is well formed and yet cannot be served."""
    try:
        _check_meaning(manifest, spec, files, now)
    except SpecError as e:
        yield e.path, str(e)
    except metric_errors.SpecError as e:
        yield f"spec.{e.path}", f"spec.{e}"
    except metric_errors.AnalysisError as e:
        yield "spec.metrics", str(e)


def _check_meaning(manifest: Manifest, spec: Any, files: _Files, now: datetime) -> None:
    match spec:
        case RolloutSpec():
            workload.check(spec)
            known = _resolved(spec, manifest.namespace, files)
            if known is None:
                return
            spec = known
            fault = validate.fault(view.of(_snapshot(manifest, spec, files, now)))
            if fault is not None:
                raise fault
        case ExperimentSpec():
            _check_experiment(manifest, spec, files, now)
        case ApplicationSpec():
            validation.check(Application(_metadata(manifest), spec))
        case _:
            _check_metrics(manifest, spec)


def _check_experiment(manifest: Manifest, spec: ExperimentSpec, files: _Files, now: datetime) -> None:
    for index, template in enumerate(spec.templates):
        podtemplate.canonical(template.template, f"spec.templates[{index}].template")
    fault = experiments.fault(spec)
    if fault is not None:
        raise fault
    refs = [AnalysisTemplateRef(a.template_name, a.cluster_scope) for a in spec.analyses]
    experiment_analyses.check(
        ExperimentSnapshot(
            experiment=Experiment(_metadata(manifest), spec),
            now=now,
            hashes={template.name: "hash" for template in spec.templates},
            templates=dict(_templates(refs, manifest.namespace, files)),
        )
    )


def _resolved(spec: RolloutSpec, namespace: str, files: _Files) -> RolloutSpec | None:
    """With the pod template of the object in workloadRef; None where the files do not hold it."""
    ref = spec.workload_ref
    if ref is None:
        return spec
    found = files.workloads.get((namespace, ref.kind, ref.name))
    if found is None:
        files.unknown[f"{ref.kind} {ref.name}"] = None
        return None
    return workload.resolved(spec, found)


def _metadata(manifest: Manifest) -> ObjectMeta:
    return parse.parse(ObjectMeta, manifest.body["metadata"], "metadata", strict=False)


def _check_metrics(manifest: Manifest, spec: AnalysisTemplateSpec | AnalysisRunSpec) -> None:
    """Every metric, with the arguments that have a value filled in."""
    if not spec.metrics:
        return
    precheck.metrics(
        dig(manifest.body, "spec", "metrics"),
        {arg.name: arg.value for arg in spec.args if arg.value is not None},
        {arg.name for arg in spec.args if arg.value is None},
        dry_run=[d.metric_name for d in spec.dry_run],
        retention=[(r.metric_name, r.limit) for r in spec.measurement_retention],
    )


def _snapshot(manifest: Manifest, spec: RolloutSpec, files: _Files, now: datetime) -> Snapshot:
    """The Rollout as the controller would first see it, beside what the files hold."""
    names = spec.strategy.service_names
    return Snapshot(
        rollout=Rollout(_metadata(manifest), spec),
        template=PodTemplate(
            digest=podtemplate.digest(spec.template), hash=podtemplate.pod_template_hash(spec.template)
        ),
        now=now,
        services={name: _service(name, manifest.namespace, files) for name in names},
        rivals=_rivals(manifest, names, files),
        templates=dict(_templates(references(spec), manifest.namespace, files)),
        routes=tuple(_routes(spec, files)),
    )


def _routes(spec: RolloutSpec, files: _Files) -> Iterator[Route]:
    """Our routers can what they can; those of other packages may be installed where the controller runs."""
    canary, known = spec.strategy.canary, routing.registry()
    named = canary.traffic_routing.routers() if canary and canary.traffic_routing else ()
    for name, _ in named:
        if name.startswith("plugins."):
            files.unknown[f"router {name}"] = None
            yield Route(name, features=frozenset(Feature), read=False)
        else:
            features = known[name].features if name in known else frozenset[Feature]()
            yield Route(name, available=name in known, features=features, read=False)


def _service(name: str, namespace: str, files: _Files) -> Service:
    selector = files.services.get((namespace, name))
    if selector is None:
        files.unknown[f"Service {name}"] = None
    return Service(name, uid="", resource_version="", selector=selector or {})


def _rivals(manifest: Manifest, names: Iterable[str], files: _Files) -> dict[str, str]:
    return {
        name: other.name
        for other, spec in files.rollouts
        if other is not manifest and other.namespace == manifest.namespace
        for name in set(names) & set(spec.strategy.service_names)
    }


def _templates(
    refs: Iterable[AnalysisTemplateRef], namespace: str, files: _Files
) -> Iterator[tuple[AnalysisTemplateRef, AnalysisTemplateSpec]]:
    """The templates that are named, and those that they name in turn."""
    open_, seen = list(refs), set[AnalysisTemplateRef]()
    while open_:
        ref = open_.pop()
        if ref in seen:
            continue
        seen.add(ref)
        spec = files.templates.get(("" if ref.cluster_scope else namespace, ref))
        if spec is None:
            kind = "ClusterAnalysisTemplate" if ref.cluster_scope else "AnalysisTemplate"
            files.unknown[f"{kind} {ref.template_name}"] = None
        yield ref, spec or _any_template(ref)
        open_.extend(spec.templates if spec else ())


_ANYWHERE = MetricProvider(plugin={})


def _any_template(ref: AnalysisTemplateRef) -> AnalysisTemplateSpec:
    """Stands for a template that is not among the files: it has a metric, and asks for no arguments."""
    return AnalysisTemplateSpec(metrics=(Metric(name=f"of {ref.template_name}", provider=_ANYWHERE),))


def references(spec: RolloutSpec) -> Iterator[AnalysisTemplateRef]:
    """The templates that a Rollout names."""
    yield from (ref for analysis in rolling.analyses(spec) for ref in analysis.templates)
    yield from experiment_step.references(spec)


def _finding(manifest: Manifest, path: str, problem: str) -> Finding:
    what = f"{manifest.kind} {manifest.name}".strip()
    return Finding(manifest.file, manifest.document, manifest.line, what, path, problem)
