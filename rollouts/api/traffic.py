"""Traffic routing in a canary: which routers carry it, and the steps that only a router can take.

Part of the Rollout kind (`rollouts.api.strategy`). Decides nothing; `rollouts.delivery` does, and
`rollouts.routing` knows what each router can do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

from rollouts.api.rollout_status import WeightDestination
from rollouts.api.schema import Field


class Feature(StrEnum):
    """What not every router can do, by the field that asks for it."""

    HEADER_ROUTES = "setHeaderRoute"
    MIRROR_ROUTES = "setMirrorRoute"
    MAX_TRAFFIC_WEIGHT = "maxTrafficWeight"
    EXPERIMENT_WEIGHTS = "experiment.templates[].weight"


@dataclass(frozen=True, slots=True)
class StringMatch:
    """How a value is compared. Exactly one field is set."""

    exact: Annotated[str, Field("The whole value.")] = ""
    prefix: Annotated[str, Field("Its beginning.")] = ""
    regex: Annotated[str, Field("A regular expression.")] = ""


@dataclass(frozen=True, slots=True)
class HeaderRoutingMatch:
    header_name: Annotated[str, Field("Name of the header.", min_length=1)]
    header_value: Annotated[StringMatch, Field("What its value has to be.")]


@dataclass(frozen=True, slots=True)
class SetHeaderRoute:
    """Requests with these headers go to the canary, whatever the weight."""

    name: Annotated[str, Field("Name of the route; one of trafficRouting.managedRoutes.", min_length=1)]
    match: Annotated[
        tuple[HeaderRoutingMatch, ...],
        Field("Headers, all of which match. Without any the route is removed."),
    ] = ()


@dataclass(frozen=True, slots=True)
class RouteMatch:
    method: Annotated[StringMatch | None, Field("The HTTP method.")] = None
    path: Annotated[StringMatch | None, Field("The path of the URL.")] = None
    headers: Annotated[Mapping[str, Any], Field("Headers and what their values have to be.")] = field(
        default_factory=dict
    )


@dataclass(frozen=True, slots=True)
class SetMirrorRoute:
    """A copy of the requests that match goes to the canary; its answers are thrown away."""

    name: Annotated[str, Field("Name of the route; one of trafficRouting.managedRoutes.", min_length=1)]
    match: Annotated[
        tuple[RouteMatch, ...], Field("Requests, any of which match. Without any the route is removed.")
    ] = ()
    percentage: Annotated[
        int | None, Field("Share of the requests that is copied. Default: all.", minimum=0, maximum=100)
    ] = None


@dataclass(frozen=True, slots=True)
class SetCanaryScale:
    """Pods of the canary, whatever share of the traffic it has.

    Of several fields matchTrafficWeight goes first, then replicas; none of them is to follow the weight.
    """

    weight: Annotated[
        int | None, Field("Pods for this share of the replicas, in the unit of setWeight.", minimum=0)
    ] = None
    replicas: Annotated[int | None, Field("A count of pods.", minimum=0)] = None
    match_traffic_weight: Annotated[bool, Field("Follow the weight again.")] = False

    @property
    def follows_weight(self) -> bool:
        return self.match_traffic_weight or (self.weight is None and self.replicas is None)


@dataclass(frozen=True, slots=True)
class ManagedRoute:
    name: Annotated[str, Field("Name of a route that steps may set.", min_length=1)]


@dataclass(frozen=True, slots=True)
class ServicesRouting:
    """A Service without a mesh or an ingress: users reach all of stable, all of the canary, or both by pods."""

    root_service: Annotated[str, Field("Service that users reach.", min_length=1)]


@dataclass(frozen=True, slots=True)
class TrafficRouting:
    """Who sends traffic. More than one router may be named; all of them get the same weights."""

    managed_routes: Annotated[
        tuple[ManagedRoute, ...], Field("Routes that steps may set, in order of precedence.")
    ] = ()
    max_traffic_weight: Annotated[
        int | None, Field("The weight that stands for all traffic. Default: 100.", minimum=1)
    ] = None
    services: Annotated[ServicesRouting | None, Field("A plain Service, by its selector.")] = None
    plugins: Annotated[
        Mapping[str, Any], Field("Routers from other packages, by name, each with its own configuration.")
    ] = field(default_factory=dict)
    others: Annotated[Mapping[str, Any], Field("Routers that this controller does not know.", rest=True)] = (
        field(default_factory=dict)
    )

    def routers(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every router that is named, by its field, with its configuration."""
        if self.services is not None:
            yield "services", {"rootService": self.services.root_service}
        for name, config in self.plugins.items():
            yield f"plugins.{name}", config if isinstance(config, Mapping) else {}
        for name in self.others:
            yield name, {}


@dataclass(frozen=True, slots=True)
class Shares:
    """What a router is to do, or does: weights that add up to `maximum`, and the routes of steps.

    Read back, a destination without a hash or a Service is one whose router does not keep it.
    """

    canary: WeightDestination
    stable: WeightDestination
    additional: tuple[WeightDestination, ...] = ()
    header_routes: tuple[SetHeaderRoute, ...] = ()
    mirror_routes: tuple[SetMirrorRoute, ...] = ()
    maximum: int = 100
