"""The APIs of Git hosts: GitHub, GitLab, Gitea. Requests as values, and what their answers mean.

Decides paths, bodies and words; sending is `Client`'s, with the token in a header and nowhere else. What is told,
and when, is `commit_status`'. One class a host, all with the same methods.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from rollouts.api.application_status import ApplicationReason, CommitState
from rollouts.api.git_host import GitProvider
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import SourceError
from rollouts.gitops.sources.web import Answer, Web

__all__ = ["HOSTS", "Client", "Host", "Place", "Request", "place"]

_MAX_BYTES = 4 * 1024 * 1024
_SECONDS = 20.0
_SHOWN = 200
_LONGEST_WAIT_SECONDS = 600.0
_PUBLIC_GITHUB = "github.com"


@dataclass(frozen=True, slots=True)
class Place:
    """A repository as an API names it."""

    api: str
    repository: str
    """`owner/name`; GitLab has groups in groups."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: Mapping[str, Any] | None = None


class Host(Protocol):
    """One kind of Git host."""

    api_path: str
    """Where its API is on a host of one's own."""
    description_limit: int

    def headers(self, token: str) -> Mapping[str, str]: ...

    def statuses(self, repository: str, commit: str, context: str) -> Request:
        """Ask for the statuses of a commit."""

    def last_state(self, answer: Any, context: str) -> CommitState | None:
        """The newest one under a context."""

    def post_status(
        self, repository: str, commit: str, state: CommitState, context: str, description: str
    ) -> Request: ...

    def pull_requests(self, repository: str, head: str, base: str) -> Request:
        """Ask for those from one branch to another, open or not."""

    def found(self, answer: Any, head: str, base: str) -> str:
        """The address of the newest one; empty where there is none."""

    def propose(self, repository: str, head: str, base: str, title: str, text: str) -> Request: ...

    def address(self, answer: Any) -> str:
        """Of a pull request or a comment, for people."""

    def comments(self, repository: str, number: int) -> Request:
        """Ask for those of a pull request."""

    def comment(self, answer: Any, mark: str) -> int:
        """The one whose text begins with `mark`; 0 where there is none."""

    def add_comment(self, repository: str, number: int, text: str) -> Request: ...

    def change_comment(self, repository: str, number: int, comment: int, text: str) -> Request: ...


class GitHub:
    """docs.github.com: rest/commits/statuses, rest/pulls, rest/issues/comments."""

    api_path = "/api/v3"
    description_limit = 140

    def headers(self, token: str) -> Mapping[str, str]:
        return {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def statuses(self, repository: str, commit: str, context: str) -> Request:
        del context  # There is no filter: newest first, and ours is among the first hundred.
        return Request("GET", f"/repos/{repository}/commits/{commit}/statuses?per_page=100")

    def last_state(self, answer: Any, context: str) -> CommitState | None:
        return _state(_newest(answer, "context", context).get("state"))

    def post_status(
        self, repository: str, commit: str, state: CommitState, context: str, description: str
    ) -> Request:
        body = {"state": state.value, "context": context, "description": description}
        return Request("POST", f"/repos/{repository}/statuses/{commit}", body)

    def pull_requests(self, repository: str, head: str, base: str) -> Request:
        owner = repository.partition("/")[0]
        query = urlencode({"state": "all", "head": f"{owner}:{head}", "base": base})
        return Request("GET", f"/repos/{repository}/pulls?{query}")

    def found(self, answer: Any, head: str, base: str) -> str:
        for one in _items(answer):
            if (_text(one.get("head"), "ref"), _text(one.get("base"), "ref")) == (head, base):
                return self.address(one)
        return ""

    def propose(self, repository: str, head: str, base: str, title: str, text: str) -> Request:
        body = {"title": title, "head": head, "base": base, "body": text}
        return Request("POST", f"/repos/{repository}/pulls", body)

    def address(self, answer: Any) -> str:
        return _text(answer, "html_url")

    def comments(self, repository: str, number: int) -> Request:
        return Request("GET", f"/repos/{repository}/issues/{number}/comments?per_page=100")

    def comment(self, answer: Any, mark: str) -> int:
        return _comment(answer, mark)

    def add_comment(self, repository: str, number: int, text: str) -> Request:
        return Request("POST", f"/repos/{repository}/issues/{number}/comments", {"body": text})

    def change_comment(self, repository: str, number: int, comment: int, text: str) -> Request:
        del number
        return Request("PATCH", f"/repos/{repository}/issues/comments/{comment}", {"body": text})


class Gitea(GitHub):
    """docs.gitea.com/api: GitHub's paths, with other names for some fields; Forgejo has kept them."""

    api_path = "/api/v1"
    description_limit = 255

    def headers(self, token: str) -> Mapping[str, str]:
        return {"Accept": "application/json", "Authorization": f"token {token}"}

    def statuses(self, repository: str, commit: str, context: str) -> Request:
        del context
        return Request("GET", f"/repos/{repository}/commits/{commit}/statuses?limit=50&sort=recentupdate")

    def last_state(self, answer: Any, context: str) -> CommitState | None:
        return _state(_newest(answer, "context", context).get("status"))

    def pull_requests(self, repository: str, head: str, base: str) -> Request:
        del head, base  # There is no filter for branches.
        return Request("GET", f"/repos/{repository}/pulls?state=all&sort=recentupdate&limit=50")


class GitLab:
    """docs.gitlab.com/api: commits, merge_requests, notes. A project is named by its whole path, encoded."""

    api_path = "/api/v4"
    description_limit = 255

    def headers(self, token: str) -> Mapping[str, str]:
        # Not PRIVATE-TOKEN: this one is taken away where a redirect leads to another host.
        return {"Accept": "application/json", "Authorization": f"Bearer {token}"}

    def statuses(self, repository: str, commit: str, context: str) -> Request:
        query = urlencode({"name": context, "order_by": "id", "sort": "desc", "per_page": 20})
        return Request("GET", f"{_project(repository)}/repository/commits/{commit}/statuses?{query}")

    def last_state(self, answer: Any, context: str) -> CommitState | None:
        found = _newest(answer, "name", context).get("status")
        return _state("failure" if found == "failed" else found)

    def post_status(
        self, repository: str, commit: str, state: CommitState, context: str, description: str
    ) -> Request:
        told = "failed" if state is CommitState.FAILURE else state.value
        body = {"state": told, "name": context, "description": description}
        return Request("POST", f"{_project(repository)}/statuses/{commit}", body)

    def pull_requests(self, repository: str, head: str, base: str) -> Request:
        query = urlencode({"state": "all", "source_branch": head, "target_branch": base})
        return Request("GET", f"{_project(repository)}/merge_requests?{query}")

    def found(self, answer: Any, head: str, base: str) -> str:
        for one in _items(answer):
            if (one.get("source_branch"), one.get("target_branch")) == (head, base):
                return self.address(one)
        return ""

    def propose(self, repository: str, head: str, base: str, title: str, text: str) -> Request:
        body = {
            "source_branch": head,
            "target_branch": base,
            "title": title,
            "description": text,
            "remove_source_branch": True,
        }
        return Request("POST", f"{_project(repository)}/merge_requests", body)

    def address(self, answer: Any) -> str:
        return _text(answer, "web_url")

    def comments(self, repository: str, number: int) -> Request:
        query = urlencode({"sort": "asc", "per_page": 100})
        return Request("GET", f"{_project(repository)}/merge_requests/{number}/notes?{query}")

    def comment(self, answer: Any, mark: str) -> int:
        return _comment(answer, mark)

    def add_comment(self, repository: str, number: int, text: str) -> Request:
        return Request("POST", f"{_project(repository)}/merge_requests/{number}/notes", {"body": text})

    def change_comment(self, repository: str, number: int, comment: int, text: str) -> Request:
        path = f"{_project(repository)}/merge_requests/{number}/notes/{comment}"
        return Request("PUT", path, {"body": text})


HOSTS: Mapping[GitProvider, Host] = {
    GitProvider.GITHUB: GitHub(),
    GitProvider.GITLAB: GitLab(),
    GitProvider.GITEA: Gitea(),
}


def place(provider: GitProvider, repo_url: str, api: str) -> Place:
    """Where the API of a repository is, and what it calls it. Raises `SourceError`."""
    host, path = _host_and_path(repo_url)
    owner, _, name = path.rpartition("/")
    if not owner or not name or not (api or host):
        message = f"{repo_url} does not say which repository of a {provider} host it is; set url"
        raise SourceError(ApplicationReason.GIT_OPERATION_FAILED, message, definite=True)
    if provider is not GitProvider.GITLAB:
        path = f"{owner.rpartition('/')[2]}/{name}"
    if not api and provider is GitProvider.GITHUB and host == _PUBLIC_GITHUB:
        api = f"https://api.{_PUBLIC_GITHUB}"
    return Place((api or f"https://{host}{HOSTS[provider].api_path}").rstrip("/"), quote(path))


@dataclass(frozen=True, slots=True)
class Client:
    """Asks one repository's API with one token, when it is its turn."""

    host: Host
    place: Place
    credentials: Credentials
    web: Web
    turn: Callable[[], AbstractAsyncContextManager[None]] = contextlib.nullcontext

    async def ask(self, request: Request) -> Any:
        """The answer, parsed. Raises `SourceError`."""
        url = f"{self.place.api}{request.path}"
        headers = dict(self.host.headers(self.credentials.password or self.credentials.bearer))
        body = None
        if request.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request.body).encode()
        async with self.turn():
            answer = await self.web.ask(
                request.method,
                url,
                limit=_MAX_BYTES,
                headers=headers,
                credentials=self.credentials,
                body=body,
            )
        if not 200 <= answer.status < 300:
            raise _refused(request, url, answer, self.credentials)
        try:
            return json.loads(answer.content)
        except ValueError:
            told = f"{_plain(url)} answers {answer.status} without JSON; is it the address of an API?"
            raise SourceError(ApplicationReason.GIT_OPERATION_FAILED, told, definite=False) from None


def web() -> Web:
    return Web(ApplicationReason.GIT_OPERATION_FAILED, _SECONDS)


def _refused(request: Request, url: str, answer: Answer, credentials: Credentials) -> SourceError:
    remedy, status = "", answer.status
    if status in (401, 403, 404):
        remedy = "; check that the token is valid and may do this in this repository"
    message = f"{request.method} {_plain(url)} answers {status}: {_said(answer.content, credentials)}{remedy}"
    denied = status in (401, 403)
    reason = ApplicationReason.AUTHENTICATION_FAILED if denied else ApplicationReason.GIT_OPERATION_FAILED
    definite = status < 500 and status != 429
    return SourceError(reason, message, definite=definite, retry_after=_retry_after(answer))


def _retry_after(answer: Answer) -> float | None:
    """In seconds; a date is not understood, and a long time not believed."""
    given = answer.headers.get("Retry-After", "")
    return min(float(given), _LONGEST_WAIT_SECONDS) if given.isascii() and given.isdigit() else None


def _said(content: bytes, credentials: Credentials) -> str:
    """What the host says about it, in one line, without what it was told in confidence."""
    try:
        found = json.loads(content)
    except ValueError:
        return "no reason given"
    told = (found.get("message") or found.get("error")) if isinstance(found, dict) else None
    text = (
        " ".join((told if isinstance(told, str) else json.dumps(told)).split()) if told else "no reason given"
    )
    for secret in (credentials.password, credentials.bearer):
        text = text.replace(secret, "…") if len(secret) > 3 else text
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _plain(url: str) -> str:
    return url.partition("?")[0]


def _host_and_path(repo_url: str) -> tuple[str, str]:
    if "://" in repo_url:
        parts = urlsplit(repo_url)
        host, path = parts.netloc.rpartition("@")[2], parts.path
        host = parts.hostname or "" if parts.scheme == "ssh" else host
    else:
        user_and_host, _, path = repo_url.partition(":")
        host = user_and_host.rpartition("@")[2]
    return host, path.strip("/").removesuffix(".git")


def _project(repository: str) -> str:
    return f"/projects/{repository.replace('/', '%2F')}"


def _newest(answer: Any, key: str, value: str) -> Mapping[str, Any]:
    """The first of a list (newest first) that is named so."""
    return next((i for i in _items(answer) if i.get(key) == value), {})


def _items(answer: Any) -> list[Mapping[str, Any]]:
    return [i for i in answer if isinstance(i, dict)] if isinstance(answer, list) else []


def _comment(answer: Any, mark: str) -> int:
    found = (i for i in _items(answer) if str(i.get("body") or "").startswith(mark))
    return int(next(found, {}).get("id") or 0)


def _text(answer: Any, key: str) -> str:
    return str(answer.get(key) or "") if isinstance(answer, dict) else ""


def _state(word: object) -> CommitState | None:
    return next((s for s in CommitState if s.value == word), None)
