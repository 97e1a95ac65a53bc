"""Builds the Git half: its store, who rings whom, its controller and its tasks."""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from rollouts.api.application_status import ApplicationReason
from rollouts.controller.applications import gauges, records
from rollouts.controller.applications.apply import Applier
from rollouts.controller.applications.departure import Departure
from rollouts.controller.applications.hosting import Hosting
from rollouts.controller.applications.large import LargeFiles
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
from rollouts.controller.cache import Change, Key, Store
from rollouts.controller.events import Recorder
from rollouts.controller.links import Links
from rollouts.controller.loop import Controller
from rollouts.controller.parts import Environment, Part
from rollouts.controller.queue import Queue
from rollouts.controller.writes import Writer
from rollouts.errors import NotFound, Rejected
from rollouts.gitops.confined import Confined
from rollouts.gitops.sources import credentials
from rollouts.gitops.sources.credentials import Credentials, MissingError
from rollouts.gitops.sources.git import Git, SourceError
from rollouts.gitops.sources.github_app import GitHubApps
from rollouts.gitops.sources.lfs import Storage
from rollouts.kube import Kube, resources
from rollouts.settings import Settings

__all__ = ["part"]

OUTWARD = "application_outward"
OUTWARD_MANAGER = "rollouts-gitops-outward"
_OUTWARD_WORKERS = 32


def part(environment: Environment) -> Part:
    settings = environment.settings
    bell = _Bell(records.applications(), Queue(now=environment.now), Queue(now=environment.now), Links())
    sources = _sources(environment, bell)
    live = LiveObjects(environment.kube, environment.names, settings.namespace, bell.applications.add)
    reconciler = _reconciler(environment, bell, sources, live)
    outward = _outward(environment, bell, sources)
    # Who claims what is known before anybody is rung.
    bell.store.listen(reconciler.claims.listen)
    bell.store.listen(bell.ring)
    environment.metrics.gather(lambda: gauges.applications(bell.store))
    return Part(
        stores=(bell.store,),
        controllers=(
            Controller(
                ORIGIN,
                bell.applications,
                reconciler.reconcile,
                settings.application_workers,
                bell.store,
            ),
            Controller(OUTWARD, bell.outward, outward.reconcile, _OUTWARD_WORKERS, bell.store),
        ),
        tasks=(live.run, *_receivers(settings, sources.repositories)),
        close=functools.partial(_close, sources.repositories, live),
    )


@dataclass(frozen=True, slots=True)
class _Bell:
    """Listens on the store and rings the keys that a change concerns."""

    store: Store[KnownApplication]
    applications: Queue
    outward: Queue
    dependencies: Links[Key, Key]

    def ring(self, change: Change[KnownApplication]) -> None:
        self.outward.add(change.key)
        if change.origin != ORIGIN:
            self.applications.add(change.key)
        for dependent in self.dependencies.sources(change.key):
            self.applications.add(dependent)


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where manifests come from, and who is told how they went."""

    outside: Outside
    repositories: Repositories
    sets: Sets


def _sources(environment: Environment, bell: _Bell) -> _Sources:
    settings, kube = environment.settings, environment.kube
    outside = Outside(
        Git(settings.git_cache_dir / "home"),
        lambda namespace, secret: read_credentials(kube, namespace, secret),
        GitHubApps(environment.now),
    )
    repositories = Repositories(outside, settings.git_cache_dir, bell.applications.add)
    large = LargeFiles(outside, Storage(settings.git_cache_dir / "lfs"))
    sets = Sets(kube, repositories, Confined(settings.tools_dir), large)
    return _Sources(outside, repositories, sets)


def _reconciler(environment: Environment, bell: _Bell, sources: _Sources, live: LiveObjects) -> Reconciler:
    kube, names, now = environment.kube, environment.names, environment.now
    places, applier = Places(kube), Applier(kube, live, names)
    writer = Writer(kube, origin=ORIGIN, field_manager=FIELD_MANAGER)
    recorder = Recorder(kube, resources.APPLICATION, environment.metrics)
    return Reconciler(
        store=bell.store,
        claims=Claims(),
        dependencies=bell.dependencies,
        repositories=sources.repositories,
        sets=sources.sets,
        recorded=Recorded(sources.sets),
        places=places,
        live=live,
        applier=applier,
        departure=Departure(bell.store, places, live, applier, writer, recorder, now),
        writer=writer,
        recorder=recorder,
        names=names,
        now=now,
        cache_dir=environment.settings.git_cache_dir,
    )


def _outward(environment: Environment, bell: _Bell, sources: _Sources) -> Outward:
    kube, now, hosting = environment.kube, environment.now, Hosting(sources.outside)
    return Outward(
        bell.store,
        (
            CommitStatuses(hosting, now),
            LastGoodRecords(hosting, sources.repositories, bell.applications.add, now),
            Reverts(hosting, sources.repositories, sources.sets, now),
        ),
        Writer(kube, origin=OUTWARD, field_manager=OUTWARD_MANAGER),
        Recorder(kube, resources.APPLICATION, environment.metrics),
        now,
    )


def _receivers(settings: Settings, repositories: Repositories) -> Iterator[Callable[[], Awaitable[None]]]:
    if settings.webhook_address and settings.webhook_secret_file:
        yield Receiver(settings.webhook_address, settings.webhook_secret_file, repositories.look).serve


async def _close(repositories: Repositories, live: LiveObjects) -> None:
    await repositories.close()
    await live.close()


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
