"""A scenario as the simulator sees it, in the form in which it is written.

`python -m tests.conformance.story NAME...` prints, `--write FILE...` fills in the files: read what it says before
you believe it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.conformance import scenario as scenarios
from tests.conformance import virtual
from tests.conformance.played import Played

_WIDTH = 108


class _Dumper(yaml.SafeDumper):
    """Lists are indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, False)


def written(document: Mapping[str, Any], played: Played) -> str:
    """The document with what was seen in it."""
    chapters = []
    implied = len(played.chapters) - len(document["story"])
    for raw, told in zip(document["story"], played.chapters[implied:], strict=True):
        kept = {key: raw[key] for key in ("do", "until") if key in raw}
        chapter = {**kept, "then": told.state, "phases": list(told.phases), "events": list(told.events)}
        chapters.append({key: value for key, value in chapter.items() if value})
    head = {key: value for key, value in document.items() if key != "story"}
    return _text(head) + "story:\n" + "".join(_item(chapter) for chapter in chapters)


def _item(chapter: Mapping[str, Any]) -> str:
    lines = _text(chapter).splitlines()
    return "".join(f"{'  - ' if n == 0 else '    '}{line}\n" for n, line in enumerate(lines))


def _text(value: Mapping[str, Any], indent: str = "") -> str:
    """On one line what fits there; lists of words may be wrapped."""
    lines = []
    for key, inner in value.items():
        flow = _dump(inner, flow=True)
        if len(indent) + len(str(key)) + len(flow) < _WIDTH - 6 and "\n" not in flow:
            lines.append(f"{indent}{key}: {flow}\n")
        elif isinstance(inner, Mapping):
            lines.append(f"{indent}{key}:\n{_text(inner, indent + '  ')}")
        elif all(isinstance(item, str) for item in inner):
            folded = flow.replace("\n", f"\n{indent}")
            lines.append(f"{indent}{key}: {folded}\n")
        else:
            lines.append(
                f"{indent}{key}:\n" + "".join(f"{indent}  - {_dump(item, flow=True)}\n" for item in inner)
            )
    return "".join(lines)


def _dump(value: Any, *, flow: bool) -> str:
    if isinstance(value, str | int | float | bool):
        return yaml.safe_dump(value, width=10000).removesuffix("\n").removesuffix("\n...")
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, width=_WIDTH - 14, default_flow_style=flow
    ).strip()


def main(words: list[str]) -> None:
    write = words[:1] == ["--write"]
    for file in map(Path, words[1:] if write else sorted(map(str, scenarios.FILES.glob("*.yaml")))):
        texts = []
        comment = "".join(line for line in file.read_text().splitlines(keepends=True) if line.startswith("#"))
        for document in yaml.safe_load_all(file.read_text()):
            if not write and document["name"] not in words:
                continue
            bare = {**document, "story": [_asked(chapter) for chapter in document["story"]]}
            story = scenarios.read(bare, file.stem)
            played = virtual.play(story)
            texts.append(written(bare, played))
            for wrong in played.broken:
                print(f"# {story.name}: {wrong}", file=sys.stderr)
        if write:
            file.write_text(comment + "---\n".join(texts))
        elif texts:
            print("---\n".join(texts))


def _asked(chapter: Mapping[str, Any]) -> dict[str, Any]:
    return {key: chapter[key] for key in ("do", "until") if key in chapter}


if __name__ == "__main__":
    main(sys.argv[1:])
