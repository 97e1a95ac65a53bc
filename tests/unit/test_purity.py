"""What decides takes the time as an argument: no clock is read there. (Imports: contracts in pyproject.toml.)"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = (
    "rollouts/api",
    "rollouts/convert",
    "rollouts/delivery",
    "rollouts/routing",
    "rollouts/simulate",
    "rollouts/gitops",
    "analysis/language",
)
PURE_FILES = ("judge", "schedule", "condition", "compare", "model", "template", "parse")
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}


def modules() -> list[Path]:
    found = [path for directory in PURE for path in sorted((ROOT / directory).rglob("*.py"))]
    files = (ROOT / "analysis" / f"{name}.py" for name in PURE_FILES)
    return [*found, *(path for path in files if path.exists())]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_clock_is_read(path: Path) -> None:
    tree = ast.parse(path.read_text())

    read = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and ((node.value.id, node.attr) in CLOCKS or node.value.id == "time")
    ]
    assert read == []
