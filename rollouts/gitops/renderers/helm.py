"""A chart of a commit -> the text of its objects, by the real helm, as `helm template` (as Argo CD does).

Decides which directories and files a chart needs (local dependencies, values files), and how the options
become arguments, none of which may be read as another option or name another file. Nothing is installed, no release exists, nothing is looked up in the cluster, and what a
chart would download has to be in its directory charts/.
"""

from __future__ import annotations

import json
import posixpath
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollouts.api.rendering import HelmSource
from rollouts.gitops.confined import Confined
from rollouts.gitops.renderers.checkout import Checkout, checked_out
from rollouts.gitops.resources import documents
from rollouts.gitops.resources.render import RenderError
from rollouts.gitops.sources.commit import CommitFiles, File, inside, reached

__all__ = [
    "CHART",
    "DECLARING",
    "REF",
    "Release",
    "by_ref",
    "by_template",
    "directories",
    "template",
    "value_files",
]

CHART = "Chart.yaml"
DECLARING = (CHART, "Chart.lock", "requirements.yaml", "requirements.lock")
"""Where helm reads what a chart depends on: of two, it may believe either."""

_SOURCE = re.compile(rb"^# Source: (.+)$", re.MULTILINE)
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_LOCAL = "file://"
_FILE_PARAMETER = re.compile(r"(?:[^\\=,]|\\.)+")
"""helm's --set-file takes `a=file,b=file`: a name that holds these signs would name files of its own."""
_MAX_DEPENDENCIES = 50
REF = "$"
"""Begins the name of a values file of another source: `$values/prod.yaml` (argo-cd)."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a chart is rendered as. `values` are YAML texts, weakest first, after the values files."""

    name: str
    namespace: str
    values: tuple[str, ...] = ()
    outside: Mapping[str, bytes] = field(default_factory=dict)
    """Values files of other sources, by the name that valueFiles gives them."""


async def directories(files: CommitFiles, path: str) -> tuple[str, ...]:
    """The chart and the charts beside it that it depends on by `file://`. Raises `RenderError`."""
    return await reached(
        [path],
        lambda directory: _local_dependencies(files, directory),
        most=_MAX_DEPENDENCIES,
        too_many=f"{path} depends on more than {_MAX_DEPENDENCIES} charts",
    )


def value_files(path: str, options: HelmSource) -> tuple[str, ...]:
    """The values files from the root of the repository, weakest first; `$ref/path` as it is.

    Raises `RenderError`.
    """
    for name in options.value_files:
        if _URL.match(name):
            raise RenderError(f"helm.valueFiles: {name}: must be a file of the repository")
    return tuple(_place(path, name) for name in options.value_files)


def by_ref(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """`$ref/path` as paths by ref."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        ref, _, place = name.removeprefix(REF).partition("/")
        found[ref] = (*found.get(ref, ()), place)
    return found


def _place(path: str, name: str) -> str:
    if not name.startswith(REF):
        return inside(path, name)
    ref, _, place = name.partition("/")
    return f"{ref}/{inside('', place.lstrip('/'))}"


async def template(
    confined: Confined, files: Mapping[str, File], path: str, options: HelmSource, release: Release
) -> bytes:
    """The objects of the chart at `path`. Raises `RenderError`, `ProgramFailed`."""
    async with checked_out(files) as checkout:
        chart = checkout.root / path
        if _beside(path, {name: found.content for name, found in files.items()}):
            build = ["dependency", "build", "--skip-refresh", "."]
            await confined.run("helm", build, directory=chart, home=checkout.home)
        arguments = _arguments(checkout, files, path, options, release)
        return await confined.run("helm", arguments, directory=chart, home=checkout.home)


def by_template(output: bytes) -> dict[str, bytes]:
    """The output cut up by the template that each part comes from, so that an error can name it."""
    found: dict[str, list[bytes]] = {}
    for part in re.split(rb"^---\s*$", output, flags=re.MULTILINE):
        named = _SOURCE.search(part)
        name = named[1].decode(errors="replace").strip() if named else "chart"
        if part.strip():
            found.setdefault(name, []).append(part)
    return {name: b"---".join([b"", *parts]) for name, parts in found.items()}


def _arguments(
    checkout: Checkout, files: Mapping[str, File], path: str, options: HelmSource, release: Release
) -> list[str]:
    arguments = ["template", "--namespace", release.namespace]
    arguments += ["--skip-crds" if options.skip_crds else "--include-crds", "--skip-tests"]
    if options.skip_schema_validation:
        arguments.append("--skip-schema-validation")
    if options.kube_version:
        arguments += ["--kube-version", options.kube_version]
    for version in options.api_versions:
        arguments += ["--api-versions", version]
    for place in _values_files(checkout, files, path, options, release):
        arguments += ["--values", str(place)]
    for parameter in options.parameters:
        flag = "--set-string" if parameter.force_string else "--set"
        arguments += [flag, f"{parameter.name}={_escaped(parameter.value)}"]
    return [*arguments, *_file_parameters(checkout, files, path, options), "--", release.name, "."]


def _values_files(
    checkout: Checkout, files: Mapping[str, File], path: str, options: HelmSource, release: Release
) -> list[Path]:
    """Weakest first: files of the repository, values from the cluster, the Application's own.

    All under names of ours: helm takes a comma for the beginning of another file.
    """
    found = []
    for i, name in enumerate(value_files(path, options)):
        place = checkout.home / f"file-{i}.yaml"
        if name in release.outside:
            place.write_bytes(release.outside[name])
            found.append(place)
        elif name in files:
            _copy(checkout.root / name, place)
            found.append(place)
        elif not options.ignore_missing_value_files:
            raise RenderError(f"helm.valueFiles: {name}: is not in the commit")
    for i, text in enumerate(_values(options, release)):
        place = checkout.home / f"values-{i}.yaml"
        place.write_text(text, encoding="utf-8")
        found.append(place)
    return found


def _file_parameters(
    checkout: Checkout, files: Mapping[str, File], path: str, options: HelmSource
) -> list[str]:
    arguments = []
    for i, parameter in enumerate(options.file_parameters):
        if not _FILE_PARAMETER.fullmatch(parameter.name):
            problem = "must not hold = or , (write a comma of a key as \\,)"
            raise RenderError(f"helm.fileParameters: {parameter.name}: {problem}")
        name = inside(path, parameter.path)
        if name not in files:
            raise RenderError(f"helm.fileParameters: {name}: is not in the commit")
        place = checkout.home / f"parameter-{i}"
        _copy(checkout.root / name, place)
        arguments += ["--set-file", f"{parameter.name}={place}"]
    return arguments


def _copy(file: Path, place: Path) -> None:
    try:
        shutil.copyfile(file, place)
    except (FileNotFoundError, IsADirectoryError):
        raise RenderError(f"{file.name}: is a symbolic link to no file") from None


def _values(options: HelmSource, release: Release) -> Sequence[str]:
    own = [options.values] if options.values else []
    if options.values_object is not None:
        own.append(json.dumps(options.values_object))
    return [*release.values, *own]


def _escaped(value: str) -> str:
    """A comma begins another parameter, unless it stands in a list."""
    return value if value.startswith("{") and value.endswith("}") else re.sub(r"(?<!\\),", r"\\,", value)


async def _local_dependencies(files: CommitFiles, directory: str) -> list[str]:
    names = [posixpath.normpath(posixpath.join(directory, n)) for n in DECLARING]
    found = await files.read(names)
    if names[0] not in found:
        raise RenderError(f"{directory}: holds no {CHART}")
    return _beside(directory, found)


def _beside(directory: str, files: Mapping[str, bytes]) -> list[str]:
    """The charts of the repository that the one in `directory` depends on by `file://`."""
    found = []
    for name in (posixpath.normpath(posixpath.join(directory, n)) for n in DECLARING):
        for entry in _dependencies(_parsed(name, files[name])) if name in files else ():
            repository = str(entry.get("repository", ""))
            if repository.startswith(_LOCAL):
                found.append(_neighbour(directory, name, repository))
    return found


def _neighbour(directory: str, name: str, repository: str) -> str:
    relative = repository.removeprefix(_LOCAL)
    try:
        if not relative.startswith("/"):
            return inside(directory, relative)
    except RenderError:
        pass
    raise RenderError(
        f"{name}: repository {repository}: must lead to a chart of the repository, as file://../common"
    )


def _dependencies(chart: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries = chart.get("dependencies")
    return [d for d in entries if isinstance(d, Mapping)] if isinstance(entries, list) else []


def _parsed(name: str, text: bytes) -> Mapping[str, Any]:
    try:
        found: object = next((d.value for d in documents.load(text)), {})
    except documents.DocumentError as e:
        raise RenderError(f"{name}:{e.line}: {e.problem}") from e
    if not isinstance(found, Mapping):
        raise RenderError(f"{name}: must be a mapping")
    return found
