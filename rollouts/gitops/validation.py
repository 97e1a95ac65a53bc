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
    SYNC_OPTIONS,
    Application,
    ApplicationSource,
    IgnoreDifference,
)
from rollouts.errors import SpecError
from rollouts.gitops import ignoring, windows

NAME_LIMIT = 63
SHORTEST_INTERVAL = timedelta(seconds=1)

_SCHEMES = ("https", "http", "ssh", "file")
_SCP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:(?!/*-)[^\s:]+")
"""`git@host:path`, as SSH users write it."""
_FORBIDDEN_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\.lock(/|$)|\.$|/$|^/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check(application: Application) -> None:
    """Raise `SpecError` for what cannot be served."""
    metadata, spec = application.metadata, application.spec
    if len(metadata.name) > NAME_LIMIT:
        problem = f"must be no longer than {NAME_LIMIT} characters, because it is a label on every object"
        raise SpecError("metadata.name", metadata.name, problem)
    _check_source(spec.source)
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
    _check_ignored(spec.ignore_differences)
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


def creates_namespace(application: Application) -> bool:
    return "CreateNamespace=true" in application.spec.sync_policy.sync_options


def _check_source(source: ApplicationSource) -> None:
    _check_url(source.repo_url)
    path = source.path
    if path.startswith("/") or ".." in path.split("/") or _CONTROL.search(path):
        problem = "must be a directory inside the repository"
        raise SpecError("spec.source.path", path, problem, "write it without a leading / and without ..")
    revision = source.target_revision
    # git-check-ref-format's rules, and no leading dash: a name never becomes an option.
    if revision.startswith("-") or _FORBIDDEN_IN_REF.search(revision):
        raise SpecError(
            "spec.source.targetRevision", revision, "is not a branch, tag or commit", "write main, or HEAD"
        )


def _check_url(url: str) -> None:
    path = "spec.source.repoURL"
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
