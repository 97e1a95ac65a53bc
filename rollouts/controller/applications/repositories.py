"""Which commit each Application's sources stand at: polls, shared by all who read one repository alike.

Decides when a repository is asked and whom a change concerns: only Applications whose directory's tree has
changed are rung. For those that a commit does not touch nothing happens at all, and they keep naming the
commit that last did. One loop for each repository and credential; a slow one delays no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rollouts.api.application_status import ApplicationReason
from rollouts.controller.applications.positions import Position, RemoteKey, Standing, Wanted
from rollouts.controller.applications.remotes import Found, Look, Outside, Remote
from rollouts.controller.cache import Key
from rollouts.errors import RolloutsError
from rollouts.gitops import naming
from rollouts.gitops.hosting import webhooks
from rollouts.gitops.sources import source
from rollouts.gitops.sources.git import SourceError, shown
from rollouts.gitops.sources.source import Mirror

__all__ = ["Repositories"]

log = logging.getLogger(__name__)

_FIRST_RETRY_SECONDS = 5.0
_LONGEST_RETRY_SECONDS = 300.0
_JITTER = 0.1
_BETWEEN_CALLS_SECONDS = 1.0
"""A webhook that is sent again and again asks the host no more often than that."""

Ring = Callable[[Key], None]
_Place = tuple[Key, int]
"""One source of an Application."""


@dataclass(slots=True)
class _Follower:
    wanted: Wanted
    position: Position | None = None
    failure: SourceError | None = None
    refreshed: str = ""
    token: str = ""
    refused: str = ""
    """A revision that nobody trusted has signed: the next commit may vouch for it."""
    beside: tuple[str, ...] = ()
    """Directories and files outside of its path that objects are made from, too."""

    @property
    def paths(self) -> tuple[str, ...]:
        """What a commit must touch to concern it."""
        if self.wanted.path is None:
            return self.beside or ("",)
        return (self.wanted.path, *self.beside)


@dataclass(slots=True)
class _Poll:
    remote: Remote
    followers: dict[_Place, _Follower] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    next_call: float = 0.0
    """When a webhook may make us look again, in time of the event loop."""
    failures: int = 0
    task: asyncio.Task[None] | None = None


class Repositories:
    """All repositories that Applications follow."""

    def __init__(self, outside: Outside, cache: Path, ring: Ring) -> None:
        self._outside = outside
        self._cache = cache
        self._ring = ring
        self._mirrors: dict[str, Mirror] = {}
        self._polls: dict[RemoteKey, _Poll] = {}
        self._of: dict[Key, tuple[RemoteKey, ...]] = {}

    def follow(self, key: Key, wanted: tuple[Wanted, ...]) -> None:
        """From now on `key` is rung when one of its sources moves."""
        remotes = tuple(w.remote for w in wanted)
        if self._of.get(key) != remotes:
            self.forget(key)
            self._of[key] = remotes
        for i, want in enumerate(wanted):
            poll = self._poll_of(want.remote)
            follower = poll.followers.get((key, i))
            if follower is None or follower.wanted != want:
                poll.followers[key, i] = _Follower(want)
                poll.wake.set()

    def forget(self, key: Key) -> None:
        for i, remote in enumerate(self._of.pop(key, ())):
            poll = self._polls.get(remote)
            if poll is None:
                continue
            poll.followers.pop((key, i), None)
            if not poll.followers:
                del self._polls[remote]
                if poll.task:
                    poll.task.cancel()

    def standing(self, key: Key) -> Standing | None:
        """What is known of an Application's sources; None until all were asked for the first time."""
        followers = [f for _, f in self._followers(key)]
        if not followers or not all(f.position or f.failure for f in followers):
            return None
        tokens = {f.refreshed for f in followers}
        positions = tuple(f.position for f in followers if f.position)
        return Standing(
            positions if len(positions) == len(followers) else (),
            next((f.failure for f in followers if f.failure), None),
            tokens.pop() if len(tokens) == 1 else "",
        )

    def refresh(self, key: Key, token: str) -> None:
        """Look now, with what the Secret holds now; `key` is rung when it is done, moved or not."""
        for poll, follower in self._followers(key):
            if follower.token != token:
                follower.token = token
                poll.remote.forget_credentials()
                poll.wake.set()

    def reads(self, key: Key, beside: tuple[tuple[str, ...], ...]) -> None:
        """What a set is made from outside of its paths, by source: a commit that touches it concerns `key`."""
        for (poll, follower), paths in zip(self._followers(key), beside, strict=False):
            if follower.beside != paths:
                follower.beside = paths
                poll.wake.set()

    def paths(self, key: Key) -> tuple[str, ...]:
        """What an Application's only source is read from; empty before it was looked at."""
        followers = [f for _, f in self._followers(key)]
        return followers[0].paths if len(followers) == 1 and followers[0].position else ()

    def refuse(self, key: Key, index: int, revision: str) -> None:
        """Do not stay with this revision, even if the next commit does not touch what is read."""
        followers = self._followers(key)
        if index < len(followers):
            followers[index][1].refused = revision

    def look(self, identities: frozenset[str]) -> int:
        """Look at these repositories now, as far as somebody follows them; how many that are."""
        found = [p for p in self._polls.values() if webhooks.identity(p.remote.key.url) in identities]
        for poll in found:
            _called(poll)
        return len(found)

    def mirror(self, remote: RemoteKey) -> Mirror:
        if remote.place not in self._mirrors:
            directory = self._cache / source.directory_name(remote.place)
            self._mirrors[remote.place] = Mirror(self._outside.git, remote.url, directory)
        return self._mirrors[remote.place]

    async def at_commit(self, remote: RemoteKey, commit: str) -> Mirror:
        """The mirror with a commit in it, for one whose own credentials may read it. Raises `SourceError`."""
        # Somebody else's credentials may have brought it here: a look asks the host with these first.
        mirror = self.mirror(remote)
        look = await Remote(remote, mirror, self._outside).look({remote: Wanted(remote, commit, None, 0)})
        for failure in look.failures.values():
            raise failure
        return mirror

    async def close(self) -> None:
        tasks = [poll.task for poll in self._polls.values() if poll.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for mirror in self._mirrors.values():
            await mirror.close()

    def _followers(self, key: Key) -> list[tuple[_Poll, _Follower]]:
        """In the order of the sources."""
        polls = [self._polls[remote] for remote in self._of.get(key, ())]
        return [(poll, poll.followers[key, i]) for i, poll in enumerate(polls)]

    def _poll_of(self, key: RemoteKey) -> _Poll:
        poll = self._polls.get(key)
        if poll is None:
            poll = self._polls[key] = _Poll(Remote(key, self.mirror(key), self._outside))
            poll.task = asyncio.create_task(self._poll_for_ever(poll), name="poll of a repository")
        return poll

    async def _poll_for_ever(self, poll: _Poll) -> None:
        while True:
            poll.wake.clear()
            try:
                await self._poll(poll)
            except SourceError as e:
                self._failed(poll, e)
            except RolloutsError as e:
                reason = ApplicationReason.GIT_OPERATION_FAILED
                self._failed(poll, SourceError(reason, str(e), definite=False))
            except Exception:
                # One repository that trips over a bug of ours must not end the polls of the others.
                log.exception("poll of %s", shown(poll.remote.key.url))
                poll.failures += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_pause(poll)):
                    await poll.wake.wait()

    async def _poll(self, poll: _Poll) -> None:
        """One look: where the refs are, what of it is new, and whom it concerns."""
        tokens = {place: f.token for place, f in poll.followers.items()}
        wanted: dict[Hashable, Wanted] = {place: f.wanted for place, f in poll.followers.items()}
        look = await poll.remote.look(wanted)
        await self._settle(poll, look, wanted)
        for place, follower in tuple(poll.followers.items()):
            if follower.wanted == wanted.get(place) and place in look.failures:
                self._set(place, follower, failure=look.failures[place])
        poll.failures = 0
        for place, token in tokens.items():
            if follower_ := poll.followers.get(place):
                self._answered(place, follower_, token)

    async def _settle(self, poll: _Poll, look: Look, wanted: dict[Hashable, Wanted]) -> None:
        """Compare the trees of all directories in one go, the known revision's among them."""
        followers = {p: f for p, f in poll.followers.items() if p in look.found}
        paths = {place: f.paths for place, f in followers.items()}
        known = {place: naming.commit_of(_known(f)) for place, f in followers.items()}
        asked = [(look.found[place].commit, path) for place in followers for path in paths[place]]
        asked += [
            (known[place] or look.found[place].commit, path) for place in followers for path in paths[place]
        ]
        ids = await poll.remote.mirror.ids(asked)
        new, old = iter(ids[: len(ids) // 2]), iter(ids[len(ids) // 2 :])
        for place, follower in followers.items():
            now, before = [next(new) for _ in paths[place]], [next(old) for _ in paths[place]]
            if poll.followers.get(place) is not follower or follower.wanted != wanted[place]:
                continue  # It wants something else by now; the loop has been woken for that.
            position = _position(follower, look.found[place], known[place], now, before)
            self._set(place, follower, position=position)

    def _set(
        self,
        place: _Place,
        follower: _Follower,
        *,
        position: Position | None = None,
        failure: SourceError | None = None,
    ) -> None:
        old = follower.position, str(follower.failure)
        follower.position, follower.failure = position or follower.position, failure
        if (follower.position, str(follower.failure)) != old:
            self._ring(place[0])

    def _answered(self, place: _Place, follower: _Follower, token: str) -> None:
        if token and follower.refreshed != token:
            follower.refreshed = token
            self._ring(place[0])

    def _failed(self, poll: _Poll, error: SourceError) -> None:
        """A flake is not worth a condition on hundreds of Applications: told when it is sure or comes twice."""
        poll.failures += 1
        log.warning("%s", error, extra={"fields": {"reason": error.reason}})
        for place, follower in tuple(poll.followers.items()):
            is_new = follower.position is None or bool(follower.token)
            if error.definite or poll.failures > 1 or is_new:
                self._set(place, follower, failure=error)
            self._answered(place, follower, follower.token)


def _called(poll: _Poll) -> None:
    """Look at once, and for all calls that come soon after it once more."""
    loop = asyncio.get_running_loop()
    due, now = poll.next_call, loop.time()
    if due <= now:
        poll.wake.set()
        poll.next_call = now + _BETWEEN_CALLS_SECONDS
    elif due - now <= _BETWEEN_CALLS_SECONDS:
        loop.call_at(due, poll.wake.set)
        poll.next_call = due + _BETWEEN_CALLS_SECONDS


def _position(follower: _Follower, found: Found, known: str, now: list[str], before: list[str]) -> Position:
    named = _known(follower)
    stays = known and named == naming.text(found.name, known) and follower.refused != named
    if stays and all(now[:1]) and now == before:
        # This commit does not touch what is read: the Application keeps the one that did.
        return Position(named, known, now[0])
    return Position(naming.text(found.name, found.commit), found.commit, now[0])


def _known(follower: _Follower) -> str:
    return follower.position.revision if follower.position else follower.wanted.known_revision


def _pause(poll: _Poll) -> float:
    intervals: Iterator[float] = (f.wanted.interval_seconds for f in poll.followers.values())
    interval = min(intervals, default=_LONGEST_RETRY_SECONDS)
    if poll.failures == 1:
        interval = min(interval, _FIRST_RETRY_SECONDS)
    elif poll.failures:
        interval = min(interval * 2 ** min(poll.failures - 2, 10), max(interval, _LONGEST_RETRY_SECONDS))
    return interval * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
