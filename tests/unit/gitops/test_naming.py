"""A revision as it is written, and read again."""

from __future__ import annotations

import pytest

from rollouts.gitops import naming

COMMIT, DIGEST = "a" * 40, "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("name", "commit", "text"),
    [
        ("main", COMMIT, f"main@sha1:{COMMIT}"),
        ("refs/pull/7/head", COMMIT, f"refs/pull/7/head@sha1:{COMMIT}"),
        ("a@b", COMMIT, f"a@b@sha1:{COMMIT}"),
        ("", COMMIT, f"sha1:{COMMIT}"),
        ("latest", DIGEST, f"latest@{DIGEST}"),
        ("1.2.3+build", DIGEST, f"1.2.3+build@{DIGEST}"),
        ("", DIGEST, DIGEST),
    ],
)
def test_a_revision_is_written_as_flux_does(name: str, commit: str, text: str) -> None:
    assert naming.text(name, commit) == text
    assert (naming.name_of(text), naming.commit_of(text)) == (name, commit)


def test_several_revisions_are_one_and_each_again() -> None:
    each = (f"1.2.3+x@{DIGEST}", f"main@sha1:{COMMIT}")
    one = naming.joined(each)

    assert naming.each(one) == naming.parts(one) == each
    assert naming.parts(each[0]) == ()
    assert naming.each("") == ()
    assert naming.commit_of(one) == ""
