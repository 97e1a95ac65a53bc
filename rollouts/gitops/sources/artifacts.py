"""Charts of Helm repositories and artifacts of OCI registries: which one is meant, and the files in it.

Decides what a target revision means where there is no Git: a version, a range of versions, a tag or a digest.
An artifact is known by its digest ever after; its files are kept in a mirror like those of a commit.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from rollouts.api.application_status import ApplicationReason
from rollouts.gitops import versions
from rollouts.gitops.resources.render import MAX_TOTAL_BYTES, RenderError
from rollouts.gitops.sources import chartindex, web
from rollouts.gitops.sources.commit import File
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import SourceError
from rollouts.gitops.sources.registry import DIGEST, Registry, Repository, digest_of
from rollouts.gitops.sources.unpack import unpacked
from rollouts.gitops.sources.web import Web

__all__ = ["Artifact", "Artifacts"]

_HELM_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_ARCHIVES = re.compile(r".*[.+]tar(?:[.+]gzip)?")
_MAX_INDEX_BYTES = 64 * 1024 * 1024
_INDEXES_KEPT = 20
_HEAD = ("", "HEAD")
_REASON = ApplicationReason.ARTIFACT_PULL_FAILED


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a target revision stands for now. `name` is the tag or version; empty for a bare digest."""

    name: str
    digest: str
    repository: Repository | None = None
    url: str = ""
    """Of the archive, in a Helm repository that is not a registry."""
    repository_url: str = ""


@dataclass(frozen=True, slots=True)
class _Index:
    """What an index.yaml said, and how to ask whether it still does."""

    etag: str
    entries: Mapping[str, tuple[Mapping[str, Any], ...]]


@dataclass(slots=True)
class Artifacts:
    """Finds and fetches artifacts."""

    registry: Registry = field(default_factory=Registry)
    web: Web = field(default_factory=lambda: Web(_REASON))
    _indexes: OrderedDict[tuple[str, str, Credentials | None], _Index] = field(default_factory=OrderedDict)
    _digests: dict[str, str] = field(default_factory=dict)
    """Of archives whose index does not name it."""

    async def find(
        self, url: str, chart: str, target_revision: str, credentials: Credentials | None
    ) -> Artifact:
        """Raises `SourceError`."""
        if url.startswith(("https://", "http://")):
            return await self._in_index(url, chart, target_revision, credentials)
        return await self._in_registry(url, chart, target_revision, credentials)

    async def files(self, artifact: Artifact, credentials: Credentials | None) -> dict[str, File]:
        """The artifact's files by their path. Raises `SourceError`."""
        if artifact.repository:
            repository = replace(artifact.repository, credentials=credentials)
            archive, is_chart = await self._layer(repository, artifact.digest)
        else:
            archive, is_chart = await self._archive(artifact, credentials), True
            if digest_of(archive) != artifact.digest:
                raise web.failed(_REASON, artifact.url, "is not what the index says: its digest differs")
        try:
            return await asyncio.to_thread(unpacked, archive, is_chart=is_chart)
        except RenderError as e:
            raise SourceError(_REASON, f"{artifact.name or artifact.digest}: {e}", definite=True) from None

    async def _in_registry(
        self, url: str, chart: str, target: str, credentials: Credentials | None
    ) -> Artifact:
        host, _, name = url.removeprefix("oci://").strip("/").partition("/")
        repository = Repository(host, "/".join(p for p in (name, chart) if p), credentials)
        if DIGEST.fullmatch(target):
            # Known or not: the registry itself has to let these credentials see it.
            await self.registry.digest(repository, target)
            return Artifact("", target, repository)
        wanted = ("*" if chart else "latest") if target in _HEAD else target
        if not versions.is_range(wanted):
            return Artifact(wanted, await self.registry.digest(repository, _tag(wanted)), repository)
        tags = await self.registry.tags(repository)
        # A plus cannot stand in a tag: helm writes an underscore.
        found = versions.newest(wanted, (t.replace("_", "+") for t in tags))
        if found is None:
            raise _none_in_range(url, chart, wanted)
        return Artifact(found, await self.registry.digest(repository, _tag(found)), repository)

    async def _layer(self, repository: Repository, digest: str) -> tuple[bytes, bool]:
        manifest = await self.registry.manifest(repository, digest)
        layers = [e for e in manifest.get("layers") or () if isinstance(e, Mapping)]
        charts = [e for e in layers if e.get("mediaType") == _HELM_LAYER]
        found = charts or layers
        kind = str(found[0].get("mediaType", "")) if found else ""
        if len(found) != 1 or not _ARCHIVES.fullmatch(kind):
            problem = f"{digest} has {len(found)} layers; what is rendered is one layer, a tar archive"
            raise web.failed(_REASON, repository.url, problem, definite=True)
        blob = await self.registry.blob(repository, str(found[0].get("digest", "")), MAX_TOTAL_BYTES)
        return blob, bool(charts)

    async def _in_index(self, url: str, chart: str, target: str, credentials: Credentials | None) -> Artifact:
        entries = await self._entries(url, chart, credentials)
        by_version = {str(e["version"]): e for e in reversed(entries) if e.get("version") and e.get("urls")}
        name = _chosen(by_version, "*" if target in _HEAD else target)
        if name is None:
            raise _none_in_range(url, chart, target)
        entry = by_version[name]
        place = urljoin(url.rstrip("/") + "/", str(entry["urls"][0]))
        found = Artifact(name, _digest(entry), url=place, repository_url=url)
        return found if found.digest else await self._measured(found, credentials)

    async def _measured(self, artifact: Artifact, credentials: Credentials | None) -> Artifact:
        """An index without digests: the archive of a version is fetched once, and taken not to change."""
        if artifact.url not in self._digests:
            self._digests[artifact.url] = digest_of(await self._archive(artifact, credentials))
        return replace(artifact, digest=self._digests[artifact.url])

    async def _archive(self, artifact: Artifact, credentials: Credentials | None) -> bytes:
        # As helm does: what lies on another host is asked for without our name.
        is_same = urlsplit(artifact.url)[:2] == urlsplit(artifact.repository_url)[:2]
        return await self._get(artifact.url, credentials if is_same else None, MAX_TOTAL_BYTES)

    async def _get(self, url: str, credentials: Credentials | None, limit: int) -> bytes:
        answer = await self.web.ask(
            "GET", url, limit=limit, headers=_basic(credentials), credentials=credentials
        )
        _check_status(url, answer.status, credentials)
        return answer.content

    async def _entries(
        self, url: str, chart: str, credentials: Credentials | None
    ) -> tuple[Mapping[str, Any], ...]:
        """The chart's entries in the index, read again only where it changed."""
        key = url, chart, credentials
        known, place = self._indexes.get(key), f"{url.rstrip('/')}/index.yaml"
        headers = _basic(credentials) | ({"If-None-Match": known.etag} if known and known.etag else {})
        answer = await self.web.ask(
            "GET", place, limit=_MAX_INDEX_BYTES, headers=headers, credentials=credentials
        )
        if answer.status == 304 and known:
            return known.entries.get(chart, ())
        _check_status(place, answer.status, credentials)
        entries = await asyncio.to_thread(_read_index, place, answer.content, chart)
        self._indexes[key] = _Index(answer.headers.get("etag", ""), {chart: entries})
        while len(self._indexes) > _INDEXES_KEPT:
            self._indexes.popitem(last=False)
        return entries


def _read_index(url: str, text: bytes, chart: str) -> tuple[Mapping[str, Any], ...]:
    try:
        found = chartindex.entries(text, chart)
    except chartindex.IndexUnreadable as e:
        raise web.failed(_REASON, url, str(e), definite=True) from None
    if not found:
        raise SourceError(ApplicationReason.REVISION_NOT_FOUND, f"{url} has no chart {chart}", definite=True)
    return found


def _chosen(names: Iterable[str], target: str) -> str | None:
    names = tuple(names)
    if versions.is_range(target):
        return versions.newest(target, names)
    # helm takes v1.2.3 for 1.2.3 and the other way round.
    wanted = versions.parse_version(target)
    same = (n for n in names if wanted and versions.parse_version(n) == wanted)
    return target if target in names else next(same, None)


def _digest(entry: Mapping[str, Any]) -> str:
    found = f"sha256:{str(entry.get('digest') or '').removeprefix('sha256:')}"
    return found if DIGEST.fullmatch(found) else ""


def _tag(version: str) -> str:
    return version.replace("+", "_")


def _basic(credentials: Credentials | None) -> dict[str, str]:
    if not credentials or not credentials.password:
        return {}
    login = f"{credentials.username}:{credentials.password}"
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def _check_status(url: str, status: int, credentials: Credentials | None) -> None:
    if status in (401, 403):
        raise web.denied(url, status, credentials)
    if status == 404:
        raise web.failed(_REASON, url, "is not there", definite=True)
    if status != 200:
        raise web.failed(_REASON, url, f"answers {status}")


def _none_in_range(url: str, chart: str, target: str) -> SourceError:
    what = f"version {target} of chart {chart}" if chart else f"tag in {target}"
    return SourceError(ApplicationReason.REVISION_NOT_FOUND, f"{url} has no {what}", definite=True)
