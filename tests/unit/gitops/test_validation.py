"""A spec that cannot be served is refused in words that help."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollouts.api.application import (
    ApplicationDestination,
    ApplicationSource,
    SecretReference,
    SyncPolicy,
    Verify,
)
from rollouts.api.rendering import HelmSource
from rollouts.errors import SpecError
from rollouts.gitops import validation
from tests.unit.gitops.builders import application

URL = "https://git.example.com/shop.git"


@pytest.mark.parametrize(
    "revision",
    [
        "HEAD",
        "main",
        "release/1.2",
        "v1.2.3",
        "a" * 40,
        "refs/pull/7/head",
        "1.*",
        ">=1.2 <2",
        "~1 || ^2",
        "*-0",
    ],
)
def test_usual_revisions_are_served(revision: str) -> None:
    validation.check(application(source=ApplicationSource(URL, revision)))


@pytest.mark.parametrize(
    "url",
    ["git@git.example.com:team/shop.git", "ssh://git@git.example.com:2222/team/shop", "file:///srv/shop"],
)
def test_usual_addresses_are_served(url: str) -> None:
    validation.check(application(source=ApplicationSource(url)))


VALUES = ApplicationSource(URL, ref="values")
CHART = ApplicationSource("https://charts.example.com", "1.*", chart="web")


@pytest.mark.parametrize(
    "source",
    [
        CHART,
        replace(CHART, repo_url="oci://registry.example.com:5000/charts", target_revision="1.2.3+build.1"),
        replace(CHART, repo_url="registry-1.docker.io/bitnamicharts"),
        ApplicationSource("oci://ghcr.io/team/shop", "latest", "app"),
        ApplicationSource("oci://ghcr.io/team/shop", "sha256:" + "a" * 64),
        ApplicationSource(URL, "v1.*", tag_prefix="app1/"),
    ],
)
def test_charts_and_artifacts_are_served(source: ApplicationSource) -> None:
    validation.check(application(source=source))


def test_several_sources_are_served() -> None:
    helm = HelmSource(value_files=("$values/prod.yaml",))
    validation.check(application(source=None, sources=(replace(CHART, helm=helm), VALUES)))


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"source": None}, "spec.source"),
        ({"sources": (CHART,)}, "spec.sources"),
        ({"source": None, "sources": (VALUES,)}, "spec.sources"),
        ({"source": None, "sources": (CHART,) * 21}, "spec.sources"),
        ({"source": None, "sources": (CHART, VALUES, VALUES)}, "spec.sources"),
        (
            {"source": None, "sources": (CHART, ApplicationSource("ext::sh", path="a"))},
            "spec.sources[1].repoURL",
        ),
        ({"source": None, "sources": (CHART,), "secret_ref": SecretReference("git")}, "spec.secretRef"),
        (
            {"source": replace(CHART, helm=HelmSource(value_files=("a.yaml", "$values/b.yaml")))},
            "spec.source.helm.valueFiles[1]",
        ),
        ({"source": CHART, "verify": Verify(SecretReference("keys"))}, "spec.verify"),
        ({"source": replace(CHART, path="a")}, "spec.source.chart"),
        ({"source": replace(CHART, chart="../web")}, "spec.source.chart"),
        ({"source": replace(CHART, target_revision="main branch")}, "spec.source.targetRevision"),
        ({"source": replace(CHART, target_revision="sha256:" + "a" * 64)}, "spec.source.targetRevision"),
        ({"source": replace(CHART, repo_url="file:///charts")}, "spec.source.repoURL"),
        ({"source": ApplicationSource("oci://user:secret@ghcr.io/a")}, "spec.source.repoURL"),
        ({"source": ApplicationSource("oci://ghcr.io/a?b")}, "spec.source.repoURL"),
        ({"source": ApplicationSource("oci://ghcr.io/a/../b")}, "spec.source.repoURL"),
        ({"source": ApplicationSource("oci://ghcr.io/a", "--x")}, "spec.source.targetRevision"),
        ({"source": ApplicationSource(URL, "1.*", tag_prefix="--x")}, "spec.source.tagPrefix"),
        ({"source": ApplicationSource(URL, "1.*", tag_prefix="a b")}, "spec.source.tagPrefix"),
        ({"source": ApplicationSource("git@-oProxyCommand=x:y")}, "spec.source.repoURL"),
        ({"source": ApplicationSource("git@git.example.com:-x")}, "spec.source.repoURL"),
        ({"source": ApplicationSource("ssh://-oProxyCommand=x/y")}, "spec.source.repoURL"),
        ({"source": ApplicationSource("ssh://git:secret@git.example.com/x")}, "spec.source.repoURL"),
        ({"source": ApplicationSource("ext::sh -c x")}, "spec.source.repoURL"),
        ({"source": ApplicationSource("https://bob:secret@git.example.com/x")}, "spec.source.repoURL"),
        ({"source": ApplicationSource("https:///x")}, "spec.source.repoURL"),
        ({"source": ApplicationSource("https://git.example.com/x\ny")}, "spec.source.repoURL"),
        ({"source": ApplicationSource(URL, "--upload-pack=x")}, "spec.source.targetRevision"),
        ({"source": ApplicationSource(URL, "a b")}, "spec.source.targetRevision"),
        ({"source": ApplicationSource(URL, "a..b")}, "spec.source.targetRevision"),
        ({"source": ApplicationSource(URL, "main:refs/heads/x")}, "spec.source.targetRevision"),
        ({"source": ApplicationSource(URL, "[x]")}, "spec.source.targetRevision"),
        ({"source": ApplicationSource(URL, "main", "/etc")}, "spec.source.path"),
        ({"source": ApplicationSource(URL, "main", "a/../../b")}, "spec.source.path"),
        ({"source": ApplicationSource(URL, "main", "a\nb")}, "spec.source.path"),
        ({"destination": ApplicationDestination(server="https://other")}, "spec.destination.server"),
        ({"sync_policy": SyncPolicy(sync_options=("Replace=true",))}, "spec.syncPolicy.syncOptions[0]"),
        ({"interval": timedelta(milliseconds=10)}, "spec.interval"),
        ({"timeout": timedelta(0)}, "spec.timeout"),
    ],
)
def test_what_cannot_be_served_names_the_field(spec: dict[str, Any], path: str) -> None:
    with pytest.raises(SpecError) as e:
        validation.check(application(**spec))

    assert e.value.path == path
    assert "secret" not in str(e.value).replace("secretRef", "").replace("Secret", "")


def test_a_name_that_does_not_fit_a_label_is_refused() -> None:
    app = application()
    long = replace(app, metadata=replace(app.metadata, name="x" * 64))

    with pytest.raises(SpecError, match=r"metadata.name"):
        validation.check(long)
