"""The parts of a sandbox and which of them belong together.

Decides nothing about how a part is started: that is `control_plane` and `services`.
"""

from __future__ import annotations

from enum import StrEnum


class Component(StrEnum):
    """One process of the sandbox; the value is its name in logs, state and on the command line."""

    ETCD = "etcd"
    API_SERVER = "kube-apiserver"
    CONTROLLER_MANAGER = "kube-controller-manager"
    SCHEDULER = "kube-scheduler"
    NODES = "kwok"
    PROMETHEUS = "prometheus"
    TRAFFIC = "traffic"
    GIT = "git"


API = frozenset({Component.ETCD, Component.API_SERVER})
"""Only the API: objects are stored, nothing acts on them."""

CLUSTER = API | {Component.CONTROLLER_MANAGER, Component.SCHEDULER, Component.NODES}
"""A cluster whose pods become ready, without Prometheus, traffic and Git."""

ALL = frozenset(Component)

PRESETS = {"api": API, "cluster": CLUSTER, "all": ALL}


def with_requirements(components: frozenset[Component]) -> frozenset[Component]:
    """The components plus those that they cannot run without."""
    needed = set(components)
    if needed & {Component.CONTROLLER_MANAGER, Component.SCHEDULER, Component.NODES, Component.TRAFFIC}:
        needed.add(Component.API_SERVER)
    if Component.API_SERVER in needed:
        needed.add(Component.ETCD)
    return frozenset(needed)
