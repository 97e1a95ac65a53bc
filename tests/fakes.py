"""The product's simulated cluster in the words of tests: versions instead of pod templates.

Deterministic; time moves only when a test says so. `tests/sim`, `tests/golden` and the unit tests of
`delivery` drive it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from rollouts.api.analysis import AnalysisPhase, AnalysisTemplateRef, AnalysisTemplateSpec
from rollouts.api.meta import Names
from rollouts.api.rollout import Rollout
from rollouts.delivery.snapshot import MetricVerdict, PodTemplate
from rollouts.simulate.cluster import Cluster
from rollouts.simulate.pods import SimulatedSet
from tests import builders

Behaviour = Callable[[str], bool]
"""Whether pods of a version become available."""


class FakeCluster(Cluster):
    def __init__(
        self,
        rollout: Rollout,
        *,
        services: Iterable[str] = (),
        templates: Mapping[str, AnalysisTemplateSpec] | None = None,
        names: Names | None = None,
    ) -> None:
        self.version = "v1"
        template = builders.pod_template(self.version, rollout.metadata.name)
        super().__init__(
            replace(rollout, spec=replace(rollout.spec, template=template)),
            builders.START,
            services=services,
            templates={AnalysisTemplateRef(name): spec for name, spec in (templates or {}).items()},
            names=names,
        )

    def identity(self, template: Mapping[str, Any]) -> PodTemplate:
        del template
        return PodTemplate(digest=f"digest-{self.version}", hash=f"hash-{self.version}")

    def run(self, *, ready: Behaviour = lambda version: True, rounds: int = 100) -> None:
        """Until neither controller, ReplicaSets nor pods change anything; time stands still."""
        for _ in range(rounds):
            before = self.state()
            self.settle()
            self.replica_set_controller()
            self.make_ready(ready)
            if self.state() == before:
                return
        raise AssertionError("the cluster does not come to rest")

    def tick(self, seconds: float, *, ready: Behaviour = lambda version: True) -> None:
        self.now += timedelta(seconds=seconds)
        self.run(ready=ready)

    def make_ready(self, ready: Behaviour = lambda version: True) -> None:
        for rs in self.sets.values():
            for pod in rs.pods:
                pod.available = ready(rs.hash.removeprefix("hash-"))

    # people and Git

    def deploy(self, version: str) -> None:
        self.version = version
        self.edit(template=builders.pod_template(version, self.rollout.metadata.name))

    def finish_run(self, name: str, phase: AnalysisPhase, *, value: str = "", message: str = "") -> None:
        verdict = MetricVerdict("success-rate", value, "result[0] >= 0.95") if value else None
        self.runs[name] = replace(self.runs[name], phase=phase, message=message, decided_by=verdict)

    def finish_experiment(self, name: str, phase: AnalysisPhase, message: str = "") -> None:
        self.experiments[name] = replace(self.experiments[name], phase=phase, message=message)

    # answers

    def size(self, version: str) -> int:
        rs = self.of(version)
        return rs.replicas if rs else 0

    def of(self, version: str) -> SimulatedSet | None:
        return next((rs for rs in self.sets.values() if rs.hash == f"hash-{version}"), None)

    def sizes(self) -> dict[str, int]:
        return {rs.hash.removeprefix("hash-"): rs.replicas for rs in self.sets.values() if rs.replicas}

    def selected(self, service: str) -> str:
        found = self.services[service]
        assert found is not None
        return found.selected_hash.removeprefix("hash-")

    def reasons(self) -> list[str]:
        return [event.reason.value for event in self.told]
