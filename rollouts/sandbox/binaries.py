"""Where a sandbox's programs are: a directory of prebuilt ones if given, else the cache, built on demand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rollouts.sandbox import build, paths
from rollouts.sandbox.progress import Reporter

DIRECTORY_VARIABLES = ("ROLLOUTS_SANDBOX_BIN_DIR", "KUBEBUILDER_ASSETS")


@dataclass(frozen=True, slots=True)
class Binaries:
    """Finds programs by name; those that nobody prebuilt are built when first asked for."""

    directories: tuple[Path, ...]
    cache: build.Cache
    report: Reporter

    @property
    def kubectl(self) -> Path:
        return self.path("kubectl")

    @property
    def helm(self) -> Path:
        return self.path("helm")

    @property
    def kustomize(self) -> Path:
        return self.path("kustomize")

    @property
    def sops(self) -> Path:
        return self.path("sops")

    @property
    def promtool(self) -> Path:
        return self.path("promtool")

    def path(self, name: str) -> Path:
        """The program; built first if need be."""
        return self.ensure((name,))[name]

    def ensure(self, names: Iterable[str]) -> Mapping[str, Path]:
        """All the programs, with the missing ones built in one go."""
        wanted = tuple(names)
        prebuilt = {name: found for name in wanted if (found := self._prebuilt(name)) is not None}
        missing = [name for name in wanted if name not in prebuilt]
        build.ensure(missing, cache=self.cache, report=self.report)
        return prebuilt | {name: self.cache.program(name) for name in missing}

    def built(self, name: str) -> Path | None:
        """The program if it is here already; builds nothing."""
        cached = self.cache.program(name)
        return self._prebuilt(name) or (cached if cached.exists() else None)

    def _prebuilt(self, name: str) -> Path | None:
        for directory in self.directories:
            if os.access(directory / name, os.X_OK):
                return directory / name
        return None


def locate(bin_dir: Path | None, *, environ: Mapping[str, str], report: Reporter) -> Binaries:
    """Prebuilt directories in order: the one given, then those that the environment names."""
    named = (Path(environ[name]) for name in DIRECTORY_VARIABLES if environ.get(name))
    given = (bin_dir,) if bin_dir is not None else ()
    return Binaries((*given, *named), build.Cache(paths.cache_directory()), report)
