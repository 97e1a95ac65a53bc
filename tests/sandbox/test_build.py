"""What is built, under which key, and what a failure says; nothing is compiled here."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import pytest

from rollouts.sandbox import binaries, build, launch, toolchain
from rollouts.sandbox.build import GROUPS, Cache, Group
from rollouts.sandbox.components import Component
from rollouts.sandbox.errors import SandboxError
from rollouts.sandbox.progress import Silent
from rollouts.sandbox.toolchain import Toolchain

GO = Toolchain(Path("/usr/bin/go"), (1, 26, 8))


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.module)
def test_every_program_is_a_tool_of_its_pinned_module(group: Group) -> None:
    pinned = (group.source / "go.mod").read_text()

    assert (group.source / "go.sum").stat().st_size > 0
    assert all(
        re.search(rf"^(tool )?\s*{re.escape(package)}$", pinned, re.MULTILINE)
        for package in group.packages.values()
    )


def test_every_component_that_needs_a_program_has_one() -> None:
    assert set(launch.required_programs(Component)) <= set(build.NAMES)


def test_the_version_is_stamped_or_the_api_server_would_say_it_is_v0() -> None:
    kubernetes = build.group_of("kube-apiserver")

    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in kubernetes.ldflags
    assert "k8s.io/kubernetes v1.36.3" in (kubernetes.source / "go.mod").read_text()


def test_the_key_changes_with_what_is_built_and_for_what() -> None:
    group = build.group_of("etcd")
    keys = {
        build.key(group, machine="Linux/x86_64"),
        build.key(group, machine="Linux/aarch64"),
        build.key(dataclasses.replace(group, tags="other"), machine="Linux/x86_64"),
        build.key(dataclasses.replace(group, stamps=("a=b",)), machine="Linux/x86_64"),
        build.key(build.group_of("kwok"), machine="Linux/x86_64"),
    }

    assert len(keys) == 5
    assert build.key(group) == build.key(group)


def test_the_announcement_says_what_and_about_how_long() -> None:
    said = build.announcement(["kube-apiserver", "kubectl", "prometheus"], GO)

    assert "kube-apiserver, kubectl, prometheus" in said
    assert "about 7 minutes" in said
    assert "under a minute" in build.announcement(["kustomize"], GO)


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver"),
        ("go.etcd.io/etcd/server/v3", "server"),
        ("sigs.k8s.io/kustomize/kustomize/v5", "kustomize"),
    ],
)
def test_the_file_that_go_writes_is_found_under_its_name(package: str, name: str) -> None:
    assert build._output_name(package) == name


@pytest.mark.parametrize(
    ("text", "version"),
    [("go1.26.8", (1, 26, 8)), ("go1.26", (1, 26)), ("go1.27rc1\n", (1, 27)), ("devel +abc", ())],
)
def test_versions_of_go_are_read(text: str, version: tuple[int, ...]) -> None:
    assert toolchain.parse_version(text) == version


def test_an_old_go_is_passed_over_and_the_failure_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = program(tmp_path / "go", "echo go1.21.3")
    monkeypatch.setattr(toolchain, "_candidates", lambda: iter([old, tmp_path / "missing"]))

    with pytest.raises(SandboxError, match=r"1\.26 or newer.*is 1\.21\.3.*pip install 'rollouts\[sandbox\]'"):
        toolchain.find()


def test_the_build_is_deaf_to_the_flags_around_it() -> None:
    env = toolchain.environment({"GOFLAGS": "-mod=mod", "GOWORK": "/x/go.work", "GOPROXY": "https://proxy"})

    assert (env["GOFLAGS"], env["GOWORK"], env["CGO_ENABLED"]) == ("", "off", "0")
    assert env["GOPROXY"] == "https://proxy"


def test_a_failed_download_names_the_step_and_keeps_what_go_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = program(tmp_path / "go", "echo 'dial tcp: lookup proxy.golang.org: no such host' >&2; exit 1")
    monkeypatch.setattr(toolchain, "find", lambda: Toolchain(go, (1, 26)))

    with pytest.raises(SandboxError, match="no such host") as raised:
        build.ensure(["etcd"], cache=Cache(tmp_path / "cache"), report=Silent())
    assert raised.value.step == "Download the sources of etcd"
    assert "GOPROXY" in raised.value.remedy


def test_a_failed_compilation_names_the_step_and_leaves_no_half_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = program(tmp_path / "go", '[ "$1" = list ] && exit 0; echo "signal: killed" >&2; exit 1')
    monkeypatch.setattr(toolchain, "find", lambda: Toolchain(go, (1, 26)))
    cache = Cache(tmp_path / "cache")

    with pytest.raises(SandboxError, match="signal: killed") as raised:
        build.ensure(["etcd"], cache=cache, report=Silent())
    assert raised.value.step == "Build etcd"
    assert not cache.program("etcd").exists()


def test_a_build_puts_the_programs_into_the_cache_and_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The last arguments of `go build` are `-o DIRECTORY/ PACKAGE`.
    go = program(
        tmp_path / "go",
        f'echo "$1" >> {tmp_path}/calls; [ "$1" = list ] && exit 0\n'
        'while [ "$1" != -o ]; do shift; done; echo built > "$2server"',
    )
    monkeypatch.setattr(toolchain, "find", lambda: Toolchain(go, (1, 26)))
    cache = Cache(tmp_path / "cache")

    build.ensure(["etcd"], cache=cache, report=Silent())
    build.ensure(["etcd"], cache=cache, report=Silent())

    assert cache.program("etcd").read_text() == "built\n"
    assert (tmp_path / "calls").read_text().split() == ["list", "build"]


def test_prebuilt_programs_are_used_in_the_order_of_the_flag_then_the_environment(tmp_path: Path) -> None:
    for directory, name in (
        ("flag", "etcd"),
        ("variable", "etcd"),
        ("variable", "kwok"),
        ("assets", "kubectl"),
    ):
        (tmp_path / directory).mkdir(exist_ok=True)
        program(tmp_path / directory / name, "true")
    environ = {
        "ROLLOUTS_SANDBOX_BIN_DIR": str(tmp_path / "variable"),
        "KUBEBUILDER_ASSETS": str(tmp_path / "assets"),
    }

    found = binaries.locate(tmp_path / "flag", environ=environ, report=Silent())

    assert found.ensure(["etcd", "kwok", "kubectl"]) == {
        "etcd": tmp_path / "flag" / "etcd",
        "kwok": tmp_path / "variable" / "kwok",
        "kubectl": tmp_path / "assets" / "kubectl",
    }


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    assert os.access(path, os.X_OK)
    return path
