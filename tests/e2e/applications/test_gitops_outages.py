"""Git, the mirror or the whole history gone: what was good keeps running and being healed."""

from __future__ import annotations

import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rollouts import sandbox
from rollouts.kube import resources
from tests.api.harness import Object, eventually
from tests.e2e.applications import shop
from tests.e2e.applications.harness import App, Checkout, condition, config_map, shell

pytestmark = pytest.mark.e2e


async def test_the_last_good_set_outlives_its_commit_and_the_mirror(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    good = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url, timeout="2s")

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(good)
        other = Checkout.of(checkout.remote, tmp_path / "other")
        other.push({"settings.yaml": config_map("settings", color="red"), "pod.yaml": shop.text(_never())})
        await app.says("Ready", "False", "RevisionQuarantined")
        await eventually(lambda: _is(app, {"color": "blue"}))

    shell("git", "-C", str(repository.path), "gc", "--quiet", "--prune=now")
    async with app.bench.controller(git_cache_dir=tmp_path / "a-new-disk"):
        await app.kube.delete(resources.CONFIG_MAP.ref("settings", app.bench.namespace))
        await eventually(lambda: _is(app, {"color": "blue"}))

    assert (await app.status())["runningRevision"] == f"main@sha1:{good}"


async def test_while_git_is_gone_drift_is_healed_even_after_a_restart(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    good = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(good)

    moved = repository.path.with_suffix(".moved")
    repository.path.rename(moved)
    ref = resources.CONFIG_MAP.ref("settings", app.bench.namespace)
    async with app.bench.controller(git_cache_dir=tmp_path / "a-new-disk"):
        await app.kube.merge_patch(ref, {"data": {"color": "red"}}, field_manager="kubectl-edit")
        await eventually(lambda: _is(app, {"color": "blue"}))
        await app.says("Ready", "False", "GitOperationFailed")
        assert condition(await app.status(), "FetchFailed")["status"] == "True"
        assert (await app.status())["sync"]["status"] == "Unknown"
        moved.rename(repository.path)
        await app.runs(good)
        assert condition(await app.status(), "FetchFailed") == {}


async def test_a_repository_that_is_emptied_deletes_nothing(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    good = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url)
    ref = resources.CONFIG_MAP.ref("settings", app.bench.namespace)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(good)
        shell("git", "-C", str(repository.path), "update-ref", "-d", "refs/heads/main")
        await app.says("FetchFailed", "True", "RevisionNotFound")
        await app.kube.merge_patch(ref, {"data": {"color": "red"}}, field_manager="kubectl-edit")
        await eventually(lambda: _is(app, {"color": "blue"}))
        back = checkout.push({"settings.yaml": config_map("settings", color="green")})
        await app.runs(back)


async def test_two_applications_of_one_repository_share_its_mirror_and_fail_alone(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    commit = checkout.push({"a/settings.yaml": config_map("a"), "b/bad.yaml": "kind: ["})
    await app.create(repository.file_url, path="a")
    other = App(app.bench, "other")
    await other.create(repository.file_url, path="b")

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(commit)
        await other.says("Ready", "False", "RenderFailed")

    assert len(list((tmp_path / "git").glob("*.git"))) == 1


async def test_repositories_that_never_answer_hold_up_nobody_else(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    good = checkout.push({"settings.yaml": config_map("settings", color="blue")})

    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        for i in range(30):
            hanging = App(app.bench, f"hanging-{i}")
            await hanging.create(f"http://127.0.0.1:{silent.getsockname()[1]}/{i}.git")
        async with app.bench.controller(git_cache_dir=tmp_path / "git"):
            await app.create(repository.file_url)
            await app.runs(good, seconds=15)
            newer = checkout.push({"settings.yaml": config_map("settings", color="green")})
            await app.runs(newer, seconds=15)


async def test_one_object_in_two_applications_stays_with_the_first(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    files = {
        "a/settings.yaml": config_map("settings", by="a"),
        "b/settings.yaml": config_map("settings", by="b"),
    }
    commit = checkout.push(files)
    await app.create(repository.file_url, path="a")

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(commit)
        other = App(app.bench, "other")
        await other.create(repository.file_url, path="b")
        told = await other.says("Ready", "False", "NoGoodRevision")
        assert await app.config("settings") == {"by": "a"}
        # Once the first gives it up, the second may have it, and the first does not delete it.
        checkout.push({"a/settings.yaml": None, "a/else.yaml": config_map("else")})
        await eventually(lambda: _declares(app, "else"))
        await other.annotate(retry="now")
        await eventually(lambda: _is(app, {"by": "b"}))

    assert f"belongs to Application {app.bench.namespace}/shop" in told["message"]


async def test_objects_that_kubectl_made_are_taken_over(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, cluster: sandbox.Sandbox, tmp_path: Path
) -> None:
    made = tmp_path / "made.yaml"
    made.write_text(config_map("settings", color="blue", stale="1"))
    kubectl = (str(cluster.binaries.kubectl), f"--kubeconfig={cluster.kubeconfig}")
    apply = (*kubectl, "apply", f"--namespace={app.bench.namespace}", f"--filename={made}")
    shell(*apply)
    commit = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(commit)
        await eventually(lambda: _is(app, {"color": "blue"}))
        # And again, when somebody applies by hand what Git does not say.
        shell(*apply)
        await eventually(lambda: _is(app, {"color": "blue"}))

    found = await app.find(resources.CONFIG_MAP, "settings")
    assert found is not None
    assert not [a for a in found["metadata"].get("annotations") or {} if "last-applied" in a]


async def test_a_definition_and_its_objects_come_in_one_commit(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, cluster: sandbox.Sandbox, tmp_path: Path
) -> None:
    group = f"{app.bench.namespace}.example.org"
    thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "one"}, "spec": {"size": 1}}
    commit = checkout.push({"crd.yaml": shop.text(_definition(group)), "a-thing.yaml": shop.text(thing)})
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git", namespace=""):
        told = await app.says("Ready", "False", "ReconciliationFailed")
    administrator = App(replace(app.bench, kubeconfig=cluster.kubeconfig), app.name)
    async with administrator.bench.controller(git_cache_dir=tmp_path / "git", namespace=""):
        status = await app.runs(commit)

    assert "things cannot be watched" in told["message"]
    assert "forbidden" in told["message"]
    assert {r["kind"] for r in status["resources"]} == {"Thing", "CustomResourceDefinition"}


async def test_the_destination_s_namespace_is_created_where_that_is_asked_for(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    commit = checkout.push({"settings.yaml": config_map("settings")})
    elsewhere = f"{app.bench.namespace}-dest"
    policy = {"automated": {}, "syncOptions": ["CreateNamespace=true"]}
    await app.create(repository.file_url, destination={"namespace": elsewhere}, syncPolicy=policy)

    async with app.bench.controller(git_cache_dir=tmp_path / "git", namespace=""):
        await app.runs(commit)

    assert await app.kube.get(resources.CONFIG_MAP.ref("settings", elsewhere))


async def test_a_suspended_application_neither_syncs_nor_heals(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    good = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url)
    ref = resources.CONFIG_MAP.ref("settings", app.bench.namespace)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(good)
        await app.patch({"spec": {"suspend": True}})
        await app.kube.merge_patch(ref, {"data": {"color": "red"}}, field_manager="kubectl-edit")
        witness = App(app.bench, "witness")
        await witness.create(repository.file_url, path="w")
        checkout.push(
            {"w/settings.yaml": config_map("w"), "settings.yaml": config_map("settings", color="green")}
        )
        await eventually(lambda: _declares(witness, "w"))
        assert await app.config("settings") == {"color": "red"}
        await app.patch({"spec": {"suspend": False}})
        await eventually(lambda: _is(app, {"color": "green"}))


async def test_an_application_that_is_deleted_leaves_its_objects(
    app: App, checkout: Checkout, repository: sandbox.RepoInfo, tmp_path: Path
) -> None:
    good = checkout.push({"settings.yaml": config_map("settings", color="blue")})
    await app.create(repository.file_url)

    async with app.bench.controller(git_cache_dir=tmp_path / "git"):
        await app.runs(good)
        await app.kube.delete(resources.APPLICATION.ref(app.name, app.bench.namespace))

    assert await app.config("settings") == {"color": "blue"}
    shutil.rmtree(tmp_path / "git")


async def _is(app: App, expected: dict[str, str]) -> bool:
    return await app.config("settings") == expected


async def _declares(app: App, name: str) -> bool:
    return any(r["name"] == name for r in (await app.status()).get("resources") or ())


def _never() -> Object:
    """A pod that is never ready."""
    annotations = {"sandbox.rollouts.dev/ready": "never"}
    spec: Any = {"containers": [{"name": "main", "image": "registry.example.com/never:1"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "never", "annotations": annotations},
        "spec": spec,
    }


def _definition(group: str) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
