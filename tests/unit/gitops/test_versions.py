"""Ranges of versions mean what they mean to Argo CD and Helm."""

from __future__ import annotations

import pytest

from rollouts.gitops import versions

TAGS = (
    "v0.9.0",
    "v1.0.0",
    "v1.2.0",
    "v1.2.3",
    "v1.3.0-rc.1",
    "v1.3.0",
    "v2.0.0-alpha",
    "v2.0.0",
    "latest",
    "x",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*", "v2.0.0"),
        ("*-0", "v2.0.0"),
        ("1.*", "v1.3.0"),
        ("1.x", "v1.3.0"),
        ("v1.2.*", "v1.2.3"),
        ("1.2.x", "v1.2.3"),
        (">=1.2 <2", "v1.3.0"),
        (">=1.2, <1.3", "v1.2.3"),
        (">=1.2.0 <1.3.0-0", "v1.2.3"),
        (">=1.2.0-0 <1.3.0", "v1.3.0-rc.1"),
        (">=0.0.0", "v2.0.0"),
        ("<2.0.0", "v1.3.0"),
        ("<2.0.0-0", "v1.3.0"),
        ("<=1.2", "v1.2.3"),
        (">1.2", "v2.0.0"),
        (">1 <3", "v2.0.0"),
        (">1", "v2.0.0"),
        ("~1.2", "v1.2.3"),
        ("~1.2.1", "v1.2.3"),
        ("~>1", "v1.3.0"),
        ("^1.0", "v1.3.0"),
        ("^0.9", "v0.9.0"),
        ("^0.9.1", None),
        ("1.0 - 1.2", "v1.2.3"),
        ("1.0.0 - 1.2.0", "v1.2.0"),
        ("!=2.0.0", "v1.3.0"),
        ("!=2", "v1.3.0"),
        ("~0.9 || ~1.2", "v1.2.3"),
        ("^3", None),
        ("main", None),
    ],
)
def test_the_newest_tag_of_a_range_is_found(text: str, expected: str | None) -> None:
    assert versions.newest(text, TAGS) == expected
    assert versions.newest(text, reversed(TAGS)) == expected


@pytest.mark.parametrize(
    "text", ["1.2.3", "v1.2.3", "1.2", "v1", "main", "release/1.2", "1.2.3 and", "", "1..2", "feature-x"]
)
def test_a_version_or_a_name_is_not_a_range(text: str) -> None:
    assert not versions.is_range(text)


@pytest.mark.parametrize("text", ["*", "x", "1.*", "^1.2", ">=1.2 <2", "1 - 2", "=1.2.3", "~1||~2"])
def test_a_range_is_told_from_a_name(text: str) -> None:
    assert versions.is_range(text)


def test_pre_releases_are_ordered_as_semver_says() -> None:
    rising = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
    ]

    found = [versions.parse_version(text) for text in rising]

    keys = [version.key for version in found if version]
    assert len(keys) == len(rising)
    assert keys == sorted(keys)


def test_a_range_as_long_as_a_book_is_none() -> None:
    assert versions.parse_range(">=1 " * 1000) is None
