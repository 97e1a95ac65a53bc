"""One AnalysisRun: judge what was measured, measure what is due, write the verdict, delete what expired.

What a value means and when to measure is `analysis`'s. Measurements wait for their time by themselves and run in
its pool, never on a worker; a finished one waits in memory until the next reconcile writes it. Lost in a crash, it
is taken again; one that is in the status already is not counted twice.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from analysis import judge, model, schedule, template
from analysis import parse as metrics_of
from analysis.errors import AnalysisError
from analysis.pool import Pool
from rollouts.api.analysis import AnalysisPhase, AnalysisRun, AnalysisRunStatus, Argument, SecretKeyRef
from rollouts.api.meta import ObjectMeta
from rollouts.api.parse import dump, stamp
from rollouts.controller import credentials, due
from rollouts.controller.cache import Key, Record, Store
from rollouts.controller.due import Due
from rollouts.controller.jobs import PROVIDER as JOB
from rollouts.controller.jobs import Jobs
from rollouts.controller.loop import NOTHING_MORE, Next
from rollouts.controller.metrics import Metrics
from rollouts.controller.queue import Queue
from rollouts.controller.runs import KnownRun, results_of, status_of
from rollouts.controller.writes import Writer
from rollouts.errors import NotFound, RolloutsError
from rollouts.kube import resources

__all__ = ["FIELD_MANAGER", "ORIGIN", "Measurer"]

log = logging.getLogger(__name__)

ORIGIN = "analysis_run"
FIELD_MANAGER = "rollouts-analysis"


class Unresolved(Exception):
    """The run cannot be measured as it is written. The message holds no secret."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The metrics of a run with their arguments filled in, and the values that must not be shown."""

    metrics: tuple[model.Metric, ...]
    secrets: tuple[str, ...]


@dataclass(slots=True)
class Progress:
    """What this process knows of a run beside its status."""

    run: ObjectMeta
    prepared: Prepared
    trouble: str = ""
    """Why the run cannot be measured any more: an argument's Secret is gone."""
    in_flight: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    finished: dict[str, list[model.Measurement]] = field(default_factory=dict)


class Measurer:
    """Reconciles AnalysisRuns by key."""

    def __init__(  # noqa: PLR0913 - everything that it works with
        self,
        store: Store[KnownRun],
        queue: Queue,
        writer: Writer,
        pool: Pool,
        jobs: Jobs,
        now: Callable[[], datetime],
        *,
        namespace: str = "",
        metrics: Metrics | None = None,
    ) -> None:
        """`namespace` is the controller's, where Secrets of providers are shared."""
        self._metrics = metrics or Metrics()
        self._store = store
        self._namespace = namespace
        self._queue = queue
        self._writer = writer
        self._pool = pool
        self._jobs = jobs
        self._now = now
        self._progress: dict[str, Progress] = {}
        self._uids: dict[Key, str] = {}

    async def reconcile(self, key: Key) -> Next:
        record = self._store.get(key)
        self._forget_others(key, record.uid if record else "")
        if record is None:
            return NOTHING_MORE
        known = record.value
        if known.view.phase.completed:
            self._forget_others(key, "")
            return await self._expire(record)
        if known.run is None:
            await self._give_up(record, AnalysisRunStatus(), str(known.error))
            return NOTHING_MORE
        try:
            return await self._advance(record, known.run)
        except Unresolved as e:
            await self._give_up(record, known.run.status, str(e))
            return Next(again=True)

    async def close(self) -> None:
        self._pool.close()
        for progress in self._progress.values():
            for task in progress.in_flight.values():
                task.cancel()

    async def _advance(self, record: Record[KnownRun], run: AnalysisRun) -> Next:
        now = self._now()
        progress = await self._prepared(record, run)
        if progress.trouble:
            raise Unresolved(progress.trouble)
        metrics, terminate = progress.prepared.metrics, run.spec.terminate
        started_at = run.status.started_at or stamp(now)
        folded = {name: tuple(each) for name, each in progress.finished.items()}
        results = due.folded(metrics, results_of(run.status), folded, partial(self._metadata, progress))
        answered = judge.cut_off(metrics, results, stamp(now), terminate=terminate)
        assessment = judge.assess_run(metrics, answered, terminate=terminate)
        status = _redacted(status_of(assessment, started_at=started_at, now=now), progress.prepared.secrets)
        await self._write(run.metadata, run.status, status)
        for name, each in folded.items():
            del progress.finished[name][: len(each)]
        if assessment.phase.completed:
            log.info("%s", status.phase, extra=_fields(record.key, status.message))
            await self._end_jobs(progress, results)
            return Next(again=True)
        self._measure(record.key, run, progress, due.coming(metrics, assessment, started_at))
        return NOTHING_MORE

    def _metadata(self, progress: Progress, metric: model.Metric) -> Mapping[str, str]:
        return self._pool.metadata(metric, secrets=progress.prepared.secrets)

    async def _prepared(self, record: Record[KnownRun], run: AnalysisRun) -> Progress:
        progress = self._progress.get(record.uid)
        if progress is None:
            progress = Progress(run.metadata, await self._prepare(run))
            self._progress[record.uid] = progress
            self._uids[record.key] = record.uid
        return progress

    async def _prepare(self, run: AnalysisRun) -> Prepared:
        """Arguments filled in. Secrets are read live: a rotated one holds from the next measurement on."""
        spec = run.spec
        values, secrets = {}, []
        for arg in spec.args:
            values[arg.name] = await self._value(run.metadata.namespace, arg)
            if arg.value_from:
                secrets.append(values[arg.name])
        try:
            specs = [template.resolve_metric(dump(metric), values) for metric in spec.metrics]
            specs = [await self._with_credentials(run.metadata.namespace, one, secrets) for one in specs]
            metrics = metrics_of.metrics(
                specs,
                dry_run=[d.metric_name for d in spec.dry_run],
                retention=[(m.metric_name, m.limit) for m in spec.measurement_retention],
            )
        except AnalysisError as e:
            raise Unresolved(_without(secrets, str(e))) from None
        return Prepared(metrics, tuple(secrets))

    async def _with_credentials(
        self, namespace: str, spec: Mapping[str, object], secrets: list[str]
    ) -> Mapping[str, object]:
        """What is found is added to `secrets`, too."""
        namespaces = tuple(filter(None, (namespace, self._namespace)))
        found, hidden = await credentials.added(spec, self._read_secret, namespaces)
        secrets.extend(hidden)
        return found

    async def _read_secret(self, namespace: str, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await self._writer.kube.get(resources.SECRET.ref(name, namespace))
        return found

    async def _value(self, namespace: str, arg: Argument) -> str:
        if arg.value is not None:
            return arg.value
        source = arg.value_from.secret_key_ref if arg.value_from else None
        if source is None:
            raise Unresolved(f'args: argument "{arg.name}" has no value; give it value or valueFrom')
        return await self._secret(namespace, arg.name, source)

    async def _secret(self, namespace: str, name: str, source: SecretKeyRef) -> str:
        where = f'args: argument "{name}": Secret {namespace}/{source.name}'
        try:
            secret = await self._read_secret(namespace, source.name)
        except NotFound:
            raise Unresolved(f"{where} does not exist; create it") from None
        encoded = (secret.get("data") or {}).get(source.key)
        if encoded is None:
            raise Unresolved(f'{where} has no key "{source.key}"; correct the key')
        try:
            return base64.b64decode(encoded).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Unresolved(f'{where}: key "{source.key}" is not text') from None

    def _measure(self, key: Key, run: AnalysisRun, progress: Progress, wanted: Iterable[Due]) -> None:
        """Each measurement waits for its time by itself: a slow API server holds up writes, not measurements.

        Nothing is lost with such a task: the next look at the run finds the same measurement due.
        """
        for one in wanted:
            if one.name not in progress.in_flight:
                task = asyncio.create_task(
                    self._take(key, run, progress, one), name=f"measure {key} {one.name}"
                )
                progress.in_flight[one.name] = task

    async def _take(self, key: Key, run: AnalysisRun, progress: Progress, first: Due) -> None:
        """One measurement after the other, until the metric is completed or somebody cancels."""
        coming: Due | None = first
        try:
            while coming is not None:
                await asyncio.sleep(max(0.0, (coming.at - self._now()).total_seconds()))
                if progress.prepared.secrets:
                    progress.prepared = await self._prepare(run)
                metric = next(m for m in progress.prepared.metrics if m.name == coming.name)
                self._begin(key, progress, metric, coming)
                found = await self._found(progress, metric, coming)
                self._tell(found, coming)
                progress.finished.setdefault(coming.name, []).append(due.stamped(found))
                self._queue.add(key)
                coming = coming.after(metric, due.stamped(found))
        except Unresolved as e:
            progress.trouble = str(e)
            self._queue.add(key)
        except RolloutsError:
            self._queue.add_at(key, self._now() + schedule.ERROR_RETRY)
        finally:
            progress.in_flight.pop(first.name, None)

    async def _end_jobs(self, progress: Progress, results: Sequence[model.MetricResult]) -> None:
        """The Jobs of measurements that a completed run does not wait for, also those of a former process."""
        numbers = {result.name: due.next_number(result) for result in results}
        measured = [m.name for m in progress.prepared.metrics if JOB in m.provider]
        for name in measured:
            if name in progress.in_flight:
                progress.in_flight[name].cancel()
        await self._jobs.end(progress.run, measured, lambda name: numbers.get(name, 1))

    def _begin(self, key: Key, progress: Progress, metric: model.Metric, one: Due) -> None:
        """A Job may take long: that it runs is told at once."""
        is_known = one.last is not None and one.last.in_flight
        if JOB in metric.provider and not is_known:
            begun = self._jobs.begun(progress.run, metric, one.number)
            progress.finished.setdefault(metric.name, []).append(due.stamped(begun))
            self._queue.add(key)

    async def _found(self, progress: Progress, metric: model.Metric, one: Due) -> model.Measurement:
        if JOB in metric.provider:
            return await self._jobs.measure(progress.run, metric, one.number)
        return await self._pool.measure(
            metric,
            now=self._now,
            secrets=progress.prepared.secrets,
            run_started_at=one.run_started_at,
            last=one.last,
        )

    def _tell(self, found: model.Measurement, one: Due) -> None:
        if found.started_at and found.finished_at:
            late = max(0.0, (found.started_at - one.at).total_seconds())
            seconds = (found.finished_at - found.started_at).total_seconds()
            self._metrics.measured(found.phase, late=late, seconds=seconds)

    async def _expire(self, record: Record[KnownRun]) -> Next:
        expires_at = record.value.expires_at
        if expires_at is None or expires_at > self._now():
            return Next(at=expires_at)
        await self._writer.delete(self._store, record)
        return NOTHING_MORE

    async def _give_up(self, record: Record[KnownRun], old: AnalysisRunStatus, problem: str) -> None:
        now = stamp(self._now())
        status = replace(
            old,
            phase=AnalysisPhase.ERROR,
            message=problem,
            started_at=old.started_at or now,
            completed_at=now,
        )
        metadata = ObjectMeta(
            name=record.key.name,
            namespace=record.key.namespace,
            uid=record.uid,
            resource_version=record.value.view.resource_version,
        )
        await self._write(metadata, old, status)
        log.warning("AnalysisRun cannot be measured", extra=_fields(record.key, problem))

    async def _write(self, metadata: ObjectMeta, old: AnalysisRunStatus, new: AnalysisRunStatus) -> None:
        await self._writer.patch_status(self._store, metadata, old, new)

    def _forget_others(self, key: Key, uid: str) -> None:
        """Drop what is known of another run of this name: it is gone, or completed."""
        known = self._uids.get(key, "")
        if known and known != uid:
            del self._uids[key]
            for task in self._progress.pop(known).in_flight.values():
                task.cancel()


def _redacted(status: AnalysisRunStatus, secrets: Sequence[str]) -> AnalysisRunStatus:
    """Verdicts quote conditions, and a condition may hold an argument that came from a Secret."""
    if not secrets:
        return status
    return replace(
        status,
        message=_without(secrets, status.message),
        metric_results=tuple(replace(r, message=_without(secrets, r.message)) for r in status.metric_results),
    )


def _without(secrets: Sequence[str], text: str) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "*****")
    return text


def _fields(key: Key, reason: str) -> dict[str, object]:
    return {"fields": {"analysis_run": str(key), "reason": reason}}
