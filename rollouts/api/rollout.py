"""The Rollout kind: spec, status and defaults, field for field as Argo Rollouts v1alpha1 names them.

Single source of the CRD, the reference and the validation. Decides nothing; `rollouts.delivery` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from rollouts.api.meta import ObjectMeta
from rollouts.api.rollout_status import RolloutStatus
from rollouts.api.schema import Field, Rule
from rollouts.api.selector import LabelSelector as LabelSelector  # noqa: PLC0414 - part of this vocabulary
from rollouts.api.selector import LabelSelectorRequirement as LabelSelectorRequirement  # noqa: PLC0414
from rollouts.api.strategy import RolloutAnalysis, RolloutStrategy


@dataclass(frozen=True, slots=True)
class RollbackWindow:
    revisions: Annotated[
        int, Field("Going back to one of the last this many revisions skips steps and analysis.", minimum=0)
    ] = 0


@dataclass(frozen=True, slots=True)
class AnalysisRunStrategy:
    successful_run_history_limit: Annotated[int, Field("Successful AnalysisRuns to keep.", minimum=0)] = 5
    unsuccessful_run_history_limit: Annotated[
        int, Field("Failed, errored and inconclusive AnalysisRuns to keep.", minimum=0)
    ] = 5


class ScaleDown(StrEnum):
    """What becomes of the pods of a Deployment that a Rollout takes its template from."""

    NEVER = "never"
    ON_SUCCESS = "onsuccess"
    PROGRESSIVELY = "progressively"


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The object that a Rollout takes its pod template from, in the Rollout's namespace."""

    api_version: Annotated[str, Field("apps/v1, or v1 for a PodTemplate.")] = ""
    kind: Annotated[str, Field("Deployment, ReplicaSet or PodTemplate.")] = ""
    name: Annotated[str, Field("Name of the object.")] = ""
    scale_down: Annotated[
        ScaleDown,
        Field(
            "When a Deployment gives up its own pods: never, onsuccess (once the Rollout is stable and all "
            "of its pods are available), or progressively (as pods of the Rollout become available)."
        ),
    ] = ScaleDown.NEVER


@dataclass(frozen=True, slots=True)
class Bake:
    """After an update has reached everybody, before it is stable: it can still go back."""

    RULES = (Rule("has(self.duration) || has(self.analysis)", "a bake has a duration, an analysis or both"),)

    duration: Annotated[timedelta | None, Field("How long the new revision serves everybody before.")] = None
    analysis: Annotated[
        RolloutAnalysis | None,
        Field("Analysis of that time. One without an end is ended with the duration."),
    ] = None


@dataclass(frozen=True, slots=True)
class DeclaredAbort:
    """Whom it is about: without a match it is not obeyed, so that it never leaks into another release."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.podTemplateHash) || has(self.image)", "one of podTemplateHash and image must be set"),
    )

    pod_template_hash: Annotated[str, Field("Only while status.currentPodHash is this.")] = ""
    image: Annotated[
        str, Field("Only while a container of the template has this image, as it is written.")
    ] = ""


@dataclass(frozen=True, slots=True)
class DeclaredPromotion(DeclaredAbort):
    """A promotion, obeyed once. Without step and full: past the pause at which somebody is waited for."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        *DeclaredAbort.RULES,
        Rule("!(has(self.step) && has(self.full) && self.full)", "one of step and full"),
    )

    step: Annotated[
        int | None, Field("Go on to this step (from 0) at least, past the ones before it.", minimum=0)
    ] = None
    full: Annotated[bool, Field("Skip the remaining steps, pauses and analyses.")] = False


@dataclass(frozen=True, slots=True)
class RolloutSpec:
    RULES = (
        Rule("has(self.template) || has(self.workloadRef)", "one of template and workloadRef must be set"),
        Rule("has(self.selector) || has(self.workloadRef)", "selector must be set"),
    )

    strategy: Annotated[RolloutStrategy, Field("How an update is rolled out.")]
    selector: Annotated[
        LabelSelector,
        Field(
            "Selects the pods; must match the template's labels. Immutable. Default with a workloadRef: "
            "that of the object."
        ),
    ] = field(default_factory=LabelSelector)
    template: Annotated[
        Mapping[str, Any],
        Field("Pod template. A change to it starts an update."),
    ] = field(default_factory=dict)
    workload_ref: Annotated[
        ObjectRef | None, Field("Takes the pod template from another object, in place of `template`.")
    ] = None
    replicas: Annotated[int, Field("Desired pods.", minimum=0, schema={"default": 1})] = 1
    copy_config: Annotated[
        bool,
        Field(
            "Give each revision copies of the ConfigMaps and Secrets that its pods read (ours). A change of "
            "their content is then an update, and an abort brings the old content back."
        ),
    ] = False
    min_ready_seconds: Annotated[
        int, Field("Seconds a pod must be ready before it counts as available.", minimum=0)
    ] = 0
    revision_history_limit: Annotated[int, Field("Old ReplicaSets to keep for undo.", minimum=0)] = 10
    progress_deadline_seconds: Annotated[
        int, Field("Seconds without progress after which the update has failed.", minimum=1)
    ] = 600
    progress_deadline_abort: Annotated[bool, Field("Abort when the progress deadline is exceeded.")] = False
    paused: Annotated[bool, Field("Hold the update where it is; scaling is still served.")] = False
    restart_at: Annotated[datetime | None, Field("Restart every pod that was created before this time.")] = (
        None
    )
    bake: Annotated[
        Bake | None, Field("Serve everybody for a while before the new revision is stable (ours).")
    ] = None
    analyze_initial_deploy: Annotated[
        bool,
        Field(
            "Run analyses on the first deployment, too (ours). All replicas come up at once, pauses are left "
            "out but for timed ones beside an analysis, and only a success makes it stable."
        ),
    ] = False
    promote: Annotated[
        DeclaredPromotion | None, Field("A promotion that Git asks for, of one pod template (ours).")
    ] = None
    abort: Annotated[
        DeclaredAbort | None, Field("An abort that Git asks for, of one pod template (ours).")
    ] = None
    rollback_window: Annotated[RollbackWindow | None, Field("Fast rollback to recent revisions.")] = None
    analysis: Annotated[AnalysisRunStrategy, Field("AnalysisRuns to keep.")] = field(
        default_factory=AnalysisRunStrategy
    )


@dataclass(frozen=True, slots=True)
class Rollout:
    metadata: ObjectMeta
    spec: RolloutSpec
    status: RolloutStatus = field(default_factory=RolloutStatus)
