"""Which cluster and namespace a verb talks to, as kubectl decides it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from rollouts.cli import target
from rollouts.cli.target import CliError, Target

SHOP = {
    "current-context": "prod",
    "contexts": [
        {"name": "prod", "context": {"cluster": "p", "namespace": "shop"}},
        {"name": "test", "context": {"cluster": "t"}},
    ],
}


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(SHOP))
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return path


@pytest.mark.usefixtures("kubeconfig")
def test_the_flag_wins_over_the_context() -> None:
    assert target.namespace(Target(namespace="other")) == "other"


@pytest.mark.usefixtures("kubeconfig")
def test_the_current_context_names_the_namespace() -> None:
    assert target.namespace(Target()) == "shop"


@pytest.mark.usefixtures("kubeconfig")
def test_a_context_without_a_namespace_is_default() -> None:
    assert target.namespace(Target(context="test")) == "default"


@pytest.mark.usefixtures("kubeconfig")
def test_a_context_that_is_not_there_is_told_with_near_ones() -> None:
    with pytest.raises(CliError, match=r"no context prd; did you mean prod\?"):
        target.namespace(Target(context="prd"))


def test_a_kubeconfig_that_is_not_there_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="does not exist; name one with --kubeconfig, or set KUBECONFIG"):
        target.namespace(Target(kubeconfig=str(tmp_path / "none")))


@pytest.mark.parametrize("content", ["a: [", "just text", "\x00"])
def test_a_kubeconfig_that_is_none_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)

    with pytest.raises(CliError, match="kubeconfig"):
        target.namespace(Target(kubeconfig=str(path)))


def test_the_first_of_several_kubeconfigs_wins(kubeconfig: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text(yaml.safe_dump({"contexts": [{"name": "prod", "context": {"namespace": "web"}}]}))

    assert target.namespace(Target(kubeconfig=f"{other}{os.pathsep}{kubeconfig}")) == "web"


def test_flags_of_the_verb_win_over_those_before_it() -> None:
    assert Target(namespace="a").over(Target(namespace="b", context="c")) == Target(
        namespace="a", context="c"
    )


def test_the_api_group_names_everything() -> None:
    assert Target(api_group="argoproj.io").names.api_version == "argoproj.io/v1alpha1"
    assert Target().names.api_version == "rollouts.dev/v1alpha1"
