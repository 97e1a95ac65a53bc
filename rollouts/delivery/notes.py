"""What a Rollout's own annotations say, for clients that read them there.

Decides when a write for them is due: the generation of the object in workloadRef always; the revision where
the peer's clients look for it, that is in its group, and elsewhere only together with another one, because
`status.currentRevision` says the same. Called by `plan`.
"""

from __future__ import annotations

from collections.abc import Mapping

from rollouts.delivery import workload
from rollouts.delivery.view import View


def missing(seen: View) -> Mapping[str, str | None]:
    """What the annotations have to say and do not say yet; None removes one."""
    due, revision = workload.marks(seen), _revision(seen)
    return {**due, **revision} if due or seen.names.is_the_peers else {}


def _revision(seen: View) -> Mapping[str, str | None]:
    key, number = seen.names.revision_annotation, str(seen.revision)
    known = seen.snapshot.rollout.metadata.annotations.get(key)
    return {} if known == number else {key: number}
