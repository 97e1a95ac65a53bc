"""When new revisions may be synced by themselves: sync windows, as in Argo CD's projects.

Decides from schedules and the time alone. Pure; called by `gates`, `validation` and the CLI.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from rollouts.api.application import SyncWindow, WindowKind
from rollouts.errors import SpecError

__all__ = ["Verdict", "check", "verdict"]

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """May sync happen by itself, or because a person asks? `until`: when that may change next."""

    automatic: bool
    manual: bool
    until: datetime | None = None
    window: str = ""
    """The window that keeps it from happening by itself."""


def verdict(windows: Iterable[SyncWindow], now: datetime) -> Verdict:
    """Open deny windows forbid; with any allow window there has to be an open one (argo-cd: SyncWindows.CanSync)."""
    found = [(w, *_around(w, now)) for w in windows]
    until = min((next_ for _, _, next_ in found), default=None)
    denying = [w for w, is_open, _ in found if is_open and w.kind is WindowKind.DENY]
    allowing = [w for w, _, _ in found if w.kind is WindowKind.ALLOW]
    if denying:
        return Verdict(
            automatic=False, manual=all(w.manual_sync for w in denying), until=until, window=_told(denying[0])
        )
    if allowing and not any(is_open for w, is_open, _ in found if w.kind is WindowKind.ALLOW):
        return Verdict(
            automatic=False,
            manual=any(w.manual_sync for w in allowing),
            until=until,
            window=_told(allowing[0]),
        )
    return Verdict(automatic=True, manual=True, until=until)


def check(window: SyncWindow, path: str) -> None:
    """Raise `SpecError` for a schedule or a time zone that cannot be read."""
    try:
        ZoneInfo(window.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise SpecError(
            f"{path}.timeZone", window.time_zone, "is not a time zone", "write Europe/Berlin, or UTC"
        ) from None
    try:
        CronSim(window.schedule, datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")))
    except CronSimError as e:
        problem = f"is not a cron schedule: {str(e).lower()}"
        remedy = "write minute, hour, day, month and day of the week: 0 22 * * 1-5"
        raise SpecError(f"{path}.schedule", window.schedule, problem, remedy) from None
    if window.duration <= timedelta(0):
        raise SpecError(f"{path}.duration", str(window.duration), "must be longer than 0s")


def _around(window: SyncWindow, now: datetime) -> tuple[bool, datetime]:
    """Is it open, and when does that change next?"""
    local = now.astimezone(ZoneInfo(window.time_zone))
    # the instant itself counts; backwards, a schedule yields what is before
    opened = next(CronSim(window.schedule, local + _INSTANT, reverse=True)).astimezone(now.tzinfo)
    if opened <= now < opened + window.duration:
        return True, opened + window.duration
    return False, next(CronSim(window.schedule, local)).astimezone(now.tzinfo)


def _told(window: SyncWindow) -> str:
    return f'{window.kind} window "{window.schedule}" for {window.duration} ({window.time_zone})'
