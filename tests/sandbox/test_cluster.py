"""Pods live and die on a real control plane, as their annotations say."""

from __future__ import annotations

import subprocess

import pytest

from rollouts import sandbox
from rollouts.sandbox import Component, api
from tests.sandbox.conftest import Kubectl, deployment, eventually

pytestmark = pytest.mark.e2e


def ready(kubectl: Kubectl, name: str) -> int:
    replicas: int = kubectl.get("deployment", name).get("status", {}).get("readyReplicas", 0)
    return replicas


def test_the_server_says_its_real_version(kubectl: Kubectl) -> None:
    assert '"gitVersion":"v1.36.3"' in kubectl("get", "--raw", "/version").replace(" ", "")


def test_pods_become_ready_and_go_away(kubectl: Kubectl) -> None:
    kubectl.apply(deployment("web", replicas=5))
    eventually(lambda: ready(kubectl, "web") == 5)

    kubectl("delete", "deployment", "web", "--cascade=background")

    eventually(lambda: not kubectl.get("pods", "-l", "app=web")["items"])


def test_a_pod_that_is_never_ready_runs_all_the_same(kubectl: Kubectl) -> None:
    kubectl.apply(deployment("never", ready="never"), deployment("other"))
    eventually(lambda: ready(kubectl, "other") == 1)

    def phases() -> list[str]:
        return [pod["status"]["phase"] for pod in kubectl.get("pods", "-l", "app=never")["items"]]

    eventually(lambda: phases() == ["Running"])
    assert ready(kubectl, "never") == 0


def test_a_slow_pod_becomes_ready_later(kubectl: Kubectl) -> None:
    kubectl.apply(deployment("slow", ready_after="2s"))
    eventually(lambda: ready(kubectl, "slow") == 1)

    pod = kubectl.get("pods", "-l", "app=slow")["items"][0]
    conditions = {one["type"]: one["lastTransitionTime"] for one in pod["status"]["conditions"]}
    assert conditions["Ready"] > conditions["Initialized"]


def test_a_crashing_pod_is_ready_then_not_and_counts_restarts(kubectl: Kubectl) -> None:
    kubectl.apply(deployment("crash", crash_after="1s"))

    def state() -> tuple[int, bool]:
        pods = kubectl.get("pods", "-l", "app=crash")["items"]
        containers = pods[0]["status"].get("containerStatuses", []) if pods else []
        return (containers[0]["restartCount"], containers[0]["ready"]) if containers else (0, False)

    eventually(lambda: state() == (1, False))
    eventually(lambda: state() == (1, True))


def test_a_job_completes(kubectl: Kubectl) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "example/a:1"}]}}
    kubectl.apply(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "once"},
            "spec": {"template": template},
        }
    )

    eventually(lambda: kubectl.get("job", "once")["status"].get("succeeded") == 1)


def test_an_account_has_exactly_its_own_rights(running: sandbox.Sandbox, kubectl: Kubectl) -> None:
    kubectl("create", "serviceaccount", "reader")
    kubectl("create", "role", "reader", "--verb=list", "--resource=configmaps")
    kubectl("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:reader")

    reader = Kubectl(running.binaries.kubectl, running.kubeconfig_for_service_account("default", "reader"))

    assert "system:serviceaccount:default:reader" in reader("auth", "whoami")
    assert reader.get("configmaps")["items"]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        reader.get("secrets")
    assert "forbidden" in refused.value.stderr


def test_the_api_server_comes_back_at_its_address_with_its_objects(
    running: sandbox.Sandbox, kubectl: Kubectl
) -> None:
    kubectl("create", "configmap", "kept")
    url = running.api_url

    running.restart(Component.API_SERVER)

    assert running.api_url == url
    assert kubectl.get("configmap", "kept")["metadata"]["name"] == "kept"


def test_nobody_reaches_the_store_or_the_api_server_without_a_certificate(running: sandbox.Sandbox) -> None:
    refused = subprocess.run(
        [running.binaries.kubectl, f"--server={running.api_url}", "--kubeconfig=/dev/null",
         f"--certificate-authority={running.certificate_authority}", "--username=", "get", "--raw", "/api/v1/secrets"],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert refused.returncode != 0
    assert not api.answers(f"https://{running.api_url.removeprefix('https://')}/readyz")
