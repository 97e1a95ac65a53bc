"""The documentation says what is: manifests are right, flags and reasons are complete, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rollouts.api.application_status import FailureReason
from rollouts.cli.main import _GROUPS, _VERBS, app

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = [t for t in LINK.findall(page.read_text()) if "://" not in t]

    assert [t for t in targets if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_into_a_page_finds_its_heading(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]*)#([^)]+)\)", page.read_text())
    local = [((page.parent / t).resolve() if t else page, anchor) for t, anchor in links if "://" not in t]

    assert [anchor for target, anchor in local if anchor not in _anchors(target)] == []


def test_every_page_can_be_found_from_another_one() -> None:
    linked = {(page.parent / target).resolve() for page in PAGES for target in LINK.findall(page.read_text())}

    assert [page.name for page in PAGES if page.parent != ROOT and page not in linked] == []


def _anchors(page: Path) -> set[str]:
    """As hosts of Git make them from headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_examples_are_right() -> None:
    result = CliRunner().invoke(app, ["lint", "-f", str(ROOT / "docs" / "examples")])

    assert result.exit_code == 0, result.output


def test_the_manifests_in_the_pages_are_right(tmp_path: Path) -> None:
    blocks = [block for page in PAGES for block in FENCE.findall(page.read_text()) if "apiVersion:" in block]
    for number, block in enumerate(blocks):
        (tmp_path / f"{number}.yaml").write_text(block)

    result = CliRunner().invoke(app, ["lint", "-f", str(tmp_path)])

    assert result.exit_code == 0, result.output


def test_every_flag_of_the_controller_is_told() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    told = CliRunner(env={"COLUMNS": "300", "TERMINAL_WIDTH": "300"}).invoke(app, ["controller", "--help"])

    flags = set(re.findall(r"--[a-z][a-z-]+", told.output)) - {"--help"}
    assert len(flags) > 10
    assert sorted(flag for flag in flags if f"`{flag}`" not in text) == []


def test_every_reason_of_a_quarantine_is_told() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()

    assert [reason for reason in FailureReason if f"`{reason}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_in_the_pages_is_a_word_of_the_program(page: Path) -> None:
    commands = re.findall(r"^ {4}(?:kubectl )?rollouts ([a-z]+)", page.read_text(), re.MULTILINE)
    commands += re.findall(r"`(?:kubectl )?rollouts ([a-z]+)", page.read_text())

    assert [word for word in commands if word not in {*_VERBS, *_GROUPS}] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text())

    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).is_file() or f"def {name}(" not in (ROOT / file).read_text()
    ]
    assert missing == []
