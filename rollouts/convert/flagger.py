"""Flagger's Canary, with the Deployment that it targets, as a Rollout, its Services and an AnalysisTemplate.

Decides which steps stand for Flagger's loop: a weight, then an analysis that goes on once a check succeeds after
an interval. A failed check holds the weight, here as there, until there were as many as the threshold.
Called by `manifests`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rollouts.api.parse import duration, format_duration
from rollouts.convert import deployment, metrics
from rollouts.convert.losses import Loss, unread
from rollouts.errors import SpecError

_SHORTEST_INTERVAL = timedelta(seconds=10)
_KNOWN = frozenset(
    {
        "spec.targetRef",
        "spec.progressDeadlineSeconds",
        "spec.skipAnalysis",
        "spec.suspend",
        *(
            f"spec.service.{name}"
            for name in ("name", "port", "portName", "targetPort", "appProtocol", "apex", "primary", "canary")
        ),
        *(
            f"spec.analysis.{name}"
            for name in ("interval", "iterations", "maxWeight", "stepWeight", "stepWeights", "threshold")
        ),
        "spec.analysis.metrics",
        *(
            f"spec.analysis.webhooks[].{name}"
            for name in ("name", "type", "url", "timeout", "retries", "disableTLS", "metadata")
        ),
    }
)
_REMEDIES = {
    "spec.provider": "shares follow the ratio of pods",
    "spec.autoscalerRef": "let scaleTargetRef of the autoscaler name the Rollout",
    "spec.metricsServer": "it is the controller's --prometheus-address, or address in the AnalysisTemplate",
    "spec.service.portDiscovery": "add the ports to the Services",
    "spec.analysis.match": "requests cannot be told apart; the versions run side by side instead",
    "spec.analysis.alerts": "events are on the Rollout",
    "spec.analysis.webhooks[].muteAlert": "events are on the Rollout",
    "spec.analysis.canaryReadyThreshold": "a step waits for all of its pods",
    "spec.analysis.primaryReadyThreshold": "an update waits for all of its pods",
    "spec.analysis.stepWeightPromotion": "after the last step maxSurge and maxUnavailable set the pace",
}


@dataclass(frozen=True, slots=True)
class Canary:
    """A Canary beside its target."""

    body: Mapping[str, Any]
    target: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.target["metadata"]["name"])

    @property
    def title(self) -> str:
        return f"Canary {self.body['metadata']['name']}"

    @property
    def namespace(self) -> str:
        return str(self.body["metadata"].get("namespace", ""))

    @property
    def spec(self) -> Mapping[str, Any]:
        """`canaryAnalysis` is the old name of `analysis`."""
        given = dict(self.body.get("spec") or {})
        old = given.pop("canaryAnalysis", None)
        return {**given, "analysis": old} if old and not given.get("analysis") else given

    @property
    def analysis(self) -> Mapping[str, Any]:
        return {} if self.spec.get("skipAnalysis") else self.spec.get("analysis") or {}

    @property
    def service(self) -> str:
        return str((self.spec.get("service") or {}).get("name") or self.name)

    @property
    def interval(self) -> timedelta:
        given = duration(self.analysis.get("interval") or "1m", f"{self.title}: spec.analysis.interval")
        return max(given, _SHORTEST_INTERVAL)

    @property
    def metadata(self) -> dict[str, Any]:
        return {"namespace": self.namespace} if self.namespace else {}


def convert(
    canary: Canary, templates: metrics.Templates, api_version: str
) -> tuple[list[dict[str, Any]], list[Loss]]:
    found = _metrics(canary, templates)
    objects = [
        *_services(canary),
        *_template(canary, found, api_version),
        _rollout(canary, found, api_version),
    ]
    losses = [*unread(canary.title, {"spec": canary.spec}, _KNOWN, _REMEDIES), *found.losses]
    return objects, [
        *losses,
        *_scaled_away(canary),
        *deployment.losses(canary.target),
        *deployment.side_by_side(canary.target),
    ]


def target_name(body: Mapping[str, Any]) -> str:
    """The Deployment that a Canary targets. Raises `SpecError` for anything else."""
    title = f"Canary {body['metadata']['name']}"
    ref = (body.get("spec") or {}).get("targetRef") or {}
    if ref.get("kind") != "Deployment" or not ref.get("name"):
        path = f"{title}: spec.targetRef.kind"
        raise SpecError(path, ref.get("kind"), "cannot be converted", "only Canaries of Deployments can")
    return str(ref["name"])


def _metrics(canary: Canary, templates: metrics.Templates) -> metrics.Found:
    values = {
        "name": str(canary.body["metadata"]["name"]),
        "namespace": canary.namespace or "default",
        "target": canary.name,
        "service": canary.service,
    }
    place = metrics.Place(canary.title, canary.namespace, values, str(canary.spec.get("metricsServer") or ""))
    return metrics.convert(list(canary.analysis.get("metrics") or ()), place, templates)


def _rollout(canary: Canary, found: metrics.Found, api_version: str) -> dict[str, Any]:
    analysed = _reference(canary) if found.metrics else None
    strategy = _blue_green if canary.analysis.get("iterations") else _canary
    deadline = canary.spec.get("progressDeadlineSeconds") or 600
    spec = {
        **deployment.spec(canary.target),
        "progressDeadlineSeconds": deadline,
        "progressDeadlineAbort": True,
        **({"paused": True} if canary.spec.get("suspend") else {}),
        "strategy": strategy(canary, analysed),
    }
    metadata = deployment.metadata(canary.target)
    return {"apiVersion": api_version, "kind": "Rollout", "metadata": metadata, "spec": spec}


def _canary(canary: Canary, analysed: Mapping[str, Any] | None) -> dict[str, Any]:
    steps = [step for weight in _weights(canary.analysis) for step in _steps(canary, weight, analysed)]
    services = {"canaryService": f"{canary.service}-canary", "stableService": f"{canary.service}-primary"}
    return {
        "canary": {
            **(services if canary.spec.get("service") else {}),
            **deployment.rolling(canary.target),
            **_webhooks(canary),
            **({"steps": steps} if steps else {}),
        }
    }


def _steps(canary: Canary, weight: int, analysed: Mapping[str, Any] | None) -> tuple[dict[str, Any], ...]:
    if analysed is None:
        return {"setWeight": weight}, {"pause": {"duration": format_duration(canary.interval)}}
    return {"setWeight": weight}, {"analysis": _reference(canary)}


def _blue_green(canary: Canary, analysed: Mapping[str, Any] | None) -> dict[str, Any]:
    before = {"prePromotionAnalysis": analysed} if analysed else {}
    return {
        "blueGreen": {
            "activeService": canary.service,
            "previewService": f"{canary.service}-canary",
            **before,
            **_webhooks(canary),
        }
    }


def _webhooks(canary: Canary) -> dict[str, Any]:
    """Ours but for what nobody is alerted by. A check of Flagger's counts as a failed one; ours ends the update."""
    known = ("name", "type", "url", "timeout", "retries", "disableTLS", "metadata")
    given = canary.analysis.get("webhooks") or ()
    listed = [{key: webhook[key] for key in known if webhook.get(key) is not None} for webhook in given]
    return {"webhooks": [_interval(canary, webhook) for webhook in listed]} if listed else {}


def _interval(canary: Canary, webhook: dict[str, Any]) -> dict[str, Any]:
    """Flagger asks once an interval of the analysis."""
    return {**webhook, "interval": format_duration(canary.interval)}


def _weights(analysis: Mapping[str, Any]) -> list[int]:
    """As Flagger's loop: the weight grows until it is at maxWeight or above."""
    if analysis.get("stepWeights"):
        return [min(int(weight), 100) for weight in analysis["stepWeights"]]
    step, most = int(analysis.get("stepWeight") or 0), int(analysis.get("maxWeight") or 100)
    if step <= 0:
        return []
    return [min(weight, 100) for weight in range(step, most + step, step)]


def _reference(canary: Canary) -> dict[str, Any]:
    latest = {"podTemplateHashValue": "Latest"}
    return {
        "templates": [{"templateName": canary.name}],
        "args": [{"name": metrics.HASH_ARGUMENT, "valueFrom": latest}],
    }


def _template(canary: Canary, found: metrics.Found, api_version: str) -> Iterator[dict[str, Any]]:
    if not found.metrics:
        return
    # a failed check, an error and an answer without data count alike; at the threshold it is over
    threshold = max(int(canary.analysis.get("threshold") or 1), 1)
    interval = format_duration(canary.interval)
    iterations = canary.analysis.get("iterations")
    once = {"initialDelay": interval, "count": threshold, "consecutiveSuccessLimit": 1}
    timing = {"interval": interval, **({"count": iterations} if iterations else once)}
    # more failures than checks would let a release pass that never met the condition
    tolerated = min(threshold, iterations or threshold) - 1
    limits = {"failureLimit": tolerated, "consecutiveErrorLimit": tolerated, "onNoData": "fail"}
    yield {
        "apiVersion": api_version,
        "kind": "AnalysisTemplate",
        "metadata": {"name": canary.name, **canary.metadata},
        "spec": {
            "args": [{"name": metrics.HASH_ARGUMENT}],
            "metrics": [{**metric, **timing, **limits} for metric in found.metrics],
        },
    }


def _services(canary: Canary) -> Iterator[dict[str, Any]]:
    """Those that Flagger makes; the Rollout keeps their selectors."""
    given = canary.spec.get("service")
    if not given:
        return
    port = {
        "name": given.get("portName") or "http",
        "port": given.get("port"),
        "targetPort": given.get("targetPort") or given.get("port"),
        **({"appProtocol": given["appProtocol"]} if given.get("appProtocol") else {}),
    }
    selector = ((canary.target.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    sides = {"apex": "", "canary": "-canary", "primary": "-primary"}
    if canary.analysis.get("iterations"):
        del sides["primary"]
    for side, suffix in sides.items():
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"{canary.service}{suffix}", **canary.metadata, **(given.get(side) or {})},
            "spec": {"selector": dict(selector), "ports": [dict(port)]},
        }


def _scaled_away(canary: Canary) -> Iterator[Loss]:
    if (canary.target.get("spec") or {}).get("replicas") == 0:
        problem = f"Flagger scales its target to 0; write the replicas of {canary.name}-primary"
        yield Loss(f"Deployment {canary.name}", "spec.replicas", problem)
