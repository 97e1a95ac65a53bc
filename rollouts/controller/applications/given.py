"""What an Application's set is made from beside its repository: ConfigMaps and Secrets of its namespace.

Decides which objects are read and how their values count; never another namespace's. Called by `sets`
before a render. Values are read again with every interval, since nothing watches them.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Any

from rollouts.api.application import Application, ApplicationSource
from rollouts.api.rendering import ValuesKind, ValuesReference
from rollouts.errors import NotFound, Rejected
from rollouts.gitops.renderers import sops, substitution
from rollouts.gitops.renderers.build import Given
from rollouts.gitops.resources import discretion
from rollouts.gitops.resources.render import RenderError
from rollouts.kube import Kube, resources

__all__ = ["GivenValues", "depends_on_cluster", "destination_namespace"]

_SECONDS = 0.9
"""Several looks in a row read the objects once; less than the shortest interval."""

_RESOURCES = {ValuesKind.CONFIG_MAP: resources.CONFIG_MAP, ValuesKind.SECRET: resources.SECRET}


class GivenValues:
    """Reads what Applications refer to."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._known: dict[str, tuple[float, int, tuple[Given, ...]]] = {}

    async def of(self, application: Application) -> tuple[Given, ...]:
        """One for each source. Raises `RenderError` for what is missing."""
        if not depends_on_cluster(application):
            return (_plain(application),) * len(application.spec.every_source)
        uid, now = application.metadata.uid, asyncio.get_running_loop().time()
        if known := self._known.get(uid):
            until, generation, given = known
            if now < until and generation == application.metadata.generation:
                return given
        given = await self._read(application)
        # Secrets are among them, and nobody says when an Application is gone.
        self._known = {of: known for of, known in self._known.items() if now < known[0]}
        self._known[uid] = now + _SECONDS, application.metadata.generation, given
        return given

    def forget(self, application: Application) -> None:
        self._known.pop(application.metadata.uid, None)

    async def _read(self, application: Application) -> tuple[Given, ...]:
        spec, confidential = application.spec, list[str]()
        values = [await self._values(application, s, confidential) for s in spec.every_source]
        variables = None
        if post := spec.post_build:
            found: dict[str, str] = {}
            for ref in post.substitute_from:
                found |= _texts(await self._data(application, ref, confidential) or {})
            variables = substitution.variables({**found, **post.substitute})
        keys = await self._age_keys(application, confidential)
        return tuple(
            Given(
                application.metadata.name,
                destination_namespace(application),
                own,
                variables,
                keys,
                tuple(confidential),
            )
            for own in values
        )

    async def _values(
        self, application: Application, source: ApplicationSource, confidential: list[str]
    ) -> tuple[str, ...]:
        values: list[str] = []
        for ref in source.helm.values_from if source.helm else ():
            data = await self._data(application, ref, confidential)
            values += [_key(data, ref, application)] if data is not None else []
        return tuple(values)

    async def _age_keys(self, application: Application, confidential: list[str]) -> str:
        decryption = application.spec.decryption
        if decryption is None:
            return ""
        ref = ValuesReference(ValuesKind.SECRET, decryption.secret_ref.name)
        keys = sops.age_keys(await self._data(application, ref, confidential) or {})
        if not keys:
            name = f"{application.metadata.namespace}/{ref.name}"
            raise RenderError(f"Secret {name} of spec.decryption.secretRef has no key that ends in .agekey")
        return keys

    async def _data(
        self, application: Application, ref: ValuesReference, confidential: list[str]
    ) -> dict[str, bytes] | None:
        namespace = application.metadata.namespace
        try:
            body = await self._kube.get(_RESOURCES[ref.kind].ref(ref.name, namespace))
        except NotFound:
            if ref.optional:
                return None
            raise RenderError(f"{ref.kind} {namespace}/{ref.name} is not there") from None
        except Rejected as e:
            raise RenderError(f"{ref.kind} {namespace}/{ref.name} cannot be read: {e}") from None
        data = _decoded(body, ref.kind)
        if ref.kind is ValuesKind.SECRET:
            confidential += [text for value in data.values() for text in discretion.quotable(value)]
        return data


def depends_on_cluster(application: Application) -> bool:
    """Whether the set may change without a commit."""
    spec = application.spec
    return bool(
        spec.post_build or spec.decryption or any(s.helm and s.helm.values_from for s in spec.every_source)
    )


def destination_namespace(application: Application) -> str:
    return application.spec.destination.namespace or application.metadata.namespace


def _plain(application: Application) -> Given:
    return Given(application.metadata.name, destination_namespace(application))


def _key(data: Mapping[str, bytes], ref: ValuesReference, application: Application) -> str:
    if ref.values_key not in data:
        name = f"{ref.kind} {application.metadata.namespace}/{ref.name}"
        raise RenderError(f"{name} has no key {ref.values_key}; name it in valuesKey")
    return data[ref.values_key].decode(errors="replace")


def _texts(data: Mapping[str, bytes]) -> dict[str, str]:
    return {k: v.decode(errors="replace") for k, v in data.items()}


def _decoded(body: Mapping[str, Any], kind: ValuesKind) -> dict[str, bytes]:
    plain = body.get("data") or {}
    if kind is ValuesKind.CONFIG_MAP:
        return {k: str(v).encode() for k, v in plain.items()}
    found = {}
    for name, value in plain.items():
        try:
            found[name] = base64.b64decode(value)
        except binascii.Error:
            continue
    return found
