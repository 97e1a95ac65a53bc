"""What Git says, completed by the record of the last good revision, where nothing is known to be good yet."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rollouts.api.application import Application
from rollouts.controller.applications.sets import Sets
from rollouts.gitops import naming
from rollouts.gitops.gates import Gate
from rollouts.gitops.hosting import recording
from rollouts.gitops.resources.render import RenderError
from rollouts.gitops.revision import Candidate
from rollouts.gitops.snapshot import SourceView
from rollouts.gitops.sources.git import SourceError

__all__ = ["Recorded"]


@dataclass(frozen=True, slots=True)
class Recorded:
    sets: Sets

    async def seen(
        self, application: Application, view: SourceView, gate: Gate | None
    ) -> tuple[SourceView, Gate | None]:
        """The view with the recorded set in it; or what a first sync waits for. Fails closed."""
        if awaited := recording.awaited(application):
            return view, awaited
        commit = recording.bootstrap(application)
        if not commit or view == SourceView():
            return view, gate
        try:
            rendered = await self.sets.at_commit(application, commit)
        except (SourceError, RenderError) as e:
            return view, recording.gate(f"{commit} cannot be had: {e}")
        name = naming.name_of(view.candidate.revision) if view.candidate else ""
        return replace(view, recorded=Candidate(naming.text(name, commit), rendered.digest)), gate
