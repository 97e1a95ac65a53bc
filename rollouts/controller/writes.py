"""One write: with a precondition, its answer into the store, and what a refusal says about the store.

Decides nothing but whose an object is that has the name of a new one. All reconcilers write through here, so that
the next look already sees what was written and a stale record costs a retry, never a wrong move.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar, cast

from rollouts.api.meta import ObjectMeta
from rollouts.api.parse import dump, model_fields
from rollouts.controller.cache import Key, Record, Store, controlling_owner
from rollouts.errors import Conflict, NotFound, Rejected
from rollouts.kube import Kube, Ref

__all__ = ["Checkpoint", "NameTaken", "Writer", "merge_difference", "model_difference", "no_checkpoint"]

T = TypeVar("T")

_ABSENT = object()

Checkpoint = Callable[[str], None]
"""Called before the first write of a decision and after each one, with the name of what was written."""


def no_checkpoint(_: str) -> None:
    return


class NameTaken(Rejected):
    """What has the name of a new object belongs to somebody else."""


class Writer:
    """Writes of one reconciler; `origin` tells listeners whose they are."""

    def __init__(self, kube: Kube, *, origin: str, field_manager: str) -> None:
        self.kube = kube
        self._origin = origin
        self._field_manager = field_manager

    @property
    def field_manager(self) -> str:
        return self._field_manager

    async def create(self, store: Store[Any], body: Mapping[str, Any]) -> None:
        """Create; an object of that name is a `Conflict`, and in the store if the store wants it."""
        answer = await self.kube.create(store.resource, body, field_manager=self._field_manager)
        self.saw(store, answer)

    async def create_once(self, store: Store[Any], body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Create; what has the name already and has the owner that `body` names is what was to be made.

        The answer is that object, None where there was none. Somebody else's is `NameTaken`; one on its way out
        is a `Conflict`.
        """
        try:
            await self.create(store, body)
        except Conflict:
            found = await self._made_before(store, body)
            self.saw(store, found)
            return found
        return None

    async def _made_before(self, store: Store[Any], body: Mapping[str, Any]) -> Mapping[str, Any]:
        metadata, owner = body["metadata"], controlling_owner(body["metadata"])
        ref = store.ref(Key(metadata["namespace"], metadata["name"]))
        found = await self.kube.get(ref)
        if found["metadata"].get("deletionTimestamp"):
            raise Conflict(f"{ref} is just being deleted") from None
        if controlling_owner(found["metadata"]).get("uid") != owner["uid"]:
            raise NameTaken(
                f"{body['kind']} {ref.namespace}/{ref.name} exists and belongs to somebody else; "
                f"delete it, or rename {owner['kind']} {owner['name']}"
            ) from None
        return found

    async def patch_status(self, store: Store[Any], metadata: ObjectMeta, old: T, new: T) -> bool:
        """One patch of the differences, for the version that `metadata` is of; False when there are none."""
        difference = model_difference(old, new)
        if not difference:
            return False
        patch = {
            "metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version},
            "status": difference,
        }
        await self.patch(store, Key(metadata.namespace, metadata.name), patch, subresource="status")
        return True

    async def patch(
        self, store: Store[Any], key: Key, body: Mapping[str, Any], *, subresource: str = ""
    ) -> Mapping[str, Any]:
        """A merge patch whose precondition is in `body`; the object as it is then."""
        try:
            answer = await self.kube.merge_patch(
                store.ref(key), body, field_manager=self._field_manager, subresource=subresource
            )
        except (Conflict, NotFound, Rejected):
            await self.look_again(store, key)
            raise
        self.saw(store, answer)
        return answer

    async def write(self, ref: Ref, body: Mapping[str, Any], *, subresource: str = "") -> None:
        """A merge patch of something that is in no store."""
        await self.kube.merge_patch(ref, body, field_manager=self._field_manager, subresource=subresource)

    async def delete(self, store: Store[Any], record: Record[Any], *, resource_version: str = "") -> None:
        """Delete; what is gone already is gone."""
        try:
            await self.kube.delete(store.ref(record.key), uid=record.uid, resource_version=resource_version)
        except NotFound:
            pass
        except (Conflict, Rejected):
            await self.look_again(store, record.key)
            raise
        # With blockOwnerDeletion or foreground deletion the object may linger; its watch events will tell.
        store.drop(record.key, record.version, origin=self._origin)

    async def look_again(self, store: Store[Any], key: Key) -> None:
        """What we know of an object was refused: get it as it is now, or forget it when it is gone."""
        known = store.get(key)
        try:
            self.saw(store, await self.kube.get(store.ref(key)))
        except NotFound:
            if known:
                store.drop(key, known.version, origin=self._origin)

    def saw(self, store: Store[Any], body: Mapping[str, Any]) -> None:
        """What the API server answered is what the next look sees."""
        store.put(body, origin=self._origin)


def model_difference(old: T, new: T) -> dict[str, Any]:
    """The smallest JSON merge patch between two values of a model; what is the same is not even written out."""
    fields = [
        f for f in model_fields(cast("Hashable", type(new))) if getattr(old, f.name) != getattr(new, f.name)
    ]
    return merge_difference(dump(old, fields), dump(new, fields)) if fields else {}


def merge_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest JSON merge patch that makes `new` of `old`; empty when they are equal."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key, _ABSENT)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = merge_difference(before, value)
            if inner:
                patch[key] = inner
        elif value != before:
            patch[key] = value
    return patch
