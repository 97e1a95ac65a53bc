"""`get NAME` and `get experiment NAME`: which kind of object the words of a verb name.

Decides how words are read, as in the peer's plugin; a name alone is that of a Rollout.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from rollouts.cli import completion
from rollouts.cli.target import CliError


class Kind(StrEnum):
    ROLLOUT = "rollout"
    EXPERIMENT = "experiment"


_WORDS = {
    **dict.fromkeys(("rollout", "rollouts", "ro"), Kind.ROLLOUT),
    **dict.fromkeys(("experiment", "experiments", "exp"), Kind.EXPERIMENT),
}

What = Annotated[
    str,
    typer.Argument(
        metavar="[experiment] NAME",
        help="Name of the Rollout, or of the Experiment.",
        show_default=False,
        autocompletion=completion.words_of_a_kind,
    ),
]
NameAfterKind = Annotated[str, typer.Argument(hidden=True, autocompletion=completion.experiment_names)]
Listed = Annotated[
    str, typer.Argument(metavar="[experiments]", help="What to list. Default: Rollouts.", show_default=False)
]

KindToEnd = Annotated[
    str,
    typer.Argument(
        metavar="experiment",
        help="What to end.",
        show_default=False,
        autocompletion=lambda: [Kind.EXPERIMENT.value],
    ),
]
ExperimentName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Name of the Experiment.",
        show_default=False,
        autocompletion=completion.experiment_names,
    ),
]


def named(what: str, name: str) -> tuple[Kind, str]:
    """Kind and name. Raises `CliError` for a kind that there is not."""
    return (kind(what), name) if name else (Kind.ROLLOUT, what)


def kind(word: str) -> Kind:
    if word not in _WORDS:
        raise CliError(f"{word} is no kind of object here; name rollout or experiment")
    return _WORDS[word]
