"""What a sandbox remembers in its directory: its processes, ports, Git credentials, and what it was told.

Written whole and renamed into place: a crash leaves the old or the new state, never half of one. Every
change is made under the directory's lock, so two commands on one sandbox wait for each other.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollouts.sandbox.components import Component
from rollouts.sandbox.errors import SandboxError
from rollouts.sandbox.process import Process


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the components listen, all on the loopback address."""

    etcd: int
    etcd_peer: int
    api_server: int
    prometheus: int
    traffic: int
    git: int


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a later command needs to use or end a sandbox."""

    ports: Ports
    git_username: str
    git_password: str
    git_https: bool
    nodes: int
    processes: Mapping[Component, Process]


def load(path: Path) -> State | None:
    """The state of a sandbox, or None where there never was one."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return _parse(stored)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise SandboxError(
            step=f"Read {path}",
            why=f"it is not the state of a sandbox ({error})",
            remedy="Choose another --directory, or remove this one after ending its processes.",
        ) from error


def save(path: Path, state: State) -> None:
    """Store the state; readable by its owner only, for it holds the Git password."""
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(_dump(state), file, indent=2)
    temporary.replace(path)


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold a file lock; it ends with the process that holds it."""
    lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _dump(state: State) -> dict[str, Any]:
    stored = {field.name: getattr(state, field.name) for field in dataclasses.fields(state)}
    stored["ports"] = dataclasses.asdict(state.ports)
    stored["processes"] = {str(name): dataclasses.asdict(one) for name, one in state.processes.items()}
    return stored


def _parse(stored: dict[str, Any]) -> State:
    processes = {Component(name): Process(**one) for name, one in stored.pop("processes").items()}
    return State(**(stored | {"ports": Ports(**stored["ports"]), "processes": processes}))
