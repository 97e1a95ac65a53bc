"""A pod template without the values that no strict client can read.

Decides what is left out: the value itself, or, among ephemeral containers, all of them, as Go's decoder
does. Pure; called by the controller where it shares its objects with clients of Argo Rollouts, which fail on
every list of a namespace that holds one such object.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from rollouts.api import podtemplate
from rollouts.errors import SpecError

_AT_MOST = 100
_EPHEMERAL = ("spec", "ephemeralContainers")

Place = tuple[str | int, ...]


def removals(template: Mapping[str, Any]) -> tuple[Place, ...]:
    """Where malformed values stand, in an order in which they can be removed one after the other."""
    rest, found = copy.deepcopy(dict(template)), list[Place]()
    for _ in range(_AT_MOST):
        try:
            podtemplate.canonical(rest, path="")
        except SpecError as e:
            place = _place(rest, e.path.lstrip("."))
            if not place:
                return ()
            _remove(rest, place)
            found.append(place)
        else:
            return tuple(found)
    return ()


def json_patch(template: Mapping[str, Any], resource_version: str) -> list[dict[str, Any]]:
    """A JSON patch of the Rollout that removes them; empty where there is nothing that can be removed."""
    places = removals(template)
    if not places:
        return []
    test = {"op": "test", "path": "/metadata/resourceVersion", "value": resource_version}
    return [test, *({"op": "remove", "path": _pointer(place)} for place in places)]


def _place(value: object, path: str) -> Place:
    """The keys along a path as errors write it. Keys hold dots and brackets, too: the longest that fits."""
    if path.startswith(_EPHEMERAL[0] + "." + _EPHEMERAL[1]):
        return _EPHEMERAL
    place: list[str | int] = []
    while path:
        path = path.removeprefix(".")
        if isinstance(value, Mapping):
            key = max((k for k in value if _begins(path, k)), key=len, default=None)
            if key is None:
                return ()
            place.append(key)
            value, path = value[key], path.removeprefix(key)
        elif isinstance(value, list) and path.startswith("["):
            number, _, path = path[1:].partition("]")
            if not number.isdigit() or int(number) >= len(value):
                return ()
            place.append(int(number))
            value = value[int(number)]
        else:
            return ()
    return tuple(place)


def _begins(path: str, key: str) -> bool:
    return path.startswith(key) and path[len(key) : len(key) + 1] in ("", ".", "[")


def _remove(value: Any, place: Place) -> None:
    for key in place[:-1]:
        value = value[key]
    del value[place[-1]]


def _pointer(place: Place) -> str:
    keys = (str(key).replace("~", "~0").replace("/", "~1") for key in ("spec", "template", *place))
    return "/" + "/".join(keys)
