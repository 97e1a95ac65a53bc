"""A spec that cannot be served is refused in words that help."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rollouts.api.application import ApplicationDestination, ApplicationSource, SyncPolicy
from rollouts.errors import SpecError
from rollouts.gitops import validation
from tests.unit.gitops.builders import application

URL = "https://git.example.com/shop.git"


@pytest.mark.parametrize("revision", ["HEAD", "main", "release/1.2", "v1.2.3", "a" * 40, "refs/pull/7/head"])
def test_usual_revisions_are_served(revision: str) -> None:
    validation.check(application(source=ApplicationSource(URL, revision)))


@pytest.mark.parametrize(
    "url",
    ["git@git.example.com:team/shop.git", "ssh://git@git.example.com:2222/team/shop", "file:///srv/shop"],
)
def test_usual_addresses_are_served(url: str) -> None:
    validation.check(application(source=ApplicationSource(url)))


@pytest.mark.parametrize(
    ("spec", "path"),
    [
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
