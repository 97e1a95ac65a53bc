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
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from rollouts.api.application_status import ApplicationStatus
from rollouts.api.git_host import CommitStatus, Rollback
from rollouts.api.meta import APPLICATION_GROUP, ObjectMeta
from rollouts.api.rendering import Decryption, HelmSource, KustomizeSource, PostBuild
from rollouts.api.schema import OBJECT_NAME, Field, IntOrString, Rule

REFRESH_ANNOTATION = f"{APPLICATION_GROUP}/refresh"
SYNC_ANNOTATION = f"{APPLICATION_GROUP}/sync"
RETRY_ANNOTATION = f"{APPLICATION_GROUP}/retry"
ROLLBACK_ANNOTATION = f"{APPLICATION_GROUP}/rollback"

SYNC_OPTIONS = frozenset(
    {
        "CreateNamespace=true",
        "CreateNamespace=false",
        "ServerSideApply=true",
        "ApplyOutOfSyncOnly=true",
        "PruneLast=true",
        "RespectIgnoreDifferences=true",
        "FailOnSharedResource=true",
    }
)
"""Values of `spec.syncPolicy.syncOptions`. Beside CreateNamespace they ask for what always holds here."""

FINALIZER = f"{APPLICATION_GROUP}/resources-finalizer"
"""Kept on an Application whose objects are deleted with it."""

LOCAL_CLUSTER = "https://kubernetes.default.svc"
MAX_SOURCES = 20


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
class SecretReference:
    name: Annotated[
        str, Field("Name of a Secret in the Application's namespace.", min_length=1, pattern=OBJECT_NAME)
    ]


@dataclass(frozen=True, slots=True)
class ApplicationSource:
    repo_url: Annotated[
        str,
        Field(
            "URL of a Git repository (https, http, ssh, file, or git@host:path), of an OCI artifact (oci), or "
            "with `chart` of a Helm repository (https, http, oci).",
            json="repoURL",
            min_length=1,
        ),
    ]
    target_revision: Annotated[
        str,
        Field(
            "Branch, tag, commit, whole ref such as refs/pull/7/head, or a range of versions (1.*, >=1.2 <2) for the "
            "newest tag in it. Default: the branch that HEAD of the repository names; the newest version of a "
            "chart; the tag latest of an artifact."
        ),
    ] = "HEAD"
    path: Annotated[str, Field("Directory in the repository. Default: its root.")] = ""
    chart: Annotated[str, Field("Name of a chart in the Helm repository.")] = ""
    tag_prefix: Annotated[
        str, Field("What tags begin with that a range of versions is about: app1/ for app1/v1.0.0.")
    ] = ""
    ref: Annotated[
        str,
        Field(
            "Name by which values files of other sources refer to this one: $name/path/values.yaml. A source "
            "with a ref and without a path declares no objects.",
            pattern=r"^[A-Za-z0-9_-]*$",
        ),
    ] = ""
    secret_ref: Annotated[
        SecretReference | None,
        Field("Credentials of this source, where there are several; keys as for spec.secretRef."),
    ] = None
    enable_lfs: Annotated[
        bool,
        Field(
            "Fetch what Git LFS keeps of the files that are read. For repositories at https and http addresses. "
            "Default: a file that is a pointer is an error."
        ),
    ] = False
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

    @property
    def declares_objects(self) -> bool:
        """False: it is there for the values files in it."""
        return bool(self.path or self.chart or not self.ref)


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


class WindowKind(StrEnum):
    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class SyncWindow:
    """When new revisions may be synced by themselves (argo-cd: AppProject spec.syncWindows)."""

    kind: Annotated[
        WindowKind,
        Field("allow: only while it, or another one like it, is open. deny: not while it is open."),
    ]
    schedule: Annotated[
        str, Field("When it opens: minute, hour, day, month, day of the week, as in cron.", min_length=1)
    ]
    duration: Annotated[timedelta, Field("How long it stays open.")]
    time_zone: Annotated[str, Field("Time zone of the schedule.")] = "UTC"
    manual_sync: Annotated[bool, Field("A person may sync even so.")] = False


@dataclass(frozen=True, slots=True)
class SyncPolicy:
    automated: Annotated[
        SyncPolicyAutomated | None, Field("Sync new revisions by themselves. Absent: sync only when asked.")
    ] = None
    sync_options: Annotated[
        tuple[str, ...],
        Field(
            "CreateNamespace=true creates the destination's namespace. ServerSideApply=true, "
            "ApplyOutOfSyncOnly=true, PruneLast=true, RespectIgnoreDifferences=true and "
            "FailOnSharedResource=true are accepted: they always hold."
        ),
    ] = ()
    sync_windows: Annotated[
        tuple[SyncWindow, ...],
        Field(
            "When new revisions may be synced by themselves. What is in the cluster is healed at any time, and "
            "a revision that fails is always put back."
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


class DeletionPolicy(StrEnum):
    """What becomes of the objects when the Application is deleted (Flux: spec.deletionPolicy)."""

    ORPHAN = "Orphan"
    DELETE = "Delete"


@dataclass(frozen=True, slots=True)
class HealthCheckExpr:
    """How objects of one kind are, in CEL over their fields (Flux: spec.healthCheckExprs)."""

    api_version: Annotated[str, Field("API version: cert-manager.io/v1.", min_length=1)]
    kind: Annotated[str, Field("Kind.", min_length=1)]
    current: Annotated[
        str,
        Field(
            "True for a healthy object: status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True').",
            min_length=1,
        ),
    ]
    in_progress: Annotated[str, Field("True while the object is on its way; asked before current.")] = ""
    failed: Annotated[str, Field("True for an object that will not get better by waiting; asked first.")] = ""


@dataclass(frozen=True, slots=True)
class Dependency:
    name: Annotated[str, Field("Name of another Application.", min_length=1)]
    namespace: Annotated[str, Field("Its namespace. Default: that of this one.")] = ""


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
    RULES = (
        Rule(
            "has(self.source) != (has(self.sources) && size(self.sources) > 0)",
            "exactly one of source and sources must be set",
        ),
    )

    source: Annotated[ApplicationSource | None, Field("Where the objects come from.")] = None
    sources: Annotated[
        tuple[ApplicationSource, ...],
        Field(
            "Several places instead of one. All of them are one revision; an object that two declare is the later's.",
            schema={"maxItems": MAX_SOURCES},
        ),
    ] = ()
    destination: Annotated[ApplicationDestination, Field("Where they go.")] = field(
        default_factory=ApplicationDestination
    )
    project: Annotated[str, Field("Accepted for compatibility; means nothing here.")] = "default"
    sync_policy: Annotated[SyncPolicy, Field("When and how to sync.")] = field(default_factory=SyncPolicy)
    ignore_differences: Annotated[tuple[IgnoreDifference, ...], Field("Fields that are left to others.")] = ()
    depends_on: Annotated[
        tuple[Dependency, ...],
        Field("Applications that have to be Ready before a new revision of this one is synced."),
    ] = ()
    revision_history_limit: Annotated[int, Field("Good revisions kept in status.history.", minimum=0)] = 10
    interval: Annotated[timedelta, Field("How often to look at the repository.")] = timedelta(seconds=60)
    timeout: Annotated[
        timedelta,
        Field(
            "How long objects may take to become healthy before the revision has failed. Rollouts are "
            "not under it: they have a progress deadline of their own."
        ),
    ] = timedelta(minutes=5)
    deletion_policy: Annotated[
        DeletionPolicy,
        Field(
            "When the Application is deleted: Orphan leaves its objects, Delete deletes them first. Argo CD's "
            "finalizer resources-finalizer.argocd.argoproj.io asks for the same as Delete."
        ),
    ] = DeletionPolicy.ORPHAN
    health_check_exprs: Annotated[
        tuple[HealthCheckExpr, ...], Field("How objects of kinds with rules of their own are.")
    ] = ()
    suspend: Annotated[bool, Field("Neither sync nor heal; everything stays as it is.")] = False
    secret_ref: Annotated[
        SecretReference | None,
        Field(
            "Credentials for the repository of `source`: keys username and password, or token; identity and "
            "known_hosts for SSH; githubAppID and githubAppPrivateKey; .dockerconfigjson for a registry; ca.crt, "
            "tls.crt, tls.key for TLS."
        ),
    ] = None
    verify: Annotated[Verify | None, Field("Who has to have signed what is applied.")] = None
    post_build: Annotated[PostBuild | None, Field("Variables in the rendered objects.")] = None
    decryption: Annotated[Decryption | None, Field("How encrypted files are read.")] = None
    commit_status: Annotated[
        CommitStatus | None, Field("Tell the Git host what became of each commit. Default: tell nothing.")
    ] = None
    rollback: Annotated[Rollback, Field("What Git hears of a rollback.")] = field(default_factory=Rollback)

    @property
    def every_source(self) -> tuple[ApplicationSource, ...]:
        """`source` or `sources`, whichever is there."""
        return self.sources or ((self.source,) if self.source else ())

    def secret_of(self, source: ApplicationSource) -> str:
        """The Secret with a source's credentials; what is there for one host is never shown to another."""
        reference = source.secret_ref or (self.secret_ref if source is self.source else None)
        return reference.name if reference else ""


@dataclass(frozen=True, slots=True)
class Application:
    metadata: ObjectMeta
    spec: ApplicationSpec
    status: ApplicationStatus = field(default_factory=ApplicationStatus)
