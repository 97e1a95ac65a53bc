"""Rendered sets: from the mirror, from a bounded cache, or for the last good one from its Secrets.

Decides where a set comes from. A set is known by what it is rendered from (repository, tree, options), or
by its digest; what does not have the digest that is asked for is not it.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rollouts.api.application import Application, ApplicationSource
from rollouts.api.parse import dump
from rollouts.controller.applications.given import GivenValues, destination_namespace
from rollouts.controller.applications.large import LargeFiles
from rollouts.controller.applications.positions import Position, RemoteKey, remote_key
from rollouts.controller.applications.repositories import Repositories
from rollouts.controller.applications.submodules import Submodules
from rollouts.controller.applications.trust import Trust
from rollouts.controller.cache import Key
from rollouts.errors import RolloutsError
from rollouts.gitops import lastgood, naming
from rollouts.gitops.confined import Confined, ProgramMissing
from rollouts.gitops.renderers import build
from rollouts.gitops.renderers.build import Given, Reading, SourceType
from rollouts.gitops.resources import render
from rollouts.gitops.resources.render import Rendered, RenderError
from rollouts.gitops.revision import Target
from rollouts.gitops.sources.commit import CommitFiles
from rollouts.gitops.sources.git import SourceError
from rollouts.kube import Kube, resources

__all__ = ["Sets"]

log = logging.getLogger(__name__)

_OBJECTS_KEPT = 100_000
_READINGS_KEPT = 20_000
_PROGRAMS = {SourceType.KUSTOMIZE: "kustomize", SourceType.HELM: "helm"}


class _Origin(NamedTuple):
    """All that the set of one source depends on: equal origins render to the same set."""

    place: str
    fingerprint: str
    options: str
    given: str
    program: str


@dataclass(frozen=True, slots=True)
class _Part:
    """One source of an Application at one commit; `refs` are the others, by their ref."""

    source: ApplicationSource
    place: str
    files: CommitFiles
    refs: Mapping[str, CommitFiles]
    told_as: str = ""
    """Begins its errors, where there are several."""

    @property
    def known_as(self) -> tuple[str, ...]:
        others = sorted(f"{ref} {files.commit}" for ref, files in self.refs.items())
        return (self.place, self.files.commit, _options(self.source), *others)


class _Cache:
    """Least recently used first out, bounded by the number of objects in all sets."""

    def __init__(self) -> None:
        self._sets: OrderedDict[Hashable, Rendered] = OrderedDict()
        self._objects = 0

    def get(self, key: Hashable) -> Rendered | None:
        if key in self._sets:
            self._sets.move_to_end(key)
        return self._sets.get(key)

    def put(self, key: Hashable, rendered: Rendered) -> None:
        self.drop(key)
        self._sets[key] = rendered
        self._objects += len(rendered.manifests) + 1
        while self._objects > _OBJECTS_KEPT and len(self._sets) > 1:
            self.drop(next(iter(self._sets)))

    def drop(self, key: Hashable) -> None:
        if old := self._sets.pop(key, None):
            self._objects -= len(old.manifests) + 1


class Sets:
    """Rendered sets of all Applications."""

    def __init__(self, kube: Kube, repositories: Repositories, confined: Confined, large: LargeFiles) -> None:
        self._kube = kube
        self._repositories = repositories
        self._large = large
        self._confined = confined
        self._given = GivenValues(kube)
        self._trust = Trust(kube)
        self._cache = _Cache()
        self._readings: OrderedDict[tuple[str, ...], Reading] = OrderedDict()
        self._submodules = Submodules(repositories.at_commit)

    async def at(self, application: Application, positions: tuple[Position, ...]) -> Rendered:
        """What positions render to, together. Raises `RenderError`, `SourceError`."""
        key = Key(application.metadata.namespace, application.metadata.name)
        for i, (source, position) in enumerate(zip(application.spec.every_source, positions, strict=True)):
            mirror = self._repositories.mirror(remote_key(application, source))
            try:
                await self._trust.check(application, mirror, position)
            except SourceError:
                self._repositories.refuse(key, i, position.revision)
                raise
        parts = await self._parts(application, [p.commit for p in positions])
        readings = [await self._reading(part) for part in parts]
        self._repositories.reads(key, _beside(parts, readings))
        return await self._rendered(application, parts, readings)

    async def target(self, application: Application, target: Target) -> Rendered:
        """The set of a target that is not what Git says now. Raises `SourceError`, `UnreadableError`."""
        key = application.metadata.uid, target.digest
        if known := self._cache.get(key):
            return known
        found = await self._from_mirror(application, target) or await self._from_secrets(application, target)
        self._cache.put(key, found)
        return found

    async def at_commit(self, application: Application, commit: str) -> Rendered:
        """What a commit of the only source renders to, if it is trusted. Raises `RenderError`, `SourceError`."""
        (source,) = application.spec.every_source
        mirror = self._repositories.mirror(remote_key(application, source))
        await self._trust.check(application, mirror, Position(naming.text("", commit), commit, ""))
        parts = await self._parts(application, [commit])
        return await self._rendered(application, parts, [await self._reading(p) for p in parts])

    async def renders_to(self, application: Application, revision: str, digest: str) -> bool:
        """Whether a revision that is in the mirror renders to this set."""
        return await self._from_mirror(application, Target(revision, digest)) is not None

    async def forget(self, application: Application, positions: tuple[Position, ...]) -> None:
        """Render again, whatever is known."""
        self._given.forget(application)
        given = await self._given.of(application)
        for position in positions:
            self._trust.forget(application, position)
        for i, part in enumerate(await self._parts(application, [p.commit for p in positions])):
            if known := self._readings.pop(part.known_as, None):
                self._cache.drop(self._origin(part, known, given[i]))

    async def keep(self, application: Application, target_revision: str, rendered: Rendered) -> None:
        """Hold on to a good set: its commit in the mirror, itself in Secrets. Never fails the caller."""
        self._cache.put((application.metadata.uid, rendered.digest), rendered)
        try:
            await self._keep_commits(application, target_revision)
            await self._keep_secrets(application, rendered)
        except RolloutsError as e:
            key = application.metadata.key
            log.warning("last good set not kept: %s", e, extra={"fields": {"application": key}})

    async def _parts(self, application: Application, commits: Sequence[str]) -> list[_Part]:
        sources = application.spec.every_source
        remotes = [remote_key(application, source) for source in sources]
        files = [
            await self._files(source, remote, commit)
            for source, remote, commit in zip(sources, remotes, commits, strict=True)
        ]
        refs = {s.ref: f for s, f in zip(sources, files, strict=True) if s.ref}
        return [
            _Part(s, r.place, f, refs, f"spec.sources[{i}]: " if len(sources) > 1 else "")
            for i, (s, r, f) in enumerate(zip(sources, remotes, files, strict=True))
        ]

    async def _files(self, source: ApplicationSource, remote: RemoteKey, commit: str) -> CommitFiles:
        large = self._large.of if source.enable_lfs else None
        mirror = self._repositories.mirror(remote)
        return await mirror.at(commit, self._submodules.of(remote, large), large(remote) if large else None)

    async def _reading(self, part: _Part) -> Reading | None:
        """None for a source that is there for its values files only."""
        if not part.source.declares_objects:
            return None
        key = part.known_as
        if key not in self._readings:
            with _told_of(part):
                self._readings[key] = await build.reading(part.files, part.source, part.refs)
            if len(self._readings) > _READINGS_KEPT:
                self._readings.popitem(last=False)
        return self._readings[key]

    async def _rendered(
        self, application: Application, parts: Sequence[_Part], readings: Sequence[Reading | None]
    ) -> Rendered:
        given = await self._given.of(application)
        sets = [
            await self._rendered_part(part, found, given[i])
            for i, (part, found) in enumerate(zip(parts, readings, strict=True))
            if found
        ]
        return render.combined(sets, namespace=destination_namespace(application))

    async def _rendered_part(self, part: _Part, found: Reading, given: Given) -> Rendered:
        origin = self._origin(part, found, given)
        if known := self._cache.get(origin):
            return known
        with _told_of(part):
            rendered = await build.rendered(self._confined, part.files, part.source, found, given, part.refs)
        self._cache.put(origin, rendered)
        return rendered

    def _origin(self, part: _Part, found: Reading, given: Given) -> _Origin:
        program = _PROGRAMS.get(found.type, "")
        version = self._version(program) if program else ""
        return _Origin(part.place, found.fingerprint, _options(part.source), given.digest, version)

    def _version(self, program: str) -> str:
        try:
            return self._confined.version(program)
        except ProgramMissing as e:
            raise RenderError(str(e)) from None

    async def _from_mirror(self, application: Application, target: Target) -> Rendered | None:
        commits = [naming.commit_of(r) for r in naming.each(target.revision)]
        if len(commits) != len(application.spec.every_source):
            return None
        try:
            parts = await self._parts(application, commits)
            rendered = await self._rendered(application, parts, [await self._reading(p) for p in parts])
        except (SourceError, RenderError) as e:
            log.info("%s is not in the mirror: %s", target.revision, e)
            return None
        return rendered if rendered.digest == target.digest else None

    async def _from_secrets(self, application: Application, target: Target) -> Rendered:
        namespace = application.metadata.namespace
        found = await self._kube.list(
            resources.SECRET, namespace, label_selector=lastgood.selector(application)
        )
        return lastgood.read(found.items, target.digest, namespace=destination_namespace(application))

    async def _keep_commits(self, application: Application, target_revision: str) -> None:
        revisions = naming.each(target_revision)
        for i, (source, revision) in enumerate(zip(application.spec.every_source, revisions, strict=False)):
            if commit := naming.commit_of(revision):
                mirror = self._repositories.mirror(remote_key(application, source))
                await mirror.keep(
                    f"{application.metadata.uid} {i}" if i else application.metadata.uid, commit
                )

    async def _keep_secrets(self, application: Application, rendered: Rendered) -> None:
        """The new set, then away with those that neither the status nor its next version names."""
        for body in lastgood.secrets(application, rendered.digest, rendered.manifests):
            ref = resources.SECRET.ref(body["metadata"]["name"], application.metadata.namespace)
            await self._kube.apply(ref, body, field_manager=lastgood.FIELD_MANAGER)
        previous = application.status.last_good_digest
        if not previous:
            return
        selector = lastgood.selector(application)
        found = await self._kube.list(
            resources.SECRET, application.metadata.namespace, label_selector=selector
        )
        for secret in found.items:
            if lastgood.is_outdated(secret, (rendered.digest, previous)):
                ref = resources.SECRET.ref(secret["metadata"]["name"], application.metadata.namespace)
                await self._kube.delete(ref, uid=secret["metadata"]["uid"])


@contextlib.contextmanager
def _told_of(part: _Part) -> Iterator[None]:
    try:
        yield
    except RenderError as e:
        raise RenderError(f"{part.told_as}{e}") from None


def _beside(parts: Sequence[_Part], readings: Sequence[Reading | None]) -> tuple[tuple[str, ...], ...]:
    """By source: what is read from it beside its path, for itself and for others."""
    own = [list(found.beside) if found else [] for found in readings]
    index = {part.source.ref: i for i, part in enumerate(parts) if part.source.ref}
    for found in readings:
        for ref, places in found.outside.items() if found else ():
            own[index[ref]] += [p for p in places if p not in own[index[ref]]]
    return tuple(tuple(paths) for paths in own)


def _options(source: ApplicationSource) -> str:
    """Every option of the source, as text."""
    return json.dumps(dump(source), sort_keys=True)
