"""Builds the sandbox's programs from the pinned modules in `tools/`, once, into the user's cache.

Each module is a group of programs; a group's directory in the cache is named by the hash of what it is
built from. A lock per group lets one build while others wait for its result.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rollouts.sandbox import state, toolchain
from rollouts.sandbox.errors import SandboxError
from rollouts.sandbox.progress import Reporter
from rollouts.sandbox.toolchain import Toolchain

TOOLS = Path(__file__).parent / "tools"
STAMP = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True)
class Group:
    """The programs of one pinned module."""

    module: str
    packages: Mapping[str, str]
    seconds: int
    """How long a build from nothing was measured to take on two cores."""
    stamps: tuple[str, ...] = ()
    tags: str = ""

    @property
    def source(self) -> Path:
        return TOOLS / self.module

    @property
    def ldflags(self) -> str:
        return " ".join(("-s -w", *(f"-X {stamp}" for stamp in self.stamps)))

    @property
    def flags(self) -> tuple[str, ...]:
        return ("-mod=readonly", "-trimpath", "-buildvcs=false", f"-tags={self.tags}")


GROUPS = (
    Group(
        module="kubernetes",
        packages={
            "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
            "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
            "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
            "kubectl": "k8s.io/kubernetes/cmd/kubectl",
        },
        seconds=285,
        stamps=(
            f"{STAMP}.gitVersion=v1.36.3",
            f"{STAMP}.gitMajor=1",
            f"{STAMP}.gitMinor=36",
            "k8s.io/client-go/pkg/version.gitVersion=v1.36.3",
        ),
    ),
    Group(module="etcd", packages={"etcd": "go.etcd.io/etcd/server/v3"}, seconds=25),
    Group(
        module="kwok",
        packages={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
        seconds=60,
        stamps=("sigs.k8s.io/kwok/pkg/consts.Version=v0.8.0",),
    ),
    Group(
        module="prometheus",
        packages={
            "prometheus": "github.com/prometheus/prometheus/cmd/prometheus",
            "promtool": "github.com/prometheus/prometheus/cmd/promtool",
        },
        seconds=110,
        stamps=("github.com/prometheus/common/version.Version=3.13.5",),
        # The scrape targets are static: the service discoveries of every cloud only cost build time.
        tags="remove_all_sd",
    ),
    Group(
        module="helm",
        packages={"helm": "helm.sh/helm/v4/cmd/helm"},
        seconds=95,
        stamps=("helm.sh/helm/v4/internal/version.version=v4.3.1",),
    ),
    Group(
        module="kustomize",
        packages={"kustomize": "sigs.k8s.io/kustomize/kustomize/v5"},
        seconds=5,
        stamps=("sigs.k8s.io/kustomize/api/provenance.version=v5.8.2",),
    ),
    Group(
        module="sops",
        packages={
            "sops": "github.com/getsops/sops/v3/cmd/sops",
            "age-keygen": "filippo.io/age/cmd/age-keygen",
        },
        seconds=295,
    ),
)

NAMES = tuple(name for group in GROUPS for name in group.packages)


@dataclass(frozen=True, slots=True)
class Cache:
    """The directory that holds what was built."""

    root: Path

    def directory(self, group: Group) -> Path:
        return self.root / "bin" / f"{group.module}-{key(group)}"

    def program(self, name: str) -> Path:
        return self.directory(group_of(name)) / name

    def lock(self, group: Group) -> Path:
        return self.root / "bin" / f"{group.module}.lock"


def group_of(name: str) -> Group:
    """The module that a program is built from."""
    return next(group for group in GROUPS if name in group.packages)


def key(group: Group, *, machine: str = "") -> str:
    """Changes with anything that the programs are built from."""
    parts = [machine or f"{platform.system()}/{platform.machine()}", *group.flags, group.ldflags]
    parts += [(group.source / name).read_text(encoding="utf-8") for name in ("go.mod", "go.sum")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def ensure(names: Iterable[str], *, cache: Cache, report: Reporter) -> None:
    """Build those of the programs that the cache does not have."""
    missing = [name for name in names if not cache.program(name).exists()]
    if not missing:
        return
    groups = {group.module: group for group in map(group_of, missing)}
    go = toolchain.find()
    report.say(announcement(missing, go))
    for group in groups.values():
        with state.exclusive(cache.lock(group)):
            # Another process may have built them while we waited for the lock.
            wanted = [name for name in missing if name in group.packages and not cache.program(name).exists()]
            if wanted:
                _build(group, wanted, cache=cache, go=go, report=report)


def announcement(missing: Sequence[str], go: Toolchain) -> str:
    """What is about to be built, with what, and about how long that takes."""
    seconds = sum({group.module: group.seconds for group in map(group_of, missing)}.values())
    about = "under a minute" if seconds < 60 else f"about {round(seconds / 60)} minutes on 2 cores"
    return (
        f"Building {', '.join(missing)} from source with {go.path} "
        f"(once; {about}, less if part of it was built before)"
    )


def _build(group: Group, names: Sequence[str], *, cache: Cache, go: Toolchain, report: Reporter) -> None:
    directory = cache.directory(group)
    directory.mkdir(parents=True, exist_ok=True)
    packages = [group.packages[name] for name in names]
    report.say(f"{group.module}: downloading the sources that are not here yet")
    stale = _stale(group, packages, go)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f"{group.module}-") as temporary:
        argv = [str(go.path), "build", "-C", str(group.source), *group.flags, "-v", "-ldflags", group.ldflags]
        argv += ["-o", f"{temporary}/", *packages]
        with (
            report.task(f"{group.module}: compiling {len(stale)} packages", total=len(stale)) as advance,
            _running(group, argv) as lines,
        ):
            for done, _ in enumerate(line for line in lines if line in stale):
                advance(done + 1)
        for name in names:
            (Path(temporary) / _output_name(group.packages[name])).replace(directory / name)


def _stale(group: Group, packages: Sequence[str], go: Toolchain) -> frozenset[str]:
    """The packages that are not in Go's own build cache; asking for them downloads the sources."""
    template = "{{if .Stale}}{{.ImportPath}}{{end}}"
    argv = [str(go.path), "list", "-C", str(group.source), *group.flags, "-deps", "-f", template, *packages]
    result = subprocess.run(
        argv, capture_output=True, text=True, check=False, env=toolchain.environment(os.environ)
    )
    if result.returncode != 0:
        raise SandboxError(
            step=f"Download the sources of {group.module}",
            why=_last_lines(result.stderr),
            remedy="Check the network and GOPROXY, then run the command again: what is here is kept. "
            "Without a network, name a directory with prebuilt binaries by --bin-dir.",
        )
    return frozenset(result.stdout.split())


@contextmanager
def _running(group: Group, argv: Sequence[str]) -> Iterator[Iterator[str]]:
    """The lines that a build prints; fails if the build does."""
    seen: list[str] = []

    def lines(build: subprocess.Popen[str]) -> Iterator[str]:
        for line in build.stdout or ():
            seen.append(line)
            yield line.strip()

    with subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=toolchain.environment(os.environ),
    ) as build:
        yield lines(build)
    if build.returncode != 0:
        raise SandboxError(
            step=f"Build {group.module}",
            why=_last_lines("".join(seen)),
            remedy="Check free memory (2 GiB) and disk (5 GiB), then run the command again: what was "
            "compiled is kept.",
        )


def _output_name(package: str) -> str:
    """The file name that `go build` gives a program: the last element that is no major version."""
    parts = package.split("/")
    return parts[-2] if parts[-1].startswith("v") and parts[-1][1:].isdigit() else parts[-1]


def _last_lines(text: str, *, count: int = 8) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
