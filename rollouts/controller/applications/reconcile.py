"""One Application: look at Git and at the cluster, decide, do, write the status if it differs.

Reads like the loop of every controller here; what is decided is `rollouts.gitops`'. Nothing that is kept in
memory is needed again after a restart: it only saves requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rollouts.api.application import (
    REFRESH_ANNOTATION,
    RETRY_ANNOTATION,
    ROLLBACK_ANNOTATION,
    SYNC_ANNOTATION,
    Application,
)
from rollouts.api.application_status import ApplicationStatus
from rollouts.api.meta import Names, ObjectMeta
from rollouts.controller.applications.apply import Applied, Applier
from rollouts.controller.applications.departure import Departure
from rollouts.controller.applications.given import depends_on_cluster
from rollouts.controller.applications.live import LiveObjects
from rollouts.controller.applications.places import Placed, Places
from rollouts.controller.applications.positions import Standing, wanted
from rollouts.controller.applications.recorded import Recorded
from rollouts.controller.applications.records import Claims, KnownApplication
from rollouts.controller.applications.repositories import Repositories
from rollouts.controller.applications.sets import Sets
from rollouts.controller.cache import Key, Store
from rollouts.controller.events import Recorder
from rollouts.controller.links import Links
from rollouts.controller.loop import NOTHING_MORE, Next
from rollouts.controller.writes import Writer, model_difference
from rollouts.errors import Rejected, SpecError, Transient
from rollouts.gitops import comparison, gates, plan, report, revision, validation
from rollouts.gitops.actions import ApplyObjects, Event, KeepGood, Plan, PruneObjects, RunHooks
from rollouts.gitops.events import healed_event, troubles
from rollouts.gitops.lastgood import UnreadableError
from rollouts.gitops.resources import hooks, inventory, options
from rollouts.gitops.resources.manifests import ObjectKey
from rollouts.gitops.resources.options import Policy
from rollouts.gitops.resources.render import Rendered, RenderError
from rollouts.gitops.revision import Candidate, Target
from rollouts.gitops.snapshot import (
    DeclaredSet,
    Healing,
    Snapshot,
    SourceFailure,
    SourceView,
    Tokens,
    Unrenderable,
)
from rollouts.gitops.sources.git import SourceError

__all__ = ["Reconciler"]

log = logging.getLogger(__name__)

FIELD_MANAGER = "rollouts-gitops"
_SECONDS = 240.0
_EQUAL_KEPT = 10_000
_WORDS = frozenset({"normal", "hard"})
"""Refresh values in Argo CD's fashion: the annotation is removed once it was handled."""


@dataclass(slots=True)
class _Memory:
    """What saves requests while this process lives."""

    equal: frozenset[tuple[str, str]] = frozenset()
    healings: Mapping[ObjectKey, Healing] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Source:
    view: SourceView
    rendered: Rendered | None = None


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Reconciles Applications by key."""

    store: Store[KnownApplication]
    claims: Claims
    dependencies: Links[Key, Key]
    repositories: Repositories
    sets: Sets
    recorded: Recorded
    places: Places
    live: LiveObjects
    applier: Applier
    departure: Departure
    writer: Writer
    recorder: Recorder
    names: Names
    now: Callable[[], datetime]
    cache_dir: Path
    memories: dict[Key, _Memory] = field(default_factory=dict)

    async def reconcile(self, key: Key) -> Next:
        record = self.store.get(key)
        if record is None:
            self._forget(key)
            return NOTHING_MORE
        known = record.value
        if known.metadata.deletion_timestamp:
            self.repositories.forget(key)
            await self.departure.go(key, known)
            return NOTHING_MORE
        try:
            self._check(known)
            return await self._serve(key, known)
        except SpecError as e:
            return await self._refuse(known, e)

    async def _serve(self, key: Key, known: KnownApplication) -> Next:
        named = gates.dependencies(known.metadata, known.application.spec)
        self.dependencies.set(key, (Key(*name) for name in named))
        if await self.departure.prepare(key, known):
            return Next(again=True)
        if known.application.spec.suspend:
            self.repositories.forget(key)
            self.live.need(key, ())
            return NOTHING_MORE
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._advance(key, known.application)
        except TimeoutError:
            raise Transient(f"Application {key} was not reconciled within {_SECONDS:g} s") from None

    async def _advance(self, key: Key, application: Application) -> Next:
        memory = self.memories.setdefault(key, _Memory())
        standing = self._follow(key, application)
        tokens = self._tokens(key, application, standing)
        source = await self._source(key, application, standing, tokens, memory)
        now = self.now()
        gate = gates.closed(application.metadata, application.spec, self._known, now)
        view, gate = await self.recorded.seen(application, source.view, gate)
        state = plan.begin(
            revision.from_status(application.status),
            view,
            tokens,
            spec=application.spec,
            now=now,
            gate=gate,
        )
        target = revision.target(state)
        snapshot = Snapshot(application, self.names, now, state, view, tokens, gate, target)
        rendered, problem = await self._target(application, snapshot.target, source)
        known = inventory.parse(application.status.inventory)
        placed = await self.places.placed(application, rendered, known)
        self.live.need(key, placed.watched)
        self.live.judge(key, application.spec.health_check_exprs)
        if self.live.waits_for(placed.watched):
            return NOTHING_MORE  # Rung when the kinds are listed.
        snapshot = self._complete(key, replace(snapshot, inventory=known), placed, problem, memory)
        return await self._act(snapshot, placed, rendered, memory)

    def _known(self, name: tuple[str, str]) -> gates.Known | None:
        record = self.store.get(Key(*name))
        if record is None or record.value.spec is None:
            return None
        return gates.Known(record.value.metadata, record.value.spec, record.value.status)

    async def _act(self, s: Snapshot, placed: Placed, rendered: Rendered | None, memory: _Memory) -> Next:
        decided, complaint = plan.decide(s), ""
        if s.source == SourceView() and not isinstance(decided.action, ApplyObjects):
            return NOTHING_MORE  # Git has not been asked yet: more than healing would be guessed.
        try:
            match decided.action:
                case ApplyObjects() as action:
                    decided, complaint = await self._apply(s, placed, decided, action, memory)
                case PruneObjects() as action:
                    gone, complaint = await self.applier.prune(
                        action.objects, lambda found: placed.resource(found.key)
                    )
                    decided = plan.pruned(s, gone, complaint)
                case RunHooks() as action:
                    decided = await self._run_hooks(s, placed, decided, action)
                case KeepGood(good) if rendered:
                    await self.sets.keep(s.application, good.revision, rendered)
        except Transient as e:
            await self._write(s, plan.troubled(s, str(e)))
            raise
        if decided.writes_status:
            await self._write(s, decided)
        if complaint:
            raise Rejected(complaint)  # The status says it; the queue backs off.
        return Next(at=_sooner(decided.requeue_at, _read_again_at(s)), again=decided.again)

    async def _run_hooks(self, s: Snapshot, placed: Placed, decided: Plan, action: RunHooks) -> Plan:
        done = await self.applier.run_hooks(action, placed.resource)
        return (
            plan.rejected(s, done.complaint) if done.refused and comparison.is_open(s.revisions) else decided
        )

    async def _apply(
        self, s: Snapshot, placed: Placed, decided: Plan, action: ApplyObjects, memory: _Memory
    ) -> tuple[Plan, str]:
        """Carry it out: what to do then, and what the API server refused outside of an attempt."""
        applied = await self.applier.apply(
            action,
            lambda change: placed.resource(change.manifest.key),
            lambda change, known: comparison.change(s, change.manifest, known),
        )
        memory.equal = _bounded(memory.equal | frozenset(applied.equal))
        await self._tell_healed(s, applied, memory)
        if applied.refused:
            complaint = "" if action.as_one else applied.complaint
            refused = plan.rejected(s, applied.complaint)
            if isinstance(refused.action, RunHooks):
                await self.applier.run_hooks(refused.action, placed.resource)
            return refused, complaint
        if applied.conflicts:
            raise applied.conflicts[0]
        return decided, ""

    async def _tell_healed(self, s: Snapshot, applied: Applied, memory: _Memory) -> None:
        if not comparison.is_settled(s.revisions) or not applied.written:
            return
        memory.healings = plan.healed(memory.healings, [c.manifest.key for c in applied.written], s.now)
        versions = [c.live.resource_version for c in applied.written if c.live]
        # Named after what was healed: the same drift, healed twice, is two facts.
        about = replace(s.application.metadata, resource_version="-".join([*versions[:3], str(s.now)]))
        await self.recorder.post(about, healed_event(applied.written), s.now)
        self.recorder.settle(about.key)

    def _follow(self, key: Key, application: Application) -> Standing | None:
        self.repositories.follow(key, wanted(application))
        return self.repositories.standing(key)

    def _tokens(self, key: Key, application: Application, standing: Standing | None) -> Tokens:
        """What people newly ask for. A refresh counts once Git has been asked since."""
        annotations, status = application.metadata.annotations, application.status
        refresh = annotations.get(REFRESH_ANNOTATION, "")
        if refresh and (refresh in _WORDS or refresh != status.last_handled_reconcile_at):
            token = f"{refresh}@{application.metadata.resource_version}" if refresh in _WORDS else refresh
            self.repositories.refresh(key, token)
            answered = standing is not None and standing.refreshed == token
            refresh = refresh if answered else ""
        else:
            refresh = ""
        return Tokens(
            refresh,
            _new(annotations.get(SYNC_ANNOTATION, ""), status.last_handled_sync_at),
            _new(annotations.get(RETRY_ANNOTATION, ""), status.last_handled_retry_at),
            _new(annotations.get(ROLLBACK_ANNOTATION, ""), status.last_handled_rollback_at),
        )

    async def _source(
        self,
        key: Key,
        application: Application,
        standing: Standing | None,
        tokens: Tokens,
        memory: _Memory,
    ) -> _Source:
        """What Git says, rendered."""
        if standing is None:
            return _Source(SourceView())
        failure = _failure(standing.failure)
        positions = standing.positions
        if not positions:
            return _Source(SourceView(failure=failure))
        try:
            if tokens.refresh == "hard" or tokens.retry:
                memory.equal = frozenset()
                await self.sets.forget(application, positions)
            rendered = await self.sets.at(application, positions)
        except RenderError as e:
            unrenderable = Unrenderable(standing.revision, str(e))
            return _Source(SourceView(unrenderable=unrenderable, failure=failure))
        except SourceError as e:
            log.warning("%s", e, extra={"fields": {"application": str(key)}})
            return _Source(SourceView(failure=_failure(e)))
        candidate = Candidate(standing.revision, rendered.digest)
        return _Source(SourceView(candidate=candidate, failure=failure), rendered)

    async def _target(
        self, application: Application, target: Target | None, source: _Source
    ) -> tuple[Rendered | None, str]:
        """The set that the cluster should hold, or why it cannot be had."""
        if target is None:
            return None, ""
        if source.rendered and source.rendered.digest == target.digest:
            return source.rendered, ""
        try:
            return await self.sets.target(application, target), ""
        except (SourceError, UnreadableError) as e:
            return None, f"{target.revision} cannot be had: {e}"

    def _complete(self, key: Key, s: Snapshot, placed: Placed, problem: str, memory: _Memory) -> Snapshot:
        problem = problem or self.live.problem(placed.watched)
        objects, found_hooks = hooks.split(placed.manifests)
        ignored = frozenset(m.key for m in objects if options.of(m.body["metadata"]).policy is Policy.IGNORE)
        objects = tuple(m for m in objects if m.key not in ignored)
        owned = self.live.of_owner(s.owner)
        declared = {m.key: found for m in placed.manifests if (found := placed.live(self.live, m.key))}
        live = {**owned, **declared}
        keys = {m.key for m in placed.manifests} | set(owned)
        return replace(
            s,
            declared=DeclaredSet(objects, found_hooks, ignored, placed.autoscaled, placed.refusal, problem),
            live=live,
            claimed=self.claims.by_others(key, keys),
            equal=memory.equal,
            healings=memory.healings,
        )

    async def _write(self, s: Snapshot, decided: Plan) -> None:
        """Events, then the status: a crash in between tells a thing twice, never not at all."""
        if s.source == SourceView():
            return
        await self._publish(s.application.metadata, s.application.status, decided.status, decided.events)
        if s.tokens.refresh in _WORDS:
            await self._remove_refresh(s.application.metadata)

    async def _publish(
        self,
        metadata: ObjectMeta,
        old: ApplicationStatus,
        new: ApplicationStatus,
        events: tuple[Event, ...],
    ) -> None:
        difference = model_difference(old, new)
        if not difference:
            return
        for event in events:
            await self.recorder.post(metadata, event, self.now())
        key = Key(metadata.namespace, metadata.name)
        precondition = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
        patch = {"metadata": precondition, "status": difference}
        await self.writer.patch(self.store, key, patch, subresource="status")
        self.recorder.settle(metadata.key)
        fields = {"application": str(key), "desired": new.desired_revision, "running": new.running_revision}
        reason = next((c.reason for c in new.conditions), "")
        log.info("%s", reason, extra={"fields": {**fields, "sync": new.sync.status}})

    async def _remove_refresh(self, metadata: ObjectMeta) -> None:
        key = Key(metadata.namespace, metadata.name)
        patch = {"metadata": {"uid": metadata.uid, "annotations": {REFRESH_ANNOTATION: None}}}
        await self.writer.patch(self.store, key, patch)

    def _check(self, known: KnownApplication) -> None:
        if known.error:
            raise known.error
        validation.check(known.application)
        for source in known.application.spec.every_source:
            url = urlsplit(source.repo_url)
            if url.scheme == "file" and Path(unquote(url.path)).resolve().is_relative_to(
                self.cache_dir.resolve()
            ):
                problem = "must not point into the controller's own mirrors"
                raise SpecError("spec.source.repoURL", None, problem)

    async def _refuse(self, known: KnownApplication, error: SpecError) -> Next:
        key = Key(known.metadata.namespace, known.metadata.name)
        self.repositories.forget(key)
        status = report.invalid(known.status, error, generation=known.metadata.generation, now=self.now())
        await self._publish(known.metadata, known.status, status, troubles(known.status, status))
        return NOTHING_MORE

    def _forget(self, key: Key) -> None:
        self.memories.pop(key, None)
        self.repositories.forget(key)
        self.live.judge(key, ())
        self.live.need(key, ())
        self.dependencies.set(key, ())
        self.recorder.settle(str(key))


def _failure(error: SourceError | None) -> SourceFailure | None:
    return SourceFailure(error.reason, str(error)) if error else None


def _read_again_at(s: Snapshot) -> datetime | None:
    """ConfigMaps and Secrets that a set is made from are not watched."""
    return s.now + s.application.spec.interval if depends_on_cluster(s.application) else None


def _sooner(a: datetime | None, b: datetime | None) -> datetime | None:
    return min((t for t in (a, b) if t is not None), default=None)


def _new(token: str, handled: str) -> str:
    return token if token != handled else ""


def _bounded(equal: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    return equal if len(equal) <= _EQUAL_KEPT else frozenset()
