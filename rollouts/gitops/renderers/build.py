"""What an Application's source is (plain files, a kustomization, a chart), and its objects.

Decides the type (as Argo CD: what the spec names, else what the directory holds), which parts of the commit
the result depends on, and the way from there: decrypt, build, substitute. The result depends on nothing
but the arguments, so `controller.applications.sets` may keep it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rollouts.api.application import ApplicationSource, DirectorySource
from rollouts.api.rendering import HelmSource, KustomizeSource
from rollouts.gitops.confined import Confined, ProgramFailed, ProgramMissing
from rollouts.gitops.renderers import helm, kustomize, sops, substitution
from rollouts.gitops.renderers.helm import REF, Release
from rollouts.gitops.resources import manifests, render
from rollouts.gitops.resources.manifests import Manifest, ManifestError
from rollouts.gitops.resources.render import Rendered, RenderError
from rollouts.gitops.sources import commit
from rollouts.gitops.sources.commit import CommitFiles, File, digest_of

__all__ = ["Given", "Reading", "SourceType", "reading", "rendered"]


_PARSE_SECONDS = 60.0
_READ = (".yaml", ".yml", ".json", ".tpl", ".tgz", ".env", ".properties")
"""Endings of files that programs read; a picture that Git LFS keeps elsewhere is nobody's concern."""

Refs = Mapping[str, CommitFiles]
"""The files of other sources of the Application, by their ref."""
_NO_REFS: Refs = {}


class SourceType(StrEnum):
    """`status.sourceType` (argo-cd: ApplicationSourceType)."""

    DIRECTORY = "Directory"
    KUSTOMIZE = "Kustomize"
    HELM = "Helm"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source is and which parts of the commit it reads; equal fingerprints render to the same."""

    type: SourceType
    path: str
    beside: tuple[str, ...] = ()
    """Directories and files that are read beside the path."""
    outside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values files of other sources, by the ref that names these."""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """What a set is made from beside the repository: names, and what ConfigMaps and Secrets say.

    `confidential` are texts that must not appear in an error.
    """

    name: str
    namespace: str
    values: tuple[str, ...] = ()
    variables: Mapping[str, str] | None = None
    age_keys: str = ""
    confidential: tuple[str, ...] = field(default=(), repr=False)

    @property
    def digest(self) -> str:
        variables = sorted((self.variables or {}).items())
        text = json.dumps([self.name, self.namespace, self.values, variables, self.age_keys])
        return hashlib.sha256(text.encode()).hexdigest()


async def reading(files: CommitFiles, source: ApplicationSource, refs: Refs = _NO_REFS) -> Reading:
    """What `source` reads in this commit, and in those of `refs`. Raises `RenderError`, `SourceError`."""
    path = posixpath.normpath(source.path.strip("/") or ".")
    trees = await files.trees([path])
    if path not in trees:
        raise RenderError(f"source.path: there is no directory {path} in commit {files.commit}")
    kind = await _type(files, source, path)
    if kind is SourceType.KUSTOMIZE:
        directories = await kustomize.directories(files, path, source.kustomize or KustomizeSource())
        fingerprint = digest_of(await files.trees(directories))
        return Reading(kind, path, directories[1:], fingerprint=fingerprint)
    if kind is SourceType.HELM:
        directories = await helm.directories(files, path)
        named = helm.value_files(path, source.helm or HelmSource())
        own = [n for n in named if not n.startswith(REF)]
        outside = helm.by_ref(n for n in named if n.startswith(REF))
        found = {**await files.read(own), **await _outside(outside, refs)}
        ids = {**await files.trees(directories), **{n: _hash(text) for n, text in found.items()}}
        return Reading(kind, path, (*directories[1:], *own), outside, digest_of(ids))
    return Reading(kind, path, fingerprint=trees[path])


async def rendered(
    confined: Confined,
    files: CommitFiles,
    source: ApplicationSource,
    found: Reading,
    given: Given,
    refs: Refs = _NO_REFS,
) -> Rendered:
    """The objects. Raises `RenderError`, which holds nothing of what is confidential."""
    try:
        outside = await _outside(found.outside, refs)
        texts = await _texts(confined, files, source, found, given, outside)
        async with asyncio.timeout(_PARSE_SECONDS):
            return await asyncio.to_thread(_set, texts, given)
    except (RenderError, ProgramFailed, ProgramMissing) as e:
        raise RenderError(_discreet(str(e), given.confidential)) from None


def _set(texts: Mapping[str, bytes], given: Given) -> Rendered:
    found = render.declared(texts)
    if given.variables is not None:
        found = _substituted(found, given.variables)
    return render.as_set(found, namespace=given.namespace)


async def _texts(
    confined: Confined,
    files: CommitFiles,
    source: ApplicationSource,
    found: Reading,
    given: Given,
    outside: Mapping[str, bytes],
) -> dict[str, bytes]:
    """YAML by the name that errors are to give it."""
    if found.type is SourceType.DIRECTORY:
        return await _plain(confined, files, found.path, source.directory, given)
    wanted = await files.below((found.path, *found.beside))
    single = [name for name in found.beside if name not in wanted]
    await _check_no_links(files, single)
    wanted |= {name: File("100644", text) for name, text in (await files.read(single)).items()}
    _check_all_here(wanted)
    closed, wanted = wanted, await _open(confined, wanted, given)
    _check_were_open(closed, wanted)
    if found.type is SourceType.KUSTOMIZE:
        options = source.kustomize or KustomizeSource()
        return {f"kustomize build {found.path}": await kustomize.build(confined, wanted, found.path, options)}
    options_ = source.helm or HelmSource()
    release = Release(
        options_.release_name or given.name,
        options_.namespace or given.namespace,
        given.values,
        {n: f.content for n, f in (await _open(confined, _as_files(outside), given)).items()},
    )
    return helm.by_template(await helm.template(confined, wanted, found.path, options_, release))


async def _plain(
    confined: Confined, files: CommitFiles, path: str, options: DirectorySource, given: Given
) -> dict[str, bytes]:
    entries = dict(await files.entries(path, recurse=options.recurse))
    chosen = render.selected(entries, options)
    contents = await commit.contents([(e, entries[e]) for e in chosen])
    plain = {e.path: File(e.mode, text) for e, text in zip(chosen, contents, strict=True)}
    for name, found in plain.items():
        render.check_length(name, len(found.content))  # Of a file of Git LFS only now.
    return {name: f.content for name, f in (await _open(confined, plain, given)).items()}


async def _outside(named: Mapping[str, tuple[str, ...]], refs: Refs) -> dict[str, bytes]:
    """Values files of other sources, by the name that valueFiles gives them."""
    found: dict[str, bytes] = {}
    for ref, places in named.items():
        if ref not in refs:
            raise RenderError(f"helm.valueFiles: {REF}{ref}: no source has this ref")
        texts = await refs[ref].read(places)
        found |= {f"{REF}{ref}/{place}": text for place, text in texts.items()}
    for name, text in found.items():
        render.check_is_here(name, text)
    return found


def _check_all_here(files: Mapping[str, File]) -> None:
    for path, found in files.items():
        if path.endswith(_READ):
            render.check_is_here(path, found.content)


async def _check_no_links(files: CommitFiles, names: Iterable[str]) -> None:
    """A single file is not laid out with what it would lead to."""
    for name in names:
        directory, _, base = name.rpartition("/")
        entries = await files.entries(directory or ".", recurse=False)
        if any(e.path == base and e.mode == commit.LINK for e, _ in entries):
            raise RenderError(f"{name}: is a symbolic link; name the file that it leads to")


def _check_were_open(closed: Mapping[str, File], opened: Mapping[str, File]) -> None:
    """What says where a build reads was looked at before anything was decrypted."""
    for name in (n for n in closed if posixpath.basename(n) in (*helm.DECLARING, *kustomize.FILE_NAMES)):
        if closed[name].content != opened[name].content:
            raise RenderError(f"{name}: must not be encrypted, since it says what is read")


def _as_files(texts: Mapping[str, bytes]) -> dict[str, File]:
    return {name: File("100644", text) for name, text in texts.items()}


async def _open(confined: Confined, files: dict[str, File], given: Given) -> dict[str, File]:
    return await sops.decrypted(confined, files, given.age_keys) if given.age_keys else files


async def _type(files: CommitFiles, source: ApplicationSource, path: str) -> SourceType:
    if source.helm is not None:
        return SourceType.HELM
    if source.kustomize is not None:
        return SourceType.KUSTOMIZE
    if source.directory != DirectorySource():
        return SourceType.DIRECTORY
    marks = {posixpath.normpath(posixpath.join(path, n)): n for n in (helm.CHART, *kustomize.FILE_NAMES)}
    found = {marks[name] for name in await files.read(marks)}
    if helm.CHART in found:
        return SourceType.HELM
    return SourceType.KUSTOMIZE if found else SourceType.DIRECTORY


def _substituted(declared: Iterable[Manifest], variables: Mapping[str, str]) -> tuple[Manifest, ...]:
    found = []
    for m in declared:
        try:
            found.append(manifests.manifest(substitution.substitute(m.body, variables), m.origin))
        except substitution.SubstitutionError as e:
            raise RenderError(f"{m.origin}: {e}") from e
        except ManifestError as e:
            raise RenderError(str(e)) from e
    return tuple(found)


def _discreet(text: str, confidential: Iterable[str]) -> str:
    """Without values of Secrets; the longest first, for one may hold another."""
    for secret in sorted({s.strip() for s in confidential}, key=len, reverse=True):
        text = text.replace(secret, "…") if len(secret) > 3 else text
    return text


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
