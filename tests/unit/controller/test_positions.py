"""What an Application follows, from its spec and what its status remembers."""

from __future__ import annotations

from dataclasses import replace

from rollouts.api.application import ApplicationSource, SecretReference
from rollouts.controller.applications import positions
from rollouts.controller.applications.positions import RemoteKey
from tests.unit.gitops.builders import application

URL = "https://git.example.com/shop.git"
CHART = ApplicationSource("https://charts.example.com", "1.*", chart="web")


def test_a_secret_is_for_the_one_source() -> None:
    own = replace(CHART, secret_ref=SecretReference("charts"))
    one = application(source=ApplicationSource(URL), secret_ref=SecretReference("git"))
    several = application(source=None, sources=(own, ApplicationSource(URL, ref="values")))

    (single,) = positions.wanted(one)
    chart, values = positions.wanted(several)

    assert single.remote == RemoteKey(URL, one.metadata.namespace, "git")
    assert chart.remote == RemoteKey(CHART.repo_url, one.metadata.namespace, "charts", "web")
    assert values.remote == RemoteKey(URL)
    assert (chart.path, values.path) == ("", None)


def test_each_source_knows_the_revision_that_the_status_names() -> None:
    several = application(source=None, sources=(CHART, ApplicationSource(URL)))
    named = (f"1.2.0@sha256:{'a' * 64}", f"main@sha1:{'b' * 40}")
    status = replace(several.status, desired_revision=" + ".join(named))

    remembered = positions.wanted(replace(several, status=status))
    fewer = positions.wanted(replace(several, status=replace(status, desired_revision=named[0])))

    assert tuple(w.known_revision for w in remembered) == named
    assert [w.known_revision for w in fewer] == ["", ""]


def test_a_prefix_is_about_tags() -> None:
    (ranged,) = positions.wanted(application(source=ApplicationSource(URL, "1.*", tag_prefix="app/")))
    (exact,) = positions.wanted(application(source=ApplicationSource(URL, "v1.2.0", tag_prefix="app/")))

    assert (ranged.target_revision, ranged.tag_prefix) == ("1.*", "app/")
    assert (exact.target_revision, exact.tag_prefix) == ("refs/tags/app/v1.2.0", "")
