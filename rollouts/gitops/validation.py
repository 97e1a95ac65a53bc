"""Is an Application's spec something that can be served? The sentences for people who wrote it.

Decides what the schema cannot: URLs, paths, revisions, options. Pure; raises `SpecError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import urlsplit

from rollouts.api.application import (
    LOCAL_CLUSTER,
    MAX_SOURCES,
    SYNC_OPTIONS,
    Application,
    ApplicationSource,
    ApplicationSpec,
    IgnoreDifference,
)
from rollouts.api.git_host import Revert
from rollouts.errors import SpecError
from rollouts.gitops import versions, windows
from rollouts.gitops.resources import expressions, ignoring

NAME_LIMIT = 63
SHORTEST_INTERVAL = timedelta(seconds=1)

_SCHEMES = ("https", "http", "ssh", "file")
_SCP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:(?!/*-)[^\s:]+")
"""`git@host:path`, as SSH users write it."""
_FORBIDDEN_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock(/|$)|\.$|/$|^/")
_OCI = "oci://"
_RECORDS = "refs/rollouts/"
_REGISTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*/?")
"""Host and repository (distribution: reference grammar)."""
_CHART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_TAG = re.compile(r"|[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_RELEASE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_RELEASE_LIMIT = 53
"""helm: chartutil, names of releases."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check(application: Application) -> None:
    """Raise `SpecError` for what cannot be served."""
    metadata, spec = application.metadata, application.spec
    if len(metadata.name) > NAME_LIMIT:
        problem = f"must be no longer than {NAME_LIMIT} characters, because it is a label on every object"
        raise SpecError("metadata.name", metadata.name, problem)
    _check_sources(spec)
    if spec.destination.server != LOCAL_CLUSTER:
        raise SpecError(
            "spec.destination.server",
            spec.destination.server,
            "only the cluster of the controller is served",
            f"leave it out, or write {LOCAL_CLUSTER}",
        )
    for i, option in enumerate(spec.sync_policy.sync_options):
        if option not in SYNC_OPTIONS:
            path = f"spec.syncPolicy.syncOptions[{i}]"
            raise SpecError(path, option, "is not supported", f"supported: {', '.join(sorted(SYNC_OPTIONS))}")
    for i, window in enumerate(spec.sync_policy.sync_windows):
        windows.check(window, f"spec.syncPolicy.syncWindows[{i}]")
    for i, rule in enumerate(spec.health_check_exprs):
        expressions.check(rule, f"spec.healthCheckExprs[{i}]")
    _check_ignored(spec.ignore_differences)
    _check_commit_status(spec)
    _check_rollback(spec)
    if spec.interval < SHORTEST_INTERVAL:
        raise SpecError("spec.interval", str(spec.interval), "must be at least 1s")
    if spec.timeout <= timedelta(0):
        raise SpecError("spec.timeout", str(spec.timeout), "must be longer than 0s")


def _check_ignored(rules: Iterable[IgnoreDifference]) -> None:
    for i, rule in enumerate(rules):
        named = (
            ("jsonPointers", rule.json_pointers, ignoring.pointer),
            ("jqPathExpressions", rule.jq_path_expressions, ignoring.compiled),
        )
        for field, texts, read in named:
            for n, text in enumerate(texts):
                try:
                    read(text)
                except ignoring.PathError as e:
                    path = f"spec.ignoreDifferences[{i}].{field}[{n}]"
                    raise SpecError(path, text, str(e).removeprefix(f"{text}: ")) from None


def _check_commit_status(spec: ApplicationSpec) -> None:
    told = spec.commit_status
    if told is None:
        return
    found = [s for s in spec.every_source if is_git(s)]
    if len(found) != 1:
        problem = f"is about a commit of one Git repository, and there are {len(found)}"
        raise SpecError("spec.commitStatus", None, problem, "leave it out")
    _check_api(told.url, found[0].repo_url, "spec.commitStatus.url")


def _check_rollback(spec: ApplicationSpec) -> None:
    asked, source = spec.rollback, spec.source
    if asked.revert is Revert.NONE and asked.record is None:
        return
    if source is None or not is_git(source):
        problem = "writes to one Git repository: spec.source has to be one"
        raise SpecError(f"spec.rollback.{'record' if asked.record else 'revert'}", None, problem)
    ref = asked.record.ref if asked.record else ""
    if ref and (not ref.startswith(_RECORDS) or ref == _RECORDS or _FORBIDDEN_IN_REF.search(ref)):
        raise SpecError("spec.rollback.record.ref", ref, f"must be a ref below {_RECORDS}")
    if asked.revert is Revert.NONE:
        return
    target = asked.branch or source.target_revision
    is_name = not (versions.is_range(target) or _COMMIT.fullmatch(target) or target.startswith("refs/"))
    if not is_name or target.startswith("-") or _FORBIDDEN_IN_REF.search(target):
        problem = "does not name the branch that a revert is for"
        raise SpecError("spec.rollback.branch", asked.branch, problem, "write its name, as main")
    if asked.revert is Revert.BRANCH and spec.verify:
        problem = "makes a commit that nobody has signed, and spec.verify would not let it be synced"
        raise SpecError("spec.rollback.revert", asked.revert, problem, "write pullRequest")
    if asked.revert is Revert.PULL_REQUEST:
        if asked.provider is None:
            problem = "must say whose API proposes a pull request"
            raise SpecError("spec.rollback.provider", None, problem, "write github, gitlab or gitea")
        _check_api(asked.url, source.repo_url, "spec.rollback.url")


def _check_api(url: str, repo_url: str, path: str) -> None:
    if not url and repo_url.startswith("file:"):
        raise SpecError(path, None, "must be set: a repository in a directory has no API")
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or _CONTROL.search(url) or " " in url:
        raise SpecError(path, _without_user(url), "must be an https or http URL")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SpecError(path, None, "must hold neither credentials nor a query", "put them into a Secret")


def creates_namespace(application: Application) -> bool:
    return "CreateNamespace=true" in application.spec.sync_policy.sync_options


def _check_sources(spec: ApplicationSpec) -> None:
    if (spec.source is None) == (not spec.sources):
        problem = "exactly one of spec.source and spec.sources must be set"
        raise SpecError("spec.sources" if spec.source else "spec.source", None, problem)
    if len(spec.sources) > MAX_SOURCES:
        raise SpecError("spec.sources", len(spec.sources), f"are more than {MAX_SOURCES}")
    if spec.sources and spec.secret_ref:
        problem = "goes with spec.source; credentials are never shown to another host"
        raise SpecError("spec.secretRef", None, problem, "name a Secret in each source's secretRef")
    if not any(source.declares_objects for source in spec.every_source):
        raise SpecError("spec.sources", None, "declare no objects", "give one of them a path or a chart")
    refs = [source.ref for source in spec.sources if source.ref]
    if len(set(refs)) != len(refs):
        raise SpecError("spec.sources", ", ".join(refs), "have the same ref twice")
    for i, source in enumerate(spec.every_source):
        path = f"spec.sources[{i}]" if spec.sources else "spec.source"
        _check_source(source, path)
        _check_value_files(source, refs, path)
        if spec.verify and not is_git(source):
            problem = f"is about commits and tags, and {path} is not a Git repository"
            raise SpecError("spec.verify", None, problem, "pin its digest in targetRevision instead")


def is_git(source: ApplicationSource) -> bool:
    return not source.chart and not source.repo_url.startswith(_OCI)


def _check_source(source: ApplicationSource, where: str) -> None:
    if is_git(source):
        check_git_url(source.repo_url, f"{where}.repoURL")
        _check_revision(source, f"{where}.targetRevision")
    else:
        _check_artifact(source, where)
    if source.enable_lfs and not (is_git(source) and source.repo_url.startswith(("https://", "http://"))):
        problem = "is for Git repositories at https and http addresses: Git LFS is spoken with no others"
        raise SpecError(
            f"{where}.enableLfs", "true", problem, "write its https address in repoURL, or leave it out"
        )
    path = source.path
    if path.startswith("/") or ".." in path.split("/") or _CONTROL.search(path):
        problem = "must be a directory inside the repository"
        raise SpecError(f"{where}.path", path, problem, "write it without a leading / and without ..")
    release = source.helm.release_name if source.helm else ""
    if release and not (_RELEASE.fullmatch(release) and len(release) <= _RELEASE_LIMIT):
        problem = f"must be a name of at most {_RELEASE_LIMIT} small letters, digits, - and ."
        raise SpecError(f"{where}.helm.releaseName", release, problem)
    # A leading dash: a name never becomes an option.
    if source.tag_prefix.startswith("-") or _FORBIDDEN_IN_REF.search(source.tag_prefix.rstrip("/")):
        raise SpecError(f"{where}.tagPrefix", source.tag_prefix, "cannot begin a tag")


def _check_revision(source: ApplicationSource, path: str) -> None:
    revision = source.target_revision
    if versions.is_range(revision):
        return
    # git-check-ref-format's rules, and no leading dash: a name never becomes an option.
    if revision.startswith("-") or _FORBIDDEN_IN_REF.search(revision):
        problem = "is not a branch, tag, commit or range of versions"
        raise SpecError(path, revision, problem, "write main, HEAD, or 1.*")


def _check_artifact(source: ApplicationSource, where: str) -> None:
    url, revision = source.repo_url, source.target_revision
    is_index = url.startswith(("https://", "http://"))
    if is_index:
        check_git_url(url, f"{where}.repoURL")
    elif not _REGISTRY.fullmatch(url.removeprefix(_OCI)):
        problem = "must be oci://registry/repository" + (
            ", or the URL of a Helm repository" * bool(source.chart)
        )
        raise SpecError(f"{where}.repoURL", _without_user(url), problem)
    if source.chart and not _CHART.fullmatch(source.chart):
        raise SpecError(f"{where}.chart", source.chart, "is not the name of a chart")
    if source.chart and (source.path or source.kustomize):
        raise SpecError(f"{where}.chart", source.chart, "goes neither with path nor with kustomize")
    is_known = versions.is_range(revision) or _TAG.fullmatch(revision)
    if not (is_known or (_DIGEST.fullmatch(revision) and not is_index)):
        raise SpecError(
            f"{where}.targetRevision", revision, "is no version, range of versions, tag or digest"
        )


def _check_value_files(source: ApplicationSource, refs: Iterable[str], where: str) -> None:
    for i, name in enumerate(source.helm.value_files if source.helm else ()):
        ref = name.removeprefix("$").partition("/")[0]
        if name.startswith("$") and ref not in refs:
            path = f"{where}.helm.valueFiles[{i}]"
            raise SpecError(path, name, f"no source has ref: {ref}")


def check_git_url(url: str, path: str) -> None:
    """Raise `SpecError` for what is not the address of a repository."""
    if _SCP.fullmatch(url):
        return
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SpecError(path, url, "is not a URL") from None
    if parts.scheme not in _SCHEMES or _CONTROL.search(url) or " " in url:
        raise SpecError(path, _without_user(url), "must be an https, http, ssh or file URL, or git@host:path")
    if parts.scheme == "ssh" and (parts.hostname or "").startswith("-"):
        raise SpecError(path, url, "names no host")
    if "@" in parts.netloc and (parts.scheme != "ssh" or parts.password):
        raise SpecError(path, None, "must not hold credentials", "put them into the Secret of spec.secretRef")
    if parts.scheme != "file" and not parts.hostname:
        raise SpecError(path, url, "names no host")


def _without_user(url: str) -> str:
    return re.sub(r"[^/@\s]*@", "", url)
