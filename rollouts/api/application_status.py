"""The status of an Application: Argo CD's words, Flux's conditions, the four revisions and the quarantine.

Part of the Application kind (`rollouts.api.application`). Written by `rollouts.gitops` only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from rollouts.api.meta import Condition
from rollouts.api.schema import Field


class SyncStatus(StrEnum):
    """`status.sync.status` (argo-cd: SyncStatusCode)."""

    SYNCED = "Synced"
    OUT_OF_SYNC = "OutOfSync"
    UNKNOWN = "Unknown"


class HealthStatus(StrEnum):
    """Health of one object or of all, best to worst (argo-cd: gitops-engine/pkg/health)."""

    HEALTHY = "Healthy"
    SUSPENDED = "Suspended"
    PROGRESSING = "Progressing"
    MISSING = "Missing"
    DEGRADED = "Degraded"
    UNKNOWN = "Unknown"


class OperationPhase(StrEnum):
    """`status.operationState.phase` (argo-cd: OperationPhase)."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class HookType(StrEnum):
    """When a hook runs (argo-cd: HookType)."""

    PRE_SYNC = "PreSync"
    SYNC = "Sync"
    POST_SYNC = "PostSync"
    SYNC_FAIL = "SyncFail"


class HookPhase(StrEnum):
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class FailureReason(StrEnum):
    """Why a revision is quarantined."""

    RENDER_FAILED = "RenderFailed"
    APPLY_REJECTED = "ApplyRejected"
    HEALTH_TIMEOUT = "HealthTimeout"
    HEALTH_CHECK_FAILED = "HealthCheckFailed"
    HOOK_FAILED = "HookFailed"
    ANALYSIS_FAILED = "AnalysisFailed"
    ANALYSIS_ERROR = "AnalysisError"
    ABORTED = "Aborted"
    ROLLED_BACK = "RolledBack"
    PAUSE_TIMEOUT = "PauseTimeout"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"


class ApplicationReason(StrEnum):
    """Reasons of an Application's conditions and events beside those of a failure (Flux: apis/meta)."""

    SUCCEEDED = "ReconciliationSucceeded"
    PROGRESSING = "Progressing"
    PROGRESSING_WITH_RETRY = "ProgressingWithRetry"
    OUT_OF_SYNC = "OutOfSync"
    INVALID_SPEC = "InvalidSpec"
    DEPENDENCY_NOT_READY = "DependencyNotReady"
    SYNC_WINDOW_CLOSED = "SyncWindowClosed"
    QUARANTINED = "RevisionQuarantined"
    NO_GOOD_REVISION = "NoGoodRevision"
    HEALTH_CHECK_FAILED = "HealthCheckFailed"
    RECONCILIATION_FAILED = "ReconciliationFailed"
    GIT_OPERATION_FAILED = "GitOperationFailed"
    AUTHENTICATION_FAILED = "AuthenticationFailed"
    ARTIFACT_PULL_FAILED = "OCIArtifactPullFailed"
    REVISION_NOT_FOUND = "RevisionNotFound"
    VERIFICATION_FAILED = "VerificationFailed"
    NEW_REVISION = "NewRevision"
    REVISION_SUPERSEDED = "RevisionSuperseded"
    REVISION_PROMOTED = "RevisionPromoted"
    ROLLED_BACK = "RolledBack"
    ROLLBACK_REFUSED = "RollbackRefused"
    DRIFT_DETECTED = "DriftDetected"
    DRIFT_CORRECTED = "DriftCorrected"
    PRUNED = "Pruned"
    QUARANTINE_LIFTED = "QuarantineLifted"
    COMMIT_STATUS_FAILED = "CommitStatusFailed"
    REVERT_COMMITTED = "RevertCommitted"
    REVERT_PROPOSED = "RevertProposed"
    REVERT_NOT_NEEDED = "RevertNotNeeded"
    REVERT_FAILED = "RevertFailed"
    LAST_GOOD_RECORD_READ = "LastGoodRecordRead"
    LAST_GOOD_RECORD_FAILED = "LastGoodRecordFailed"
    LAST_GOOD_RECORD_UNKNOWN = "LastGoodRecordUnknown"


class ApplicationCondition(StrEnum):
    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    FETCH_FAILED = "FetchFailed"


@dataclass(frozen=True, slots=True)
class SyncState:
    status: Annotated[SyncStatus, Field("Synced, OutOfSync or Unknown.", shown=True)] = SyncStatus.UNKNOWN
    revision: Annotated[str, Field("Revision that the cluster was compared with.")] = ""
    reason: Annotated[str, Field("Why it is not Synced, in one word.")] = ""
    revisions: Annotated[tuple[str, ...], Field("The revision's parts, with several sources.")] = ()


@dataclass(frozen=True, slots=True)
class HealthState:
    status: Annotated[HealthStatus, Field("Worst health of all objects.", shown=True)] = HealthStatus.UNKNOWN
    message: Annotated[str, Field("The object that is worst, and why.")] = ""
    last_transition_time: Annotated[datetime | None, Field("When the status last changed.")] = None


@dataclass(frozen=True, slots=True)
class SyncResult:
    revision: Annotated[str, Field("Revision that was applied.")] = ""
    digest: Annotated[str, Field("Digest of the objects that it renders to.")] = ""
    revisions: Annotated[tuple[str, ...], Field("The revision's parts, with several sources.")] = ()


@dataclass(frozen=True, slots=True)
class HookResult:
    kind: Annotated[str, Field("Kind.")]
    name: Annotated[str, Field("Name.")]
    hook_type: Annotated[HookType, Field("PreSync, Sync, PostSync or SyncFail.")]
    hook_phase: Annotated[HookPhase, Field("Running, Succeeded or Failed.")]
    group: Annotated[str, Field("API group.")] = ""
    namespace: Annotated[str, Field("Namespace.")] = ""
    message: Annotated[str, Field("Why it failed.")] = ""


@dataclass(frozen=True, slots=True)
class OperationState:
    """The current or last attempt to bring a revision to the cluster."""

    phase: Annotated[OperationPhase, Field("Running, Succeeded or Failed.")]
    started_at: Annotated[datetime, Field("When the attempt started.")]
    message: Annotated[str, Field("Where it stands, in one sentence.")] = ""
    finished_at: Annotated[datetime | None, Field("When it ended.")] = None
    unhealthy_since: Annotated[
        datetime | None,
        Field("Since when an object other than a Rollout is not healthy; the timeout counts from here."),
    ] = None
    sync_result: Annotated[SyncResult, Field("What it applies.")] = field(default_factory=SyncResult)
    hooks: Annotated[tuple[HookResult, ...], Field("Its hooks, as far as they have run.")] = ()


@dataclass(frozen=True, slots=True)
class RevisionHistory:
    """A revision that was promoted and healthy."""

    id: Annotated[int, Field("Number of the entry; rises.")]
    revision: Annotated[str, Field("The revision.")]
    digest: Annotated[str, Field("Digest of the objects that it renders to.")]
    deployed_at: Annotated[datetime, Field("When it was promoted and healthy.")]
    deploy_started_at: Annotated[datetime | None, Field("When its attempt started.")] = None
    revisions: Annotated[tuple[str, ...], Field("The revision's parts, with several sources.")] = ()


@dataclass(frozen=True, slots=True)
class ResourceHealth:
    status: Annotated[HealthStatus, Field("Health of the object.")]
    message: Annotated[str, Field("Why it is not healthy.")] = ""


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    kind: Annotated[str, Field("Kind.")]
    name: Annotated[str, Field("Name.")]
    group: Annotated[str, Field("API group; empty for the core group.")] = ""
    version: Annotated[str, Field("API version.")] = ""
    namespace: Annotated[str, Field("Namespace; empty for objects of the cluster.")] = ""
    status: Annotated[SyncStatus, Field("Synced or OutOfSync.", shown=True)] = SyncStatus.SYNCED
    health: Annotated[ResourceHealth | None, Field("Health, for kinds that have one.")] = None
    requires_pruning: Annotated[bool, Field("Git no longer holds it.")] = False


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    id: Annotated[str, Field("namespace_name_group_kind; a colon in a name is written as two underscores.")]
    v: Annotated[str, Field("API version of the kind.")]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What has been applied and not yet deleted."""

    entries: Annotated[tuple[InventoryEntry, ...], Field("The objects.")] = ()


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """A revision that failed and is not tried again, except by a retry."""

    revision: Annotated[str, Field("The revision that failed.")]
    reason: Annotated[FailureReason, Field("Why.")]
    message: Annotated[str, Field("What happened: object, step, metric, value, threshold.")]
    at: Annotated[datetime, Field("When.")]
    digest: Annotated[str, Field("Digest of what it renders to; empty where it does not render.")] = ""
    retry_at: Annotated[
        datetime | None,
        Field("When it is tried again by itself: only what the API server refused, since that may change."),
    ] = None
    attempts: Annotated[int, Field("Times it was tried and refused.")] = 0
    restored_at: Annotated[datetime | None, Field("When the last good revision was fully back.")] = None


class CommitState(StrEnum):
    """What a Git host is told about a commit, in the words of GitHub."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class PostedCommitStatus:
    """The last commit status that the Git host has."""

    revision: Annotated[str, Field("The revision that it is about.")] = ""
    state: Annotated[CommitState | None, Field("pending, success or failure.")] = None
    at: Annotated[datetime | None, Field("When it was posted.")] = None
    message: Annotated[str, Field("Why a newer one could not be posted yet.")] = ""


class RevertState(StrEnum):
    PENDING = "Pending"
    COMMITTED = "Committed"
    PROPOSED = "Proposed"
    NOT_NEEDED = "NotNeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class RevertRecord:
    """What was done in Git about a quarantined revision. Once for each set of objects."""

    digest: Annotated[str, Field("Digest of what the quarantined revision renders to.")]
    revision: Annotated[str, Field("The quarantined revision.")]
    state: Annotated[
        RevertState,
        Field(
            "Pending (it is being made), Committed, Proposed, NotNeeded (Git had moved on), or Failed (it is "
            "tried again)."
        ),
    ]
    at: Annotated[datetime, Field("When.")]
    commit: Annotated[str, Field("The commit that restores the last good content.")] = ""
    branch: Annotated[str, Field("The branch that it is on.")] = ""
    url: Annotated[str, Field("Address of the pull request.")] = ""
    message: Annotated[str, Field("Why it was not needed, or has failed.")] = ""


@dataclass(frozen=True, slots=True)
class LastGoodRecord:
    """What the record of the last good revision in Git says, as far as it is known."""

    revision: Annotated[str, Field("The revision that it names; empty where there was none.")] = ""
    at: Annotated[datetime | None, Field("When it was read or written.")] = None
    message: Annotated[str, Field("Why it could not be read or written.")] = ""


@dataclass(frozen=True, slots=True)
class ApplicationStatus:
    sync: Annotated[SyncState, Field("Is the cluster what Git says?")] = field(default_factory=SyncState)
    health: Annotated[HealthState, Field("Are users served?")] = field(default_factory=HealthState)
    desired_revision: Annotated[
        str, Field("What Git says: `main@sha1:<commit>`; with several sources `… + …`.")
    ] = ""
    attempted_revision: Annotated[str, Field("What was last tried.")] = ""
    last_good_revision: Annotated[
        str, Field("The last one of which every Rollout was promoted and every object healthy.")
    ] = ""
    running_revision: Annotated[str, Field("What users get.")] = ""
    last_good_digest: Annotated[str, Field("Digest of the objects of the last good revision.")] = ""
    quarantine: Annotated[
        tuple[QuarantineEntry, ...], Field("Revisions that failed, newest first; ten are kept.")
    ] = ()
    operation_state: Annotated[OperationState | None, Field("The current or last attempt.")] = None
    history: Annotated[tuple[RevisionHistory, ...], Field("Good revisions, newest last.")] = ()
    resources: Annotated[tuple[ResourceStatus, ...], Field("The objects, one by one.")] = ()
    inventory: Annotated[Inventory, Field("What has been applied and not yet deleted.")] = field(
        default_factory=Inventory
    )
    conditions: Annotated[tuple[Condition, ...], Field("Ready, Reconciling, Stalled, FetchFailed.")] = ()
    observed_generation: Annotated[int | None, Field("Generation of the spec that this is about.")] = None
    last_handled_reconcile_at: Annotated[str, Field("The refresh annotation that was last handled.")] = ""
    last_handled_sync_at: Annotated[str, Field("The sync annotation that was last handled.")] = ""
    last_handled_retry_at: Annotated[str, Field("The retry annotation that was last handled.")] = ""
    last_handled_rollback_at: Annotated[str, Field("The rollback annotation that was last handled.")] = ""
    commit_status: Annotated[
        PostedCommitStatus | None, Field("What the Git host was last told about a commit.")
    ] = None
    last_good_record: Annotated[
        LastGoodRecord | None, Field("The record of the last good revision in Git.")
    ] = None
    reverts: Annotated[
        tuple[RevertRecord, ...], Field("What was done in Git about quarantined revisions, newest first.")
    ] = ()
