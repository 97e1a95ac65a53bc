"""One chart of an index, however long the rest is."""

from __future__ import annotations

import pytest

from rollouts.gitops.sources import chartindex
from rollouts.gitops.sources.chartindex import IndexUnreadable

INDEX = b"""apiVersion: v1
generated: "2026-01-31T12:00:00Z"
entries:
  other:
    - {name: other, version: 9.0.0, urls: [x], maintainers: [{name: a}]}
  web:
    - name: web
      version: 1.10
      urls:
        - web-1.10.tgz
      digest: 0123
  ? [strange, key]
  : 1
"""


def test_the_entries_of_one_chart_are_read_as_text() -> None:
    assert chartindex.entries(INDEX, "web") == (
        {"name": "web", "version": "1.10", "urls": ["web-1.10.tgz"], "digest": "0123"},
    )


@pytest.mark.parametrize(
    "text", [INDEX, b"{}", b"[]", b"entries: 1", b"entries: {nope: 1}", b"entries: {nope: [1]}"]
)
def test_a_chart_that_is_not_there_has_no_entries(text: bytes) -> None:
    assert chartindex.entries(text, "nope") == ()


@pytest.mark.parametrize(
    "text", [b"", b"entries: {web: [", b"\xff\xfe\x00", b"entries: {web: [" + b"[" * 60, b"a: b: c"]
)
def test_what_is_no_index_is_refused(text: bytes) -> None:
    with pytest.raises(IndexUnreadable):
        chartindex.entries(text, "web")


def test_an_alias_bomb_stays_small() -> None:
    bomb = b"a: &a [x]\nentries:\n  web:\n    - version: [" + b"*a, " * 1000 + b"*a]\n"

    (entry,) = chartindex.entries(bomb, "web")

    assert entry["version"] == [None] * 1001


def test_a_chart_of_a_million_versions_is_refused() -> None:
    with pytest.raises(IndexUnreadable, match="more than"):
        chartindex.entries(b"entries: {web: [" + b"{}," * 300_000 + b"]}", "web")
