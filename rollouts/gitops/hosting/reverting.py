"""A quarantined revision is taken back in Git: when that is due, in which words, as which commit.

Decides that there is one revert for each set of objects, what its commit and pull request say, and which content
it restores: that of the Application's paths at the last good commit, and of nothing else. Also which reverts somebody
has to look for in Git, since their end was never noted. Pure; the controller makes and pushes the commit.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rollouts.api.application import Application, ApplicationSource
from rollouts.api.application_status import FailureReason, QuarantineEntry, RevertRecord, RevertState
from rollouts.api.git_host import CommitAuthor, Revert
from rollouts.gitops import naming
from rollouts.gitops.hosting.commit_status import holding
from rollouts.gitops.revision import QUARANTINE_LIMIT

__all__ = ["Due", "Known", "added", "begun", "due", "places", "stream", "text", "title", "trailer"]

_ROOT = "."
_OPEN = (RevertState.PENDING, RevertState.FAILED)


@dataclass(frozen=True, slots=True)
class Known:
    """What a revert is known by, in Git and in the status."""

    application: str
    source: ApplicationSource
    base: str
    """The branch that is put right."""
    bad: str
    """The quarantined revision."""
    digest: str

    @property
    def bad_commit(self) -> str:
        return naming.commit_of(self.bad)

    @property
    def branch(self) -> str:
        """The same whenever it is asked: a pull request that was made before a crash is found again."""
        return f"rollouts/revert-{self.application.replace('/', '-')}-{self.bad_commit[:12]}"


@dataclass(frozen=True, slots=True)
class Due(Known):
    """A revert of what Git says now."""

    good: str
    good_digest: str
    entry: QuarantineEntry
    is_noted: bool
    """The status says that it may be in Git, or will soon."""

    @property
    def good_commit(self) -> str:
        return naming.commit_of(self.good)


def due(application: Application) -> Due | None:
    spec, status = application.spec, application.status
    entry = holding(status)
    if spec.rollback.revert is Revert.NONE or spec.source is None or entry is None:
        return None
    is_final = entry.digest and not entry.retry_at
    if not is_final or not status.last_good_digest or status.last_good_digest == entry.digest:
        return None
    known = next((r for r in status.reverts if r.digest == entry.digest), None)
    if known and known.state not in _OPEN:
        return None
    return Due(
        application.metadata.key,
        spec.source,
        _base(application, status.desired_revision),
        status.desired_revision,
        entry.digest,
        status.last_good_revision,
        status.last_good_digest,
        entry,
        is_noted=known is not None,
    )


def begun(application: Application) -> Known | None:
    """Where nothing is due: a revert that may be in Git, although nobody has said so."""
    spec, status, source = application.spec, application.status, application.spec.source
    # What Git still says may be tried again, and fail again: then it is due.
    left = (r for r in status.reverts if r.state in _OPEN and r.revision != status.desired_revision)
    record = next(left, None)
    if record is None or source is None or spec.rollback.revert is Revert.NONE:
        return None
    base = _base(application, record.revision)
    return Known(application.metadata.key, source, base, record.revision, record.digest)


def added(records: Iterable[RevertRecord], record: RevertRecord) -> tuple[RevertRecord, ...]:
    """The newest first; one for each set."""
    return (record, *(r for r in records if r.digest != record.digest))[:QUARANTINE_LIMIT]


def places(paths: Sequence[str]) -> tuple[str, ...]:
    """Directories and files in normal form, none of them inside another one."""
    normal = sorted({posixpath.normpath(p.strip("/") or _ROOT) for p in paths})
    if _ROOT in normal:
        return (_ROOT,)
    return tuple(p for p in normal if not any(p.startswith(f"{q}/") for q in normal))


def title(asked: Due) -> str:
    where = asked.source.path.strip("/") or "the repository"
    return f"Revert {where} to {asked.good_commit[:12]}: {asked.entry.reason}"


def text(asked: Due) -> str:
    """What a commit or a pull request says below its title."""
    lines = "\n".join(trailer(asked))
    happened = "was rolled back" if asked.entry.reason is FailureReason.ROLLED_BACK else "failed"
    return (
        f"Application {asked.application}: {asked.bad} {happened}.\n\n"
        f"    {asked.entry.reason}: {' '.join(asked.entry.message.split())}\n\n"
        f"What it is made from is again as in {asked.good}, the last revision that was promoted and\n"
        "healthy. Nothing else is changed.\n\n"
        f"{lines}\n"
    )


def trailer(asked: Known) -> tuple[str, str]:
    """The lines by which a revert is known, in its commit."""
    return f"Rollouts-Application: {asked.application}", f"Rollouts-Quarantined: {asked.digest}"


def stream(
    ref: str,
    asked: Due,
    parent: str,
    good: Mapping[str, tuple[str, str]],
    wanted: Iterable[str],
    author: CommitAuthor,
) -> bytes:
    """As `git fast-import` reads it: `parent` with each wanted place as it is in `good` ((mode, id) by path).

    The date is that of the quarantine: the same revert is the same commit, whoever makes it.
    """
    message = f"{title(asked)}\n\n{text(asked)}".encode()
    who = f"{author.name} <{author.email}> {_seconds(asked.entry.at)} +0000"
    lines = [f"commit {ref}", f"author {who}", f"committer {who}", f"data {len(message)}"]
    head = "\n".join(lines).encode() + b"\n" + message + b"\n" + f"from {parent}\n".encode()
    return head + "".join(_restored(place, good.get(place)) for place in wanted).encode() + b"done\n"


def _restored(place: str, found: tuple[str, str] | None) -> str:
    name = _quoted("" if place == _ROOT else place)
    return f"M {found[0]} {found[1]} {name}\n" if found else f"D {name}\n"


def _quoted(path: str) -> str:
    """As C quotes a string."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _base(application: Application, revision: str) -> str:
    return application.spec.rollback.branch or naming.name_of(revision)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
