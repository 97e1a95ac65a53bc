"""Stores and a record -> the Snapshot that a decision looks at. Reads memory only; decides nothing.

Pods are not in the stores, because only a restart needs them: the caller lists them live.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from rollouts.api.analysis import AnalysisTemplateRef, AnalysisTemplateSpec
from rollouts.api.meta import Names
from rollouts.api.rollout import RolloutSpec
from rollouts.api.rollout_status import ConfigCopy, Phase
from rollouts.controller import records
from rollouts.controller.cache import Key, Record, Store
from rollouts.controller.experiments.records import KnownExperiment
from rollouts.controller.links import Links
from rollouts.controller.records import KnownRollout, Malformed
from rollouts.controller.runs import KnownRun
from rollouts.delivery import configs, experiment_step, rolling, snapshot
from rollouts.delivery import workload as workloads
from rollouts.delivery.snapshot import Snapshot
from rollouts.errors import SpecError

__all__ = [
    "Stores",
    "copied",
    "needs_pods",
    "observe",
    "reachable",
    "resolved",
    "service_names",
    "template_key",
    "template_keys",
    "with_copies",
]


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that a decision about a Rollout is made from."""

    rollouts: Store[KnownRollout | Malformed]
    replica_sets: Store[snapshot.ReplicaSet]
    services: Store[snapshot.Service]
    runs: Store[KnownRun]
    templates: Store[AnalysisTemplateSpec | SpecError]
    cluster_templates: Store[AnalysisTemplateSpec | SpecError]
    experiments: Store[KnownExperiment]
    services_named: Links[Key, Key]
    """Rollouts and the Services in their specs."""


def observe(
    stores: Stores,
    record: Record[KnownRollout | Malformed],
    known: KnownRollout,
    *,
    names: Names,
    now: datetime,
) -> Snapshot:
    key, rollout = record.key, known.rollout
    vouched = rollout.metadata.annotations.get(names.fast_rollback_annotation)
    return Snapshot(
        rollout=rollout,
        template=known.template,
        now=now,
        names=names,
        replica_sets=tuple(r.value for r in stores.replica_sets.owned_by(record.uid)),
        services=dict(_services(stores, key, rollout.spec)),
        rivals=dict(_rivals(stores, key, rollout.spec)),
        analysis_runs=tuple(r.value.view for r in stores.runs.owned_by(record.uid)),
        experiments=tuple(r.value.view for r in stores.experiments.owned_by(record.uid)),
        templates=_templates(stores, key.namespace, rollout.spec),
        fast_rollback=vouched == known.template.digest,
    )


def resolved(known: KnownRollout, found: snapshot.Workload | None) -> KnownRollout:
    """The Rollout with the pod template that it takes from another object. Raises `SpecError`."""
    spec = workloads.resolved(known.rollout.spec, found)
    if spec is known.rollout.spec:
        return known
    template = records.pod_template(spec, known.status.collision_count)
    return KnownRollout(replace(known.rollout, spec=spec), template)


def copied(known: KnownRollout, copies: tuple[ConfigCopy, ...]) -> KnownRollout:
    """The Rollout with copies of its ConfigMaps and Secrets in place of those that its template names."""
    names = configs.known(copies)
    if not names:
        return known
    spec = known.rollout.spec
    template = configs.rewritten(spec.template, lambda config: names.get(config, config.name))
    spec = replace(spec, template=template)
    resolved_template = records.pod_template(spec, known.status.collision_count)
    return KnownRollout(replace(known.rollout, spec=spec), resolved_template)


def with_copies(
    seen: Snapshot,
    written: KnownRollout,
    wanted: tuple[ConfigCopy, ...],
    existing: tuple[snapshot.ExistingCopy, ...],
) -> Snapshot:
    """The Git half vouches for the template as it is written: that counts for content that has served before."""
    if not wanted and not existing:
        return seen
    seen = replace(seen, wanted_copies=wanted, existing_copies=existing)
    if not wanted:
        return seen
    vouched = seen.rollout.metadata.annotations.get(seen.names.fast_rollback_annotation)
    served = any(rs.template_digest == seen.template.digest for rs in seen.replica_sets)
    return replace(seen, fast_rollback=vouched == written.template.digest and served)


def needs_pods(known: KnownRollout, now: datetime) -> bool:
    """A restart is due and not carried out yet, or no pod may start before others are gone."""
    return _is_restart_due(known, now) or _is_being_recreated(known)


def _is_being_recreated(known: KnownRollout) -> bool:
    status, is_seen = known.status, known.status.observed_generation == str(known.metadata.generation)
    is_settled = is_seen and status.phase is Phase.HEALTHY and status.stable_rs == status.current_pod_hash
    return rolling.recreated(known.rollout.spec.strategy) is not None and not is_settled


def _is_restart_due(known: KnownRollout, now: datetime) -> bool:
    restart_at = known.rollout.spec.restart_at
    return restart_at is not None and restart_at <= now and known.rollout.status.restarted_at != restart_at


def service_names(spec: RolloutSpec) -> tuple[str, ...]:
    """Services that a spec names, each once."""
    return spec.strategy.service_names


def template_keys(stores: Stores, namespace: str, spec: RolloutSpec) -> set[Key]:
    """Keys of the templates that the spec names, and of those that they name."""
    return {template_key(ref, namespace) for ref, _ in reachable(stores, namespace, _references(spec))}


def _services(stores: Stores, key: Key, spec: RolloutSpec) -> Iterator[tuple[str, snapshot.Service | None]]:
    for name in service_names(spec):
        record = stores.services.get(Key(key.namespace, name))
        yield name, record.value if record else None


def _rivals(stores: Stores, key: Key, spec: RolloutSpec) -> Iterator[tuple[str, str]]:
    for name in service_names(spec):
        others = stores.services_named.sources(Key(key.namespace, name)) - {key}
        if others:
            yield name, min(others).name


def _templates(
    stores: Stores, namespace: str, spec: RolloutSpec
) -> Mapping[AnalysisTemplateRef, AnalysisTemplateSpec | None]:
    """Raises `SpecError` for a template that does not parse."""
    found: dict[AnalysisTemplateRef, AnalysisTemplateSpec | None] = {}
    for ref, template in reachable(stores, namespace, _references(spec)):
        if isinstance(template, SpecError):
            kind = "ClusterAnalysisTemplate" if ref.cluster_scope else "AnalysisTemplate"
            raise SpecError("spec.strategy", ref.template_name, f"{kind} cannot be used: {template}")
        found[ref] = template
    return found


def reachable(
    stores: Stores, namespace: str, refs: Iterable[AnalysisTemplateRef]
) -> Iterator[tuple[AnalysisTemplateRef, AnalysisTemplateSpec | SpecError | None]]:
    """The templates that are named and those that they name, each once."""
    wanted = list(refs)
    met: set[AnalysisTemplateRef] = set()
    while wanted:
        ref = wanted.pop()
        if ref in met:
            continue
        met.add(ref)
        store = stores.cluster_templates if ref.cluster_scope else stores.templates
        record = store.get(template_key(ref, namespace))
        template = record.value if record else None
        yield ref, template
        if isinstance(template, AnalysisTemplateSpec):
            wanted.extend(template.templates)


def template_key(ref: AnalysisTemplateRef, namespace: str) -> Key:
    return Key("" if ref.cluster_scope else namespace, ref.template_name)


def _references(spec: RolloutSpec) -> Iterator[AnalysisTemplateRef]:
    yield from (ref for analysis in rolling.analyses(spec) for ref in analysis.templates)
    yield from experiment_step.references(spec)
