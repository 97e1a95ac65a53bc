"""A scenario as data: a Rollout, what people and pods do to it, and what is to be seen after each of it.

How it is written: docs/conformance.md. Decided here is the form only; `virtual` and `sandbox` play it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

NAME = "web"
"""Of the Rollout."""
METRICS = "${METRICS}"
"""Stands in a template for where its readings are served."""
_HERE = Path(__file__).parent
FILES = _HERE / "scenarios"
_CHAPTER_KEYS = frozenset({"do", "until", "then", "phases", "events"})
_SCENARIO_KEYS = frozenset(
    {"name", "about", "spec", "workload", "services", "templates", "pods", "metrics", "story"}
)
_DEEDS = frozenset(
    {"deploy", "spec", "measure", "unready", "ready", "budget", "select"}
    | {"promote", "promoteFull", "abort", "retry", "pause", "resume", "restart"}
)
_BEHAVIOUR = "sandbox.rollouts.dev/"
_READINGS: Mapping[str, float | None] = {"good": 1.0, "bad": 0.0, "doubtful": 0.7, "error": None}


@dataclass(frozen=True, slots=True)
class Chapter:
    """Things that are done, and what follows from them: `then` is everything to be seen at rest.

    `until` holds in addition: it says what is waited for. Without `then` nothing else is compared.
    """

    deeds: tuple[Mapping[str, Any], ...]
    until: Mapping[str, Any]
    then: Mapping[str, Any]
    phases: tuple[str, ...]
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    group: str
    """The file that it is written in: a class of scenarios."""
    about: str
    spec: Mapping[str, Any]
    services: tuple[str, ...]
    templates: tuple[str, ...]
    pods: Mapping[int, Mapping[str, str]]
    """How the pods of a version behave."""
    readings: Mapping[str, float | None]
    story: tuple[Chapter, ...]
    workload: int | None = None
    """So many replicas has the Deployment that the template is taken from, if there is one."""

    def template(self, version: int) -> Object:
        """The pod template of a version."""
        behaviour = {_BEHAVIOUR + key: str(value) for key, value in self.pods.get(version, {}).items()}
        metadata: Object = {"labels": {"app": NAME}}
        if behaviour:
            metadata["annotations"] = behaviour
        return {
            "metadata": metadata,
            "spec": {"containers": [{"name": "main", "image": f"{NAME}:{version}"}]},
        }

    def pods_spec(self, version: int = 1) -> Object:
        """Selector and template, where they are written."""
        return {"selector": {"matchLabels": {"app": NAME}}, "template": self.template(version)}

    def rollout(self) -> Object:
        return {
            "apiVersion": "rollouts.dev/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": NAME},
            "spec": {
                **(self.pods_spec() if self.workload is None else {}),
                **copy.deepcopy(dict(self.spec)),
            },
        }

    def deployment(self, replicas: int, version: int = 1) -> Object:
        """That the template is taken from."""
        spec = {**self.pods_spec(version), "replicas": replicas}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME}, "spec": spec}

    def objects(self) -> Iterator[Object]:
        """What is there before the Rollout."""
        if self.workload is not None:
            yield self.deployment(self.workload)
        for name in self.services:
            spec: Object = {"selector": {"app": NAME}, "ports": [{"port": 80}]}
            yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        for name in self.templates:
            yield {
                "apiVersion": "rollouts.dev/v1alpha1",
                "kind": "AnalysisTemplate",
                "metadata": {"name": name},
                "spec": copy.deepcopy(library()[name]),
            }


def library() -> Mapping[str, Any]:
    """The specs of the AnalysisTemplates that scenarios may name."""
    found: Mapping[str, Any] = yaml.safe_load((_HERE / "templates.yaml").read_text())
    return found


def scenarios() -> tuple[Scenario, ...]:
    found = tuple(s for file in sorted(FILES.glob("*.yaml")) for s in load(file))
    names = [s.name for s in found]
    assert len(set(names)) == len(names), "two scenarios have one name"
    return found


def load(file: Path) -> Iterator[Scenario]:
    for document in yaml.safe_load_all(file.read_text()):
        yield read(document, file.stem)


def patch_of(scenario: Scenario, deed: Mapping[str, Any]) -> Object:
    """The merge patch of the Rollout that a deed stands for; empty when it is none."""
    spec = copy.deepcopy(dict(deed.get("spec") or {}))
    if "deploy" in deed and scenario.workload is None:
        spec["template"] = _template_patch(scenario, deed["deploy"])
    return {"spec": spec} if spec else {}


def workload_patch_of(scenario: Scenario, deed: Mapping[str, Any]) -> Object:
    """The same of the Deployment that the template is taken from."""
    if "deploy" not in deed or scenario.workload is None:
        return {}
    return {"spec": {"template": _template_patch(scenario, deed["deploy"])}}


def _template_patch(scenario: Scenario, version: int) -> Object:
    """A merge patch would keep the annotations of another version."""
    template = scenario.template(version)
    absent = {_BEHAVIOUR + key: None for behaviour in scenario.pods.values() for key in behaviour}
    metadata = {"annotations": {**absent, **template["metadata"].get("annotations", {})}}
    return {"metadata": metadata, "spec": template["spec"]}


def reading(word: object) -> float | None:
    """`None`: the provider answers with an error."""
    return _READINGS[word] if isinstance(word, str) else float(str(word))


def read(document: Mapping[str, Any], group: str) -> Scenario:
    assert set(document) <= _SCENARIO_KEYS, f"unknown: {set(document) - _SCENARIO_KEYS}"
    return Scenario(
        name=document["name"],
        group=group,
        about=document["about"],
        spec=document["spec"],
        services=tuple(document.get("services") or ()),
        templates=tuple(document.get("templates") or ()),
        pods=document.get("pods") or {},
        readings={name: reading(word) for name, word in (document.get("metrics") or {}).items()},
        story=tuple(_chapter(raw) for raw in _from_the_start(document["story"])),
        workload=document.get("workload"),
    )


def _from_the_start(story: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """A story that begins with a deed begins when the first version is healthy."""
    return story if "do" not in story[0] else [{"until": {"phase": "Healthy"}}, *story]


def _chapter(raw: Mapping[str, Any]) -> Chapter:
    assert set(raw) <= _CHAPTER_KEYS, f"unknown: {set(raw) - _CHAPTER_KEYS}"
    written = raw.get("do") or []
    deeds = written if isinstance(written, list) else [written]
    done = tuple({deed: True} if isinstance(deed, str) else deed for deed in deeds)
    assert all(set(deed) <= _DEEDS for deed in done), f"unknown: {done}"
    return Chapter(
        deeds=done,
        until=raw.get("until") or {},
        then=raw.get("then") or {},
        phases=tuple(raw.get("phases") or ()),
        events=tuple(raw.get("events") or ()),
    )
