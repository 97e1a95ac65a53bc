"""One Experiment: observe, decide, apply, say when to look again.

What is decided is `rollouts.delivery.experiments`'; here is only what a decision cannot see: the Experiment is gone,
its spec does not parse, the API server refuses its pods.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rollouts.api.analysis import AnalysisTemplateRef, AnalysisTemplateSpec
from rollouts.api.meta import Names, Reason
from rollouts.api.parse import stamp
from rollouts.controller import observe
from rollouts.controller.cache import Key, Record
from rollouts.controller.experiments.apply import Applier, Collision, TemplateRefused
from rollouts.controller.experiments.records import KnownExperiment
from rollouts.controller.links import Links
from rollouts.controller.loop import NOTHING_MORE, Next
from rollouts.controller.observe import Stores
from rollouts.delivery.actions import Event, EventType
from rollouts.delivery.experiments import conditions
from rollouts.delivery.experiments import plan as experiments
from rollouts.delivery.experiments.actions import Plan
from rollouts.delivery.experiments.snapshot import Snapshot, is_over
from rollouts.errors import Rejected, SpecError

__all__ = ["FIELD_MANAGER", "ORIGIN", "Reconciler"]

log = logging.getLogger(__name__)

ORIGIN = "experiment"
FIELD_MANAGER = "rollouts-delivery"


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Reconciles Experiments by key."""

    stores: Stores
    templates_named: Links[Key, Key]
    """Experiments and the templates that their analyses are made of."""
    applier: Applier
    names: Names
    now: Callable[[], datetime]

    async def reconcile(self, key: Key) -> Next:
        record = self.stores.experiments.get(key)
        if record is None:
            self.templates_named.set(key, ())
            self.applier.recorder.settle(str(key))
            return NOTHING_MORE
        known = record.value
        if known.metadata.deletion_timestamp:
            return NOTHING_MORE
        if known.experiment is None:
            assert known.error is not None, "what does not parse says why"
            return await self._refuse(known, known.error)
        try:
            return await self._advance(record, known)
        except Rejected as e:
            told = Event(Reason.RECONCILIATION_ERROR, str(e), EventType.WARNING)
            await self.applier.recorder.post(known.metadata, told, self.now())
            raise

    async def _advance(self, record: Record[KnownExperiment], known: KnownExperiment) -> Next:
        seen = self._observe(record, known)
        decided = experiments.decide(seen)
        try:
            wrote = await self.applier.apply(known, decided)
        except Collision as e:
            decided = experiments.collided(seen, e.template)
            wrote = await self.applier.apply(known, decided)
        except TemplateRefused as e:
            decided = experiments.refused(seen, e.template, str(e))
            wrote = await self.applier.apply(known, decided)
        if wrote:
            _log(record.key, decided)
        return Next(at=decided.requeue_at, again=wrote)

    def _observe(self, record: Record[KnownExperiment], known: KnownExperiment) -> Snapshot:
        assert known.experiment is not None, "only what parses is observed"
        stores, uid = self.stores, record.uid
        refs = [
            AnalysisTemplateRef(analysis.template_name, analysis.cluster_scope)
            for analysis in known.experiment.spec.analyses
        ]
        found = dict(observe.reachable(stores, record.key.namespace, refs))
        keys = {observe.template_key(ref, record.key.namespace) for ref in found}
        self.templates_named.set(record.key, keys)
        return Snapshot(
            experiment=known.experiment,
            now=self.now(),
            hashes=known.hashes,
            replica_sets=tuple(r.value for r in stores.replica_sets.owned_by(uid)),
            services=tuple(r.value for r in stores.services.owned_by(uid)),
            analysis_runs=tuple(r.value.view for r in stores.runs.owned_by(uid)),
            templates={ref: _usable(template) for ref, template in found.items()},
            names=self.names,
        )

    async def _refuse(self, known: KnownExperiment, fault: SpecError) -> Next:
        if is_over(known.status):
            return NOTHING_MORE
        decided = conditions.invalid(known.status, fault, stamp(self.now()))
        wrote = await self.applier.apply(known, decided)
        if wrote:
            fields = {"experiment": known.metadata.key, "reason": "InvalidSpec"}
            log.warning("%s", fault, extra={"fields": fields})
        return Next(again=wrote)


def _usable(template: AnalysisTemplateSpec | SpecError | None) -> AnalysisTemplateSpec | None:
    """One that does not parse is as good as none, and the analysis that needs it says so."""
    return None if isinstance(template, SpecError) else template


def _log(key: Key, decided: Plan) -> None:
    done = ", ".join(type(action).__name__ for action in decided.actions) or "status"
    reasons = ",".join(event.reason for event in decided.events)
    fields = {"experiment": str(key), "phase": decided.status.phase, "reason": reasons}
    log.info("%s", done, extra={"fields": fields})
