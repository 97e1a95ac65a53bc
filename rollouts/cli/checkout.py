"""Files of a repository on this machine, as a renderer reads them: as they lie there, or of one of its commits.

Changes nothing in the repository. What stands in a checkout is copied into a repository of its own that is gone
afterwards, so that it is read under the same rules as a commit.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rollouts.api.application import Application, ApplicationSpec
from rollouts.api.application_status import ApplicationStatus
from rollouts.api.meta import ObjectMeta
from rollouts.api.parse import parse
from rollouts.cli import files
from rollouts.cli.target import CliError
from rollouts.errors import SpecError
from rollouts.gitops import validation
from rollouts.gitops.confined import Confined
from rollouts.gitops.renderers import build, substitution
from rollouts.gitops.renderers.build import Given
from rollouts.gitops.resources.render import MAX_TOTAL_BYTES, Rendered, RenderError
from rollouts.gitops.sources.commit import CommitFiles, File
from rollouts.gitops.sources.git import Git, SourceError
from rollouts.gitops.sources.objects import ObjectReader
from rollouts.gitops.sources.source import Mirror

__all__ = [
    "application",
    "at_commits",
    "given_without_cluster",
    "read_application",
    "rendered",
    "with_status",
    "working_tree",
]

_HERE = f"sha256:{'0' * 64}"


def read_application(name: str, namespace: str) -> Application:
    """The Application in a file. Raises `CliError`."""
    found = [o for o in files.objects([name]) if o.get("kind") == "Application"]
    if len(found) != 1:
        raise CliError(f"{name} holds {len(found)} Applications; name a file with one")
    return application(found[0], namespace)


def application(body: dict[str, Any], namespace: str) -> Application:
    """Raises `CliError` for one that is not of one Git repository."""
    metadata = {"namespace": namespace, **(body.get("metadata") or {})}
    try:
        spec = parse(ApplicationSpec, body.get("spec"), "spec")
        found = Application(parse(ObjectMeta, metadata, "metadata", strict=False), spec)
        validation.check(found)
    except SpecError as e:
        raise CliError(f"application {metadata.get('name', '')}: {e}") from None
    if spec.source is None or not validation.is_git(spec.source):
        raise CliError(f"application {metadata['name']}: only one Git repository as spec.source is compared")
    return found


def with_status(found: Application, body: dict[str, Any]) -> Application:
    """With what the cluster knows of it: the objects that it has brought."""
    return replace(found, status=parse(ApplicationStatus, body.get("status") or {}, "status", strict=False))


def given_without_cluster(found: Application) -> Given:
    """Raises `CliError` where objects are made from what only the cluster has."""
    spec = found.spec
    helm = spec.source.helm if spec.source else None
    needed = [
        *(["spec.decryption"] if spec.decryption else []),
        *(["spec.source.helm.valuesFrom"] if helm and any(not v.optional for v in helm.values_from) else []),
        *(
            ["spec.postBuild.substituteFrom"]
            if spec.post_build and any(not v.optional for v in spec.post_build.substitute_from)
            else []
        ),
    ]
    if needed:
        raise CliError(
            f"application {found.metadata.name}: {' and '.join(needed)} can be read in a cluster only; "
            "use: rollouts app diff"
        )
    variables = substitution.variables(spec.post_build.substitute) if spec.post_build else None
    namespace = spec.destination.namespace or found.metadata.namespace
    return Given(found.metadata.name, namespace, variables=variables)


@contextlib.asynccontextmanager
async def working_tree(directory: str) -> AsyncIterator[CommitFiles]:
    """The files of a checkout as they lie there, committed or not; without those that Git ignores."""
    with tempfile.TemporaryDirectory(prefix="rollouts-") as home:
        git = Git(Path(home))
        root, names = await _names(git, directory)
        mirror = Mirror(git, "", Path(home, "copy.git"))
        try:
            await mirror.store(_HERE, _read(root, names))
            yield await mirror.at(_HERE)
        finally:
            await mirror.close()


@contextlib.asynccontextmanager
async def at_commits(directory: str, *revisions: str) -> AsyncIterator[tuple[CommitFiles, ...]]:
    """The files of commits of the repository that `directory` is in."""
    with tempfile.TemporaryDirectory(prefix="rollouts-") as home:
        git = Git(Path(home))
        place = (await _git(git, directory, "rev-parse", "--absolute-git-dir")).strip()
        commits = [await _commit_of(git, directory, revision) for revision in revisions]
        objects = ObjectReader(git, Path(place))
        try:
            yield tuple(CommitFiles(objects, commit) for commit in commits)
        finally:
            await objects.close()


async def _commit_of(git: Git, directory: str, revision: str) -> str:
    arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    try:
        return (await _git(git, directory, *arguments)).strip()
    except SourceError:
        raise CliError(f"{directory} has no commit {revision}; fetch it first") from None


async def rendered(app: Application, found: CommitFiles, given: Given) -> Rendered:
    """Raises `CliError`."""
    source = app.spec.source
    assert source is not None
    try:
        reading = await build.reading(found, source)
        return await build.rendered(Confined(), found, source, reading, given)
    except (RenderError, SourceError) as e:
        raise CliError(str(e)) from None


async def _names(git: Git, directory: str) -> tuple[Path, list[str]]:
    if not os.path.isdir(directory):  # noqa: ASYNC240, PTH112 - nobody else waits
        raise CliError(f"{directory} is not a directory; name a checkout of the repository")
    try:
        root = Path((await _git(git, directory, "rev-parse", "--show-toplevel")).strip())
        listed = await _git(
            git, str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"
        )
    except SourceError:
        # No repository: the files alone will do.
        root = Path(directory)
        return root, [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() or p.is_symlink()]
    return root, [name for name in listed.split("\0") if name]


def _read(root: Path, names: list[str]) -> dict[str, File]:
    read: dict[str, File] = {}
    total = 0
    for name in names:
        path = root / name
        if path.is_symlink():
            read[name] = File("120000", os.fsencode(path.readlink()))
        elif path.is_file():  # Not: deleted, or a submodule.
            total += path.stat().st_size
            if total > MAX_TOTAL_BYTES:
                raise CliError(f"{root} holds more than {MAX_TOTAL_BYTES} bytes; compare commits instead")
            read[name] = File("100644", path.read_bytes())
    return read


async def _git(git: Git, directory: str, *arguments: str) -> str:
    return await git.run(["-C", directory, *arguments])
