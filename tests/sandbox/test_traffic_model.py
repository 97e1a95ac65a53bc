"""Who answers simulated requests, and how: evenly, honestly, and only from pods that are ready."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.sandbox import behaviour
from rollouts.sandbox.traffic import model
from rollouts.sandbox.traffic.model import Load, Pod, Request, Service
from rollouts.sandbox.traffic.record import Recorder


def pod_object(name: str, *, ready: bool = True, **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "shop",
            "name": name,
            "labels": {"app": "web", "rollouts-pod-template-hash": "abc"},
            "annotations": {f"sandbox.rollouts.dev/{key}": value for key, value in annotations.items()},
        },
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def service_object(rate: str | None, selector: dict[str, str] | None = None) -> dict[str, Any]:
    annotations = {} if rate is None else {behaviour.TRAFFIC: rate}
    return {
        "metadata": {"namespace": "shop", "name": "web", "annotations": annotations},
        "spec": {"selector": {"app": "web"} if selector is None else selector},
    }


def pod(name: str, **fields: Any) -> Pod:
    return model.pod_of(pod_object(name, **fields))


WEB = Service(key=("shop", "web"), selector={"app": "web"}, rate=100.0)


def sent(*pods: Pod, elapsed: float = 1.0, service: Service = WEB, seed: int = 1) -> list[Request]:
    return list(Load(random.Random(seed)).requests(model.backends([service], pods), elapsed=elapsed))


def test_requests_are_spread_evenly_over_the_ready_pods() -> None:
    counts = Counter(
        request.pod.key[1] for request in sent(pod("a"), pod("b"), pod("c"), pod("d")) if request.pod
    )

    assert counts == {"a": 25, "b": 25, "c": 25, "d": 25}


def test_a_pod_that_is_not_ready_or_leaves_receives_nothing() -> None:
    leaving = pod_object("leaving")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"

    requests = sent(pod("a"), pod("slow", ready=False), model.pod_of(leaving))

    assert {request.pod.key[1] for request in requests if request.pod} == {"a"}


def test_without_a_ready_pod_every_request_fails_with_503() -> None:
    requests = sent(pod("slow", ready=False))

    assert {(request.pod, request.code) for request in requests} == {(None, 503)}
    assert len(requests) == 100


@pytest.mark.parametrize("selector", [{"app": "other"}, {"app": "web", "tier": "front"}, {}])
def test_only_selected_pods_answer(selector: dict[str, str]) -> None:
    service = model.service_of(service_object("10", selector))
    assert service is not None

    assert {request.code for request in sent(pod("a"), service=service)} == {503}


def test_a_pod_of_another_namespace_does_not_answer() -> None:
    elsewhere = model.pod_of(
        {**pod_object("a"), "metadata": {**pod_object("a")["metadata"], "namespace": "x"}}
    )

    assert {request.code for request in sent(elsewhere)} == {503}


def test_a_pod_fails_the_share_of_requests_that_it_declares() -> None:
    codes = Counter(request.code for request in sent(pod("bad", **{"error-rate": "0.2"}), elapsed=100))

    assert 0.18 < codes[500] / codes.total() < 0.22


def test_a_pod_that_declares_nothing_never_fails() -> None:
    assert {request.code for request in sent(pod("good"), elapsed=100)} == {200}


def test_latency_is_around_what_the_pod_declares() -> None:
    seconds = [request.seconds for request in sent(pod("slow", **{"latency-ms": "200"}), elapsed=10)]

    assert all(0.1 <= one <= 0.3 for one in seconds)
    assert 0.18 < sum(seconds) / len(seconds) < 0.22


@pytest.mark.parametrize("text", ["fast", "", "-1", "nan", "inf"])
def test_unreadable_annotations_count_as_absent(text: str) -> None:
    read = pod("a", **{"error-rate": text, "latency-ms": text})

    assert (read.error_rate, read.latency_ms) == (0.0, model.DEFAULT_LATENCY_MS)
    assert model.service_of(service_object(text)) is None


def test_a_service_without_the_annotation_receives_nothing() -> None:
    assert model.service_of(service_object(None)) is None


@given(
    rate=st.floats(min_value=0.1, max_value=200),
    ticks=st.lists(st.floats(min_value=0, max_value=1), max_size=60),
)
def test_no_request_is_lost_or_invented_between_ticks(rate: float, ticks: list[float]) -> None:
    service = Service(key=("shop", "web"), selector={"app": "web"}, rate=rate)
    load, backends = Load(random.Random(0)), model.backends([service], [pod("a")])

    count = sum(len(list(load.requests(backends, elapsed=tick))) for tick in ticks)

    assert abs(count - rate * sum(ticks)) <= 1


def test_the_rollout_hash_names_the_version_and_the_deployment_hash_stands_in() -> None:
    of_deployment = pod_object("b")
    of_deployment["metadata"]["labels"] = {"pod-template-hash": "xyz"}

    assert (pod("a").template_hash, pod("a").rollout_hash) == ("abc", "abc")
    assert (model.pod_of(of_deployment).template_hash, model.pod_of(of_deployment).rollout_hash) == (
        "xyz",
        "",
    )


def test_counts_are_told_to_prometheus_and_to_tests() -> None:
    recorder = Recorder()
    for request in sent(pod("a"), pod("b"), elapsed=0.1):
        recorder.add(request)

    labels = 'namespace="shop",pod_template_hash="abc",rollouts_pod_template_hash="abc",service="web"'
    exposed = recorder.exposition().decode()
    assert f'http_requests_total{{code="200",{labels}}} 10.0' in exposed
    assert f'http_requests_total{{code="500",{labels}}} 0.0' in exposed
    assert f"http_request_duration_seconds_count{{{labels}}} 10.0" in exposed
    assert recorder.served() == {
        "shop/web": {
            "requests": 10,
            "codes": {"200": 10},
            "hashes": {"abc": {"200": 10}},
            "pods": {"a": {"200": 5}, "b": {"200": 5}},
        }
    }
