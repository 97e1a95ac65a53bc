"""The reference is what the models say."""

from __future__ import annotations

from pathlib import Path

from rollouts.api import crd, reference

ROOT = Path(__file__).parents[3]


def test_the_pages_in_the_repository_are_what_the_models_say() -> None:
    found = {path.name: path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md")}

    assert found == reference.pages(), "run `make generate`"


def test_a_page_tells_type_limits_and_default_of_a_field() -> None:
    page = reference.page(crd.ROLLOUT)

    assert "| `spec.replicas` | integer | Desired pods. At least 0. Default: `1`. |" in page
    assert "| `spec.strategy` | object | How an update is rolled out. **Required.** |" in page
    assert "| `spec.strategy.canary.steps[].setWeight` | integer |" in page
    assert "From 0 to 100." in page
    assert "| `spec.strategy.canary.steps[].pause.duration` | duration |" in page
    assert "| `spec.strategy.canary.maxSurge` | integer or percentage |" in page
    assert "| `status.phase` | string | Healthy, Progressing, Paused or Degraded. One of `Healthy`," in page


def test_a_page_tells_what_the_api_server_refuses() -> None:
    page = reference.page(crd.ROLLOUT)

    assert (
        "- `spec.strategy`: exactly one of canary, blueGreen, rollingUpdate and recreate must be set" in page
    )


def test_every_kind_is_in_the_index() -> None:
    index = reference.pages()["README.md"]

    assert [kind.kind for kind in crd.KINDS if f"[{kind.kind}]" not in index] == []
