"""An Experiment and the objects that it makes, as the API server takes them. Pure.

Decides names, labels, annotations and owners as Argo Rollouts puts them; not when one is made. Called by `apply`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from rollouts.api.experiment import Experiment, ExperimentSpec, ExperimentTemplate, TemplateService
from rollouts.api.experiment_step import RolloutExperimentTemplate, SpecRef
from rollouts.api.meta import POD_TEMPLATE_HASH_LABEL, Names
from rollouts.api.parse import dump, parse
from rollouts.api.podmetadata import PodTemplateMetadata
from rollouts.api.rollout import Rollout
from rollouts.api.selector import LabelSelector
from rollouts.controller.bodies import owner_reference
from rollouts.delivery.actions import CreateExperiment
from rollouts.delivery.experiments.actions import CreateService, CreateTemplateSet

__all__ = ["experiment", "replica_set", "service"]

Object = dict[str, Any]


def experiment(
    action: CreateExperiment,
    rollout: Rollout,
    sources: Mapping[SpecRef, Mapping[str, Any]],
    names: Names,
    instance_id: str,
) -> Object:
    """The Experiment of a step; `sources` are the ReplicaSets of both sides."""
    step = action.step
    spec = ExperimentSpec(
        templates=tuple(_step_template(t, sources[t.spec_ref]["spec"]) for t in step.templates),
        duration=step.duration,
        progress_deadline_seconds=rollout.spec.progress_deadline_seconds,
        analyses=action.analyses,
        scale_down_delay_seconds=step.scale_down_delay_seconds,
        dry_run=step.dry_run,
        analysis_run_metadata=step.analysis_run_metadata,
    )
    instance = {names.instance_id_label: instance_id} if instance_id else {}
    return {
        "apiVersion": names.api_version,
        "kind": "Experiment",
        "metadata": {
            "name": action.name,
            "namespace": rollout.metadata.namespace,
            "labels": {**action.labels, **instance},
            "annotations": dict(action.annotations),
            "ownerReferences": [owner_reference(rollout, names)],
        },
        "spec": dump(spec),
    }


def replica_set(action: CreateTemplateSet, experiment: Experiment, names: Names) -> Object:
    template = _template(experiment, action.template)
    metadata = template.template.get("metadata") or {}
    labels = _labels(template, action.pod_template_hash)
    selector = dump(template.selector)
    matched = {**selector.get("matchLabels", {}), POD_TEMPLATE_HASH_LABEL: action.pod_template_hash}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {**_metadata(action.name, action.template, experiment, names), "labels": labels},
        "spec": {
            "replicas": action.replicas,
            "minReadySeconds": template.min_ready_seconds,
            "selector": {**selector, "matchLabels": matched},
            "template": {**template.template, "metadata": {**metadata, "labels": labels}},
        },
    }


def service(action: CreateService, experiment: Experiment, names: Names) -> Object:
    template = _template(experiment, action.template)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(action.name, action.template, experiment, names),
        "spec": {
            "selector": _labels(template, action.pod_template_hash),
            "ports": list(_ports(template)),
        },
    }


def _step_template(wanted: RolloutExperimentTemplate, source: Mapping[str, Any]) -> ExperimentTemplate:
    """The pods of a ReplicaSet without its hash, with what the step adds to them."""
    extra, pods = wanted.metadata or PodTemplateMetadata(), source["template"]
    metadata = pods.get("metadata") or {}
    labels = {**_without_hash(metadata.get("labels")), **extra.labels}
    annotations = {**(metadata.get("annotations") or {}), **extra.annotations}
    selector = wanted.selector or parse(LabelSelector, source["selector"], "spec.selector")
    matched = {**_without_hash(selector.match_labels), **extra.labels}
    weighed = TemplateService() if wanted.weight is not None else None
    described = {**metadata, "labels": labels} | ({"annotations": annotations} if annotations else {})
    return ExperimentTemplate(
        name=wanted.name,
        selector=replace(selector, match_labels=matched),
        template={**pods, "metadata": described},
        replicas=wanted.replicas,
        min_ready_seconds=source.get("minReadySeconds", 0),
        service=wanted.service or weighed,
    )


def _without_hash(labels: Mapping[str, str] | None) -> Mapping[str, str]:
    return {key: value for key, value in (labels or {}).items() if key != POD_TEMPLATE_HASH_LABEL}


def _metadata(name: str, template: str, experiment: Experiment, names: Names) -> Object:
    return {
        "name": name,
        "namespace": experiment.metadata.namespace,
        "annotations": {
            names.experiment_name_annotation: experiment.metadata.name,
            names.experiment_template_annotation: template,
        },
        "ownerReferences": [owner_reference(experiment, names)],
    }


def _labels(template: ExperimentTemplate, pod_template_hash: str) -> Mapping[str, str]:
    labels = (template.template.get("metadata") or {}).get("labels") or {}
    return {**labels, POD_TEMPLATE_HASH_LABEL: pod_template_hash}


def _ports(template: ExperimentTemplate) -> Iterator[Object]:
    """Those of the containers; where there are several, each needs a name."""
    containers = (template.template.get("spec") or {}).get("containers") or ()
    ports = [port for container in containers for port in container.get("ports") or ()]
    for index, port in enumerate(ports):
        number = port["containerPort"]
        name = port.get("name") or (f"port-{index}" if len(ports) > 1 else "")
        yield {
            **({"name": name} if name else {}),
            "port": number,
            "targetPort": number,
            "protocol": port.get("protocol", "TCP"),
        }


def _template(experiment: Experiment, name: str) -> ExperimentTemplate:
    return next(template for template in experiment.spec.templates if template.name == name)
