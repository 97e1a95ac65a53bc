"""The simulated nodes: objects that kwok then plays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PODS_PER_NODE = 1000


def node(index: int) -> Mapping[str, Any]:
    """A node with room for very many pods of any size."""
    name = f"node-{index}"
    room = {"cpu": "1000", "memory": "4Ti", "ephemeral-storage": "10Ti", "pods": str(PODS_PER_NODE)}
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": f"zone-{index % 2}",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"node.alpha.kubernetes.io/ttl": "0"}},
        "status": {"capacity": room, "allocatable": room},
    }


def is_usable(obj: Mapping[str, Any]) -> bool:
    """Ready, and freed of the taint that every new node carries."""
    conditions = obj.get("status", {}).get("conditions", ())
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not obj["spec"].get("taints")
