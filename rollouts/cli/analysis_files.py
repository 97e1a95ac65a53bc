"""AnalysisTemplates in files -> metrics with their arguments filled in. No cluster.

Decides which documents count and where an argument's value comes from. Called by `analyse`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from analysis import parse as metric_specs
from analysis import schedule, template
from analysis.errors import AnalysisError
from analysis.model import Metric, NoData
from rollouts.api.analysis import AnalysisTemplateRef, AnalysisTemplateSpec
from rollouts.api.parse import dump, parse
from rollouts.cli.facts import dig
from rollouts.cli.target import CliError
from rollouts.errors import SpecError
from rollouts.gitops.resources import documents

_KINDS = frozenset({"AnalysisTemplate", "ClusterAnalysisTemplate"})
_COUNTLESS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The analysis that some files describe."""

    title: str
    metrics: tuple[Metric, ...]


def load(files: Sequence[str], arguments: Sequence[str], *, prometheus: str, only: str = "") -> Loaded:
    """The metrics of the templates in the files; `only`: of that one and those it names.

    `prometheus` goes before the address that a metric names, as that is usually one inside a cluster.
    """
    if prometheus and not prometheus.startswith(("http://", "https://")):
        raise CliError(f"--prometheus {prometheus}: write a URL such as http://localhost:9090")
    known = dict(_templates(files))
    if not known:
        raise CliError(f"{', '.join(files)}: there is no AnalysisTemplate; name a file with one")
    chosen = [ref for ref in known if ref.template_name == only] if only else list(known)
    if not chosen:
        names = ", ".join(ref.template_name for ref in known)
        raise CliError(f"there is no AnalysisTemplate {only}; the files have {names}")
    specs = list(_with_nested(known, chosen))
    values = _values(specs, arguments)
    try:
        metrics = metric_specs.metrics(
            [template.resolve_metric(dump(metric), values) for spec in specs for metric in spec.metrics],
            dry_run=[d.metric_name for spec in specs for d in spec.dry_run],
        )
    except AnalysisError as e:
        raise CliError(str(e)) from None
    title = ", ".join(dict.fromkeys(ref.template_name for ref in chosen))
    return Loaded(title, tuple(_addressed(metric, prometheus) for metric in metrics))


def longest(metrics: Iterable[Metric]) -> timedelta:
    """How long a run of these metrics may take without errors; ten minutes where they have no end."""
    return max((_length(metric) for metric in metrics), default=_COUNTLESS)


def _length(metric: Metric) -> timedelta:
    count = metric.effective_count
    if count is None:
        return _COUNTLESS
    waits = metric.on_no_data is NoData.RETRY or metric.comparison is not None or metric.min_samples
    measured = count - 1 + (metric.no_data_limit + 1 if waits else 0)
    return (metric.initial_delay or timedelta()) + measured * (metric.interval or schedule.ERROR_RETRY)


def _templates(files: Sequence[str]) -> Iterator[tuple[AnalysisTemplateRef, AnalysisTemplateSpec]]:
    for name in files:
        try:
            content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
            for document in documents.load(content):
                kind = dig(document.value, "kind")
                if kind in _KINDS:
                    ref = AnalysisTemplateRef(
                        str(dig(document.value, "metadata", "name")), kind == "ClusterAnalysisTemplate"
                    )
                    yield ref, parse(AnalysisTemplateSpec, dig(document.value, "spec"), "spec")
        except (OSError, documents.DocumentError) as e:
            raise CliError(f"{name} cannot be read: {getattr(e, 'strerror', None) or e}") from None
        except SpecError as e:
            raise CliError(f"{name}: {e}") from None


def _with_nested(
    known: Mapping[AnalysisTemplateRef, AnalysisTemplateSpec], chosen: Sequence[AnalysisTemplateRef]
) -> Iterator[AnalysisTemplateSpec]:
    """The templates that are chosen and those that they name, each once."""
    wanted = list(chosen)
    for ref in wanted:  # grows while we go
        if ref not in known:
            raise CliError(
                f"template {ref.template_name} is named and not in the files; add its file with -f"
            )
        yield known[ref]
        wanted.extend(inner for inner in known[ref].templates if inner not in wanted)


def _values(specs: Sequence[AnalysisTemplateSpec], arguments: Sequence[str]) -> Mapping[str, str]:
    given = dict(map(_split, arguments))
    declared = [arg for spec in specs for arg in spec.args]
    unknown = given.keys() - {arg.name for arg in declared}
    if unknown:
        names = ", ".join(sorted({arg.name for arg in declared})) or "none"
        raise CliError(f"--arg {min(unknown)}: no template declares it; declared: {names}")
    try:
        return template.resolve_arguments(
            [template.Argument(arg.name, arg.value) for arg in declared],
            [template.Argument(name, value) for name, value in given.items()],
        )
    except AnalysisError as e:
        raise CliError(f"{str(e).partition(';')[0]}; give it with --arg NAME=VALUE") from None


def _split(argument: str) -> tuple[str, str]:
    name, separator, value = argument.partition("=")
    if not name or not separator:
        raise CliError(f"--arg {argument}: write NAME=VALUE")
    return name, value


def _addressed(metric: Metric, prometheus: str) -> Metric:
    spec = metric.provider.get("prometheus")
    if not isinstance(spec, Mapping):
        return metric
    if not prometheus and not spec.get("address"):
        raise CliError(f"metric {metric.name} names no Prometheus; name one with --prometheus URL")
    if not prometheus:
        return metric
    return replace(metric, provider={"prometheus": {**spec, "address": prometheus}})
