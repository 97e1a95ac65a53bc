"""One Rollout: observe, decide, apply, say when to look again.

What is decided is `rollouts.delivery`'s; here is only what a decision cannot see: the Rollout is gone, its
spec does not parse, the API server refuses the pods.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rollouts.api import mending
from rollouts.api.meta import Names, Reason
from rollouts.api.parse import timestamp
from rollouts.api.rollout import Rollout
from rollouts.api.rollout_status import ConfigCopy
from rollouts.controller import bodies, observe
from rollouts.controller.admission import Admissions
from rollouts.controller.apply import Applier, Collision, PodsRefused
from rollouts.controller.cache import Key, Record, controlling_owner
from rollouts.controller.configs import Configs
from rollouts.controller.links import Links
from rollouts.controller.loop import NOTHING_MORE, Next
from rollouts.controller.observe import Stores
from rollouts.controller.records import KnownRollout, Malformed
from rollouts.controller.routes import Routes
from rollouts.controller.webhooks import Caller
from rollouts.controller.workloads import Workloads
from rollouts.controller.writes import Writer
from rollouts.delivery import configs, podmetadata, snapshot
from rollouts.delivery import plan as delivery
from rollouts.delivery.actions import Event, EventType, Plan
from rollouts.errors import NotFound, Rejected, SpecError
from rollouts.kube import resources

__all__ = ["FIELD_MANAGER", "ORIGIN", "Reconciler"]

log = logging.getLogger(__name__)

ORIGIN = "rollout"
FIELD_MANAGER = "rollouts-delivery"


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Reconciles Rollouts by key."""

    stores: Stores
    templates_named: Links[Key, Key]
    """Rollouts and the templates that their analyses are made of."""
    managed_services: Links[Key, Key]
    """Services and the Rollout that their annotation names."""
    workloads: Workloads
    configs: Configs
    admissions: Admissions
    writer: Writer
    applier: Applier
    caller: Caller
    routes: Routes
    names: Names
    now: Callable[[], datetime]

    async def reconcile(self, key: Key) -> Next:
        record = self.stores.rollouts.get(key)
        if record is None:
            self.templates_named.set(key, ())
            self.workloads.follow(key, None)
            self.configs.follow(key, None)
            self.caller.forget(key)
            self.routes.forget(key)
            self.admissions.forget(key)
            self.applier.recorder.settle(str(key))
            await self._release_services(key, still_named=frozenset())
            return NOTHING_MORE
        known = record.value
        if known.metadata.deletion_timestamp:
            return NOTHING_MORE
        if isinstance(known, Malformed):
            following = await self._refuse(known, known.error)
            await self._mend(key, known)
            return following
        try:
            following = await self._advance(record, known)
        except SpecError as e:
            return await self._refuse(known, e)
        except PodsRefused as e:
            fault = SpecError("spec.template", None, f"the API server refuses the pods: {e}")
            await self._refuse(known, fault)
            raise
        except Rejected as e:
            told = Event(Reason.RECONCILIATION_ERROR, str(e), EventType.WARNING)
            await self.applier.recorder.post(known.metadata, told, self.now())
            raise
        await self._release_services(key, still_named=self.stores.services_named.targets(key))
        return following

    async def _advance(self, record: Record[KnownRollout | Malformed], known: KnownRollout) -> Next:
        now = self.now()
        workload = await self._workload(record.key, known)
        written = observe.resolved(known, workload)
        wanted = await self._copies(record, written)
        known = observe.copied(written, wanted)
        # Before the templates are looked at, so that one that is missing or malformed rings us when it changes.
        templates = observe.template_keys(self.stores, record.key.namespace, known.rollout.spec)
        self.templates_named.set(record.key, templates)
        answers = self.caller.answers(record.key, record.uid)
        seen = observe.observe(self.stores, record, known, names=self.names, now=now)
        routes = self.routes.seen(record.key, known.rollout)
        seen = replace(seen, workload=workload, webhook_answers=answers, routes=routes)
        seen = observe.with_copies(seen, written, wanted, self.configs.existing(*record.key[:1], record.uid))
        if observe.needs_pods(known, now) or podmetadata.needs_pods(seen):
            seen = replace(seen, pods=await self._pods(record, known.rollout))
        seen = replace(seen, admitted=self.admissions.admits(known, record.key))
        plan = delivery.decide(seen)
        self.admissions.decided(record.key, plan.status)
        try:
            wrote = await self.applier.apply(known, plan)
        except Collision:
            plan = delivery.collided(seen)
            wrote = await self.applier.apply(known, plan)
        checksum = plan.status.current_pod_hash
        self.caller.want(record.key, known.rollout, plan.calls, checksum)
        self.caller.tell(record.key, known.rollout, plan.events, checksum)
        _log(record.key, known, plan, wrote=wrote)
        # Routes are read when nothing else is to be done, so that no abort waits for a router.
        again = wrote or await self.routes.refresh(record.key, known.rollout)
        return Next(at=plan.requeue_at, again=again)

    async def _copies(
        self, record: Record[KnownRollout | Malformed], known: KnownRollout
    ) -> tuple[ConfigCopy, ...]:
        """What pods read in place of what the template names."""
        sets = self.stores.replica_sets.owned_by(record.uid)
        if known.rollout.spec.copy_config:
            self.configs.follow(record.key, configs.references(known.rollout.spec.template))
            return await self.configs.wanted(record.key, known.status.config_copies)
        self.configs.follow(record.key, () if any(rs.value.config_copies for rs in sets) else None)
        return ()

    async def _workload(self, key: Key, known: KnownRollout) -> snapshot.Workload | None:
        ref = known.rollout.spec.workload_ref
        self.workloads.follow(key, ref)
        return await self.workloads.find(key.namespace, ref) if ref else None

    async def _refuse(self, known: KnownRollout | Malformed, fault: SpecError) -> Next:
        plan = delivery.invalid(known.status, known.metadata.generation, fault, self.now())
        wrote = await self.applier.apply(known, plan)
        if wrote:
            log.warning("%s", fault, extra=_fields(known.metadata.key, "InvalidSpec"))
        return Next(at=plan.requeue_at, again=wrote)

    async def _mend(self, key: Key, malformed: Malformed) -> None:
        """Take out what makes the peer's clients fail on every list of the namespace, as the peer does."""
        if not self.names.is_the_peers or not malformed.error.path.startswith("spec.template."):
            return
        ref = self.stores.rollouts.ref(key)
        found = await self.writer.kube.get(ref)
        template = found["spec"].get("template") or {}
        patch = mending.json_patch(template, found["metadata"]["resourceVersion"])
        if patch:
            log.warning("taken out: %s", malformed.error, extra=_fields(str(key), "InvalidSpec"))
            answer = await self.writer.kube.json_patch(ref, patch, field_manager=FIELD_MANAGER)
            self.stores.rollouts.put(answer)

    async def _release_services(self, key: Key, *, still_named: frozenset[Key]) -> None:
        """Give back the Services that name a Rollout which does not name them any more."""
        for service in self.managed_services.sources(key) - still_named:
            record = self.stores.services.get(service)
            if record and (still_named or not await self._is_served_elsewhere(key)):
                patch = bodies.release_service(record.uid, record.value.resource_version, self.names)
                await self.writer.patch(self.stores.services, service, patch)

    async def _is_served_elsewhere(self, key: Key) -> bool:
        """The Rollout exists after all: another controller serves it (instance id)."""
        if self.stores.rollouts.get(key):
            return False
        try:
            await self.writer.kube.get(self.stores.rollouts.ref(key))
        except NotFound:
            return False
        return True

    async def _pods(self, record: Record[Any], rollout: Rollout) -> tuple[snapshot.Pod, ...]:
        """Pods of all ReplicaSets of a Rollout that are not over, listed live where `observe` asks for them."""
        sets = {r.uid: r.value.pod_template_hash for r in self.stores.replica_sets.owned_by(record.uid)}
        selector = ",".join(f"{k}={v}" for k, v in rollout.spec.selector.match_labels.items())
        listed = await self.writer.kube.list(resources.POD, record.key.namespace, label_selector=selector)
        return tuple(pod for body in listed.items if (pod := _pod(body, sets)))


def _pod(body: Mapping[str, Any], sets: Mapping[str, str]) -> snapshot.Pod | None:
    metadata = body["metadata"]
    owner = controlling_owner(metadata).get("uid", "")
    ended = (body.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    if owner not in sets or ended:
        return None
    conditions = (body.get("status") or {}).get("conditions") or ()
    return snapshot.Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        created_at=timestamp(metadata["creationTimestamp"], "metadata.creationTimestamp"),
        pod_template_hash=sets[owner],
        available=any(c["type"] == "Ready" and c["status"] == "True" for c in conditions),
        deleting="deletionTimestamp" in metadata,
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
    )


def _log(key: Key, known: KnownRollout, plan: Plan, *, wrote: bool) -> None:
    """One line for each decision that did something."""
    if not wrote:
        return
    status = plan.status
    done = ", ".join(type(action).__name__ for action in plan.actions) or "status"
    fields = {
        "rollout": str(key),
        "phase": status.phase,
        "revision": status.current_revision,
        "hash": status.current_pod_hash,
        "step": status.step,
        "reason": ",".join(event.reason for event in plan.events),
    }
    log.info("%s", done, extra={"fields": fields})


def _fields(key: str, reason: str) -> dict[str, object]:
    return {"fields": {"rollout": key, "reason": reason}}
