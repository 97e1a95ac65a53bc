"""kopf at the door: a watch event goes into its store, nothing else happens here.

The only module that imports kopf. kopf owns discovery, watches, reconnects and credentials; it never
writes: only `on.event` handlers are registered, which leave no trace on objects. Handlers do no I/O and
return None, because kopf would patch a returned value into the status.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import kopf

from rollouts.controller.cache import Key, Store
from rollouts.kube import Kube

__all__ = ["watch"]

_DELETED = "DELETED"


class _NoEssence(kopf.DiffBaseStorage):
    """kopf copies every body to compare it with the one it handled last; nothing here asks for that.

    Measured: a quarter of kopf's time for an event.
    """

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        return


async def watch(
    kube: Kube, stores: Sequence[Store[Any]], namespace: str, *, ready: asyncio.Event, stop: asyncio.Event
) -> None:
    """Feed the stores from watches until `stop` is set. Raises when a watch dies.

    Tasks that are created while this runs are cancelled at its end: kopf takes them for its own. It also
    takes SIGTERM and SIGINT, until the caller sets handlers of its own after `ready`.
    """
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    await kopf.operator(
        registry=_registry(kube, stores),
        settings=_settings(stores, namespaced=bool(namespace)),
        standalone=True,
        clusterwide=not namespace,
        namespaces=(namespace,) if namespace else (),
        ready_flag=ready,
        stop_flag=stop,
    )


def _registry(kube: Kube, stores: Sequence[Store[Any]]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    for store in stores:
        _feed(registry, store)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        credentials = await kube.credentials()
        return kopf.ConnectionInfo(
            server=credentials.server,
            ca_path=credentials.ca_path,
            insecure=credentials.insecure,
            token=credentials.token,
            username=credentials.username,
            password=credentials.password,
            certificate_path=credentials.certificate_path,
            private_key_path=credentials.private_key_path,
        )

    return registry


def _feed(registry: kopf.OperatorRegistry, store: Store[Any]) -> None:
    resource = store.resource

    @kopf.on.event(
        group=resource.group,
        version=resource.version,
        plural=resource.plural,
        id=resource.plural,
        registry=registry,
    )
    async def seen(event: Any, **_: Any) -> None:
        body = event["object"]
        if event["type"] == _DELETED:
            metadata = body["metadata"]
            key = Key(metadata.get("namespace", ""), metadata["name"])
            store.drop(key, int(metadata["resourceVersion"]))
        else:
            store.put(body)


def _settings(stores: Sequence[Store[Any]], *, namespaced: bool) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoEssence()
    settings.watching.chunk_size = 500
    settings.watching.inactivity_timeout = 70
    settings.watching.server_timeout = 290
    settings.networking.connect_timeout = 5
    settings.networking.request_timeout = 60
    settings.queueing.idle_timeout = 0.5
    settings.process.ultimate_exiting_timeout = 30
    settings.scanning.disabled = namespaced
    for store in stores:
        if store.label_selector:
            resource = store.resource
            selectors = settings.watching.label_selectors
            selectors[resource.group, resource.version, resource.plural] = store.label_selector
    return settings
