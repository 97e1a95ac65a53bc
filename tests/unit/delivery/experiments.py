"""Experiments in the words of tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from rollouts.api.analysis import AnalysisPhase, AnalysisTemplateRef
from rollouts.api.experiment import (
    Experiment,
    ExperimentAnalysis,
    ExperimentSpec,
    ExperimentTemplate,
    TemplateService,
)
from rollouts.api.meta import ObjectMeta
from rollouts.api.selector import LabelSelector
from rollouts.simulate.experiments import ExperimentCluster
from tests import builders


def pods(name: str, *, service: str | None = None, ports: bool = True, **fields: Any) -> ExperimentTemplate:
    container = {"name": "main", "image": f"shop/{name}:1"} | (
        {"ports": [{"containerPort": 80}]} if ports else {}
    )
    return ExperimentTemplate(
        name=name,
        selector=fields.pop("selector", LabelSelector(match_labels={"app": name})),
        template={"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        service=None if service is None else TemplateService(service),
        **fields,
    )


def analysis(name: str, *, required: bool = False, **fields: Any) -> ExperimentAnalysis:
    return ExperimentAnalysis(name, "success-rate", required_for_completion=required, **fields)


class FakeExperiment(ExperimentCluster):
    def __init__(self, *templates: ExperimentTemplate, known: bool = True, **spec: Any) -> None:
        seconds = spec.pop("duration", None)
        duration = None if seconds is None else timedelta(seconds=seconds)
        metadata = ObjectMeta("web", "shop", "uid-experiment", generation=1)
        made = Experiment(metadata, ExperimentSpec(templates, duration, **spec))
        ref = AnalysisTemplateRef("success-rate")
        found = {ref: builders.template("success-rate") if known else None}
        super().__init__(made, builders.START, templates=found)

    def run(self, ready: Callable[[str], bool] = lambda name: True) -> None:
        """Until neither controller nor pods change anything; time stands still."""
        for _ in range(100):
            before = self.state()
            self.settle()
            self.replica_set_controller()
            for rs in self.sets.values():
                for pod in rs.pods:
                    pod.available = ready(rs.name)
            if self.state() == before:
                return
        raise AssertionError("the cluster does not come to rest")

    def tick(self, seconds: float, ready: Callable[[str], bool] = lambda name: True) -> None:
        self.now += timedelta(seconds=seconds)
        self.run(ready)

    def finish(self, run: str, phase: AnalysisPhase, message: str = "") -> None:
        self.runs[run] = replace(self.runs[run], phase=phase, message=message)
        self.run()

    def sizes(self) -> dict[str, int]:
        return {rs.name: rs.replicas for rs in self.sets.values()}

    def templates_are(self) -> list[str | None]:
        return [t.status and t.status.value for t in self.status.template_statuses]
