"""`rollouts simulate`: from files to a table, data or a picture."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from rollouts.cli.main import app
from rollouts.cli.target import CliError

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *words])


def example(*words: str) -> Result:
    return run("-f", str(EXAMPLES / "canary.yaml"), "--scenario", str(EXAMPLES / "scenario.yaml"), *words)


def test_the_example_of_the_documentation_fails_once_and_then_gets_through() -> None:
    told = json.loads(example("-o", "json").output)

    phases = [moment["phase"] for moment in told["moments"]]
    assert (phases[-1], "Degraded" in phases, told["ended"]) == ("Healthy", True, True)
    assert told["moments"][-1]["revisions"] == [
        {"revision": 2, "version": 2, "replicas": 8, "available": 8, "weight": 100}
    ]


def test_the_scenario_in_the_page_is_the_format_that_is_read(tmp_path: Path) -> None:
    page = (EXAMPLES.parent / "simulate.md").read_text()
    (tmp_path / "scenario.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])

    result = run("-f", str(EXAMPLES / "canary.yaml"), "--scenario", str(tmp_path / "scenario.yaml"))

    assert result.exit_code == 0, result.output


def test_the_table_tells_time_weights_pods_and_events() -> None:
    result = example()

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["TIME", "PHASE", "STEP", "WEIGHTS", "PODS", "WHAT", "HAPPENS"]
    assert any(
        line.startswith("8s ") and "r1 80 %  r2 20 %" in line and "r1 4/4  r2 1/1" in line for line in lines
    )
    assert "after 10m24s it is Healthy" in result.stderr


def test_the_picture_is_well_formed_and_shows_every_revision() -> None:
    root = ET.fromstring(example("-o", "svg").output)

    texts = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"web", "revision 1", "revision 2", "100 %", "3/3"} <= set(texts)
    assert any(text.startswith("aborted at 16s") for text in texts)


def test_what_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n")
    (tmp_path / "scenario.yaml").write_text("actions: [{at: soon, do: abort}]\n")
    canary = str(EXAMPLES / "canary.yaml")

    for words in (
        ["-f", str(tmp_path / "none.yaml")],
        ["-f", str(EXAMPLES)],
        ["-f", canary, "--name", "api"],
        ["-f", canary, "--for", "soon"],
        ["-f", canary, "--scenario", str(tmp_path / "scenario.yaml")],
        ["-f", canary, "--scenario", str(tmp_path / "absent.yaml")],
    ):
        assert isinstance(run(*words).exception, CliError), words


def test_a_spec_that_the_linter_refuses_is_not_played(tmp_path: Path) -> None:
    text = (EXAMPLES / "canary.yaml").read_text().replace("setWeight: 20", "setWeight: 120")
    (tmp_path / "wrong.yaml").write_text(text)

    with pytest.raises(
        CliError, match=r"^Rollout web: spec\.strategy\.canary\.steps\[0\]\.setWeight: Invalid value: 120"
    ):
        CliRunner().invoke(app, ["simulate", "-f", str(tmp_path / "wrong.yaml")], catch_exceptions=False)


def test_a_template_that_is_not_there_is_told_and_played_as_one_measurement(tmp_path: Path) -> None:
    documents = (EXAMPLES / "canary.yaml").read_text().split("\n---\n")
    (tmp_path / "alone.yaml").write_text(documents[2])

    result = run("-f", str(tmp_path / "alone.yaml"))

    assert result.exit_code == 0
    assert "not among the files: success-rate" in result.stderr
