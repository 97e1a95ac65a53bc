"""A comment on a pull request, from CI: which one, what it says, and the same one again the next time.

Decides what CI says about itself (GitHub Actions, GitLab CI, Gitea and Forgejo Actions) and the text; the APIs are
`gitops.hosts`'. The token comes from the environment and is never printed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from rollouts.api.git_host import GitProvider
from rollouts.cli import object_diff
from rollouts.cli.object_diff import Difference
from rollouts.cli.target import CliError
from rollouts.gitops.hosting import hosts
from rollouts.gitops.hosting.hosts import HOSTS, Client, Place
from rollouts.gitops.sources.credentials import Credentials

__all__ = ["CI", "Where", "post", "target", "text"]

CI = "ci"

_LIMIT = 60_000
"""GitHub takes 65,536 characters."""
_PULL = re.compile(r"refs/pull/(\d+)/(?:merge|head)")
_WHERE = re.compile(r"(?P<provider>github|gitlab|gitea):(?P<repository>[^#\s]+/[^#\s]+)#(?P<number>\d+)")
_TOKENS = {
    GitProvider.GITHUB: ("GITHUB_TOKEN",),
    GitProvider.GITLAB: ("GITLAB_TOKEN",),
    GitProvider.GITEA: ("GITEA_TOKEN", "GITHUB_TOKEN"),
}
_URLS = {
    GitProvider.GITHUB: "GITHUB_API_URL",
    GitProvider.GITLAB: "CI_API_V4_URL",
    GitProvider.GITEA: "GITEA_API_URL",
}
_API = {GitProvider.GITHUB: "https://api.github.com", GitProvider.GITLAB: "https://gitlab.com/api/v4"}


@dataclass(frozen=True, slots=True)
class Where:
    provider: GitProvider
    place: Place
    number: int
    token: str = field(repr=False)


def target(where: str, environ: Mapping[str, str] = os.environ) -> Where:
    """The pull request that is named, else the one that CI runs for. Raises `CliError`."""
    kind, repository, number = _named(where) if where != CI else _of_ci(environ)
    is_gitlab = kind is GitProvider.GITLAB
    url = environ.get("CI_API_V4_URL" if is_gitlab else "GITHUB_API_URL") or _API.get(kind, "")
    if kind is GitProvider.GITEA:
        server = environ.get("GITHUB_SERVER_URL", "")
        url = environ.get("GITEA_API_URL") or (f"{server}/api/v1" if server else "")
    token = next((environ[name] for name in _TOKENS[kind] if environ.get(name)), "")
    needed = {
        "the repository": repository,
        "the number of the pull request": number,
        _URLS[kind]: url,
        " or ".join(_TOKENS[kind]): token,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise CliError(f"the environment does not say where to comment: {', '.join(missing)} is missing")
    return Where(kind, Place(url.rstrip("/"), quote(repository)), number, token)


def text(application: str, base: str, head: str, found: Sequence[Difference]) -> str:
    """Markdown. Begins with a mark by which it is found again."""
    title = f"{_mark(application)}\n### Application `{application}`: `{base}` → `{head}`\n\n"
    if not found:
        return f"{title}No object changes.\n"
    counted = f"{len(found)} object{'s change' if len(found) > 1 else ' changes'}:"
    body = object_diff.told(found)
    cut = len(body) > _LIMIT
    shown = body[:_LIMIT] if cut else body
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", shown)), 3)
    note = "\nThe rest is cut; see the log of the run.\n" if cut else ""
    return (
        f"{title}{counted}\n\n{fence}\n{object_diff.summary(found)}\n{fence}\n\n"
        f"<details><summary>Difference</summary>\n\n{fence}diff\n{shown}\n{fence}\n\n</details>\n{note}"
    )


async def post(where: Where, application: str, told: str) -> str:
    """The comment's address; one that is there is changed. Raises `SourceError`."""
    host = HOSTS[where.provider]
    client = Client(host, where.place, Credentials(password=where.token), hosts.web())
    repository = where.place.repository
    known = host.comment(await client.ask(host.comments(repository, where.number)), _mark(application))
    request = (
        host.change_comment(repository, where.number, known, told)
        if known
        else host.add_comment(repository, where.number, told)
    )
    answer = await client.ask(request)
    return host.address(answer) or f"{where.place.repository} {where.number}"


def _named(where: str) -> tuple[GitProvider, str, int]:
    found = _WHERE.fullmatch(where)
    if not found:
        raise CliError(f"--comment {where}: write {CI}, or github:owner/name#7 (gitlab, gitea)")
    return GitProvider(found["provider"]), found["repository"], int(found["number"])


def _of_ci(environ: Mapping[str, str]) -> tuple[GitProvider, str, int]:
    if environ.get("GITLAB_CI"):
        number = int(environ.get("CI_MERGE_REQUEST_IID") or 0)
        return GitProvider.GITLAB, environ.get("CI_PROJECT_PATH", ""), number
    found = _PULL.fullmatch(environ.get("GITHUB_REF", ""))
    is_gitea = environ.get("GITEA_ACTIONS") or environ.get("FORGEJO_ACTIONS")
    kind = GitProvider.GITEA if is_gitea else GitProvider.GITHUB
    return kind, environ.get("GITHUB_REPOSITORY", ""), int(found[1]) if found else 0


def _mark(application: str) -> str:
    return f"<!-- rollouts preview {application} -->"
