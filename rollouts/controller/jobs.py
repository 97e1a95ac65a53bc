"""Metrics that are Kubernetes Jobs: a measurement is a Job, its end the verdict.

Decided here: the name of a measurement's Job, which is the same after a restart, so that no Job is started twice;
what its state means. Called by `measure` instead of the pool. Rules are those of Argo Rollouts
(metricproviders/job/job.go): complete is Successful, failed (its deadline included) is Failed, an image that cannot
be pulled is Inconclusive, and as many Jobs are kept as measurements are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from analysis import model
from analysis.model import Measurement, Phase
from rollouts.api.meta import VERSION, Names, ObjectMeta
from rollouts.errors import Conflict, NotFound, Rejected, Transient
from rollouts.kube import Kube, resources

__all__ = ["PROVIDER", "Jobs"]

log = logging.getLogger(__name__)

PROVIDER = "job"
_UID_LABEL = "analysisrun.argoproj.io/uid"  # the peer's, whatever the group: its tools select by it
_NAME_LIMIT = 63
_SHORTEST_LOOK, _LONGEST_LOOK = 0.5, 10.0
_NOT_COMING = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})
_SHOWN = 300

Object = Mapping[str, Any]


class Jobs:
    """Measures by Jobs in the namespace of the run."""

    def __init__(self, kube: Kube, names: Names, field_manager: str, now: Callable[[], datetime]) -> None:
        self._kube = kube
        self._names = names
        self._field_manager = field_manager
        self._now = now

    def begun(self, run: ObjectMeta, metric: model.Metric, number: int) -> Measurement:
        """The measurement of this number while its Job runs: people find the Job by it."""
        metadata = _metadata(run, job_name(run.uid, metric.name, number))
        return Measurement(phase=Phase.RUNNING, started_at=self._now(), metadata=metadata)

    async def measure(self, run: ObjectMeta, metric: model.Metric, number: int) -> Measurement:
        """The measurement of this number, from 1; a Job that a former process started is waited for."""
        started_at = self._now()
        name = job_name(run.uid, metric.name, number)
        try:
            await self._create(run, metric, name)
            phase, message = await self._end(run.namespace, name)
        except (Rejected, Conflict, NotFound) as e:
            phase, message = Phase.ERROR, str(e)
        await self._clean(run, metric, number)
        return Measurement(
            phase=phase,
            message=message[:_SHOWN],
            started_at=started_at,
            finished_at=self._now(),
            metadata=_metadata(run, name),
        )

    async def end(self, run: ObjectMeta, metrics: Iterable[str], number: Callable[[str], int]) -> None:
        """Delete the Jobs of measurements that nobody waits for any more."""
        for metric in metrics:
            await self._delete(run.namespace, job_name(run.uid, metric, number(metric)))

    async def _create(self, run: ObjectMeta, metric: model.Metric, name: str) -> None:
        body = job_body(run, metric, name, self._names)
        while True:
            try:
                await self._kube.create(resources.JOB, body, field_manager=self._field_manager)
            except Conflict:
                found = await self._kube.get(resources.JOB.ref(name, run.namespace))
                if (found["metadata"].get("labels") or {}).get(_UID_LABEL) != run.uid:
                    raise
            except Transient as e:
                await asyncio.sleep(e.retry_after or _LONGEST_LOOK)
                continue
            return

    async def _end(self, namespace: str, name: str) -> tuple[Phase, str]:
        """Look at the Job, ever less often, until it has ended."""
        pause = _SHORTEST_LOOK
        while True:
            try:
                job = await self._kube.get(resources.JOB.ref(name, namespace))
                ended = outcome(job) or stuck(await self._pods(namespace, name))
            except Transient as e:
                log.warning("a Job of an analysis cannot be read", extra={"fields": {"reason": str(e)}})
                ended = None
            if ended is not None:
                return ended
            await asyncio.sleep(pause)
            pause = min(_LONGEST_LOOK, pause * 1.1)  # a tenth of the time that it has taken so far

    async def _pods(self, namespace: str, name: str) -> tuple[Object, ...]:
        selector = f"batch.kubernetes.io/job-name={name}"
        return (await self._kube.list(resources.POD, namespace, label_selector=selector)).items

    async def _clean(self, run: ObjectMeta, metric: model.Metric, number: int) -> None:
        """Keep as many Jobs as measurements."""
        old = number - metric.measurement_retention
        if old > 0:
            await self._delete(run.namespace, job_name(run.uid, metric.name, old))

    async def _delete(self, namespace: str, name: str) -> None:
        try:
            await self._kube.delete(resources.JOB.ref(name, namespace))
        except (NotFound, Transient):
            return  # it has an owner: with the run it goes at the latest


def _metadata(run: ObjectMeta, name: str) -> Mapping[str, str]:
    return {"job-name": name, "job-namespace": run.namespace}


def job_name(uid: str, metric: str, number: int) -> str:
    """Pods carry the name as a label, so it is cut to what a label may hold."""
    room = _NAME_LIMIT - len(f"{uid}..{number}")
    return f"{uid}.{metric[:room].lower().rstrip('-.')}.{number}"


def job_body(run: ObjectMeta, metric: model.Metric, name: str, names: Names) -> Object:
    """The Job as it is created: the metric's, with its owner and the labels by which it is found."""
    given = metric.provider[PROVIDER]
    wanted: Object = given if isinstance(given, Mapping) else {}
    metadata, spec = dict(wanted.get("metadata") or {}), dict(wanted.get("spec") or {})
    template = dict(spec.get("template") or {})
    pod = dict(template.get("metadata") or {})
    own = {_UID_LABEL: run.uid}
    owner = {
        "apiVersion": f"{names.group}/{VERSION}",
        "kind": "AnalysisRun",
        "name": run.name,
        "uid": run.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    annotations = {
        **(metadata.get("annotations") or {}),
        "analysisrun.argoproj.io/name": run.name,
        "analysisrun.argoproj.io/namespace": run.namespace,
        "analysisrun.argoproj.io/metric-name": metric.name,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": run.namespace,
            "labels": {**(metadata.get("labels") or {}), **own},
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": {
            **spec,
            "template": {**template, "metadata": {**pod, "labels": {**(pod.get("labels") or {}), **own}}},
        },
    }


def outcome(job: Object) -> tuple[Phase, str] | None:
    """What a Job that has ended says."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("status") != "True":
            continue
        reason = ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))
        if condition.get("type") == "Complete":
            return Phase.SUCCESSFUL, ""
        if condition.get("type") == "Failed":
            return Phase.FAILED, f"the Job failed: {reason}"
    return None


def stuck(pods: Iterable[Object]) -> tuple[Phase, str] | None:
    """A container whose image does not come will not come by itself: a person has to look."""
    for pod in pods:
        status = pod.get("status") or {}
        for kind in ("initContainerStatuses", "containerStatuses"):
            for container in status.get(kind) or ():
                waiting = (container.get("state") or {}).get("waiting") or {}
                if waiting.get("reason") in _NOT_COMING:
                    name = pod["metadata"]["name"]
                    told = f"{waiting['reason']}: {waiting.get('message', '')}"
                    return Phase.INCONCLUSIVE, f"pod {name}, container {container.get('name')}: {told}"
    return None
