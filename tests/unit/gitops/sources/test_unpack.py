"""Archives of strangers: nothing lands outside, nothing exhausts memory."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from rollouts.gitops.resources.render import MAX_FILES, RenderError
from rollouts.gitops.sources import unpack
from tests.registry import archive


def special(kind: bytes) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        member = tarfile.TarInfo("a")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    return plain.getvalue()


def test_files_and_links_are_what_they_are() -> None:
    found = unpack.unpacked(archive({"./a/b.yaml": "x"}, links={"a/c": "b.yaml"}), is_chart=False)

    assert {path: (f.mode, f.content) for path, f in found.items()} == {
        "a/b.yaml": ("100644", b"x"),
        "a/c": ("120000", b"b.yaml"),
    }


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (archive({"../a": ""}), "points out"),
        (archive({"a/../../b": ""}), "points out"),
        (archive({"/a": ""}), "points out"),
        (special(tarfile.LNKTYPE), "neither a file nor"),
        (special(tarfile.CHRTYPE), "neither a file nor"),
        (b"\x1f\x8bnonsense", "damaged"),
        (archive({"a": "x" * 2000})[:-20], "damaged"),
        (b"PK\x03\x04", "damaged"),
    ],
)
def test_what_an_archive_must_not_hold_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(RenderError, match=problem):
        unpack.unpacked(content, is_chart=False)


def test_a_bomb_does_not_go_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "_MAX_BYTES", 1024 * 1024)
    bomb = archive({"a": b"\0" * 3 * 1024 * 1024})
    assert len(bomb) < 10_000

    with pytest.raises(RenderError, match="unpacks to more than"):
        unpack.unpacked(bomb, is_chart=False)


def test_a_bomb_in_a_bomb_is_a_file() -> None:
    inner = gzip.compress(b"\0" * 1024)

    assert unpack.unpacked(archive({"a.gz": inner}), is_chart=False)["a.gz"].content == inner


def test_too_many_files_are_refused() -> None:
    with pytest.raises(RenderError, match=f"more than {MAX_FILES} files"):
        unpack.unpacked(archive({str(i): "" for i in range(MAX_FILES + 1)}), is_chart=False)


def test_a_chart_is_one_directory() -> None:
    assert list(unpack.unpacked(archive({"web/Chart.yaml": ""}), is_chart=True)) == ["Chart.yaml"]
    with pytest.raises(RenderError, match="outside of the chart"):
        unpack.unpacked(archive({"Chart.yaml": ""}), is_chart=True)
