"""Sources rendered by the real programs: what they are taken for, what comes out, what is refused."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollouts.api.application import ApplicationSource
from rollouts.api.parse import parse
from rollouts.gitops.commit import CommitFiles
from rollouts.gitops.render import Rendered, RenderError
from rollouts.gitops.renderers import build
from rollouts.gitops.renderers.build import Given, SourceType
from rollouts.gitops.renderers.confined import Confined, Limits
from tests.unit.gitops.renderers.conftest import Repository

GIVEN = Given("shop", "prod")
AS_YAML = ("--input-type", "yaml", "--output-type", "yaml", "/dev/stdin")


def config_map(name: str, **data: str) -> str:
    lines = "".join(f"  {k}: {v}\n" for k, v in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n{lines}"


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


@pytest.fixture(scope="session")
def key(tools: Path) -> tuple[str, str]:
    return made_key(tools)


def made_key(tools: Path) -> tuple[str, str]:
    """An age identity and its recipient."""
    made = subprocess.run([tools / "age-keygen"], capture_output=True, text=True, check=True)
    recipient = next(line for line in made.stdout.splitlines() if "public key" in line).rpartition(" ")[2]
    return made.stdout, recipient


def encrypted(tools: Path, recipient: str, text: str) -> str:
    done = subprocess.run(
        [tools / "sops", "encrypt", "--age", recipient, "--encrypted-regex", "^(data|stringData)$", *AS_YAML],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


async def test_encrypted_files_are_read_with_the_age_keys(
    confined: Confined, tools: Path, repository: Repository, key: tuple[str, str]
) -> None:
    identity, recipient = key
    locked = encrypted(tools, recipient, config_map("locked", color="blue"))
    commit = repository.commit(
        {"app/a.yaml": locked, "k/kustomization.yaml": "resources: [a.yaml]", "k/a.yaml": locked}
    )
    given = replace(GIVEN, age_keys=identity)

    assert "blue" not in locked
    assert await data(confined, commit, given, path="app") == ("locked", {"color": "blue"})
    assert await data(confined, commit, given, path="k") == ("locked", {"color": "blue"})


async def test_a_file_for_somebody_else_or_tampered_with_is_refused_without_a_word_of_it(
    confined: Confined, tools: Path, repository: Repository, key: tuple[str, str]
) -> None:
    identity, recipient = key
    other, _ = made_key(tools)
    locked = encrypted(tools, recipient, config_map("locked", color="blue"))
    commit = repository.commit(
        {"app/a.yaml": locked, "bad/a.yaml": locked.replace("name: locked", "name: x")}
    )

    with pytest.raises(RenderError, match="none of the keys") as wrong:
        await data(confined, commit, replace(GIVEN, age_keys=other), path="app")
    with pytest.raises(RenderError, match="changed after it was encrypted"):
        await data(confined, commit, replace(GIVEN, age_keys=identity), path="bad")

    assert "AGE-SECRET" not in str(wrong.value)


async def test_values_of_secrets_are_not_in_errors(confined: Confined, repository: Repository) -> None:
    failing = config_map("a", color='{{ fail (printf "cannot use %s" .Values.password) }}')
    commit = repository.commit({**CHART, "chart/templates/settings.yaml": failing})
    given = replace(
        GIVEN, values=("password: hunter22\n",), confidential=("password: hunter22\n", "hunter22")
    )

    with pytest.raises(RenderError, match="cannot use …") as refused:
        await data(confined, commit, given, path="chart")

    assert "hunter22" not in str(refused.value)
