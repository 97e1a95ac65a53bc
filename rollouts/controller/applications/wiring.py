"""Builds the Git half: its store, who rings whom, its controller and its tasks."""

from __future__ import annotations

import base64
import binascii

from rollouts.api.application_status import ApplicationReason
from rollouts.controller.applications import gauges, records
from rollouts.controller.applications.apply import Applier
from rollouts.controller.applications.departure import Departure
from rollouts.controller.applications.hosting import Hosting
from rollouts.controller.applications.live import ORIGIN, LiveObjects
from rollouts.controller.applications.outward import Outward
from rollouts.controller.applications.places import Places
from rollouts.controller.applications.receiver import Receiver
from rollouts.controller.applications.reconcile import FIELD_MANAGER, Reconciler
from rollouts.controller.applications.recorded import Recorded
from rollouts.controller.applications.recording import LastGoodRecords
from rollouts.controller.applications.records import Claims, KnownApplication
from rollouts.controller.applications.remotes import Outside
from rollouts.controller.applications.repositories import Repositories
from rollouts.controller.applications.reverts import Reverts
from rollouts.controller.applications.sets import Sets
from rollouts.controller.applications.telling import CommitStatuses
from rollouts.controller.cache import Change, Key
from rollouts.controller.events import Recorder
from rollouts.controller.links import Links
from rollouts.controller.loop import Controller
from rollouts.controller.parts import Environment, Part
from rollouts.controller.queue import Queue
from rollouts.controller.writes import Writer
from rollouts.errors import NotFound, Rejected
from rollouts.gitops import credentials
from rollouts.gitops.credentials import Credentials, MissingError
from rollouts.gitops.git import Git, SourceError
from rollouts.gitops.github_app import GitHubApps
from rollouts.gitops.renderers.confined import Confined
from rollouts.kube import Kube, resources

__all__ = ["part"]

OUTWARD = "application_outward"
OUTWARD_MANAGER = "rollouts-gitops-outward"
_OUTWARD_WORKERS = 32


def part(environment: Environment) -> Part:
    settings, kube, names = environment.settings, environment.kube, environment.names
    queue = Queue(now=environment.now)
    store, claims = records.applications(), Claims()
    dependencies: Links[Key, Key] = Links()
    store.listen(claims.listen)
    live = LiveObjects(kube, names, settings.namespace, queue.add)
    outside = Outside(
        Git(settings.git_cache_dir / "home"),
        lambda namespace, secret: read_credentials(kube, namespace, secret),
        GitHubApps(environment.now),
    )
    repositories = Repositories(outside, settings.git_cache_dir, queue.add)
    sets = Sets(kube, repositories, Confined(settings.tools_dir))
    places, applier = Places(kube), Applier(kube, live, names)
    writer = Writer(kube, origin=ORIGIN, field_manager=FIELD_MANAGER)
    recorder = Recorder(kube, resources.APPLICATION, environment.metrics)
    reconciler = Reconciler(
        store=store,
        claims=claims,
        dependencies=dependencies,
        repositories=repositories,
        sets=sets,
        recorded=Recorded(sets),
        places=places,
        live=live,
        applier=applier,
        departure=Departure(store, places, live, applier, writer, recorder, environment.now),
        writer=writer,
        recorder=recorder,
        names=names,
        now=environment.now,
        cache_dir=settings.git_cache_dir,
    )

    told, hosting = Queue(now=environment.now), Hosting(outside)
    outward = Outward(
        store,
        (
            CommitStatuses(hosting, environment.now),
            LastGoodRecords(hosting, repositories, queue.add, environment.now),
            Reverts(hosting, repositories, sets, environment.now),
        ),
        Writer(kube, origin=OUTWARD, field_manager=OUTWARD_MANAGER),
        Recorder(kube, resources.APPLICATION, environment.metrics),
        environment.now,
    )

    def ring(change: Change[KnownApplication]) -> None:
        told.add(change.key)
        if change.origin != ORIGIN:
            queue.add(change.key)
        for dependent in dependencies.sources(change.key):
            queue.add(dependent)

    store.listen(ring)
    environment.metrics.gather(lambda: gauges.applications(store))

    async def close() -> None:
        await repositories.close()
        await live.close()

    controller = Controller(ORIGIN, queue, reconciler.reconcile, settings.application_workers, store.keys)
    outward_controller = Controller(OUTWARD, told, outward.reconcile, _OUTWARD_WORKERS, store.keys)
    tasks = [live.run]
    if settings.webhook_address and settings.webhook_secret_file:
        receiver = Receiver(settings.webhook_address, settings.webhook_secret_file, repositories.look)
        tasks.append(receiver.serve)
    return Part(
        stores=(store,), controllers=(controller, outward_controller), tasks=tuple(tasks), close=close
    )


async def read_credentials(kube: Kube, namespace: str, name: str) -> Credentials:
    """The credentials in a Secret. Raises `SourceError`."""
    try:
        secret = await kube.get(resources.SECRET.ref(name, namespace))
    except NotFound:
        raise _unusable(f"Secret {namespace}/{name} of secretRef is not there") from None
    except Rejected as e:
        raise _unusable(f"Secret {namespace}/{name} of secretRef cannot be read: {e}") from None
    values = {key: _decoded(value) for key, value in (secret.get("data") or {}).items()}
    try:
        return credentials.of_secret(values)
    except MissingError as e:
        raise _unusable(f"Secret {namespace}/{name} of secretRef holds no credentials: {e}") from None


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode().strip()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _unusable(message: str) -> SourceError:
    return SourceError(ApplicationReason.AUTHENTICATION_FAILED, message, definite=True)
