"""What traffic routing asks of a spec: routers that there are, and that can do what the steps want.

Decides faults only; part of `validate`.
"""

from __future__ import annotations

from collections.abc import Iterator

from rollouts.api.strategy import CanaryStep, CanaryStrategy
from rollouts.api.traffic import Feature, StringMatch, TrafficRouting
from rollouts.delivery import weights
from rollouts.delivery.experiments.snapshot import has_ports
from rollouts.delivery.view import View
from rollouts.errors import SpecError

_ADD = "add spec.strategy.canary.trafficRouting, or leave the field out"


def faults(seen: View, canary: CanaryStrategy, at: str) -> Iterator[SpecError]:
    if canary.traffic_routing is None:
        yield from _without_routing(canary, at)
        return
    yield from _routers(seen, canary.traffic_routing, f"{at}.trafficRouting")
    yield from _strategy(seen, canary, at)
    for index, step in enumerate(canary.steps):
        yield from _step(seen, canary.traffic_routing, step, f"{at}.steps[{index}]")
        yield from _experiment(seen, index, f"{at}.steps[{index}]")


def _without_routing(canary: CanaryStrategy, at: str) -> Iterator[SpecError]:
    if canary.scale_down_delay_seconds is not None:
        seconds = canary.scale_down_delay_seconds
        yield SpecError(f"{at}.scaleDownDelaySeconds", seconds, "needs trafficRouting", _ADD)
    if canary.dynamic_stable_scale:
        yield SpecError(f"{at}.dynamicStableScale", "true", "needs trafficRouting", _ADD)
    for index, step in enumerate(canary.steps):
        named = {
            "setCanaryScale": step.set_canary_scale,
            "setHeaderRoute": step.set_header_route,
            "setMirrorRoute": step.set_mirror_route,
        }
        for field, value in named.items():
            if value is not None:
                yield SpecError(f"{at}.steps[{index}].{field}", None, "needs trafficRouting", _ADD)
        for path, weight in _weighed(step, f"{at}.steps[{index}]"):
            yield SpecError(path, weight, "needs trafficRouting", _ADD)


def _routers(seen: View, routing: TrafficRouting, at: str) -> Iterator[SpecError]:
    names = [name for name, _ in routing.routers()]
    if not names and not seen.names.is_the_peers:
        yield SpecError(at, None, "names no router", "name one, or remove trafficRouting to go by pods")
    available = {route.router for route in seen.routes if route.available}
    for name in names:
        if name not in available:
            yield SpecError(
                f"{at}.{name}",
                None,
                "this router is not available in this controller",
                "use one that is, such as services, install the package that brings it, or remove"
                " trafficRouting to go by the ratio of the pods",
            )
    if routing.max_traffic_weight is not None:
        for route in seen.routes:
            if Feature.MAX_TRAFFIC_WEIGHT not in route.features:
                yield _cannot(route.router, f"{at}.maxTrafficWeight")


def _strategy(seen: View, canary: CanaryStrategy, at: str) -> Iterator[SpecError]:
    for field, name in (("canaryService", canary.canary_service), ("stableService", canary.stable_service)):
        if not name:
            yield SpecError(f"{at}.{field}", None, "is required with trafficRouting", "name a Service")
    if canary.dynamic_stable_scale and canary.scale_down_delay_seconds is not None:
        yield SpecError(
            f"{at}.dynamicStableScale",
            "true",
            "leaves nothing to delay, but scaleDownDelaySeconds is set",
            "remove one of them",
        )


def _step(seen: View, routing: TrafficRouting, step: CanaryStep, path: str) -> Iterator[SpecError]:
    if step.set_header_route is not None:
        yield from _unable(seen, Feature.HEADER_ROUTES, f"{path}.setHeaderRoute")
        yield from _unmanaged(routing, step.set_header_route.name, f"{path}.setHeaderRoute.name")
        for index, header in enumerate(step.set_header_route.match):
            yield from _ambiguous(header.header_value, f"{path}.setHeaderRoute.match[{index}].headerValue")
    if step.set_mirror_route is not None:
        yield from _unable(seen, Feature.MIRROR_ROUTES, f"{path}.setMirrorRoute")
        yield from _unmanaged(routing, step.set_mirror_route.name, f"{path}.setMirrorRoute.name")
        for index, request in enumerate(step.set_mirror_route.match):
            yield from _ambiguous(request.method, f"{path}.setMirrorRoute.match[{index}].method")
            yield from _ambiguous(request.path, f"{path}.setMirrorRoute.match[{index}].path")


def _experiment(seen: View, index: int, path: str) -> Iterator[SpecError]:
    step = seen.steps[index]
    weighed = dict(_weighed(step, path))
    for at, weight in weighed.items():
        for route in seen.routes:
            if Feature.EXPERIMENT_WEIGHTS not in route.features:
                yield _cannot(route.router, at)
        if not has_ports(seen.spec.template):
            yield SpecError(at, weight, "the containers have no ports to send requests to", "name one")
    left = seen.max_weight - weights.step_weight(seen, index)
    if sum(weighed.values()) > left:
        problem = f"the weights are more than the {left} that stable has at this step"
        yield SpecError(f"{path}.experiment.templates", sum(weighed.values()), problem, "make them smaller")
    if weighed and step.experiment and not step.experiment.scale_down_delay_seconds:
        yield SpecError(
            f"{path}.experiment.scaleDownDelaySeconds",
            0,
            "pods with a weight have to outlast it",
            "leave time for the router to take it away",
        )


def _weighed(step: CanaryStep, path: str) -> Iterator[tuple[str, int]]:
    """Templates of an experiment step that ask for a share."""
    for index, template in enumerate(step.experiment.templates if step.experiment else ()):
        if template.weight is not None:
            yield f"{path}.experiment.templates[{index}].weight", template.weight


def _ambiguous(match: StringMatch | None, path: str) -> Iterator[SpecError]:
    if match is None:
        return
    given = [value for value in (match.exact, match.prefix, match.regex) if value]
    if len(given) != 1:
        yield SpecError(path, " and ".join(given) or None, "must have exactly one of exact, prefix, regex")


def _unable(seen: View, feature: Feature, path: str) -> Iterator[SpecError]:
    """One router that can is enough: the others go on by weight."""
    if not any(feature in route.features for route in seen.routes):
        yield _cannot(", ".join(route.router for route in seen.routes), path)


def _cannot(router: str, path: str) -> SpecError:
    return SpecError(path, None, f"router {router} cannot do this", "leave it out, or use a router that can")


def _unmanaged(routing: TrafficRouting, name: str, path: str) -> Iterator[SpecError]:
    if name not in {route.name for route in routing.managed_routes}:
        yield SpecError(
            path,
            name,
            "is none of spec.strategy.canary.trafficRouting.managedRoutes",
            "add it there",
        )
