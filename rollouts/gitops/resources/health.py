"""One object -> how it is: Healthy, Progressing, Suspended, Degraded, and whether that is final.

Decides by the rules of kstatus and of Argo CD's built-in checks, plus ours for Rollouts: one is promoted
only when its status is about this very spec. Pure; called when an object is trimmed for the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rollouts.api.application_status import FailureReason, HealthStatus

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Health:
    """How an object is. `failure` is set when it will not get better by waiting."""

    status: HealthStatus
    message: str = ""
    failure: FailureReason | None = None
    promoted: bool = True
    """Of a Rollout: the spec as it is now serves everything. Of anything else: True."""
    waits_for_delivery: bool = False
    """It is under a Rollout's own deadline, not under the Application's timeout."""


HEALTHY = Health(HealthStatus.HEALTHY)
_NOT_SEEN = Health(HealthStatus.PROGRESSING, "its controller has not seen the latest spec")

_ORDER = tuple(HealthStatus)


def worst(statuses: tuple[HealthStatus, ...]) -> HealthStatus:
    """The health of a set; of an empty one, Healthy."""
    return max(statuses, key=_ORDER.index, default=HealthStatus.HEALTHY)


def of(body: Body) -> Health:
    """The health of one object. Must not raise on any content."""
    group = str(body.get("apiVersion", "")).rpartition("/")[0]
    kind = str(body.get("kind", ""))
    if body.get("metadata", {}).get("deletionTimestamp"):
        return Health(HealthStatus.PROGRESSING, "is being deleted")
    check = _CHECKS.get((group, kind)) or (_rollout if kind == "Rollout" else _generic)
    try:
        return check(body)
    except (AttributeError, KeyError, TypeError, ValueError) as e:
        return Health(HealthStatus.UNKNOWN, f"its status cannot be read: {e!r}")


def _rollout(body: Body) -> Health:
    """argo-rollouts: observedGeneration is a string, and anything may be missing at first."""
    status = _status(body)
    if str(status.get("observedGeneration", "")) != str(body["metadata"].get("generation", "")):
        return _in_delivery(HealthStatus.PROGRESSING, _NOT_SEEN.message)
    message = str(status.get("message", ""))
    if status.get("abort") or status.get("abortReason"):
        reason, told = _abort(status, message)
        return Health(HealthStatus.DEGRADED, told, reason, promoted=False, waits_for_delivery=True)
    phase = status.get("phase")
    promoted = bool(status.get("stableRS")) and status.get("stableRS") == status.get("currentPodHash")
    if phase == "Healthy":
        return Health(HealthStatus.HEALTHY, promoted=promoted, waits_for_delivery=True)
    if phase == "Paused":
        return _in_delivery(HealthStatus.SUSPENDED, message, promoted=promoted)
    if phase == "Degraded":
        return _degraded_rollout(body, message, promoted=promoted)
    return _in_delivery(HealthStatus.PROGRESSING, message, promoted=promoted)


def _in_delivery(status: HealthStatus, message: str, *, promoted: bool = False) -> Health:
    return Health(status, message, promoted=promoted, waits_for_delivery=True)


def _degraded_rollout(body: Body, message: str, *, promoted: bool) -> Health:
    conditions = _conditions(body)
    if conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded":
        return Health(
            HealthStatus.DEGRADED,
            message or conditions["Progressing"].get("message", ""),
            FailureReason.PROGRESS_DEADLINE_EXCEEDED,
            promoted=promoted,
            waits_for_delivery=True,
        )
    # An invalid spec may only wait for its template to be seen, so it is under the timeout.
    return Health(HealthStatus.DEGRADED, message, promoted=promoted)


def _abort(status: Body, message: str) -> tuple[FailureReason, str]:
    """What an aborted Rollout says: its message names the step, the metric, its value and the threshold."""
    why = status.get("abortReason") or {}
    try:
        reason = FailureReason(why.get("reason", FailureReason.ABORTED))
    except ValueError:
        reason = FailureReason.ABORTED
    return reason, str(why.get("message") or message or "aborted")


def _deployment(body: Body) -> Health:
    spec, status = body.get("spec") or {}, _status(body)
    if spec.get("paused"):
        return Health(HealthStatus.SUSPENDED, "is paused")
    if not _is_observed(body):
        return _NOT_SEEN
    progressing = _conditions(body).get("Progressing", {})
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Health(
            HealthStatus.DEGRADED,
            str(progressing.get("message", "")),
            FailureReason.PROGRESS_DEADLINE_EXCEEDED,
        )
    wanted = spec.get("replicas", 1)
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    if updated < wanted:
        return _progressing(f"{updated} of {wanted} pods are updated")
    if total > updated:
        return _progressing(f"{total - updated} old pods are still there")
    return _available(status.get("availableReplicas", 0), updated)


def _stateful_set(body: Body) -> Health:
    spec, status = body.get("spec") or {}, _status(body)
    if not _is_observed(body):
        return _NOT_SEEN
    wanted = spec.get("replicas", 1)
    if status.get("readyReplicas", 0) < wanted:
        return _progressing(f"{status.get('readyReplicas', 0)} of {wanted} pods are ready")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return HEALTHY
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    updated = status.get("updatedReplicas", 0)
    is_updated = (
        updated >= wanted - partition
        if partition
        else status.get("updateRevision") == status.get("currentRevision")
    )
    return HEALTHY if is_updated else _progressing(f"{updated} of {wanted - partition} pods are updated")


def _daemon_set(body: Body) -> Health:
    status = _status(body)
    if not _is_observed(body):
        return _NOT_SEEN
    strategy = (body.get("spec") or {}).get("updateStrategy") or {}
    wanted, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
    if strategy.get("type") != "OnDelete" and updated < wanted:
        return _progressing(f"{updated} of {wanted} pods are updated")
    return _available(status.get("numberAvailable", 0), wanted)


def _replica_set(body: Body) -> Health:
    status = _status(body)
    if not _is_observed(body):
        return _NOT_SEEN
    failure = _conditions(body).get("ReplicaFailure", {})
    if failure.get("status") == "True":
        return Health(HealthStatus.DEGRADED, str(failure.get("message", "")))
    return _available(status.get("availableReplicas", 0), (body.get("spec") or {}).get("replicas", 1))


def _pod(body: Body) -> Health:
    phase = _status(body).get("phase")
    if phase == "Succeeded":
        return HEALTHY
    if phase == "Failed":
        message = str(_status(body).get("message", "failed"))
        return Health(HealthStatus.DEGRADED, message, FailureReason.HEALTH_CHECK_FAILED)
    restarts = (body.get("spec") or {}).get("restartPolicy", "Always") == "Always"
    if phase == "Running" and restarts and _conditions(body).get("Ready", {}).get("status") == "True":
        return HEALTHY
    waiting = [
        (c.get("state") or {}).get("waiting") or {} for c in _status(body).get("containerStatuses") or ()
    ]
    reasons = sorted({str(w["reason"]) for w in waiting if w.get("reason")})
    return _progressing(", ".join(reasons) or f"is {phase or 'Pending'}")


def _job(body: Body) -> Health:
    conditions = _conditions(body)
    failed = conditions.get("Failed", {})
    if failed.get("status") == "True":
        return Health(
            HealthStatus.DEGRADED, str(failed.get("message", "")), FailureReason.HEALTH_CHECK_FAILED
        )
    if conditions.get("Complete", {}).get("status") == "True":
        return HEALTHY
    if (body.get("spec") or {}).get("suspend"):
        return Health(HealthStatus.SUSPENDED, "is suspended")
    return _progressing("runs")


def _service(body: Body) -> Health:
    if (body.get("spec") or {}).get("type") != "LoadBalancer":
        return HEALTHY
    has_address = (_status(body).get("loadBalancer") or {}).get("ingress")
    return HEALTHY if has_address else _progressing("waits for its load balancer")


def _claim(body: Body) -> Health:
    phase = _status(body).get("phase")
    if phase == "Bound":
        return HEALTHY
    if phase == "Lost":
        return Health(HealthStatus.DEGRADED, "has lost its volume", FailureReason.HEALTH_CHECK_FAILED)
    return _progressing(f"is {phase or 'Pending'}")


def _definition(body: Body) -> Health:
    conditions = _conditions(body)
    refused = conditions.get("NamesAccepted", {})
    if refused.get("status") == "False":
        message = str(refused.get("message", ""))
        return Health(HealthStatus.DEGRADED, message, FailureReason.HEALTH_CHECK_FAILED)
    if conditions.get("Established", {}).get("status") == "True":
        return HEALTHY
    return _progressing("is not established yet")


def _namespace(body: Body) -> Health:
    phase = _status(body).get("phase", "Active")
    return HEALTHY if phase == "Active" else _progressing(f"is {phase}")


def _always(body: Body) -> Health:
    """Nothing waits for these: an Ingress may never get an address, metrics may come much later."""
    del body
    return HEALTHY


def _generic(body: Body) -> Health:
    """kstatus: observedGeneration, then Reconciling, Stalled and Ready where a kind has them."""
    if not _is_observed(body):
        return _NOT_SEEN
    conditions = _conditions(body)
    stalled = conditions.get("Stalled", {})
    if stalled.get("status") == "True":
        message = str(stalled.get("message", ""))
        return Health(HealthStatus.DEGRADED, message, FailureReason.HEALTH_CHECK_FAILED)
    if conditions.get("Reconciling", {}).get("status") == "True":
        return _progressing(str(conditions["Reconciling"].get("message", "")))
    ready = conditions.get("Ready", {})
    if ready.get("status") == "False":
        return Health(HealthStatus.DEGRADED, str(ready.get("message") or ready.get("reason", "")))
    if ready.get("status") == "Unknown":
        return _progressing(str(ready.get("message", "")))
    return HEALTHY


_CHECKS: Mapping[tuple[str, str], Callable[[Body], Health]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("", "Pod"): _pod,
    ("batch", "Job"): _job,
    ("", "Service"): _service,
    ("networking.k8s.io", "Ingress"): _always,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Namespace"): _namespace,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("autoscaling", "HorizontalPodAutoscaler"): _always,
}


def _status(body: Body) -> Body:
    return body.get("status") or {}


def _conditions(body: Body) -> dict[str, Body]:
    return {str(c.get("type")): c for c in _status(body).get("conditions") or ()}


def _is_observed(body: Body) -> bool:
    """Its controller has seen the latest spec, as far as the kind says."""
    observed = _status(body).get("observedGeneration")
    generation = body["metadata"].get("generation")
    if observed is None:
        return body.get("apiVersion") != "apps/v1"
    return generation is None or int(observed) >= int(generation)


def _available(available: int, wanted: int) -> Health:
    return HEALTHY if available >= wanted else _progressing(f"{available} of {wanted} pods are available")


def _progressing(message: str) -> Health:
    return Health(HealthStatus.PROGRESSING, message)
