"""A router that keeps what it is told in a ConfigMap, and sends no traffic.

The simulator plays every router with it, and tests steer it: keys of the ConfigMap make it refuse (`fail`),
deny what it does (`unverified`) or be unable to tell (`verifyError`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rollouts.api.parse import dump, parse
from rollouts.api.traffic import Feature, Shares
from rollouts.routing.values import Object, Owner, Patch, Place, Read, RouterError, Sides

__all__ = ["Recording"]

_SHARES, _HISTORY = "shares", "history"


class Recording:
    """`trafficRouting.plugins.<name>: {configMap}`. The history holds every weight of the canary in order."""

    features = frozenset(Feature)
    by_pods = False

    def places(self, config: Mapping[str, Any]) -> Sequence[Place]:
        return (Place("", "v1", "configmaps", "ConfigMap", str(config.get("configMap", ""))),)

    def render(
        self, objects: Sequence[Object], shares: Shares, owner: Owner, config: Mapping[str, Any]
    ) -> Sequence[Patch | None]:
        del owner, config
        return [_patch(_data(each), shares) for each in objects]

    def read(self, objects: Sequence[Object], sides: Sides, config: Mapping[str, Any]) -> Read:
        del sides, config
        data = _data(objects[0])
        kept = data.get(_SHARES)
        return Read(
            shares=parse(Shares, json.loads(kept), _SHARES) if kept else None,
            verified=False if "unverified" in data or "verifyError" in data else None,
            verify_error=data.get("verifyError", ""),
        )


def _patch(data: Mapping[str, str], shares: Shares) -> Patch | None:
    if "fail" in data:
        raise RouterError(data["fail"])
    written = json.dumps(dump(shares), sort_keys=True)
    if data.get(_SHARES) == written:
        return None
    history = json.loads(data.get(_HISTORY, "[]"))
    if history[-1:] != [shares.canary.weight]:
        history.append(shares.canary.weight)
    return {"data": {_SHARES: written, _HISTORY: json.dumps(history)}}


def _data(each: Object) -> Mapping[str, str]:
    data: Mapping[str, str] = each.get("data") or {}
    return data
