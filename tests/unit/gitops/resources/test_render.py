"""Which files of a directory are read, and what is wrong with them."""

from __future__ import annotations

import pytest

from rollouts.api.application import DirectorySource
from rollouts.gitops.resources import render
from rollouts.gitops.resources.render import Entry, RenderError


def entry(path: str, *, mode: str = "100644", size: int = 10) -> Entry:
    return Entry(path, mode, "0" * 40, size)


TREE = [entry(p) for p in ("b.yaml", "a.yml", "c.json", "README.md", "sub/d.yaml", "sub/deep/e.yaml")]


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        (DirectorySource(), ["a.yml", "b.yaml", "c.json"]),
        (DirectorySource(recurse=True), ["a.yml", "b.yaml", "c.json", "sub/d.yaml", "sub/deep/e.yaml"]),
        (DirectorySource(recurse=True, include="sub/*"), ["sub/d.yaml", "sub/deep/e.yaml"]),
        (DirectorySource(recurse=True, include="{a.yml,*/e.yaml}"), ["a.yml", "sub/deep/e.yaml"]),
        (DirectorySource(exclude="{a,b}.*"), ["c.json"]),
        (DirectorySource(include="*.yaml", exclude="b.yaml"), []),
    ],
)
def test_the_selection(options: DirectorySource, paths: list[str]) -> None:
    assert [e.path for e in render.selected(TREE, options)] == paths


def test_a_submodule_is_not_read_and_a_symbolic_link_is_refused() -> None:
    assert render.selected([entry("m.yaml", mode="160000")], DirectorySource()) == ()
    with pytest.raises(RenderError, match=r"link.yaml: is a symbolic link"):
        render.selected([entry("link.yaml", mode="120000")], DirectorySource())


@pytest.mark.parametrize(
    "tree",
    [
        [entry("big.yaml", size=render.MAX_FILE_BYTES + 1)],
        [entry(f"{i}.yaml") for i in range(render.MAX_FILES + 1)],
        [entry(f"{i}.yaml", size=render.MAX_FILE_BYTES) for i in range(17)],
    ],
)
def test_what_is_too_much_is_refused_before_it_is_read(tree: list[Entry]) -> None:
    with pytest.raises(RenderError, match="limit"):
        render.selected(tree, DirectorySource())


def test_every_document_and_every_item_of_a_list_is_an_object() -> None:
    one = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
    two = b"""apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}
"""

    found = render.declared({"x.yaml": one + b"---\n" + two})

    assert [m.key.name for m in found] == ["a", "b", "c"]
    assert found[2].origin == "x.yaml:5 (document 2) items[1]"


def test_an_error_names_file_line_and_field() -> None:
    text = (
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: ConfigMap\nmetadata: {name: b}\n"
    )

    with pytest.raises(RenderError, match=r"dir/x.yaml:5 \(document 2\): apiVersion: is required"):
        render.declared({"dir/x.yaml": text})


def test_a_duplicate_names_both_places() -> None:
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"

    with pytest.raises(RenderError, match=r"y.yaml:1 .* ConfigMap a is declared twice; see x.yaml:1"):
        render.as_set(render.declared({"x.yaml": text, "y.yaml": text}), namespace="prod")
