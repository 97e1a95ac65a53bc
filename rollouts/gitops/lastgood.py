"""The last good set in Secrets, so that it can be put back when Git and the mirror are both gone.

Decides the form: the manifests as compressed JSON, split over as many Secrets as their size asks for, named
after the digest so that the old set stays readable until the status names the new one. Pure.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rollouts.api.application import Application
from rollouts.api.meta import APPLICATION_GROUP, VERSION
from rollouts.errors import RolloutsError
from rollouts.gitops.resources import manifests
from rollouts.gitops.resources.manifests import Manifest, ManifestError
from rollouts.gitops.resources.render import Rendered

LABEL = f"application.{APPLICATION_GROUP}/last-good-of"
DIGEST_ANNOTATION = f"application.{APPLICATION_GROUP}/last-good-digest"
PARTS_ANNOTATION = f"application.{APPLICATION_GROUP}/last-good-parts"
FIELD_MANAGER = "rollouts-gitops-last-good"
TYPE = f"{APPLICATION_GROUP}/last-good"

PART_BYTES = 700 * 1024
"""base64 makes a third more of it; a Secret holds 1 MiB."""
MAX_PARTS = 16
_MAX_BYTES = 64 * 1024 * 1024

Body = Mapping[str, Any]


class UnreadableError(RolloutsError):
    """The Secrets do not hold the set that is asked for."""


def secrets(
    application: Application, digest: str, declared: Iterable[Manifest]
) -> tuple[dict[str, Any], ...]:
    """The Secrets that hold a set; none where it is too big to be kept."""
    text = json.dumps([{"origin": m.origin, "body": m.body} for m in declared], separators=(",", ":"))
    packed = gzip.compress(text.encode(), mtime=0)
    parts = [packed[i : i + PART_BYTES] for i in range(0, len(packed), PART_BYTES)]
    if len(parts) > MAX_PARTS:
        return ()
    return tuple(_secret(application, digest, i, len(parts), part) for i, part in enumerate(parts))


def read(found: Sequence[Body], digest: str, *, namespace: str) -> Rendered:
    """The set with this digest. Raises `UnreadableError`."""
    mine = [s for s in found if _annotation(s, DIGEST_ANNOTATION) == digest]
    parts = {s["metadata"]["name"]: s for s in mine}
    if not parts or len(parts) != int(_annotation(mine[0], PARTS_ANNOTATION) or 0):
        raise UnreadableError(f"{len(parts)} Secrets of the set {digest} are there, not all of them")
    packed = b"".join(base64.b64decode(parts[name]["data"]["set"]) for name in sorted(parts))
    try:
        items = json.loads(_unpacked(packed))
        declared = tuple(manifests.manifest(i["body"], i["origin"]) for i in items)
    except (OSError, EOFError, ValueError, KeyError, TypeError, ManifestError) as e:
        raise UnreadableError(f"the Secrets of the set {digest} are damaged: {type(e).__name__}") from e
    if manifests.digest(declared, namespace=namespace) != digest:
        raise UnreadableError(f"the Secrets of the set {digest} hold another set")
    return Rendered(digest, declared)


def selector(application: Application) -> str:
    return f"{LABEL}={application.metadata.name}"


def is_outdated(secret: Body, kept: Iterable[str]) -> bool:
    return _annotation(secret, DIGEST_ANNOTATION) not in set(kept)


def _unpacked(packed: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
        text = stream.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise ValueError("too big")
    return text


def _annotation(secret: Body, name: str) -> str:
    return str((secret["metadata"].get("annotations") or {}).get(name, ""))


def _secret(application: Application, digest: str, index: int, parts: int, content: bytes) -> dict[str, Any]:
    metadata = application.metadata
    short = hashlib.sha256(digest.encode()).hexdigest()[:10]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": TYPE,
        "metadata": {
            "name": f"{metadata.name}-last-good-{short}-{index:02d}",
            "namespace": metadata.namespace,
            "labels": {LABEL: metadata.name},
            "annotations": {DIGEST_ANNOTATION: digest, PARTS_ANNOTATION: str(parts)},
            "ownerReferences": [
                {
                    "apiVersion": f"{APPLICATION_GROUP}/{VERSION}",
                    "kind": "Application",
                    "name": metadata.name,
                    "uid": metadata.uid,
                }
            ],
        },
        "data": {"set": base64.b64encode(content).decode()},
    }
