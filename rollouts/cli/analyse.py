"""analysis run, analysis backtest: try an analysis before it guards anything. Needs no cluster.

Decides what is printed and the exit code; `analysis` decides everything else.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from analysis import backtest as backtests
from analysis import judge, model, providers, schedule
from analysis.backtest import Window
from analysis.model import Phase, RunAssessment
from analysis.pool import Pool
from rollouts.api import parse
from rollouts.cli import analysis_files, output
from rollouts.cli.output import Format, Output
from rollouts.cli.target import CliError
from rollouts.errors import SpecError

app = typer.Typer(no_args_is_help=True)

Files = Annotated[
    list[str], typer.Option("-f", "--filename", metavar="FILE", help="AnalysisTemplates; may be repeated.")
]
Arguments = Annotated[
    list[str], typer.Option("--arg", metavar="NAME=VALUE", help="Value of an argument; may be repeated.")
]
Server = Annotated[
    str, typer.Option(metavar="URL", envvar="ROLLOUTS_PROMETHEUS_ADDRESS", help="Prometheus to ask.")
]
Only = Annotated[str, typer.Option("--template", metavar="NAME", help="Only this template of the files.")]
Once = Annotated[bool, typer.Option("--once", help="Measure each metric once, at once.")]

_WORKERS = 8
_EXIT_CODES = {Phase.SUCCESSFUL: 0, Phase.FAILED: 1, Phase.INCONCLUSIVE: 2, Phase.ERROR: 3}


@app.command("run")
def run(
    files: Files,
    arguments: Arguments = [],  # noqa: B006 - Typer copies it
    prometheus: Server = "",
    only: Only = "",
    once: Once = False,  # noqa: FBT002 - so Typer declares a flag
) -> None:
    """Measure now, as an AnalysisRun would, until there is a verdict.

    Exits with 0 if it is Successful, 1 if Failed, 2 if Inconclusive, 3 on Error.
    """
    try:
        loaded = analysis_files.load(files, arguments, prometheus=prometheus, only=only)
    except CliError as e:
        typer.echo(f"error: {e}", err=True)  # 1 would say that the analysis failed
        raise typer.Exit(_EXIT_CODES[Phase.ERROR]) from None
    metrics = tuple(map(_only_once, loaded.metrics)) if once else loaded.metrics
    try:
        assessment = asyncio.run(_measured(metrics, prometheus))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    typer.echo(f"{assessment.phase}" + (f": {assessment.message}" if assessment.message else ""))
    raise typer.Exit(_EXIT_CODES[assessment.phase])


@app.command("backtest")
def backtest(  # noqa: PLR0913, PLR0917 - one parameter an option
    files: Files,
    prometheus: Server,
    begin: Annotated[str, typer.Option("--from", metavar="TIME", help="RFC 3339, or how long ago: 6h.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="RFC 3339, how long ago, or now.")] = "now",
    every: Annotated[
        str, typer.Option(metavar="DURATION", help="A release would have started so often.")
    ] = "10m",
    longest: Annotated[
        str, typer.Option("--duration", metavar="DURATION", help="Longest analysis. Default: by the metrics.")
    ] = "",
    bad: Annotated[
        list[str],
        typer.Option(
            "--bad", metavar="FROM/TO", help="A time that is known to have been bad; may be repeated."
        ),
    ] = [],  # noqa: B006 - Typer copies it
    arguments: Arguments = [],  # noqa: B006
    only: Only = "",
    html: Annotated[str, typer.Option("--html", metavar="FILE", help="Also write a page with plots.")] = "",
    form: Output = Format.TABLE,
) -> None:
    """Try an analysis on the past: how often would it have failed, how fast, and was it right?"""
    from analysis.providers.prometheus import Prometheus

    loaded = analysis_files.load(files, arguments, prometheus=prometheus, only=only)
    now, measurable = datetime.now(UTC), _measurable(loaded)
    plan = backtests.Plan(
        metrics=measurable,
        begin=_time(begin, now, "--from"),
        end=_time(end, now, "--to"),
        every=_length(every, "--every"),
        longest=_length(longest, "--duration") if longest else analysis_files.longest(measurable),
        bad=tuple(_window(one, now) for one in bad),
    )
    _check(plan)
    with _progress() as progress:
        report = backtests.run(plan, Prometheus(default_address=prometheus), progress)
    _show(report, loaded.title, form, html)


def _measurable(loaded: analysis_files.Loaded) -> tuple[model.Metric, ...]:
    """The metrics whose provider remembers; the others are told."""
    found = tuple(metric for metric in loaded.metrics if "prometheus" in metric.provider)
    for metric in loaded.metrics:
        if metric not in found:
            typer.echo(f"{metric.name}: left out, its provider has no past", err=True)
    return found


def _show(report: backtests.Report, title: str, form: Format, html: str) -> None:
    from rollouts.cli import analysis_report

    if html:
        _write(Path(html), analysis_report.page(report, title))
    if form is Format.TABLE:
        output.show(analysis_report.table(report, title))
    else:
        typer.echo(output.document(analysis_report.figures(report), form))
    if html:
        typer.echo(f"page written to {html}", err=True)


def _only_once(metric: model.Metric) -> model.Metric:
    return replace(metric, count=1, initial_delay=None, consecutive_success_limit=0, no_data_limit=0)


async def _measured(metrics: tuple[model.Metric, ...], prometheus: str) -> RunAssessment:
    """The run, told line by line."""
    pool = Pool(_WORKERS, providers.registry(prometheus_address=prometheus or None))
    started_at = _now()
    results: tuple[model.MetricResult, ...] = ()
    while True:
        assessment = judge.assess_run(metrics, results)
        if assessment.phase.completed:
            return assessment
        results = assessment.results
        due = schedule.due(metrics, results, run_started_at=started_at, now=_now())
        if due:
            results = await _round(pool, [m for m in metrics if m.name in due], results, started_at)
            continue
        at = schedule.next_due(metrics, results, run_started_at=started_at, now=_now())
        await asyncio.sleep(max(0.0, (at - _now()).total_seconds()) if at else 0)


async def _round(
    pool: Pool, due: list[model.Metric], results: tuple[model.MetricResult, ...], started_at: datetime
) -> tuple[model.MetricResult, ...]:
    found = {result.name: result for result in results}
    lasts = [found[m.name].last if m.name in found else None for m in due]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(pool.measure(m, now=_now, run_started_at=started_at, last=last))
            for m, last in zip(due, lasts, strict=True)
        ]
    for metric, task in zip(due, tasks, strict=True):
        one = task.result()
        found[metric.name] = judge.record(metric, found.get(metric.name), one)
        told = one.message or f"value {one.value}"
        typer.echo(f"{_now():%H:%M:%S}  {metric.name}  {one.phase}  {told}")
    return tuple(found.values())


def _now() -> datetime:
    return datetime.now(UTC)


def _time(text: str, now: datetime, option: str) -> datetime:
    if text == "now":
        return now.replace(microsecond=0)
    try:
        return parse.timestamp(text, option)
    except SpecError:
        pass
    try:
        ago = parse.duration(text.removeprefix("-"), option)
    except SpecError:
        raise CliError(
            f"{option} {text}: write a time such as 2026-01-31T12:00:00Z, or how long ago: 6h"
        ) from None
    return now.replace(microsecond=0) - ago


def _length(text: str, option: str) -> timedelta:
    try:
        found = parse.duration(text, option)
    except SpecError:
        raise CliError(f"{option} {text}: write a duration such as 10m") from None
    if found <= timedelta():
        raise CliError(f"{option} must be longer than 0s")
    return found


def _window(text: str, now: datetime) -> Window:
    begin, separator, end = text.partition("/")
    if not separator:
        raise CliError(f"--bad {text}: write FROM/TO, such as 2026-01-31T12:00:00Z/2026-01-31T12:30:00Z")
    return Window(_time(begin, now, "--bad"), _time(end, now, "--bad"))


def _check(plan: backtests.Plan) -> None:
    if not plan.metrics:
        raise CliError("no metric is measured with Prometheus; only Prometheus remembers")
    if not plan.starts:
        length = parse.format_duration(plan.longest)
        raise CliError(f"no run of {length} fits between --from and --to; choose a longer time or --duration")
    if len(plan.starts) > backtests.MAX_STARTS:
        raise CliError(
            f"{len(plan.starts)} runs are more than {backtests.MAX_STARTS}; choose a larger --every"
        )


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _, __: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("replaying", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as e:
        raise CliError(f"{path} cannot be written: {e.strerror}") from None
