"""What an Application tells its Git host, and with which rights. Part of the Application kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from rollouts.api.schema import OBJECT_NAME, Field


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
            pattern=OBJECT_NAME,
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


class Revert(StrEnum):
    """What becomes of a quarantined revision in Git."""

    NONE = "none"
    BRANCH = "branch"
    PULL_REQUEST = "pullRequest"


@dataclass(frozen=True, slots=True)
class CommitAuthor:
    name: Annotated[str, Field("Name.", pattern=r"^[^<>\r\n]*$")] = "Rollouts"
    email: Annotated[str, Field("E-mail address.", pattern=r"^[^<>\r\n ]*$")] = "rollouts@localhost"


@dataclass(frozen=True, slots=True)
class Record:
    """Write the last good revision into Git, and begin with it in a cluster that was built anew."""

    ref: Annotated[
        str,
        Field(
            "Below refs/rollouts/. Default: refs/rollouts/last-good/<namespace>/<name>; name it where clusters share a "
            "repository."
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class Rollback:
    """What Git hears of a rollback. With the defaults nothing: read-only credentials are enough."""

    revert: Annotated[
        Revert,
        Field(
            "none; branch: a commit on the followed branch that restores the last good content; pullRequest: the same "
            "commit on a branch of its own, proposed. One for each quarantined set of objects."
        ),
    ] = Revert.NONE
    provider: Annotated[
        GitProvider | None, Field("Whose API proposes pull requests: github, gitlab or gitea.")
    ] = None
    secret_ref: Annotated[
        HostSecret | None, Field("Who may push, and propose. Default: the credentials of the source.")
    ] = None
    url: Annotated[str, Field("Address of the API, as for commitStatus.url.")] = ""
    branch: Annotated[
        str, Field("The branch that is put right. Default: the one that targetRevision names.")
    ] = ""
    author: Annotated[CommitAuthor, Field("Who makes the commit.")] = field(default_factory=CommitAuthor)
    record: Annotated[
        Record | None, Field("Keep the last good revision as a ref in the repository. Default: do not.")
    ] = None
