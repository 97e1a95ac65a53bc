"""Artifacts and charts from a registry and a Helm repository: which one, and that it is what it says it is."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from rollouts.api.application_status import ApplicationReason
from rollouts.gitops.sources import credentials
from rollouts.gitops.sources.artifacts import Artifacts
from rollouts.gitops.sources.commit import File
from rollouts.gitops.sources.credentials import Credentials
from rollouts.gitops.sources.git import SourceError
from tests import registry as registries
from tests.registry import FLUX_LAYER, HELM_LAYER, Registry

PASSWORD = "s3cr3t-w0rd"


@pytest.fixture
def registry() -> Iterator[Registry]:
    with registries.serving() as served:
        yield served


@pytest.fixture
def artifacts() -> Artifacts:
    return Artifacts()


async def refusal(
    artifacts: Artifacts, url: str, target: str = "", chart: str = "", given: Credentials | None = None
) -> SourceError:
    with pytest.raises(SourceError) as refused:
        await artifacts.files(await artifacts.find(url, chart, target, given), given)
    assert PASSWORD not in str(refused.value)
    return refused.value


async def test_a_tag_stands_for_the_digest_that_the_registry_names(
    artifacts: Artifacts, registry: Registry
) -> None:
    digest = registry.push("team/shop", "latest", registries.archive({"a.yaml": "a: 1\n"}), FLUX_LAYER)

    found = await artifacts.find(f"oci://{registry.address}/team/shop", "", "HEAD", None)

    assert (found.name, found.digest) == ("latest", digest)
    assert await artifacts.files(found, None) == {"a.yaml": File("100644", b"a: 1\n")}


@pytest.mark.parametrize(
    ("target", "expected"), [("1.*", "1.10.0"), (">=1.0.0-0 <2", "1.11.0-rc.1"), ("2.0.0", "2.0.0")]
)
async def test_a_range_stands_for_the_newest_tag_of_all_pages(
    artifacts: Artifacts, registry: Registry, target: str, expected: str
) -> None:
    for tag in ("1.2.0", "1.9.0", "1.10.0", "1.11.0-rc.1", "2.0.0", "latest"):
        registry.push("shop", tag, registries.archive({"version": tag}))

    found = await artifacts.find(f"oci://{registry.address}/shop", "", target, None)

    assert found.name == expected
    assert (await artifacts.files(found, None))["version"].content == expected.encode()


async def test_a_digest_is_itself(artifacts: Artifacts, registry: Registry) -> None:
    digest = registry.push("shop", "latest", registries.archive({"a": "old"}))
    registry.push("shop", "latest", registries.archive({"a": "new"}))

    found = await artifacts.find(f"oci://{registry.address}/shop", "", digest, None)

    assert (found.name, found.digest) == ("", digest)
    assert (await artifacts.files(found, None))["a"].content == b"old"


async def test_who_knows_a_digest_may_not_read_it_for_that(artifacts: Artifacts, registry: Registry) -> None:
    digest = registry.push("shop", "latest", registries.archive({"a": "1"}))
    registry.login = ("robot", PASSWORD)

    with pytest.raises(SourceError) as refused:
        await artifacts.find(f"oci://{registry.address}/shop", "", digest, None)

    assert refused.value.reason is ApplicationReason.AUTHENTICATION_FAILED


@pytest.mark.parametrize("scheme", ["oci://", ""])
async def test_a_chart_of_a_registry_loses_its_directory(
    artifacts: Artifacts, registry: Registry, scheme: str
) -> None:
    registry.push("charts/web", "1.0.0_build.5", registries.chart("1.0.0+build.5"), HELM_LAYER)

    found = await artifacts.find(f"{scheme}{registry.address}/charts", "web", "1.*", None)

    assert found.name == "1.0.0+build.5"
    assert "Chart.yaml" in await artifacts.files(found, None)


@pytest.mark.parametrize("form", ["password", "docker"])
async def test_a_registry_is_signed_in_to_with_a_token(
    artifacts: Artifacts, registry: Registry, form: str
) -> None:
    registry.login = ("robot", PASSWORD)
    digest = registry.push("shop", "latest", registries.archive({"a": "1"}))
    auth = base64.b64encode(f"robot:{PASSWORD}".encode()).decode()
    config = json.dumps({"auths": {f"https://{registry.address}/v2/": {"auth": auth}}})
    values = {
        "password": {"username": "robot", "password": PASSWORD},
        "docker": {".dockerconfigjson": config},
    }
    given = credentials.of_secret(values[form])

    found = await artifacts.find(f"oci://{registry.address}/shop", "", "latest", given)
    await artifacts.files(found, given)

    assert found.digest == digest
    assert registry.asked.count("GET /token") == 1
    denied = await refusal(
        artifacts, f"oci://{registry.address}/shop", given=Credentials("robot", PASSWORD + "x")
    )
    assert denied.reason is ApplicationReason.AUTHENTICATION_FAILED
    assert "name a Secret" in str(await refusal(artifacts, f"oci://{registry.address}/shop"))


async def test_what_has_another_digest_is_not_taken(artifacts: Artifacts, registry: Registry) -> None:
    registry.push("shop", "latest", registries.archive({"a": "1"}))
    registry.lies = True

    assert "another digest" in str(await refusal(artifacts, f"oci://{registry.address}/shop"))


@pytest.mark.parametrize(
    ("layer", "media_type", "problem"),
    [
        (b"x", "application/vnd.example.wasm", "one layer, a tar archive"),
        (b"not an archive", registries.OCI_LAYER, "damaged"),
        (registries.archive({"../up": "x"}), registries.OCI_LAYER, "points out of"),
        (registries.archive({"/etc/x": "x"}), registries.OCI_LAYER, "points out of"),
    ],
)
async def test_what_is_no_archive_of_files_is_refused(
    artifacts: Artifacts, registry: Registry, layer: bytes, media_type: str, problem: str
) -> None:
    registry.push("shop", "latest", layer, media_type)

    refused = await refusal(artifacts, f"oci://{registry.address}/shop")

    assert problem in str(refused)
    assert refused.definite


@pytest.mark.parametrize("digests", [True, False])
async def test_a_helm_repository_is_asked_again_only_for_what_changed(
    artifacts: Artifacts, registry: Registry, *, digests: bool
) -> None:
    charts = [(v, registries.chart(v)) for v in ("1.0.0", "1.2.0", "2.0.0-rc.1")]
    registry.publish(*charts, digests=digests)

    for _ in range(2):
        found = await artifacts.find(registry.http, "web", "HEAD", None)

    assert (found.name, found.digest) == ("1.2.0", registries.sha256(charts[1][1]))
    assert (await artifacts.find(registry.http, "web", "v1.0.0", None)).name == "1.0.0"
    assert "Chart.yaml" in await artifacts.files(found, None)


async def test_an_archive_that_is_not_what_the_index_says_is_not_taken(
    artifacts: Artifacts, registry: Registry
) -> None:
    registry.publish(("1.0.0", registries.chart("1.0.0")))
    registry.files["web-1.0.0.tgz"] = registries.chart("1.0.0", stolen="yes")

    assert "digest differs" in str(await refusal(artifacts, registry.http, "*", "web"))


async def test_a_password_is_not_shown_to_the_host_that_an_index_points_to(
    artifacts: Artifacts, registry: Registry
) -> None:
    with registries.serving() as elsewhere:
        elsewhere.login = registry.login = ("robot", PASSWORD)
        content = registries.chart("1.0.0")
        registry.publish(("1.0.0", content))
        index = json.loads(registry.files["index.yaml"])
        index["entries"]["web"][0]["urls"] = [f"{elsewhere.http}/web-1.0.0.tgz"]
        registry.files["index.yaml"] = json.dumps(index).encode()
        elsewhere.files["web-1.0.0.tgz"] = content

        refused = await refusal(artifacts, registry.http, "*", "web", Credentials("robot", PASSWORD))

    assert refused.reason is ApplicationReason.AUTHENTICATION_FAILED
    assert elsewhere.address in str(refused)


@pytest.mark.parametrize(
    ("chart", "target", "problem"),
    [
        ("web", "3.*", "no version 3.* of chart web"),
        ("web", "9.9.9", "9.9.9"),
        ("other", "*", "no chart other"),
    ],
)
async def test_what_is_not_there_is_named(
    artifacts: Artifacts, registry: Registry, chart: str, target: str, problem: str
) -> None:
    registry.publish(("1.0.0", registries.chart("1.0.0")))

    refused = await refusal(artifacts, registry.http, target, chart)

    assert problem in str(refused)
    assert refused.reason is ApplicationReason.REVISION_NOT_FOUND
