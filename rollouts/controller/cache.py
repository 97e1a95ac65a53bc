"""What we last saw of each object: trimmed frozen records by kind, fed by watches, sweeps and own writes.

Decides which of two sightings of an object is the newer one, and who is told of a change; knows nothing
of what the kinds mean. Each part of the controller builds a `Store` for a kind with a `trim` function that
keeps what it needs, and listens on it. The door and the sweep `put` and `drop`; reconcilers only read,
and put the API server's answers to their own writes (write-through).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from rollouts.kube import Ref, Resource

__all__ = ["WATCH", "Change", "Key", "Record", "Store"]

T = TypeVar("T")
Body = Mapping[str, Any]

WATCH = ""
"""Origin of a change that we did not make ourselves."""

_TOMBSTONES = 1024


class Key(NamedTuple):
    """Namespace and name: what a queue hands to a reconciler."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """One object as last seen; `value` is what `trim` kept of it."""

    key: Key
    uid: str
    version: int
    generation: int
    owner_uid: str
    """uid of the controlling owner reference, empty without one; `owner_name` is its name."""
    owner_name: str
    value: T


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What a listener is told: before and after. `origin` names the reconciler that wrote it."""

    key: Key
    old: Record[T] | None
    new: Record[T] | None
    origin: str = WATCH


Trim = Callable[[Body, Record[T] | None], T]
"""(object, record of an earlier version or None) -> what to keep. Must not raise on any content."""

Listener = Callable[[Change[T]], None]


class Store(Generic[T]):
    """All objects of one kind that `label_selector` selects. Monotonic: an older sighting changes nothing."""

    def __init__(self, resource: Resource, trim: Trim[T], *, label_selector: str = "") -> None:
        self.resource = resource
        self.label_selector = label_selector
        self._trim = trim
        self._records: dict[Key, Record[T]] = {}
        self._owned: dict[str, dict[Key, None]] = {}
        self._tombstones: dict[Key, int] = {}
        self._sweeps = 0
        self._listeners: list[Listener[T]] = []

    def listen(self, listener: Listener[T]) -> None:
        """Call `listener` after every change. It must only ring keys: no I/O, nothing that raises."""
        self._listeners.append(listener)

    def get(self, key: Key) -> Record[T] | None:
        return self._records.get(key)

    def owned_by(self, uid: str) -> tuple[Record[T], ...]:
        """Records whose controlling owner has this uid, by name."""
        return tuple(self._records[key] for key in sorted(self._owned.get(uid, ())))

    def ref(self, key: Key) -> Ref:
        return self.resource.ref(key.name, key.namespace)

    def __iter__(self) -> Iterator[Record[T]]:
        return iter(tuple(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)

    def put(self, body: Body, *, origin: str = WATCH) -> bool:
        """Take over what the API server says. False when it is not newer than what we have."""
        metadata = body["metadata"]
        key = Key(metadata.get("namespace", ""), metadata["name"])
        version = int(metadata["resourceVersion"])
        old = self._records.get(key)
        if version <= (old.version if old else self._tombstones.get(key, -1)):
            return False
        same = old if old and old.uid == metadata["uid"] else None
        owner = controlling_owner(metadata)
        new = Record(
            key=key,
            uid=metadata["uid"],
            version=version,
            generation=metadata.get("generation", 0),
            owner_uid=owner.get("uid", ""),
            owner_name=owner.get("name", ""),
            value=self._trim(body, same),
        )
        self._tombstones.pop(key, None)
        self._replace(key, old, new)
        self._tell(Change(key, old, new, origin))
        return True

    def drop(self, key: Key, version: int, *, origin: str = WATCH) -> bool:
        """Forget an object that is known to be gone as of `version`. False when we know of a later life."""
        old = self._records.get(key)
        if old and old.version > version:
            return False
        self._bury(key, version)
        if not old:
            return False
        self._replace(key, old, None)
        self._tell(Change(key, old, None, origin))
        return True

    def forget(self, key: Key) -> None:
        """Nobody needs this object any more; whether it is still there is not known."""
        old = self._records.get(key)
        if old:
            self._replace(key, old, None)

    def begin_sweep(self) -> None:
        """From here to `end_sweep` every tombstone is kept: an older page must not raise the dead."""
        self._sweeps += 1

    def end_sweep(self, seen: Collection[Key], version: int | None, namespace: str = "") -> None:
        """Drop what a complete list as of `version` does not hold; None: the list broke off, drop nothing."""
        self._sweeps -= 1
        if version is None:
            return
        for record in self:
            if record.version <= version and record.key not in seen and _within(record.key, namespace):
                self.drop(record.key, version)
        self._trim_tombstones()

    def _replace(self, key: Key, old: Record[T] | None, new: Record[T] | None) -> None:
        if old:
            self._disown(old)
            del self._records[key]
        if new:
            self._records[key] = new
            if new.owner_uid:
                self._owned.setdefault(new.owner_uid, {})[key] = None

    def _disown(self, record: Record[T]) -> None:
        siblings = self._owned.get(record.owner_uid)
        if siblings is not None:
            siblings.pop(record.key, None)
            if not siblings:
                del self._owned[record.owner_uid]

    def _bury(self, key: Key, version: int) -> None:
        self._tombstones[key] = max(version, self._tombstones.pop(key, -1))
        self._trim_tombstones()

    def _trim_tombstones(self) -> None:
        while not self._sweeps and len(self._tombstones) > _TOMBSTONES:
            del self._tombstones[next(iter(self._tombstones))]

    def _tell(self, change: Change[T]) -> None:
        for listener in self._listeners:
            listener(change)


def controlling_owner(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one reference of a controller; empty when there is none."""
    references = metadata.get("ownerReferences") or ()
    return next((r for r in references if r.get("controller")), {})


def _within(key: Key, namespace: str) -> bool:
    return not namespace or key.namespace == namespace
