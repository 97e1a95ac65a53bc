"""How a half of the product plugs into the process: what every part is given, and what it gives back.

Decides nothing. `rollouts.controller.main` builds the `Environment`, asks each part for its `Part` and runs
them all; a part never sees another one, only the stores that they share.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollouts.api.meta import Names
from rollouts.controller.cache import Store
from rollouts.controller.loop import Controller
from rollouts.controller.metrics import Metrics
from rollouts.kube import Kube
from rollouts.settings import Settings

__all__ = ["Environment", "Part"]


@dataclass(frozen=True, slots=True)
class Environment:
    """What every part is given. `kube` refuses to write (`LostLease`) unless this process leads."""

    settings: Settings
    names: Names
    kube: Kube
    metrics: Metrics
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Part:
    """What a part adds.

    `stores` are watched and swept from the start, on standby replicas too; `controllers` and `tasks` run
    only while this process leads. A task runs until it is cancelled; one that ends or raises ends the
    process. `close` is awaited after the last reconcile.
    """

    stores: tuple[Store[Any], ...] = ()
    controllers: tuple[Controller, ...] = ()
    tasks: tuple[Callable[[], Awaitable[None]], ...] = ()
    close: Callable[[], Awaitable[None]] | None = None
