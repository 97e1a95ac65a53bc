"""Git hosts' APIs in this process: the parts of GitHub's, GitLab's and Gitea's that are spoken, as documented."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests import http_host

Object = dict[str, Any]
TOKEN = "t0ken-of-a-robot"
_AUTHORIZATION = {"github": f"Bearer {TOKEN}", "gitlab": f"Bearer {TOKEN}", "gitea": f"token {TOKEN}"}
_PROJECT = r"/projects/(?P<repo>[^/]+)"
_REPOSITORY = r"/repos/(?P<repo>[^/]+/[^/]+)"


@dataclass(slots=True)
class ProviderHost:
    """One host. `broken` is answered instead of anything else."""

    provider: str
    url: str = ""
    broken: tuple[int, Object] | None = None
    asked: list[str] = field(default_factory=list)
    statuses: list[Object] = field(default_factory=list)
    pulls: list[Object] = field(default_factory=list)
    comments: list[Object] = field(default_factory=list)

    def answer(self, method: str, target: str, authorization: str, body: Object | None) -> tuple[int, Any]:
        self.asked.append(f"{method} {target.partition('?')[0]}")
        if self.broken:
            return self.broken
        if authorization != _AUTHORIZATION[self.provider]:
            return 401, {"message": "401 Unauthorized"}
        parts = urlsplit(target)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        routes = _GITLAB if self.provider == "gitlab" else _GITHUB
        for verb, pattern, name in routes:
            found = re.fullmatch(pattern, parts.path)
            if verb == method and found:
                named = {k: unquote(v) for k, v in found.groupdict().items()}
                answered: tuple[int, Any] = getattr(self, name)(query, body or {}, **named)
                return answered
        return 404, {"message": "404 Not Found"}

    def told(self) -> list[tuple[str, str]]:
        """(commit, state) in the order in which they were posted."""
        return [(s["sha"], s["state"]) for s in self.statuses]

    def list_statuses(self, query: Object, body: Object, repo: str, sha: str) -> tuple[int, Any]:
        del body
        found = [s for s in reversed(self.statuses) if (s["repo"], s["sha"]) == (repo, sha)]
        if self.provider == "github":
            return 200, [{"state": s["state"], "context": s["context"]} for s in found]
        if self.provider == "gitea":
            return 200, [{"status": s["state"], "context": s["context"]} for s in found]
        named = [s for s in found if s["context"] == query["name"]]
        return 200, [{"status": s["state"], "name": s["context"]} for s in named]

    def post_status(self, query: Object, body: Object, repo: str, sha: str) -> tuple[int, Any]:
        del query
        is_gitlab = self.provider == "gitlab"
        context = body["name"] if is_gitlab else body["context"]
        known = {"pending", "success", "failed"} if is_gitlab else {"pending", "success", "failure", "error"}
        if body["state"] not in known:
            return 422, {"message": "Validation Failed"}
        if self.provider == "github" and len(body["description"]) > 140:
            return 422, {"message": "description is too long (maximum is 140 characters)"}
        posted = {"repo": repo, "sha": sha, "state": body["state"], "context": context}
        self.statuses.append({**posted, "description": body["description"]})
        return 201, posted

    def list_pulls(self, query: Object, body: Object, repo: str) -> tuple[int, Any]:
        del body
        found = [p for p in self.pulls if p["repo"] == repo]
        if self.provider == "github":
            owner = repo.partition("/")[0]
            asked = query["head"], query["base"]
            found = [p for p in found if (f"{owner}:{p['head']}", p["base"]) == asked]
        if self.provider == "gitlab":
            asked = query["source_branch"], query["target_branch"]
            found = [p for p in found if (p["head"], p["base"]) == asked]
        return 200, [self._pull(p) for p in found]

    def post_pull(self, query: Object, body: Object, repo: str) -> tuple[int, Any]:
        del query
        if self.provider == "gitlab":
            head, base, text = body["source_branch"], body["target_branch"], body["description"]
        else:
            head, base, text = body["head"], body["base"], body["body"]
        if any((p["repo"], p["head"], p["base"]) == (repo, head, base) for p in self.pulls):
            return 422, {"message": f"A pull request already exists for {head}."}
        number = len(self.pulls) + 1
        pull = {
            "repo": repo,
            "head": head,
            "base": base,
            "title": body["title"],
            "text": text,
            "number": number,
        }
        self.pulls.append(pull)
        return 201, self._pull(pull)

    def list_comments(self, query: Object, body: Object, repo: str, number: str) -> tuple[int, Any]:
        del query, body
        return 200, [c for c in self.comments if (c["repo"], c["number"]) == (repo, number)]

    def post_comment(self, query: Object, body: Object, repo: str, number: str) -> tuple[int, Any]:
        del query
        made = {"id": len(self.comments) + 1, "repo": repo, "number": number, "body": body["body"]}
        self.comments.append(made)
        return 201, made

    def change_comment(
        self, query: Object, body: Object, repo: str, comment: str, number: str = ""
    ) -> tuple[int, Any]:
        del query, number
        found = next(c for c in self.comments if (c["repo"], c["id"]) == (repo, int(comment)))
        found["body"] = body["body"]
        return 200, found

    def _pull(self, pull: Object) -> Object:
        address = f"https://git.example.com/{pull['repo']}/pulls/{pull['number']}"
        if self.provider == "gitlab":
            branches = {"source_branch": pull["head"], "target_branch": pull["base"]}
            return {"iid": pull["number"], "web_url": address, **branches}
        refs = {"head": {"ref": pull["head"]}, "base": {"ref": pull["base"]}}
        return {"number": pull["number"], "html_url": address, **refs}


_GITHUB = (
    ("GET", rf"{_REPOSITORY}/issues/(?P<number>\d+)/comments", "list_comments"),
    ("POST", rf"{_REPOSITORY}/issues/(?P<number>\d+)/comments", "post_comment"),
    ("PATCH", rf"{_REPOSITORY}/issues/comments/(?P<comment>\d+)", "change_comment"),
    ("GET", rf"{_REPOSITORY}/pulls", "list_pulls"),
    ("POST", rf"{_REPOSITORY}/pulls", "post_pull"),
    ("GET", rf"{_REPOSITORY}/commits/(?P<sha>[0-9a-f]{{40}})/statuses", "list_statuses"),
    ("POST", rf"{_REPOSITORY}/statuses/(?P<sha>[0-9a-f]{{40}})", "post_status"),
)
_GITLAB = (
    ("GET", rf"{_PROJECT}/merge_requests/(?P<number>\d+)/notes", "list_comments"),
    ("POST", rf"{_PROJECT}/merge_requests/(?P<number>\d+)/notes", "post_comment"),
    ("PUT", rf"{_PROJECT}/merge_requests/(?P<number>\d+)/notes/(?P<comment>\d+)", "change_comment"),
    ("GET", rf"{_PROJECT}/merge_requests", "list_pulls"),
    ("POST", rf"{_PROJECT}/merge_requests", "post_pull"),
    ("GET", rf"{_PROJECT}/repository/commits/(?P<sha>[0-9a-f]{{40}})/statuses", "list_statuses"),
    ("POST", rf"{_PROJECT}/statuses/(?P<sha>[0-9a-f]{{40}})", "post_status"),
)


@contextlib.contextmanager
def serving(provider: str) -> Iterator[ProviderHost]:
    """A host that answers until the block is left."""
    served = ProviderHost(provider)

    class Handler(http_host.Handler):
        def _answer(self) -> None:
            length = int(self.headers["Content-Length"] or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, found = served.answer(self.command, self.path, self.headers["Authorization"] or "", body)
            self.say(status, json.dumps(found).encode())

        do_GET = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815

    with http_host.running(http_host.listening(Handler)) as served.url:
        yield served
