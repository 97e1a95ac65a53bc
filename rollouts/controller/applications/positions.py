"""What an Application follows, and where that stands: the values that `repositories`, `remotes` and `sets` share.

Decides nothing but which kind of place a source is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rollouts.api.application import Application, ApplicationSource
from rollouts.gitops import naming, versions
from rollouts.gitops.sources.git import SourceError

__all__ = ["Position", "RemoteKey", "Standing", "Wanted", "remote_key", "wanted"]

_OCI = "oci://"


@dataclass(frozen=True, slots=True)
class RemoteKey:
    """A repository as one credential sees it. Public repositories have no Secret and so are shared by all."""

    url: str
    namespace: str = ""
    secret: str = ""
    chart: str = ""

    @property
    def is_git(self) -> bool:
        return not self.chart and not self.url.startswith(_OCI)

    @property
    def place(self) -> str:
        """What there is one mirror for."""
        return f"{self.url} chart {self.chart}" if self.chart else self.url


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one source of an Application follows. `known_revision` is the one that its status names."""

    remote: RemoteKey
    target_revision: str
    path: str | None
    """None: only what other sources read from it counts."""
    interval_seconds: float
    tag_prefix: str = ""
    known_revision: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a source stands. `tree` is empty where the commit has no such directory."""

    revision: str
    commit: str
    tree: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of all sources: their positions, and why the last look failed, if it did."""

    positions: tuple[Position, ...] = ()
    """One a source; empty until all of them are known."""
    failure: SourceError | None = None
    refreshed: str = ""
    """The last refresh token that was answered."""

    @property
    def revision(self) -> str:
        return naming.joined(p.revision for p in self.positions)


def remote_key(application: Application, source: ApplicationSource) -> RemoteKey:
    secret = application.spec.secret_of(source)
    namespace = application.metadata.namespace if secret else ""
    return RemoteKey(source.repo_url, namespace, secret, source.chart)


def wanted(application: Application) -> tuple[Wanted, ...]:
    """What the sources follow, in their order."""
    sources = application.spec.every_source
    known = naming.each(application.status.desired_revision)
    known = known if len(known) == len(sources) else ("",) * len(sources)
    return tuple(_wanted(application, s, revision) for s, revision in zip(sources, known, strict=True))


def _wanted(application: Application, source: ApplicationSource, known: str) -> Wanted:
    target, prefix = source.target_revision, source.tag_prefix
    if prefix and not versions.is_range(target):
        target, prefix = f"refs/tags/{prefix}{target}", ""
    return Wanted(
        remote_key(application, source),
        target,
        source.path if source.declares_objects else None,
        application.spec.interval.total_seconds(),
        prefix,
        known,
    )
