"""A Git repository that a test pushes to, and an Application on a real API server, in domain words."""

from __future__ import annotations

import os
import subprocess
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollouts.kube import Kube, Resource, resources
from rollouts.sandbox import RepoInfo
from tests.api.harness import Bench, Object, becomes

_IDENTITY = {
    "GIT_AUTHOR_NAME": "Team",
    "GIT_AUTHOR_EMAIL": "team@example.com",
    "GIT_COMMITTER_NAME": "Team",
    "GIT_COMMITTER_EMAIL": "team@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


@dataclass(frozen=True, slots=True)
class Checkout:
    """A team's clone of a repository. Every call commits and pushes; the answer is the commit."""

    directory: Path
    remote: str

    @classmethod
    def of(cls, remote: str, directory: Path) -> Checkout:
        checkout = cls(directory, remote)
        directory.mkdir(parents=True, exist_ok=True)
        checkout.git("init", "--quiet", "--initial-branch=main")
        return checkout

    def push(self, files: Mapping[str, str | None], message: str = "change", branch: str = "main") -> str:
        """Write files (None removes one), commit, push."""
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(textwrap.dedent(text))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.publish(branch)

    def revert(self) -> str:
        """`git revert` of the last commit."""
        self.git("revert", "--no-edit", "HEAD")
        return self.publish("main")

    def publish(self, branch: str) -> str:
        self.git("push", "--quiet", "--force", self.remote, f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        result = subprocess.run(
            ["git", "-C", str(self.directory), *arguments],
            env={**os.environ, **_IDENTITY},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()


@dataclass(frozen=True, slots=True)
class App:
    """One Application and what a test asks about it."""

    bench: Bench
    name: str

    @property
    def kube(self) -> Kube:
        return self.bench.kube

    async def create(self, repository: str, *, path: str = ".", secret: str = "", **spec: Any) -> None:
        source = {"source": {"repoURL": repository, "path": path, "targetRevision": "main"}}
        body: Object = {
            "apiVersion": "rollouts.dev/v1alpha1",
            "kind": "Application",
            "metadata": {"name": self.name, "namespace": self.bench.namespace},
            "spec": {
                **({} if "sources" in spec else source),
                "interval": "1s",
                "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
                **({"secretRef": {"name": secret}} if secret else {}),
                **spec,
            },
        }
        await self.kube.create(resources.APPLICATION, body, field_manager="tests")

    async def get(self) -> Object:
        return await self.kube.get(resources.APPLICATION.ref(self.name, self.bench.namespace))

    async def status(self) -> Object:
        return (await self.get()).get("status") or {}

    async def secret(self, name: str, **values: str) -> None:
        """A Secret in the Application's namespace."""
        metadata = {"name": name, "namespace": self.bench.namespace}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}
        ref = resources.SECRET.ref(name, self.bench.namespace)
        await self.kube.apply(ref, body, field_manager="tests")

    async def patch(self, patch: Mapping[str, Any]) -> None:
        ref = resources.APPLICATION.ref(self.name, self.bench.namespace)
        await self.kube.merge_patch(ref, patch, field_manager="tests")

    async def annotate(self, **annotations: str) -> None:
        """`refresh`, `retry`, `sync`: a token each."""
        named = {f"rollouts.dev/{name}": token for name, token in annotations.items()}
        await self.patch({"metadata": {"annotations": named}})

    async def runs(self, commit: str, *, seconds: float = 30) -> Object:
        """The status once this commit is promoted and healthy."""
        return await self.runs_revision(f"main@sha1:{commit}", seconds=seconds)

    async def runs_revision(self, wanted: str, *, seconds: float = 30) -> Object:
        """The status once this revision is promoted and healthy."""

        def there(status: Object) -> bool:
            is_ready = condition(status, "Ready").get("status") == "True"
            return is_ready and bool(status["runningRevision"] == wanted)

        return await self.becomes(there, seconds=seconds)

    async def says(self, type_: str, value: str, reason: str, *, seconds: float = 30) -> Object:
        """The condition once it has this status and reason."""

        def there(status: Object) -> bool:
            found = condition(status, type_)
            return (found.get("status"), found.get("reason")) == (value, reason)

        return condition(await self.becomes(there, seconds=seconds), type_)

    async def handles(self, token: str, *, seconds: float = 60) -> None:
        """The word of a person that asked for a look has been heard."""
        await self.becomes(lambda status: status.get("lastHandledReconcileAt") == token, seconds=seconds)

    async def becomes(self, holds: Callable[[Object], bool], *, seconds: float = 60) -> Object:
        """The status when this holds."""
        ref = resources.APPLICATION.ref(self.name, self.bench.namespace)
        found = await becomes(self.kube, ref, lambda app: holds(app.get("status") or {}), seconds=seconds)
        return found.get("status") or {}

    async def events(self) -> list[tuple[str, str]]:
        """(reason, message) in the order in which they were posted."""
        found = [e for e in await self.bench.list("Event") if e["involvedObject"]["name"] == self.name]
        found = [e for e in found if e["involvedObject"]["kind"] == "Application"]
        ordered = sorted(found, key=lambda e: int(e["metadata"]["resourceVersion"]))
        return [(e["reason"], e["message"]) for e in ordered]

    async def find(self, resource: Resource, name: str) -> Object | None:
        page = await self.kube.list(resource, self.bench.namespace, field_selector=f"metadata.name={name}")
        return page.items[0] if page.items else None

    async def config(self, name: str) -> dict[str, str] | None:
        found = await self.find(resources.CONFIG_MAP, name)
        return (found.get("data") or {}) if found else None


def shell(*arguments: str) -> None:
    """What a person types."""
    subprocess.run(arguments, check=True, capture_output=True)


def condition(status: Object, type_: str) -> Object:
    return next((c for c in status.get("conditions") or () if c["type"] == type_), {})


def config_map(name: str, **data: str) -> str:
    lines = "".join(f"  {key}: {value!r}\n" for key, value in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n{lines}"


def authenticated(repository: RepoInfo, username: str, password: str) -> str:
    """The URL that a team pushes to."""
    return repository.url.replace("://", f"://{username}:{password}@")
