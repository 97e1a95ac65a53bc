"""A real cluster in one process tree: API server, simulated pods, Prometheus, traffic and Git on this machine.

from rollouts import sandbox

with sandbox.up(directory, wanted=sandbox.CLUSTER) as cluster:
    print(cluster.kubeconfig)
"""

from __future__ import annotations

from rollouts.sandbox.cluster import Sandbox, load, up
from rollouts.sandbox.components import ALL, API, CLUSTER, PRESETS, Component
from rollouts.sandbox.errors import SandboxError
from rollouts.sandbox.repository import RepoInfo

__all__ = [
    "ALL",
    "API",
    "CLUSTER",
    "PRESETS",
    "Component",
    "RepoInfo",
    "Sandbox",
    "SandboxError",
    "load",
    "up",
]
