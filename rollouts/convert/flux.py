"""A Kustomization of Flux, with the GitRepository that it names, as an Application.

Decides which field of ours stands for which of theirs; both describe one path of one repository that is kept
applied, pruned and healed. Called by `manifests`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rollouts.convert import deployment
from rollouts.convert.argocd import application
from rollouts.convert.losses import Loss, unread
from rollouts.errors import SpecError

_KNOWN = frozenset(
    f"spec.{name}"
    for name in (
        *("sourceRef", "path", "prune", "timeout", "suspend", "targetNamespace", "namePrefix", "nameSuffix"),
        *("commonMetadata", "components", "patches", "images", "postBuild", "decryption"),
        *("interval", "wait", "healthChecks", "deletionPolicy", "dependsOn", "healthCheckExprs"),
    )
)
_REMEDIES = {
    "spec.retryInterval": "what failed is tried again with back-off",
    "spec.force": "delete what cannot be changed in place by hand",
    "spec.serviceAccountName": "the controller applies with its own rights",
    "spec.kubeConfig": "run a controller in that cluster and apply the Application to it",
}
_REPOSITORY_KNOWN = frozenset(
    f"spec.{name}" for name in ("url", "ref", "secretRef", "interval", "verify", "suspend", "timeout")
)
_REPOSITORY_REMEDIES = {
    "spec.ignore": "name the files with spec.source.directory.include and exclude",
    "spec.sparseCheckout": "only what the path needs is read",
}
Repositories = Mapping[tuple[str, str], Mapping[str, Any]]


def convert(body: Mapping[str, Any], repositories: Repositories) -> tuple[list[dict[str, Any]], list[Loss]]:
    """The Application, and what did not come with it. Raises `SpecError` without the source."""
    title = f"Kustomization {body['metadata']['name']}"
    spec = body.get("spec") or {}
    repository = _repository(body, title, repositories)
    losses = [
        *unread(title, body, _KNOWN, _REMEDIES),
        *_about_repository(repository, body),
    ]
    source = repository.get("spec") or {}
    automated = {"selfHeal": True, **({"prune": True} if spec.get("prune") else {})}
    converted = {
        "source": _source(spec, source),
        "interval": source.get("interval") or "1m",
        **({"timeout": spec["timeout"]} if spec.get("timeout") else {}),
        "syncPolicy": {"automated": automated},
        **({"dependsOn": _dependencies(spec)} if spec.get("dependsOn") else {}),
        **({"deletionPolicy": "Delete"} if _goes_with_its_objects(spec) else {}),
        **({"suspend": True} if spec.get("suspend") or source.get("suspend") else {}),
        **{name: source[name] for name in ("secretRef", "verify") if source.get(name)},
        **{name: spec[name] for name in ("postBuild", "decryption", "healthCheckExprs") if spec.get(name)},
    }
    return [application(deployment.metadata(body), converted)], losses


def _repository(body: Mapping[str, Any], title: str, repositories: Repositories) -> Mapping[str, Any]:
    ref = (body.get("spec") or {}).get("sourceRef") or {}
    if ref.get("kind") != "GitRepository":
        path = f"{title}: spec.sourceRef.kind"
        raise SpecError(
            path, ref.get("kind"), "cannot be converted", "only Kustomizations of a GitRepository can"
        )
    namespace = str(ref.get("namespace") or body["metadata"].get("namespace", ""))
    found = repositories.get((namespace, str(ref.get("name"))))
    if found is None:
        path = f"{title}: spec.sourceRef.name"
        raise SpecError(
            path, ref.get("name"), "this GitRepository is not among the files", "add its file with -f"
        )
    return found


def _about_repository(repository: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Loss]:
    name = f"GitRepository {repository['metadata']['name']}"
    yield from unread(name, repository, _REPOSITORY_KNOWN, _REPOSITORY_REMEDIES)
    there, here = (str(o["metadata"].get("namespace", "")) for o in (repository, body))
    secrets = [f for f in ("secretRef", "verify") if (repository.get("spec") or {}).get(f)]
    if there != here:
        for field in secrets:
            yield Loss(
                name, f"spec.{field}", f"its Secret is in {there}: copy it to the Application's {here}"
            )


def _source(spec: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    kustomize = _kustomize(spec)
    return {
        "repoURL": source.get("url"),
        "targetRevision": _revision(source.get("ref") or {}),
        "path": str(spec.get("path") or ".").removeprefix("./").strip("/") or ".",
        # Flux makes a kustomization of all files below the path where there is none
        "directory": {"recurse": True},
        **({"kustomize": kustomize} if kustomize else {}),
    }


def _revision(ref: Mapping[str, Any]) -> str:
    """The first of these that is set counts, as in Flux; its default is not HEAD."""
    named = (ref.get(name) for name in ("commit", "name", "semver", "tag", "branch"))
    return str(next((text for text in named if text), "master"))


def _dependencies(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{k: d[k] for k in ("name", "namespace") if d.get(k)} for d in spec["dependsOn"]]


def _goes_with_its_objects(spec: Mapping[str, Any]) -> bool:
    """MirrorPrune is the default there: what is pruned is deleted with the Kustomization, too."""
    policy = spec.get("deletionPolicy") or "MirrorPrune"
    return policy in ("Delete", "WaitForTermination") or (policy == "MirrorPrune" and bool(spec.get("prune")))


def _kustomize(spec: Mapping[str, Any]) -> dict[str, Any]:
    common = spec.get("commonMetadata") or {}
    given = {
        "namespace": spec.get("targetNamespace"),
        "namePrefix": spec.get("namePrefix"),
        "nameSuffix": spec.get("nameSuffix"),
        "images": [_image(image) for image in spec.get("images") or ()],
        "components": spec.get("components"),
        "patches": spec.get("patches"),
        "commonLabels": common.get("labels"),
        "labelWithoutSelector": bool(common.get("labels")),
        "commonAnnotations": common.get("annotations"),
    }
    return {name: value for name, value in given.items() if value}


def _image(image: Mapping[str, Any]) -> str:
    """`name=new-name:tag`, or with a digest, which wins."""
    new = f"{image['newName']}" if image.get("newName") else ""
    tag = (
        f"@{image['digest']}" if image.get("digest") else f":{image['newTag']}" if image.get("newTag") else ""
    )
    return f"{image['name']}={new}{tag}" if new else f"{image['name']}{tag}"
