"""The annotations by which people say how simulated pods behave and which Services receive requests.

Pod annotations belong on the pod template; `stages.yaml` acts on the first three, the traffic model on the
others. Tests, the demo and the documentation take the names from here.
"""

from __future__ import annotations

READY = "sandbox.rollouts.dev/ready"
"""`never`: the pod runs but never becomes ready."""

READY_AFTER = "sandbox.rollouts.dev/ready-after"
"""A Go duration such as `3s`: the pod becomes ready only then."""

CRASH_AFTER = "sandbox.rollouts.dev/crash-after"
"""A Go duration: the pod exits so long after it became ready, and again after each restart."""

ERROR_RATE = "sandbox.rollouts.dev/error-rate"
"""The share of requests, 0 to 1, that the pod answers with 500."""

LATENCY_MS = "sandbox.rollouts.dev/latency-ms"
"""How long the pod takes to answer, in milliseconds on average."""

TRAFFIC = "sandbox.rollouts.dev/traffic"
"""On a Service: how many requests a second it receives."""
