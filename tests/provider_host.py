"""Git hosts' APIs in this process: the parts of GitHub's, GitLab's and Gitea's that are spoken, as documented."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

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


_GITHUB = (
    ("GET", rf"{_REPOSITORY}/commits/(?P<sha>[0-9a-f]{{40}})/statuses", "list_statuses"),
    ("POST", rf"{_REPOSITORY}/statuses/(?P<sha>[0-9a-f]{{40}})", "post_status"),
)
_GITLAB = (
    ("GET", rf"{_PROJECT}/repository/commits/(?P<sha>[0-9a-f]{{40}})/statuses", "list_statuses"),
    ("POST", rf"{_PROJECT}/statuses/(?P<sha>[0-9a-f]{{40}})", "post_status"),
)


@contextlib.contextmanager
def serving(provider: str) -> Iterator[ProviderHost]:
    """A host that answers until the block is left."""
    served = ProviderHost(provider)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers["Content-Length"] or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, found = served.answer(self.command, self.path, self.headers["Authorization"] or "", body)
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Tests read what failed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
