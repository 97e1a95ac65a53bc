"""A kustomization of a commit -> the text of its objects, by the real kustomize.

Decides which directories of the repository a build reads (so that an Application is rendered again when one
of them changes, and only then), how the Application's options are laid over the kustomization (as
`kustomize edit` and Argo CD do), and refuses what would be fetched from elsewhere.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rollouts.api.parse import dump
from rollouts.api.rendering import KustomizeSource
from rollouts.gitops.confined import Confined
from rollouts.gitops.renderers.checkout import checked_out
from rollouts.gitops.resources import documents
from rollouts.gitops.resources.render import RenderError
from rollouts.gitops.sources.commit import LINK, CommitFiles, File, inside, reached

__all__ = ["FILE_NAMES", "build", "directories", "edited"]

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")

_REFERRING = ("resources", "bases", "components", "generators", "transformers", "validators")
_REMOTE = re.compile(
    r"^[A-Za-z][A-Za-z0-9+.-]*::?//|^git@|^git::|^(?:www\.)?github\.com[/:]|\?ref=|//.*\.git"
)
_WEB = re.compile(r"https?://", re.IGNORECASE)
_FILES = ("configurations", "crds", "patchesStrategicMerge")
_WITH_PATH = ("patches", "patchesJson6902", "replacements")
_GENERATORS = ("configMapGenerator", "secretGenerator")
_MAX_DIRECTORIES = 200
_MAX_LINKS = 10
_IMAGE = re.compile(r"^(?P<name>[^=]+?)(?:=(?P<new>.+))?$")


async def directories(files: CommitFiles, path: str, options: KustomizeSource) -> tuple[str, ...]:
    """Every directory that a build of `path` reads, `path` first. Raises `RenderError`."""

    async def refers(directory: str) -> Iterable[str]:
        name, kustomization = await _kustomization(files, directory)
        referred = [(field, entry) for field in _REFERRING for entry in _entries(kustomization, field, name)]
        for field, file in _files_of(kustomization):
            if _WEB.match(file):
                raise _elsewhere(name, field, file)
        return await _local(files, directory, name, referred)

    return await reached(
        [path, *(inside(path, c) for c in options.components)],
        refers,
        most=_MAX_DIRECTORIES,
        too_many=f"{path} refers to more than {_MAX_DIRECTORIES} directories",
    )


async def build(confined: Confined, files: Mapping[str, File], path: str, options: KustomizeSource) -> bytes:
    """The objects of the kustomization at `path`. Raises `RenderError`, `ProgramFailed`."""
    name = next(n for n in FILE_NAMES if posixpath.normpath(posixpath.join(path, n)) in files)
    where = posixpath.normpath(posixpath.join(path, name))
    written = edited(_parsed(where, files[where].content), options)
    laid = {**files, where: File(files[where].mode, json.dumps(written).encode())}
    async with checked_out(laid) as checkout:
        arguments = ["build", "--load-restrictor", "LoadRestrictionsRootOnly", "."]
        return await confined.run("kustomize", arguments, directory=checkout.root / path, home=checkout.home)


def edited(kustomization: Mapping[str, Any], options: KustomizeSource) -> dict[str, Any]:
    """The kustomization with the Application's options in it. Pure."""
    replaced = {
        "namePrefix": options.name_prefix,
        "nameSuffix": options.name_suffix,
        "namespace": options.namespace,
    }
    out = {**kustomization, **{field: value for field, value in replaced.items() if value}}
    if options.images:
        out["images"] = _merged(out.get("images"), [_image(i) for i in options.images])
    if options.replicas:
        replicas = [{"name": r.name, "count": r.count} for r in options.replicas]
        out["replicas"] = _merged(out.get("replicas"), replicas)
    if options.common_annotations:
        out["commonAnnotations"] = {**(out.get("commonAnnotations") or {}), **options.common_annotations}
    if options.common_labels:
        out = _labelled(out, options)
    if options.patches:
        out["patches"] = [*(out.get("patches") or ()), *(dump(p) for p in options.patches)]
    if options.components:
        out["components"] = [*(out.get("components") or ()), *options.components]
    return out


def _labelled(out: dict[str, Any], options: KustomizeSource) -> dict[str, Any]:
    if not options.label_without_selector:
        return {**out, "commonLabels": {**(out.get("commonLabels") or {}), **options.common_labels}}
    added = {
        "pairs": dict(options.common_labels),
        "includeSelectors": False,
        "includeTemplates": options.label_include_templates,
    }
    return {**out, "labels": [*(out.get("labels") or ()), added]}


def _image(text: str) -> dict[str, str]:
    """`name=new:tag`, `name:tag`, `name@sha256:…` as an entry of `images`."""
    found = _IMAGE.match(text)
    assert found is not None
    name, new = found["name"], found["new"]
    target, _, digest = (new or name).partition("@")
    repository, tag = _untagged(target)
    entry = {"name": _untagged(name.partition("@")[0])[0] if not new else name}
    if new and repository != entry["name"]:
        entry["newName"] = repository
    if digest:
        entry["digest"] = digest
    elif tag:
        entry["newTag"] = tag
    return entry


def _untagged(image: str) -> tuple[str, str]:
    """A colon after the last slash begins a tag; one before it, a port."""
    head, slash, last = image.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}{slash}{repository}", tag


def _merged(old: Any, new: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """By name; a new entry replaces an old one."""
    names = {entry["name"] for entry in new}
    return [*(e for e in old or () if not isinstance(e, Mapping) or e.get("name") not in names), *new]


async def _kustomization(files: CommitFiles, directory: str) -> tuple[str, Mapping[str, Any]]:
    names = [posixpath.normpath(posixpath.join(directory, n)) for n in FILE_NAMES]
    found = await files.read(names)
    if len(found) > 1:
        raise RenderError(f"{directory}: holds {' and '.join(sorted(found))}; keep one of them")
    if not found:
        raise RenderError(f"{directory}: holds no kustomization.yaml")
    name, text = next(iter(found.items()))
    return name, _parsed(name, text)


def _parsed(name: str, text: bytes) -> Mapping[str, Any]:
    try:
        found = [d.value for d in documents.load(text)]
    except documents.DocumentError as e:
        raise RenderError(f"{name}:{e.line}: {e.problem}") from e
    if len(found) > 1 or (found and not isinstance(found[0], Mapping)):
        raise RenderError(f"{name}: must be one mapping")
    return found[0] if found else {}


def _entries(kustomization: Mapping[str, Any], field: str, name: str) -> list[str]:
    entries = kustomization.get(field) or []
    if not isinstance(entries, list) or not all(isinstance(e, str) for e in entries):
        raise RenderError(f"{name}: {field}: must be a list of strings")
    return [e for e in entries if "\n" not in e]


def _files_of(kustomization: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Single files that a build reads, by field; that they lie in the checkout is seen to by kustomize."""
    for field in _FILES:
        yield from ((field, str(file)) for file in _listed(kustomization.get(field)))
    described = [("openapi", kustomization.get("openapi"))]
    described += [(field, e) for field in _WITH_PATH for e in _listed(kustomization.get(field))]
    yield from ((field, str(e.get("path", ""))) for field, e in described if isinstance(e, Mapping))
    for field in _GENERATORS:
        for entry in _listed(kustomization.get(field)):
            if isinstance(entry, Mapping):
                named = [*_listed(entry.get("files")), *_listed(entry.get("envs")), entry.get("env", "")]
                yield from ((field, str(file).rpartition("=")[2]) for file in named)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _elsewhere(name: str, field: str, entry: str) -> RenderError:
    return RenderError(
        f"{name}: {field}: {entry}: is somewhere else, and nothing is fetched while rendering; "
        "copy it into the repository, or make it a source of its own"
    )


async def _local(
    files: CommitFiles, directory: str, name: str, referred: Sequence[tuple[str, str]]
) -> list[str]:
    """The directories among what a kustomization refers to; everything has to be in the commit."""
    places = {}
    for field, entry in referred:
        if _REMOTE.search(entry):
            raise _elsewhere(name, field, entry)
        places[field, entry] = inside(directory, entry)
    trees = set(await files.trees(places.values()))
    missing = {k: p for k, p in places.items() if p not in trees}
    existing = await files.read(missing.values())
    linked = []
    for (field, entry), place in missing.items():
        if place not in existing:
            raise RenderError(f"{name}: {field}: {entry}: is not in the commit")
        linked += await _linked_directory(files, place)
    return [*(p for p in places.values() if p in trees), *linked]


async def _linked_directory(files: CommitFiles, place: str) -> list[str]:
    """The directory that a symbolic link leads to, if it is one: what is built there is looked at, too."""
    at = place
    for _ in range(_MAX_LINKS):
        directory, _, base = at.rpartition("/")
        entries = await files.entries(directory or ".", recurse=False)
        if not any(e.path == base and e.mode == LINK for e, _ in entries):
            return []
        target = (await files.read([at]))[at].decode(errors="replace")
        if target.startswith("/"):
            return []  # It leads out, and nothing is laid out with it.
        at = inside(directory, target)
        if at in await files.trees([at]):
            return [at]
        if at not in await files.read([at]):
            break
    raise RenderError(
        f"{place}: is a symbolic link that leads to nothing in the commit, or through other links"
    )
