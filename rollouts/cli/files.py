"""Manifests in files, directories and standard input, for the verbs that need no cluster.

Reads and says what cannot be read; what a document means is its reader's business.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from rollouts.cli.target import CliError
from rollouts.gitops.resources import documents

Files = Annotated[
    list[str],
    typer.Option("-f", "--filename", metavar="FILE|DIR", help="May be repeated; - reads standard input."),
]

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})


def paths(name: str) -> Iterator[Path]:
    path = Path(name)
    if name == "-" or path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file())
    else:
        raise CliError(f"{name} does not exist; name a file, a directory, or - for standard input")


def content(path: Path) -> bytes:
    return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()


def objects(names: Iterable[str]) -> list[dict[str, Any]]:
    """Every Kubernetes object in the files; what is in a List is taken out of it."""
    found: list[dict[str, Any]] = []
    for name in names:
        for path in paths(name):
            for value in values(path):
                if isinstance(value, dict) and isinstance(value.get("items"), list):
                    found.extend(item for item in value["items"] if isinstance(item, dict))
                elif isinstance(value, dict):
                    found.append(value)
    return found


def values(path: Path) -> list[Any]:
    """The documents of one file."""
    try:
        return [document.value for document in documents.load(content(path))]
    except documents.DocumentError as e:
        raise CliError(f"{path}: {e}") from None
