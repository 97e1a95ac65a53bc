"""The verbs as patches: what each one writes, given the Rollout as it is.

Pure. The patches are those of the peer's kubectl plugin, byte for byte, so that either client may be used
on either controller. Called by `steer` and `revise`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rollouts.api import parse
from rollouts.api.analysis import AnalysisPhase
from rollouts.api.rollout_status import PauseReason
from rollouts.cli import facts
from rollouts.cli.facts import Object
from rollouts.cli.target import CliError


@dataclass(frozen=True, slots=True)
class Patch:
    """A JSON merge patch of the object or of one of its subresources."""

    body: Mapping[str, Any]
    subresource: str = ""


ABORT = Patch({"status": {"abort": True}}, "status")
RETRY = Patch({"status": {"abort": False}}, "status")
PROMOTE_FULL = Patch({"status": {"promoteFull": True}}, "status")
RESUME = Patch({"spec": {"paused": False}})
PAUSE = Patch({"spec": {"paused": True}})
TERMINATE = Patch({"spec": {"terminate": True}})


def restart(at: datetime) -> Patch:
    """Rounded up to a whole second: a pod that was made in this very second is older, too."""
    up = at + timedelta(seconds=1) if at.microsecond else at
    return Patch({"spec": {"restartAt": parse.format_timestamp(up)}})


def promote_full(rollout: Object) -> tuple[Patch, ...]:
    status = facts.dig(rollout, "status") or {}
    return (PROMOTE_FULL,) if status.get("currentPodHash") != status.get("stableRS") else ()


def promote(rollout: Object) -> tuple[Patch, ...]:
    """One step on: the status first, then a manual pause."""
    status = _step_on(rollout)
    patches = (Patch({"status": status}, "status"),) if status else ()
    return (*patches, RESUME) if facts.dig(rollout, "spec", "paused") else patches


def retry_experiment(experiment: Object) -> tuple[Patch, ...]:
    """From the beginning; one that was terminated would end at once again."""
    again = Patch({"spec": {"terminate": False}})
    forgotten = Patch({"status": None}, "status")
    return (again, forgotten) if facts.dig(experiment, "spec", "terminate") else (forgotten,)


def set_image(
    rollout: Object, images: Mapping[str, str], path: str = "/spec/template"
) -> tuple[Mapping[str, Any], ...]:
    """A JSON patch that sets images by container name (`*`: all); each one tests what it replaces.

    `rollout` is what holds the pod template at `path`: the Rollout, or the object in its workloadRef.
    Raises `CliError` for a container that the template does not have.
    """
    containers = list(_containers(rollout, path))
    absent = sorted(set(images) - {"*"} - {name for _, name, _ in containers})
    if absent:
        raise CliError(
            f"the pod template of {str(rollout.get('kind', 'Rollout')).lower()} {facts.dig(rollout, 'metadata', 'name')} has no container "
            f"{', '.join(absent)}; it has {', '.join(name for _, name, _ in containers)}"
        )
    wanted = ((path, name, old, images.get(name, images.get("*", old))) for path, name, old in containers)
    return tuple(
        operation
        for path, name, old, new in wanted
        if new != old
        for operation in (
            {"op": "test", "path": f"{path}/name", "value": name},
            {"op": "add", "path": f"{path}/image", "value": new},
        )
    )


def replace_template(template: Object, path: str = "/spec/template") -> tuple[Mapping[str, Any], ...]:
    return ({"op": "replace", "path": path, "value": template},)


def _step_on(rollout: Object) -> Mapping[str, Any]:
    """The status half of a promotion: resume what is paused, else skip the step; never both."""
    status = facts.dig(rollout, "status") or {}
    if _is_inconclusive(status):
        return {"pauseConditions": None, "controllerPause": False, "currentStepIndex": _next_index(rollout)}
    if status.get("pauseConditions"):
        return {"pauseConditions": None}
    if facts.raw_steps(rollout) and not facts.is_fully_promoted(rollout):
        return {"pauseConditions": None, "currentStepIndex": _next_index(rollout)}
    return {}


def _is_inconclusive(status: Object) -> bool:
    """Of the step's analysis, or of its Experiment: whoever promotes does not wait for a verdict any more."""
    run = facts.dig(status, "canary", "currentStepAnalysisRunStatus", "status")
    paused = (pause.get("reason") for pause in status.get("pauseConditions") or ())
    return run == AnalysisPhase.INCONCLUSIVE or PauseReason.INCONCLUSIVE_EXPERIMENT in paused


def _next_index(rollout: Object) -> int:
    index = facts.dig(rollout, "status", "currentStepIndex") or 0
    return min(int(index) + 1, len(facts.raw_steps(rollout)))


def _containers(rollout: Object, path: str) -> list[tuple[str, str, str]]:
    pod = facts.dig(rollout, *path.strip("/").split("/"), "spec") or {}
    return [
        (f"{path}/spec/{kind}/{i}", str(c.get("name")), str(c.get("image", "")))
        for kind in ("initContainers", "containers")
        for i, c in enumerate(pod.get(kind) or ())
    ]
