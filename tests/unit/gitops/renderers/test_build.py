"""Sources rendered by the real programs: what they are taken for, what comes out, what is refused."""

from __future__ import annotations

import socket
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollouts.api.application import ApplicationSource
from rollouts.api.parse import parse
from rollouts.api.rendering import HelmSource
from rollouts.gitops.confined import Confined, Limits, ProgramFailed
from rollouts.gitops.renderers import build, helm
from rollouts.gitops.renderers.build import Given, SourceType
from rollouts.gitops.resources import render
from rollouts.gitops.resources.render import Rendered, RenderError
from rollouts.gitops.sources.commit import CommitFiles
from rollouts.gitops.sources.git import SourceError
from tests.unit.gitops.renderers.conftest import Repository

GIVEN = Given("shop", "prod")


def config_map(name: str, **data: str) -> str:
    lines = "".join(f"  {k}: {v}\n" for k, v in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n{lines}"


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
BASE = {
    "base/kustomization.yaml": "resources: [settings.yaml]\n",
    "base/settings.yaml": config_map("settings", color="blue"),
    "prod/kustomization.yaml": "resources: [../base]\nnamePrefix: old-\n",
}
CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 0.1.0\n",
    "chart/values.yaml": "color: blue\n",
    "chart/templates/settings.yaml": config_map("{{ .Release.Name }}", color="{{ .Values.color | quote }}"),
}


async def rendered(
    confined: Confined, files: CommitFiles, given: Given = GIVEN, /, **source: Any
) -> Rendered:
    spec = parse(ApplicationSource, {"repoURL": "https://example.com/a.git", **source}, "spec.source")
    return await build.rendered(confined, files, spec, await build.reading(files, spec), given)


async def data(confined: Confined, files: CommitFiles, given: Given = GIVEN, /, **source: Any) -> Any:
    (found,) = (await rendered(confined, files, given, **source)).manifests
    return found.key.name, found.body["data"]


@pytest.mark.parametrize(
    ("files", "options", "expected"),
    [
        ({"app/a.yaml": config_map("a")}, {}, SourceType.DIRECTORY),
        ({"app/kustomization.yml": ""}, {}, SourceType.KUSTOMIZE),
        ({"app/Chart.yaml": "name: a"}, {}, SourceType.HELM),
        ({"app/Chart.yaml": "name: a"}, {"directory": {"recurse": True}}, SourceType.DIRECTORY),
        ({"app/Chart.yaml": "name: a", "app/Kustomization": ""}, {"kustomize": {}}, SourceType.KUSTOMIZE),
    ],
)
async def test_a_source_is_what_the_spec_names_else_what_the_directory_holds(
    repository: Repository, files: dict[str, str], options: dict[str, Any], expected: SourceType
) -> None:
    commit = repository.commit(files)
    source = {"repoURL": "https://example.com/a.git", "path": "app", **options}

    found = await build.reading(commit, parse(ApplicationSource, source, "spec.source"))

    assert found.type is expected


async def test_an_overlay_is_built_with_the_options_laid_over_it(
    confined: Confined, repository: Repository
) -> None:
    commit = repository.commit(BASE)

    plain = await data(confined, commit, path="prod")
    patch = {"patch": '[{"op": "add", "path": "/data/size", "value": "l"}]', "target": {"kind": "ConfigMap"}}
    laid = await data(confined, commit, path="prod", kustomize={"namePrefix": "new-", "patches": [patch]})

    assert plain == ("old-settings", {"color": "blue"})
    assert laid == ("new-settings", {"color": "blue", "size": "l"})


async def test_a_base_outside_of_the_path_is_part_of_what_the_overlay_depends_on(
    repository: Repository,
) -> None:
    source = parse(ApplicationSource, {"repoURL": "https://example.com/a.git", "path": "prod"}, "spec.source")
    first = await build.reading(repository.commit(BASE), source)
    same = await build.reading(repository.commit({**BASE, "other/a.yaml": "a"}), source)
    changed = {**BASE, "base/settings.yaml": config_map("settings", color="red")}
    other = await build.reading(repository.commit(changed), source)

    assert first.beside == ("base",)
    assert first == same
    assert first.fingerprint != other.fingerprint


async def test_a_chart_takes_values_from_the_weakest_to_the_strongest(
    confined: Confined, repository: Repository
) -> None:
    commit = repository.commit({**CHART, "values/prod.yaml": "color: green\n"})
    files: dict[str, Any] = {"valueFiles": ["../values/prod.yaml"]}
    strong = {**files, "values": "color: text", "valuesObject": {"color": "object"}}
    strongest = {**strong, "parameters": [{"name": "color", "value": "a,b"}]}
    from_cluster = replace(GIVEN, values=("color: cluster\n",))

    assert await data(confined, commit, path="chart") == ("shop", {"color": "blue"})
    assert (await data(confined, commit, path="chart", helm=files))[1] == {"color": "green"}
    assert (await data(confined, commit, from_cluster, path="chart", helm=files))[1] == {"color": "cluster"}
    assert (await data(confined, commit, from_cluster, path="chart", helm=strong))[1] == {"color": "object"}
    assert (await data(confined, commit, path="chart", helm=strongest))[1] == {"color": "a,b"}


async def test_a_values_file_that_is_missing_is_an_error_unless_it_may_be(
    confined: Confined, repository: Repository
) -> None:
    commit = repository.commit(CHART)
    options = {"valueFiles": ["prod.yaml"]}

    with pytest.raises(RenderError, match=r"chart/prod\.yaml: is not in the commit"):
        await data(confined, commit, path="chart", helm=options)
    tolerant = await data(confined, commit, path="chart", helm={**options, "ignoreMissingValueFiles": True})

    assert tolerant == ("shop", {"color": "blue"})


async def test_a_chart_uses_the_charts_beside_it(confined: Confined, repository: Repository) -> None:
    dependency = "dependencies:\n- {name: common, version: 0.1.0, repository: 'file://../common'}\n"
    commit = repository.commit(
        {
            **CHART,
            "chart/Chart.yaml": CHART["chart/Chart.yaml"] + dependency,
            "common/Chart.yaml": "apiVersion: v2\nname: common\nversion: 0.1.0\n",
            "common/templates/more.yaml": config_map("more", size="l"),
        }
    )

    found = await rendered(confined, commit, path="chart")

    assert sorted(m.key.name for m in found.manifests) == ["more", "shop"]


async def test_what_a_chart_cannot_render_names_the_template(
    confined: Confined, repository: Repository
) -> None:
    broken = {**CHART, "chart/templates/settings.yaml": "apiVersion: v1\nkind: ConfigMap\n"}

    with pytest.raises(RenderError, match=r"chart/templates/settings\.yaml:\d+ .*metadata: is required"):
        await rendered(confined, repository.commit(broken), path="chart")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("https://example.com/base?ref=v1", "is somewhere else"),
        ("github.com/org/repo//base?ref=v1", "is somewhere else"),
        ("git@github.com:org/repo.git", "is somewhere else"),
        ("../../../etc", "points out of the repository"),
        ("/etc/passwd", "is not in the commit"),
        ("missing.yaml", "is not in the commit"),
    ],
)
async def test_a_kustomization_refers_to_its_repository_only(
    confined: Confined, repository: Repository, entry: str, problem: str
) -> None:
    commit = repository.commit({"app/kustomization.yaml": f"resources: ['{entry}']\n"})

    with pytest.raises(RenderError, match=problem):
        await rendered(confined, commit, path="app")


async def test_a_link_out_of_the_repository_is_refused(
    confined: Confined, repository: Repository, tmp_path: Path
) -> None:
    (tmp_path / "secret.yaml").write_text(config_map("stolen"))
    kustomization = {"app/kustomization.yaml": "resources: [a.yaml]\n"}
    absolute = repository.commit(kustomization, {"app/a.yaml": str(tmp_path / "secret.yaml")})
    with pytest.raises(RenderError, match=r"app/a\.yaml: is a symbolic link that points out"):
        await rendered(confined, absolute, path="app")

    # Each link alone stays inside; together they do not.
    chain = {"app/a.yaml": "up/../secret.yaml", "app/up": "..", "app/x/y": "../up/up"}
    with pytest.raises(RenderError):
        await rendered(confined, repository.commit(kustomization, chain), path="app")


async def test_a_link_within_the_repository_is_followed(confined: Confined, repository: Repository) -> None:
    files = {
        "app/kustomization.yaml": "resources: [a.yaml]\n",
        "app/real/a.yaml": config_map("linked", color="blue"),
    }
    commit = repository.commit(files, {"app/a.yaml": "real/a.yaml"})

    assert (await data(confined, commit, path="app"))[0] == "linked"


async def test_a_chart_cannot_read_files_outside_of_itself(
    confined: Confined, repository: Repository
) -> None:
    template = config_map("a", secret='{{ .Files.Get "../other/secret" | quote }}')
    commit = repository.commit({**CHART, "chart/templates/settings.yaml": template, "other/secret": "hidden"})

    assert (await data(confined, commit, path="chart"))[1] == {"secret": ""}


async def test_a_chart_that_calls_out_reaches_nobody(tools: Path, repository: Repository) -> None:
    """No lookup in the cluster, no name service, no chart from elsewhere."""
    asks = '{{ len (lookup "v1" "Secret" "prod" "a") }} {{ getHostByName "localhost" | quote | len }}'
    quiet = repository.commit({**CHART, "chart/templates/settings.yaml": config_map("a", said=f"'{asks}'")})
    assert (await data(Confined(tools), quiet, path="chart"))[1] == {"said": "0 2"}

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        needs = f"dependencies: [{{name: other, version: 1.0.0, repository: '{url}'}}]\n"
        loud = repository.commit({**CHART, "chart/Chart.yaml": CHART["chart/Chart.yaml"] + needs})
        with pytest.raises(RenderError, match=r"missing in charts/ directory"):
            await rendered(Confined(tools), loud, path="chart")
        with pytest.raises(BlockingIOError):
            listening.accept()


async def test_a_confined_program_has_no_network(tmp_path: Path) -> None:
    python = Path(sys.executable).resolve()  # noqa: ASYNC240
    confined = Confined(python.parent)
    if "--net" not in await confined._wrapping():
        pytest.skip("this kernel grants no network namespace")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        call = f"import socket; socket.create_connection(('127.0.0.1', {listening.getsockname()[1]}))"
        with pytest.raises(ProgramFailed, match="unreachable"):
            await confined.run(python.name, ["-S", "-c", call], directory=tmp_path, home=tmp_path)


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({"app/a.yaml": LFS}, {"path": "app"}),
        ({"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": LFS}, {"path": "app"}),
        ({**CHART, "chart/charts/other-1.0.0.tgz": LFS}, {"path": "chart"}),
        ({**CHART, "prod.yaml": LFS}, {"path": "chart", "helm": {"valueFiles": ["/prod.yaml"]}}),
    ],
)
async def test_a_pointer_of_git_lfs_is_named(
    confined: Confined, repository: Repository, files: dict[str, str], source: dict[str, Any]
) -> None:
    with pytest.raises(
        RenderError, match=r"(a\.yaml|other-1\.0\.0\.tgz|prod\.yaml): is a pointer of Git LFS"
    ):
        await rendered(confined, repository.commit(files), **source)


async def test_a_picture_that_git_lfs_keeps_is_nobody_s_concern(
    confined: Confined, repository: Repository
) -> None:
    commit = repository.commit({**CHART, "chart/logo.png": LFS})

    assert (await data(confined, commit, path="chart"))[1] == {"color": "blue"}


async def test_values_files_come_from_another_source(confined: Confined, repository: Repository) -> None:
    chart = repository.commit(CHART)
    values = repository.commit({"prod/values.yaml": "color: red\n"})
    spec = parse(
        ApplicationSource,
        {
            "repoURL": "https://a",
            "path": "chart",
            "helm": {"valueFiles": ["$values/prod/../prod/values.yaml"]},
        },
        "spec.source",
    )

    found = await build.reading(chart, spec, {"values": values})
    (made,) = (await build.rendered(confined, chart, spec, found, GIVEN, {"values": values})).manifests

    assert made.body["data"] == {"color": "red"}
    assert found.outside == {"values": ("prod/values.yaml",)}
    other = repository.commit({"prod/values.yaml": "color: green\n"})
    assert (await build.reading(chart, spec, {"values": other})).fingerprint != found.fingerprint
    with pytest.raises(RenderError, match="no source has this ref"):
        await build.reading(chart, spec)


async def test_a_values_file_that_is_missing_in_another_source_is_named(
    confined: Confined, repository: Repository
) -> None:
    commit = repository.commit(CHART)
    values = {"valueFiles": ["$values/none.yaml"]}
    spec = parse(ApplicationSource, {"repoURL": "https://a", "path": "chart", "helm": values}, "spec.source")
    found = await build.reading(commit, spec, {"values": commit})

    with pytest.raises(RenderError, match=r"\$values/none\.yaml: is not in the commit"):
        await build.rendered(confined, commit, spec, found, GIVEN, {"values": commit})


@pytest.mark.parametrize("name", ["$values/../../etc/passwd", "$values/a/../../b"])
def test_a_values_file_of_another_source_stays_in_it(name: str) -> None:
    with pytest.raises(RenderError, match="points out of the repository"):
        helm.value_files("chart", HelmSource(value_files=(name,)))


async def test_of_what_two_sources_declare_the_later_one_counts(
    confined: Confined, repository: Repository
) -> None:
    first = await rendered(
        confined, repository.commit({"a.yaml": config_map("a", by="1"), "b.yaml": config_map("b")})
    )
    second = await rendered(confined, repository.commit({"a.yaml": config_map("a", by="2")}))

    both = render.combined([first, second], namespace="prod")

    assert {m.key.name: m.body.get("data") for m in both.manifests} == {"a": {"by": 2}, "b": None}
    assert len({both.digest, first.digest, second.digest}) == 3


async def test_a_disk_that_is_full_is_not_the_commit_s_fault(
    confined: Confined, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

    with pytest.raises(SourceError, match="cannot be written to the controller's disk") as full:
        await rendered(confined, repository.commit(BASE), path="prod")

    assert not full.value.definite


async def test_a_chart_that_never_ends_is_stopped(tools: Path, repository: Repository) -> None:
    endless = "{{- range $i := until 100000 }}{{- range $j := until 100000 }}{{- end }}{{- end }}"
    commit = repository.commit({**CHART, "chart/templates/settings.yaml": endless})

    with pytest.raises(RenderError, match=r"limits of time|longer than 1 s"):
        await rendered(Confined(tools, Limits(seconds=1)), commit, path="chart")


async def test_a_chart_that_grows_without_end_is_stopped(tools: Path, repository: Repository) -> None:
    bomb = '{{- $s := "0123456789" }}{{- range until 40 }}{{- $s = printf "%s%s" $s $s }}{{- end }}{{ $s }}'
    commit = repository.commit({**CHART, "chart/templates/settings.yaml": bomb})

    with pytest.raises(RenderError, match=r"limits of time or memory"):
        await rendered(Confined(tools, Limits(memory_bytes=512 * 1024 * 1024)), commit, path="chart")


async def test_a_program_that_is_not_installed_is_named(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="kustomize is not in"):
        await rendered(Confined(tmp_path), repository.commit(BASE), path="prod")


async def test_variables_are_replaced_after_the_build(confined: Confined, repository: Repository) -> None:
    commit = repository.commit({"a.yaml": config_map("a", color="${color}", size="${size:-l}")})

    assert await data(confined, commit, replace(GIVEN, variables={"color": "red"})) == (
        "a",
        {"color": "red", "size": "l"},
    )


async def test_a_variable_that_is_not_set_names_the_file(confined: Confined, repository: Repository) -> None:
    commit = repository.commit({"a.yaml": config_map("a", color="${color}")})

    with pytest.raises(
        RenderError, match=r"a\.yaml:1 \(document 1\): \$\{color\}: variable color is not set"
    ):
        await data(confined, commit, replace(GIVEN, variables={}))


async def test_values_of_secrets_are_not_in_errors(confined: Confined, repository: Repository) -> None:
    failing = config_map("a", color='{{ fail (printf "cannot use %s" .Values.password) }}')
    commit = repository.commit({**CHART, "chart/templates/settings.yaml": failing})
    given = replace(
        GIVEN, values=("password: hunter22\n",), confidential=("password: hunter22\n", "hunter22")
    )

    with pytest.raises(RenderError, match="cannot use …") as refused:
        await data(confined, commit, given, path="chart")

    assert "hunter22" not in str(refused.value)
