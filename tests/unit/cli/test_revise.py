"""Which revision `undo` means, and which images `set image` means."""

from __future__ import annotations

import pytest
import typer

from rollouts.api.meta import Names
from rollouts.cli import facts, revise
from rollouts.cli.target import CliError
from tests.unit.cli.objects import replica_set, rollout

REVISIONS = facts.revisions(
    rollout(), [replica_set(1, "aa"), replica_set(4, "dd"), replica_set(2, "bb")], Names()
)


def test_undo_goes_to_the_revision_before() -> None:
    assert revise.earlier_revision("checkout", REVISIONS, 0).number == 2


def test_undo_goes_to_the_revision_that_is_named() -> None:
    assert revise.earlier_revision("checkout", REVISIONS, 1).number == 1


@pytest.mark.parametrize(
    ("revisions", "number", "problem"),
    [
        (REVISIONS, 3, "rollout checkout has no revision 3; it has 4, 2, 1"),
        (REVISIONS[:1], 0, "rollout checkout has no earlier revision; it has 4"),
        ((), 0, "rollout checkout has no earlier revision; it has none"),
    ],
)
def test_a_revision_that_is_not_there_is_told_with_those_that_are(
    revisions: tuple[facts.Revision, ...], number: int, problem: str
) -> None:
    with pytest.raises(CliError, match=problem):
        revise.earlier_revision("checkout", revisions, number)


def test_the_template_of_a_revision_is_without_the_label_of_its_set() -> None:
    template = revise.template_of(REVISIONS[0])

    assert template["metadata"]["labels"] == {"app": "checkout"}
    assert template["spec"] == {"containers": [{"name": "web", "image": "web:1"}]}


def test_images_are_pairs() -> None:
    assert revise.parse_images(["web=registry/web:1", "*=x:2"]) == {"web": "registry/web:1", "*": "x:2"}


@pytest.mark.parametrize("argument", ["web", "web=", "=web:1"])
def test_anything_else_is_refused_with_an_example(argument: str) -> None:
    with pytest.raises(typer.BadParameter, match="write web=registry"):
        revise.parse_images([argument])
