"""The Application kind: what Git holds, where it goes, and which revision is good.

Field names, defaults and meaning are Argo CD's `Application`; conditions are Flux's; the four revisions
and the quarantine are ours. Single source of the CRD, the reference and the validation. Decides nothing;
`rollouts.gitops` does.

People talk to an Application through annotations, each a token that is handled once (any new value):
`rollouts.dev/refresh` looks at Git now (the values `normal` and `hard` are removed after they were
handled; `hard` also renders and compares everything again), `rollouts.dev/sync` applies the desired
revision where sync is manual, `rollouts.dev/retry` lifts the quarantine of the desired revision once, `rollouts.dev/rollback` goes back to the
good revision before (or to the one with this id in status.history: `3`, `3@any-text`) and quarantines the
desired one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from rollouts.api.meta import APPLICATION_GROUP, Condition, ObjectMeta
from rollouts.api.rendering import Decryption, HelmSource, KustomizeSource, PostBuild
from rollouts.api.schema import Field, IntOrString, Rule

REFRESH_ANNOTATION = f"{APPLICATION_GROUP}/refresh"
SYNC_ANNOTATION = f"{APPLICATION_GROUP}/sync"
RETRY_ANNOTATION = f"{APPLICATION_GROUP}/retry"
ROLLBACK_ANNOTATION = f"{APPLICATION_GROUP}/rollback"
PRUNE_ANNOTATION = f"{APPLICATION_GROUP}/prune"
"""On a managed object: `disabled` keeps it when Git drops it (Argo CD's `Prune=false` is honoured, too)."""

LOCAL_CLUSTER = "https://kubernetes.default.svc"


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
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"


class ApplicationReason(StrEnum):
    """Reasons of an Application's conditions and events beside those of a failure (Flux: apis/meta)."""

    SUCCEEDED = "ReconciliationSucceeded"
    PROGRESSING = "Progressing"
    PROGRESSING_WITH_RETRY = "ProgressingWithRetry"
    OUT_OF_SYNC = "OutOfSync"
    INVALID_SPEC = "InvalidSpec"
    QUARANTINED = "RevisionQuarantined"
    NO_GOOD_REVISION = "NoGoodRevision"
    HEALTH_CHECK_FAILED = "HealthCheckFailed"
    RECONCILIATION_FAILED = "ReconciliationFailed"
    GIT_OPERATION_FAILED = "GitOperationFailed"
    AUTHENTICATION_FAILED = "AuthenticationFailed"
    REVISION_NOT_FOUND = "RevisionNotFound"
    VERIFICATION_FAILED = "VerificationFailed"
    NEW_REVISION = "NewRevision"
    REVISION_SUPERSEDED = "RevisionSuperseded"
    REVISION_PROMOTED = "RevisionPromoted"
    ROLLED_BACK = "RolledBack"
    ROLLBACK_REFUSED = "RollbackRefused"
    DRIFT_CORRECTED = "DriftCorrected"
    PRUNED = "Pruned"
    QUARANTINE_LIFTED = "QuarantineLifted"


class ApplicationCondition(StrEnum):
    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    FETCH_FAILED = "FetchFailed"


@dataclass(frozen=True, slots=True)
class DirectorySource:
    """How a directory of plain YAML is read."""

    recurse: Annotated[bool, Field("Read subdirectories, too.")] = False
    include: Annotated[
        str,
        Field('Glob of files to read, relative to the path; alternatives in braces: "{app.yaml,db/*.yaml}".'),
    ] = ""
    exclude: Annotated[str, Field("Glob of files to leave out; wins over include.")] = ""


@dataclass(frozen=True, slots=True)
class ApplicationSource:
    repo_url: Annotated[
        str,
        Field(
            "URL of the Git repository: https, http, ssh, file, or git@host:path.",
            json="repoURL",
            min_length=1,
        ),
    ]
    target_revision: Annotated[
        str, Field("Branch, tag or commit. Default: the branch that HEAD of the repository names.")
    ] = "HEAD"
    path: Annotated[str, Field("Directory in the repository.")] = "."
    directory: Annotated[DirectorySource, Field("How a directory of plain YAML is read.")] = field(
        default_factory=DirectorySource
    )
    kustomize: Annotated[
        KustomizeSource | None,
        Field("Build with Kustomize. Default for a path that holds a kustomization.yaml."),
    ] = None
    helm: Annotated[
        HelmSource | None, Field("Render with Helm. Default for a path that holds a Chart.yaml.")
    ] = None


@dataclass(frozen=True, slots=True)
class ApplicationDestination:
    RULES = (
        Rule(
            f"!has(self.server) || self.server == '{LOCAL_CLUSTER}'",
            f"server must be {LOCAL_CLUSTER}, the cluster that the controller runs in",
        ),
    )

    namespace: Annotated[
        str, Field("Namespace of the objects that name none. Default: the Application's own.")
    ] = ""
    server: Annotated[str, Field("URL of the cluster; the local one only.")] = LOCAL_CLUSTER


@dataclass(frozen=True, slots=True)
class SyncPolicyAutomated:
    enabled: Annotated[bool, Field("False: sync only when asked.")] = True
    prune: Annotated[
        bool, Field("Delete what Git no longer holds, after the new revision is promoted and healthy.")
    ] = False
    self_heal: Annotated[bool, Field("Undo changes that were made in the cluster by hand.")] = False
    allow_empty: Annotated[bool, Field("Let a commit without any object delete all of them.")] = False
    prune_limit: Annotated[
        IntOrString | None,
        Field(
            'Objects that one commit may delete: a count, or a share of all ("25%"). More wait for a person to '
            "say sync. Default: no limit.",
            minimum=0,
            percent=True,
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class SyncPolicy:
    automated: Annotated[
        SyncPolicyAutomated | None, Field("Sync new revisions by themselves. Absent: sync only when asked.")
    ] = None
    sync_options: Annotated[
        tuple[str, ...],
        Field(
            "CreateNamespace=true creates the destination's namespace. ServerSideApply=true, "
            "ApplyOutOfSyncOnly=true and PruneLast=true are accepted: they always hold."
        ),
    ] = ()


@dataclass(frozen=True, slots=True)
class IgnoreDifference:
    """Fields of some objects that are left to others. A sync does not reset them."""

    kind: Annotated[str, Field("Kind; may hold * for any letters.", min_length=1)]
    group: Annotated[str, Field("API group; may hold *.")] = ""
    name: Annotated[str, Field("Name; may hold *. Default: all.")] = ""
    namespace: Annotated[str, Field("Namespace; may hold *. Default: all.")] = ""
    json_pointers: Annotated[tuple[str, ...], Field("JSON pointers: /spec/replicas.")] = ()
    jq_path_expressions: Annotated[
        tuple[str, ...],
        Field(
            'jq-style paths: .spec.template.spec.containers[] | select(.name == "web") | .image. '
            'Fields, [0], [], ["name"] and select with == are known.'
        ),
    ] = ()
    managed_fields_managers: Annotated[
        tuple[str, ...], Field("Field managers: what one of them owns is left to it.")
    ] = ()


@dataclass(frozen=True, slots=True)
class SecretReference:
    name: Annotated[str, Field("Name of a Secret in the Application's namespace.", min_length=1)]


class VerifyMode(StrEnum):
    """What has to be signed (Flux: GitRepository spec.verify.mode)."""

    HEAD = "HEAD"
    TAG = "Tag"
    TAG_AND_HEAD = "TagAndHEAD"


@dataclass(frozen=True, slots=True)
class Verify:
    """Only what somebody trusted has signed is rendered; else the last good revision stays."""

    secret_ref: Annotated[
        SecretReference,
        Field("Secret with public keys: SSH ones under keys that end in .sshpub, OpenPGP ones under others."),
    ]
    mode: Annotated[VerifyMode, Field("What has to be signed: HEAD (the commit), Tag or both.")] = (
        VerifyMode.HEAD
    )


@dataclass(frozen=True, slots=True)
class ApplicationSpec:
    source: Annotated[ApplicationSource, Field("Where the objects come from.")]
    destination: Annotated[ApplicationDestination, Field("Where they go.")] = field(
        default_factory=ApplicationDestination
    )
    project: Annotated[str, Field("Accepted for compatibility; means nothing here.")] = "default"
    sync_policy: Annotated[SyncPolicy, Field("When and how to sync.")] = field(default_factory=SyncPolicy)
    ignore_differences: Annotated[tuple[IgnoreDifference, ...], Field("Fields that are left to others.")] = ()
    revision_history_limit: Annotated[int, Field("Good revisions kept in status.history.", minimum=0)] = 10
    interval: Annotated[timedelta, Field("How often to look at the repository.")] = timedelta(seconds=60)
    timeout: Annotated[
        timedelta,
        Field(
            "How long objects may take to become healthy before the revision has failed. Rollouts are "
            "not under it: they have a progress deadline of their own."
        ),
    ] = timedelta(minutes=5)
    suspend: Annotated[bool, Field("Neither sync nor heal; everything stays as it is.")] = False
    secret_ref: Annotated[
        SecretReference | None,
        Field(
            "Credentials for the repository: keys username and password, or token; identity and known_hosts "
            "for SSH; ca.crt, tls.crt, tls.key for TLS."
        ),
    ] = None
    verify: Annotated[Verify | None, Field("Who has to have signed what is applied.")] = None
    post_build: Annotated[PostBuild | None, Field("Variables in the rendered objects.")] = None
    decryption: Annotated[Decryption | None, Field("How encrypted files are read.")] = None


@dataclass(frozen=True, slots=True)
class SyncState:
    status: Annotated[SyncStatus, Field("Synced, OutOfSync or Unknown.", shown=True)] = SyncStatus.UNKNOWN
    revision: Annotated[str, Field("Revision that the cluster was compared with.")] = ""
    reason: Annotated[str, Field("Why it is not Synced, in one word.")] = ""


@dataclass(frozen=True, slots=True)
class HealthState:
    status: Annotated[HealthStatus, Field("Worst health of all objects.", shown=True)] = HealthStatus.UNKNOWN
    message: Annotated[str, Field("The object that is worst, and why.")] = ""
    last_transition_time: Annotated[datetime | None, Field("When the status last changed.")] = None


@dataclass(frozen=True, slots=True)
class SyncResult:
    revision: Annotated[str, Field("Revision that was applied.")] = ""
    digest: Annotated[str, Field("Digest of the objects that it renders to.")] = ""


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


@dataclass(frozen=True, slots=True)
class ApplicationStatus:
    sync: Annotated[SyncState, Field("Is the cluster what Git says?")] = field(default_factory=SyncState)
    health: Annotated[HealthState, Field("Are users served?")] = field(default_factory=HealthState)
    desired_revision: Annotated[str, Field("What Git says: `main@sha1:<commit>`.")] = ""
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


@dataclass(frozen=True, slots=True)
class Application:
    metadata: ObjectMeta
    spec: ApplicationSpec
    status: ApplicationStatus = field(default_factory=ApplicationStatus)
