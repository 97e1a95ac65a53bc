"""What an Application tells its Git host, and with which rights. Part of the Application kind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from rollouts.api.schema import Field


class GitProvider(StrEnum):
    """Whose API the host speaks (Flux: Provider spec.type)."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"


@dataclass(frozen=True, slots=True)
class HostSecret:
    name: Annotated[
        str,
        Field(
            "Name of a Secret in the Application's namespace: token, or the keys of a GitHub App; ca.crt for a "
            "host with a private authority.",
            min_length=1,
        ),
    ]


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """Tell the host what became of a commit: pending, success only after promotion, failure with the reason."""

    provider: Annotated[GitProvider, Field("github, gitlab or gitea (Forgejo speaks it, too).")]
    secret_ref: Annotated[
        HostSecret | None, Field("Who may write statuses. Default: the credentials of the source.")
    ] = None
    url: Annotated[
        str,
        Field(
            "Address of the API. Default: https://api.github.com, or /api/v3 (GitHub Enterprise), /api/v4 (GitLab), "
            "/api/v1 (Gitea) of the repository's host."
        ),
    ] = ""
    context: Annotated[
        str,
        Field(
            "Name of the status. Default: rollouts/<namespace>/<name>; name it where clusters share a repository."
        ),
    ] = ""
