"""Rendered sets: from the mirror, from a bounded cache, or for the last good one from its Secrets.

Decides where a set comes from. A set is known by what it is rendered from (repository, tree, options), or
by its digest; what does not have the digest that is asked for is not it.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

from rollouts.api.application import Application
from rollouts.api.parse import dump
from rollouts.controller.applications.given import GivenValues, destination_namespace
from rollouts.controller.applications.repositories import Position, Repositories
from rollouts.controller.applications.trust import Trust
from rollouts.controller.cache import Key
from rollouts.errors import RolloutsError
from rollouts.gitops import lastgood, revision
from rollouts.gitops.commit import CommitFiles
from rollouts.gitops.git import SourceError
from rollouts.gitops.render import Rendered, RenderError
from rollouts.gitops.renderers import build
from rollouts.gitops.renderers.build import Reading, SourceType
from rollouts.gitops.renderers.confined import Confined, ProgramMissing
from rollouts.gitops.revision import Target
from rollouts.kube import Kube, resources

__all__ = ["Sets"]

log = logging.getLogger(__name__)

_OBJECTS_KEPT = 100_000
_READINGS_KEPT = 20_000
_PROGRAMS = {SourceType.KUSTOMIZE: "kustomize", SourceType.HELM: "helm"}


class _Origin(NamedTuple):
    """All that a set depends on: equal origins render to the same set."""

    url: str
    fingerprint: str
    options: str
    given: str
    program: str


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

    def __init__(self, kube: Kube, repositories: Repositories, confined: Confined) -> None:
        self._kube = kube
        self._repositories = repositories
        self._confined = confined
        self._given = GivenValues(kube)
        self._trust = Trust(kube)
        self._cache = _Cache()
        self._readings: OrderedDict[tuple[str, str, str], Reading] = OrderedDict()

    async def at(self, application: Application, position: Position) -> Rendered:
        """What a position renders to. Raises `RenderError`, `SourceError`."""
        if not position.tree:
            path = application.spec.source.path
            raise RenderError(f"there is no directory {path} in {position.revision}")
        key = Key(application.metadata.namespace, application.metadata.name)
        mirror = self._repositories.mirror(application.spec.source.repo_url)
        try:
            await self._trust.check(application, mirror, position)
        except SourceError:
            self._repositories.refuse(key, position.revision)
            raise
        files = await mirror.at(position.commit)
        found = await self._reading(application, files)
        self._repositories.reads(key, found.beside)
        return await self._rendered(application, files, found)

    async def target(self, application: Application, target: Target) -> Rendered:
        """The set of a target that is not what Git says now. Raises `SourceError`, `UnreadableError`."""
        key = application.metadata.uid, target.digest
        if known := self._cache.get(key):
            return known
        found = await self._from_mirror(application, target) or await self._from_secrets(application, target)
        self._cache.put(key, found)
        return found

    async def forget(self, application: Application, position: Position) -> None:
        """Render again, whatever is known."""
        self._given.forget(application)
        self._trust.forget(application, position)
        known = self._readings.pop(_read_as(application, position.commit), None)
        if known:
            self._cache.drop(await self._origin(application, known))

    async def keep(self, application: Application, target_revision: str, rendered: Rendered) -> None:
        """Hold on to a good set: its commit in the mirror, itself in Secrets. Never fails the caller."""
        self._cache.put((application.metadata.uid, rendered.digest), rendered)
        try:
            await self._keep_commit(application, revision.commit_of(target_revision))
            await self._keep_secrets(application, rendered)
        except RolloutsError as e:
            key = application.metadata.key
            log.warning("last good set not kept: %s", e, extra={"fields": {"application": key}})

    async def _reading(self, application: Application, files: CommitFiles) -> Reading:
        key = _read_as(application, files.commit)
        if key not in self._readings:
            self._readings[key] = await build.reading(files, application.spec.source)
            if len(self._readings) > _READINGS_KEPT:
                self._readings.popitem(last=False)
        return self._readings[key]

    async def _rendered(self, application: Application, files: CommitFiles, found: Reading) -> Rendered:
        origin = await self._origin(application, found)
        if known := self._cache.get(origin):
            return known
        given = await self._given.of(application)
        rendered = await build.rendered(self._confined, files, application.spec.source, found, given)
        self._cache.put(origin, rendered)
        return rendered

    async def _origin(self, application: Application, found: Reading) -> _Origin:
        program = _PROGRAMS.get(found.type, "")
        return _Origin(
            application.spec.source.repo_url,
            found.fingerprint,
            _options(application),
            (await self._given.of(application)).digest,
            self._version(program) if program else "",
        )

    def _version(self, program: str) -> str:
        try:
            return self._confined.version(program)
        except ProgramMissing as e:
            raise RenderError(str(e)) from None

    async def _from_mirror(self, application: Application, target: Target) -> Rendered | None:
        commit = revision.commit_of(target.revision)
        mirror = self._repositories.mirror(application.spec.source.repo_url)
        try:
            files = await mirror.at(commit)
            rendered = await self._rendered(application, files, await self._reading(application, files))
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

    async def _keep_commit(self, application: Application, commit: str) -> None:
        if commit:
            mirror = self._repositories.mirror(application.spec.source.repo_url)
            await mirror.keep(application.metadata.uid, commit)

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


def _options(application: Application) -> str:
    """Every option of the source, as text."""
    return json.dumps(dump(application.spec.source), sort_keys=True)


def _read_as(application: Application, commit: str) -> tuple[str, str, str]:
    return application.spec.source.repo_url, commit, _options(application)
