"""What an Application or its repository names outside of the repository is refused, whichever way it is named.

`stolen` stands for a file of the controller's: another tenant's checkout, or the token of its service account.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollouts.api.application import Application, ApplicationSource
from rollouts.api.parse import parse
from rollouts.api.rendering import KustomizeSource
from rollouts.errors import SpecError
from rollouts.gitops import validation
from rollouts.gitops.confined import Confined
from rollouts.gitops.renderers import kustomize
from rollouts.gitops.resources.render import RenderError
from tests.unit.gitops.builders import application
from tests.unit.gitops.renderers.conftest import Repository
from tests.unit.gitops.renderers.test_build import BASE, CHART, GIVEN, config_map, data, rendered
from tests.unit.gitops.renderers.test_encrypted import AS_YAML, made_key

STOLEN = "hunter22"


@pytest.fixture
def stolen(tmp_path: Path) -> Path:
    (tmp_path / "stolen").write_text(f"color: {STOLEN}\n")
    return tmp_path / "stolen"


async def refused(confined: Confined, commit: Any, **source: Any) -> str:
    with pytest.raises(RenderError) as error:
        await rendered(confined, commit, **source)
    assert STOLEN not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../../etc/passwd", "points out of the repository"),
        ("../../../../../../../../etc/passwd", "points out of the repository"),
        ("/../etc/passwd", "points out of the repository"),
        # A leading slash is the root of the repository, as in Argo CD.
        ("/etc/passwd", "etc/passwd: is not in the commit"),
        ("file:///etc/passwd", "must be a file of the repository"),
        ("https://example.com/values.yaml", "must be a file of the repository"),
        ("s3://bucket/values.yaml", "must be a file of the repository"),
        ("a.yaml\n", "points out of the repository"),
    ],
)
async def test_a_values_file_is_one_of_the_repository(
    confined: Confined, repository: Repository, name: str, problem: str
) -> None:
    told = await refused(confined, repository.commit(CHART), path="chart", helm={"valueFiles": [name]})

    assert "valueFiles" in told or name in told
    assert problem in told


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("../../etc/passwd", "points out of the repository"),
        ("/etc/passwd", "etc/passwd: is not in the commit"),
        ("file:///etc/passwd", "is not in the commit"),
        ("https://example.com/color", "is not in the commit"),
    ],
)
async def test_a_file_parameter_is_one_of_the_repository(
    confined: Confined, repository: Repository, path: str, problem: str
) -> None:
    options = {"fileParameters": [{"name": "color", "path": path}]}

    assert problem in await refused(confined, repository.commit(CHART), path="chart", helm=options)


async def test_a_file_parameter_s_name_names_no_file(
    confined: Confined, repository: Repository, stolen: Path
) -> None:
    commit = repository.commit({**CHART, "chart/a": "x"})

    for name in (f"color={stolen},b", f"b=,color={stolen},c", "a,b", "a\\"):
        options = {"fileParameters": [{"name": name, "path": "a"}]}
        assert "helm.fileParameters" in await refused(confined, commit, path="chart", helm=options)
    nested = {"fileParameters": [{"name": r"color", "path": "a"}, {"name": r"b.c\,d[0]", "path": "a"}]}
    assert (await data(confined, commit, path="chart", helm=nested))[1] == {"color": "x"}


async def test_a_comma_in_a_path_begins_no_other_file(
    confined: Confined, repository: Repository, stolen: Path
) -> None:
    """helm takes lists where one file is named: `x,color=/stolen`, `x,/stolen`."""
    parameter, values = f"x,color={stolen}", f"x,{stolen}"
    files = {**CHART, "chart/x": "size: l\n", f"chart/{parameter}": "own", f"chart/{values}": "color: own\n"}
    commit = repository.commit(files)

    for options in (
        {"fileParameters": [{"name": "color", "path": parameter}]},
        {"valueFiles": [values]},
    ):
        assert (await data(confined, commit, path="chart", helm=options))[1] == {"color": "own"}


@pytest.mark.parametrize(
    "name", ["--set-file=color=/etc/passwd", "--post-renderer=/bin/sh", "-f/etc/passwd", "A b"]
)
def test_a_release_name_is_no_option(name: str) -> None:
    source = {"repoURL": "https://example.com/a.git", "path": "chart", "helm": {"releaseName": name}}

    with pytest.raises(SpecError) as error:
        validation.check(of(source))

    assert error.value.path == "spec.source.helm.releaseName"


async def test_what_begins_with_a_dash_is_a_name_for_helm_too(
    confined: Confined, repository: Repository, stolen: Path
) -> None:
    options = {"releaseName": f"--set-file=color={stolen}"}

    assert "release name" in await refused(confined, repository.commit(CHART), path="chart", helm=options)


@pytest.mark.parametrize("place", ["chart/extra.yaml", "values/extra.yaml"])
async def test_a_link_among_values_leads_to_nothing_outside(
    confined: Confined, repository: Repository, stolen: Path, place: str
) -> None:
    commit = repository.commit(CHART, {place: str(stolen)})
    options = {"valueFiles": [f"/{place}"]}

    assert f"{place}: is a symbolic link" in await refused(confined, commit, path="chart", helm=options)


@pytest.mark.parametrize("file", ["Chart.yaml", "Chart.lock", "requirements.yaml", "requirements.lock"])
@pytest.mark.parametrize("where", ["file://{}", "file://../../../../../../../..{}"])
async def test_a_chart_depends_on_charts_of_its_repository(
    confined: Confined, repository: Repository, tmp_path: Path, file: str, where: str
) -> None:
    other = tmp_path / "other"
    (other / "templates").mkdir(parents=True)
    (other / "Chart.yaml").write_text("apiVersion: v2\nname: other\nversion: 0.1.0\n")
    (other / "templates/a.yaml").write_text(config_map("stolen", color=STOLEN))
    entry = f"dependencies: [{{name: other, version: 0.1.0, repository: '{where.format(other)}'}}]\n"
    files = {**CHART, "common/Chart.yaml": "apiVersion: v2\nname: common\nversion: 0.1.0\n"}
    files |= {f"chart/{file}": files.get(f"chart/{file}", "") + entry}

    told = await refused(confined, repository.commit(files), path="chart")

    assert f"chart/{file}: " in told
    assert "repository" in told


@pytest.mark.parametrize(
    "line",
    [
        "configMapGenerator: [{{name: a, files: ['{}']}}]",
        "configMapGenerator: [{{name: a, envs: ['{}']}}]",
        "secretGenerator: [{{name: a, files: ['x={}']}}]",
        "patches: [{{path: '{}'}}]",
        "patchesStrategicMerge: ['{}']",
        "replacements: [{{path: '{}'}}]",
        "configurations: ['{}']",
        "openapi: {{path: '{}'}}",
        "crds: ['{}']",
        "transformers: ['{}']",
    ],
)
async def test_a_kustomization_reads_no_file_of_elsewhere(
    confined: Confined, repository: Repository, stolen: Path, line: str
) -> None:
    up = "../" * 12
    for place in (str(stolen), f"{up}{stolen}", f"file://{stolen}"):
        text = BASE["base/kustomization.yaml"] + line.format(place) + "\n"
        await refused(confined, repository.commit({**BASE, "base/kustomization.yaml": text}), path="base")


@pytest.mark.parametrize("option", ["patches", "components"])
async def test_an_option_of_kustomize_reads_no_file_of_elsewhere(
    confined: Confined, repository: Repository, stolen: Path, option: str
) -> None:
    commit = repository.commit(BASE)
    for place in (str(stolen), "../" * 12 + str(stolen)):
        entry: Any = {"path": place} if option == "patches" else place
        await refused(confined, commit, path="base", kustomize={option: [entry]})


async def test_a_generator_follows_no_link_out_of_the_repository(
    confined: Confined, repository: Repository, stolen: Path
) -> None:
    for line in ("files: [a.txt]", "envs: [a.txt]", "files: [up/stolen]"):
        text = f"configMapGenerator: [{{name: a, {line}}}]\n"
        links = {"base/a.txt": str(stolen), "base/up": str(stolen.parent)}
        told = await refused(
            confined, repository.commit({"base/kustomization.yaml": text}, links), path="base"
        )
        assert "is a symbolic link that points out of the repository" in told


async def test_what_a_program_says_is_the_same_each_time(confined: Confined, repository: Repository) -> None:
    """The directory that it was made in for a moment is nobody's business."""
    text = "resources: [settings.yaml]\nconfigMapGenerator: [{name: a, files: [missing.txt]}]\n"
    commit = repository.commit({**BASE, "base/kustomization.yaml": text})

    told = {await refused(confined, commit, path="base") for _ in range(2)}

    assert len(told) == 1
    assert "rollouts-render-" not in told.pop()


def of(source: dict[str, Any]) -> Application:

    return application(source=parse(ApplicationSource, source, "spec.source"))


@pytest.mark.parametrize(
    "line",
    [
        "configurations: ['{}']",
        "crds: ['{}']",
        "openapi: {{path: '{}'}}",
        "patches: [{{path: '{}'}}]",
        "patchesStrategicMerge: ['{}']",
        "patchesJson6902: [{{path: '{}', target: {{version: v1, kind: ConfigMap, name: a}}}}]",
        "replacements: [{{path: '{}'}}]",
        "configMapGenerator: [{{name: a, files: ['x={}']}}]",
        "secretGenerator: [{{name: a, envs: ['{}']}}]",
    ],
)
async def test_a_kustomization_fetches_nothing(repository: Repository, line: str) -> None:
    text = BASE["base/kustomization.yaml"] + line.format("http://127.0.0.1:8080/metrics") + "\n"
    commit = repository.commit({**BASE, "base/kustomization.yaml": text})

    with pytest.raises(RenderError, match=r"base/kustomization.yaml: \w+: http://.*: is somewhere else"):
        await kustomize.directories(commit, "base", KustomizeSource())


@pytest.mark.parametrize(
    ("links", "problem"),
    [
        ({"app/more": "../other"}, "is somewhere else"),
        ({"app/more": "again", "app/again": "../other"}, "is somewhere else"),
        ({"app/more": "up/other", "app/up": ".."}, "through other links"),
        ({"app/more": "more"}, "through other links"),
        ({"app/more": "../.."}, "points out of the repository"),
        ({"app/more": "/etc"}, "is a symbolic link that points out of the repository"),
    ],
)
async def test_behind_a_link_the_same_holds(
    confined: Confined, repository: Repository, links: dict[str, str], problem: str
) -> None:
    files = {
        "app/kustomization.yaml": "resources: [more]\n",
        "other/kustomization.yaml": "resources: ['https://example.com/base?ref=v1']\n",
    }

    assert problem in await refused(confined, repository.commit(files, links), path="app")


async def test_a_link_to_a_directory_of_the_repository_is_followed(
    confined: Confined, repository: Repository
) -> None:
    files = {"app/kustomization.yaml": "resources: [more]\n", **BASE}

    made = await data(confined, repository.commit(files, {"app/more": "../base"}), path="app")

    assert made == ("settings", {"color": "blue"})


async def test_what_says_what_is_read_is_not_encrypted(
    confined: Confined, repository: Repository, tools: Path
) -> None:
    """It was looked at before it was decrypted."""
    identity, recipient = made_key(tools)
    hidden = sealed(tools, recipient, "resources: [settings.yaml]\nnamePrefix: x-\n")
    given = replace(GIVEN, age_keys=identity)

    with pytest.raises(RenderError, match=r"base/kustomization.yaml: must not be encrypted"):
        await rendered(
            confined, repository.commit({**BASE, "base/kustomization.yaml": hidden}), given, path="base"
        )


def sealed(tools: Path, recipient: str, text: str) -> str:
    argv = [tools / "sops", "encrypt", "--age", recipient, "--encrypted-regex", "^namePrefix$", *AS_YAML]
    return subprocess.run(argv, input=text, capture_output=True, text=True, check=True).stdout
