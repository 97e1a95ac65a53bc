"""The Kubernetes API in plain dicts: the only package that imports the `kubernetes` client."""

from rollouts.kube.client import Kube, Page, connect
from rollouts.kube.resources import Ref, Resource

__all__ = ["Kube", "Page", "Ref", "Resource", "connect"]
