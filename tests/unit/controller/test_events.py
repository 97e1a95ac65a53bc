"""Events beside an API server that is away for a while, or refuses them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from rollouts.api.meta import ObjectMeta, Reason
from rollouts.controller.events import Recorder
from rollouts.controller.metrics import Metrics
from rollouts.delivery.actions import Event
from rollouts.errors import Conflict, LostLease, Rejected, RolloutsError, Transient
from rollouts.kube import Kube, Resource, resources

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WEB = ObjectMeta("web", "shop", uid="1", resource_version="7")


class Api:
    """An API server that answers with these failures, then takes everything."""

    def __init__(self, *failures: RolloutsError | None) -> None:
        self.failures = list(failures)
        self.posted: list[str] = []

    async def create(self, resource: Resource, body: Mapping[str, Any], *, field_manager: str) -> None:
        assert (resource, field_manager) == (resources.EVENT, "rollouts-controller")
        if self.failures and (failure := self.failures.pop(0)):
            raise failure
        self.posted.append(body["message"])


def recorder(api: Api) -> Recorder:
    return Recorder(cast("Kube", api), resources.rollout("rollouts.dev"), Metrics())


async def tell(telling: Recorder, *messages: str) -> None:
    for message in messages:
        await telling.post(WEB, Event(Reason.ROLLOUT_UPDATED, message), NOW)


async def test_what_cannot_be_posted_now_comes_with_the_next_in_order() -> None:
    api = Api(Transient("starting"), Transient("starting"))

    await tell(recorder(api), "a", "b", "c")

    assert api.posted == ["a", "b", "c"]


@pytest.mark.parametrize("failure", [Rejected("forbidden"), Conflict("there already")])
async def test_what_is_refused_or_there_is_not_tried_again(failure: RolloutsError) -> None:
    api = Api(failure)

    await tell(recorder(api), "a", "b")

    assert api.posted == ["b"]


async def test_who_has_lost_the_lease_stops() -> None:
    with pytest.raises(LostLease):
        await tell(recorder(Api(LostLease("another leads"))), "a")


async def test_the_oldest_are_forgotten_when_it_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollouts.controller.events._WAITING", 3)
    api = Api(*[Transient("away")] * 4)

    await tell(recorder(api), "a", "b", "c", "d", "e")

    assert api.posted == ["c", "d", "e"]
