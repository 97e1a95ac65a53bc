"""A Git repository as Applications see it: which commit a name stands for, and the files of a commit.

One bare mirror per repository, shared by all Applications that use it; one fetch at a time, of the wanted
branches only, and of a branch's history only what came after the first fetch. Decides what is asked of Git; when to ask and who is told is `controller.applications`'.
Being allowed to read is a matter of each credential: `remote_refs` is asked with an Application's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rollouts.api.application_status import ApplicationReason
from rollouts.gitops import versions
from rollouts.gitops.sources import importing
from rollouts.gitops.sources.commit import CommitFiles, Elsewhere, File, Large, object_name
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import Git, SourceError, shown
from rollouts.gitops.sources.objects import ObjectReader

COMMIT = re.compile(r"[0-9a-f]{40}")
HEAD = "HEAD"

_TAGS = "refs/tags/"
_REMOTE_SECONDS = 30.0
_FETCH_SECONDS = 300.0
_FETCHES_BETWEEN_TIDYING = 100
_NO_TAGS: Mapping[str, str] = {}
_NO_DEPTH = re.compile(r"shallow|depth", re.IGNORECASE)
_DAMAGED = re.compile(r"bad object|corrupt|not a git repository|loose object|unable to read", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RemoteRefs:
    """What a remote says: the branch that HEAD names, and the commits of refs (tags peeled)."""

    head: str
    commits: Mapping[str, str]

    def resolve(self, target_revision: str, tag_prefix: str = "") -> tuple[str, str, str] | None:
        """(name to show, ref, commit) of a branch, a tag, a range of versions, a full ref or HEAD."""
        if target_revision in ("", HEAD):
            commit = self.commits.get(self.head) or self.commits.get(HEAD)
            return (_short(self.head), self.head or HEAD, commit) if commit else None
        for ref in (*self._newest(target_revision, tag_prefix), *candidates(target_revision)):
            if commit := self.commits.get(f"{ref}^{{}}") or self.commits.get(ref):
                return _short(ref), ref, commit
        return None

    def _newest(self, target_revision: str, tag_prefix: str) -> tuple[str, ...]:
        """The tag that a range stands for. argo-cd: a range is about tags, and a name only where none is in it."""
        if not versions.is_range(target_revision):
            return ()
        prefix = f"{_TAGS}{tag_prefix}"
        names = {r.removeprefix(prefix) for r in self.commits if r.startswith(prefix)}
        found = versions.newest(target_revision, names)
        return (f"{prefix}{found}",) if found else ()


def candidates(target_revision: str) -> tuple[str, ...]:
    """Refs that a name may stand for, a branch before a tag."""
    if target_revision.startswith("refs/"):
        return (target_revision,)
    return (f"refs/heads/{target_revision}", f"refs/tags/{target_revision}")


async def remote_refs(
    git: Git, url: str, target_revisions: Iterable[str], credentials: Credentials | None
) -> RemoteRefs:
    """Ask the remote for HEAD and the named refs: one cheap call, nothing is fetched."""
    asked = {t for t in target_revisions if not COMMIT.fullmatch(t) and t not in ("", HEAD)}
    names = {r for t in asked for r in candidates(t)}
    tags = [f"{_TAGS}*"] if any(versions.is_range(t) for t in asked) else []
    patterns = [HEAD, *tags, *sorted(n for name in names for n in (name, f"{name}^{{}}"))]
    output = await git.run(
        ["ls-remote", "--symref", "--quiet", "--", url, *patterns],
        url=url,
        credentials=credentials,
        seconds=_REMOTE_SECONDS,
    )
    head, commits = "", {}
    for line in output.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: ") and name == HEAD:
            head = value.removeprefix("ref: ")
        elif COMMIT.fullmatch(value):
            commits[name] = value
    if head and HEAD in commits:
        commits.setdefault(head, commits[HEAD])
    return RemoteRefs(head, commits)


class Mirror:
    """The bare mirror of one repository in `directory`, which is nobody else's."""

    def __init__(self, git: Git, url: str, directory: Path) -> None:
        self.url = url
        self._git = git
        self._directory = directory
        self._fetching = asyncio.Lock()
        self._is_ready = False
        self._fetches = 0
        self._objects = ObjectReader(git, directory)

    async def close(self) -> None:
        await self._objects.close()

    async def fetch(
        self,
        refs: Mapping[str, str],
        credentials: Credentials | None,
        tags: Mapping[str, str] = _NO_TAGS,
    ) -> None:
        """Make every commit of `refs` (ref name -> commit) present. A commit under `""` is fetched alone.

        `tags` are the objects behind refs of tags: one may be new, and signed, where its commit is not.
        """
        async with self._fetching:
            await self._prepare()
            missing = {
                ref: c
                for ref, c in refs.items()
                if not (await self.has(c) and await self._is_at(ref, tags.get(ref)))
            }
            if not missing:
                return
            try:
                await self._fetch(missing, credentials)
            except SourceError as e:
                # What came before a line was cut would fill the disk, attempt by attempt.
                await asyncio.to_thread(_clear_leftovers, self._directory)
                if not _DAMAGED.search(str(e)):
                    raise
                await self._discard()
                await self._prepare()
                await self._fetch(missing, credentials)
            for ref, commit in missing.items():
                await self._check_there(ref, commit, credentials)
            await self._tidy()

    async def has(self, commit: str) -> bool:
        """Whether a commit is in the (prepared) mirror."""
        found = await self._objects.look_up([f"{object_name(commit)}^{{commit}}"])
        return found[0] is not None

    async def _is_at(self, ref: str, wanted: str | None) -> bool:
        if wanted is None:
            return True
        (found,) = await self._objects.look_up([_tip(ref)])
        return found is not None and found.id == wanted

    async def at(
        self, commit: str, elsewhere: Elsewhere | None = None, large: Large | None = None
    ) -> CommitFiles:
        """The files of a commit that is in the mirror; those of submodules and of Git LFS by way of these."""
        await self.prepare()
        return CommitFiles(self._objects, commit, elsewhere, large)

    async def store(self, digest: str, files: Mapping[str, File]) -> None:
        """Keep the files of an artifact as if they were a commit, under its digest."""
        async with self._fetching:
            await self._prepare()
            arguments = ["--git-dir", str(self._directory), "fast-import", "--quiet", "--force"]
            try:
                await self._git.run(arguments, stdin=importing.stream(object_name(digest), files))
            except SourceError:
                await asyncio.to_thread(_clear_leftovers, self._directory)
                raise

    async def content(self, commit: str) -> bytes:
        """A commit object as it is stored."""
        await self.prepare()
        (found,) = await self._objects.contents([object_name(commit)])
        return found

    async def tag(self, name: str) -> bytes | None:
        """The tag object that was fetched under a name; None for a branch or a lightweight tag."""
        await self.prepare()
        for ref in candidates(name) if name not in ("", HEAD) else ():
            (found,) = await self._objects.look_up([_tip(ref)])
            if found and found.type == "tag":
                return (await self._objects.contents([found.id]))[0]
        return None

    async def ids(self, places: Sequence[tuple[str, str]]) -> list[str]:
        """For each (commit, path) the id of the file or directory; empty where there is none."""
        await self.prepare()
        found = await self._objects.look_up([_tree_name(commit, path) for commit, path in places])
        return [f.id if f else "" for f in found]

    async def keep(self, name: str, commit: str) -> None:
        """Hold on to a commit, whatever happens to the branches: a last good revision."""
        ref = f"refs/rollouts/good/{hashlib.sha256(name.encode()).hexdigest()[:32]}"
        await self._git.run(["--git-dir", str(self._directory), "update-ref", ref, object_name(commit)])

    async def listed(self, commit: str, paths: Sequence[str]) -> dict[str, tuple[str, str]]:
        """(mode, id) of each path that the commit has, files and directories."""
        await self.prepare()
        arguments = ["--git-dir", str(self._directory), "ls-tree", "-z", "--full-tree", commit, "--", *paths]
        found = {}
        for line in (await self._git.run(arguments)).split("\0"):
            facts, _, path = line.partition("\t")
            if path:
                mode, _, id_ = facts.split(" ")
                found[path] = (mode, id_)
        return found

    async def saying(self, lines: Sequence[str], head: str, since: str) -> str:
        """The newest commit of `head`, and not of `since`, whose message has each of the lines; empty for none.

        A mirror that was made anew knows a branch from where it is now, and may know nothing of `since`.
        """
        arguments = ["log", "-1", "--format=%H", "--fixed-strings", "--all-match"]
        arguments += [f"--grep={line}" for line in lines]
        hidden = [f"^{since}"] if await self.has(since) else []
        found = await self._git.run(["--git-dir", str(self._directory), *arguments, head, *hidden, "--"])
        return found.strip()

    async def imported(self, ref: str, text: bytes) -> str:
        """The commit that `git fast-import` makes of a text which ends in `ref`."""
        async with self._fetching:
            await self._prepare()
            await self._git.run(
                ["--git-dir", str(self._directory), "fast-import", "--quiet", "--force"], stdin=text
            )
        (found,) = await self._objects.look_up([ref])
        assert found is not None
        return found.id

    async def push(
        self, commit: str, ref: str, credentials: Credentials | None, *, force: bool = False
    ) -> None:
        """Let the remote's `ref` be a commit of the mirror. Without `force` it only moves forward."""
        spec = f"{'+' if force else ''}{commit}:{ref}"
        await self._git.run(
            ["--git-dir", str(self._directory), "push", "--quiet", "--", self.url, spec],
            url=self.url,
            credentials=credentials,
            seconds=_FETCH_SECONDS,
        )

    async def _tidy(self) -> None:
        """Pack now and then what single fetches left; what nothing refers to goes after two weeks."""
        self._fetches += 1
        if self._fetches % _FETCHES_BETWEEN_TIDYING == 0:
            with contextlib.suppress(SourceError):
                await self._git.run(
                    ["--git-dir", str(self._directory), "-c", "gc.auto=1000", "gc", "--auto", "--quiet"]
                )

    async def prepare(self) -> None:
        """The directory as a repository, without what a killed process left in it."""
        if not self._is_ready:
            async with self._fetching:
                await self._prepare()

    async def _prepare(self) -> None:
        if self._is_ready:
            return
        await asyncio.to_thread(_clear_leftovers, self._directory)
        await self._git.run(["init", "--quiet", "--bare", str(self._directory)])
        self._is_ready = True

    async def _discard(self) -> None:
        await self._objects.close()
        await asyncio.to_thread(shutil.rmtree, self._directory, True)  # noqa: FBT003
        self._is_ready = False

    async def _check_there(self, ref: str, commit: str, credentials: Credentials | None) -> None:
        """A ref that moved while it was fetched has brought another commit; this one may still be had."""
        if ref and not await self.has(commit):
            with contextlib.suppress(SourceError):
                await self._fetch_specs([f"+{commit}:{_tip(ref)}"], credentials, is_first=True)
        if not await self.has(commit):
            raise _absent(self.url, ref, commit)

    async def _fetch(self, refs: Mapping[str, str], credentials: Credentials | None) -> None:
        """What is here already grows by what is new; of anything else only the one commit is fetched."""
        tips = {_tip(ref or commit): ref or commit for ref, commit in refs.items()}
        known = await self._objects.look_up(list(tips))
        followed = [f"+{ref}:{tip}" for (tip, ref), f in zip(tips.items(), known, strict=True) if f]
        first = [f"+{ref}:{tip}" for (tip, ref), f in zip(tips.items(), known, strict=True) if not f]
        try:
            if followed:
                await self._fetch_specs(followed, credentials, is_first=False)
            if first:
                await self._fetch_specs(first, credentials, is_first=True)
        except SourceError as e:
            if "" not in refs and not _NO_DEPTH.search(str(e)):
                raise
            # Not every server hands out a commit by its id: then all branches and tags must bring it.
            everything = ["+refs/heads/*:refs/rollouts/heads/*", "+refs/tags/*:refs/rollouts/tags/*"]
            named = [*followed, *first] if "" not in refs else everything
            await self._fetch_specs(named, credentials, is_first=False)

    async def _fetch_specs(
        self, specs: Sequence[str], credentials: Credentials | None, *, is_first: bool
    ) -> None:
        await self._git.run(
            [
                "--git-dir",
                str(self._directory),
                "fetch",
                "--quiet",
                "--force",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                "--no-auto-gc",
                "--update-shallow",
                *(["--depth=1"] if is_first else []),
                "--",
                self.url,
                *specs,
            ],
            url=self.url,
            credentials=credentials,
            seconds=_FETCH_SECONDS,
        )


def directory_name(url: str) -> str:
    """Where the mirror of a URL lies, below the cache directory."""
    return hashlib.sha256(url.encode()).hexdigest()[:32] + ".git"


def unknown_revision(url: str, target_revision: str) -> SourceError:
    return SourceError(
        ApplicationReason.REVISION_NOT_FOUND,
        f"{shown(url)} has no branch, tag or commit {target_revision or HEAD}",
        definite=True,
    )


def _absent(url: str, ref: str, commit: str) -> SourceError:
    if not ref:
        return unknown_revision(url, commit)
    return SourceError(
        ApplicationReason.GIT_OPERATION_FAILED,
        f"{shown(url)}: {ref} has moved while it was fetched",
        definite=False,
    )


def _tip(name: str) -> str:
    """A ref for what was fetched under a name. Hashed: `a` and `a/b` cannot both be refs."""
    return f"refs/rollouts/tips/{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _tree_name(commit: str, path: str) -> str:
    inner, named = path.strip("/"), object_name(commit)
    return f"{named}^{{tree}}" if inner in ("", ".") else f"{named}:{inner.removeprefix('./')}"


def _short(ref: str) -> str:
    for prefix in ("refs/heads/", "refs/tags/"):
        if ref.startswith(prefix):
            return ref.removeprefix(prefix)
    return ref


def _clear_leftovers(directory: Path) -> None:
    """What a git that was killed or cut off left behind; nobody else works in this directory."""
    for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "fast_import_crash_*"):
        for path in directory.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
