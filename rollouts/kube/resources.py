"""Which URL an object lives at. Pure; built from constants or from discovery."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from rollouts.api.meta import APPLICATION_GROUP, VERSION


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API server serves it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "") -> str:
        """URL path of the collection; all namespaces where `namespace` is empty."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}"

    def ref(self, name: str, namespace: str = "") -> Ref:
        return Ref(self, namespace if self.namespaced else "", name)


@dataclass(frozen=True, slots=True)
class Ref:
    """One object."""

    resource: Resource
    namespace: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.resource.path(self.namespace)}/{quote(self.name, safe='')}"

    def __str__(self) -> str:
        scope = f"{self.namespace}/" if self.namespace else ""
        return f"{self.resource.kind} {scope}{self.name}"


POD = Resource("", "v1", "pods", "Pod")
SERVICE = Resource("", "v1", "services", "Service")
SECRET = Resource("", "v1", "secrets", "Secret")
CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap")
NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
EVENT = Resource("", "v1", "events", "Event")
REPLICA_SET = Resource("apps", "v1", "replicasets", "ReplicaSet")
JOB = Resource("batch", "v1", "jobs", "Job")
DEPLOYMENT = Resource("apps", "v1", "deployments", "Deployment")
POD_TEMPLATE = Resource("", "v1", "podtemplates", "PodTemplate")
LEASE = Resource("coordination.k8s.io", "v1", "leases", "Lease")
CUSTOM_RESOURCE_DEFINITION = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
APPLICATION = Resource(APPLICATION_GROUP, VERSION, "applications", "Application")


def rollout(group: str) -> Resource:
    return Resource(group, VERSION, "rollouts", "Rollout")


def analysis_run(group: str) -> Resource:
    return Resource(group, VERSION, "analysisruns", "AnalysisRun")


def experiment(group: str) -> Resource:
    return Resource(group, VERSION, "experiments", "Experiment")


def analysis_template(group: str) -> Resource:
    return Resource(group, VERSION, "analysistemplates", "AnalysisTemplate")


def cluster_analysis_template(group: str) -> Resource:
    return Resource(group, VERSION, "clusteranalysistemplates", "ClusterAnalysisTemplate", namespaced=False)
