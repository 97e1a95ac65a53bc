"""Files as the text that `git fast-import` reads: an artifact becomes a commit that says nothing but its content.

Decides the form. The same files give the same commit, whoever imports them and when. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from rollouts.gitops.sources.commit import File

__all__ = ["stream"]

_NOBODY = b"committer rollouts <rollouts@localhost> 0 +0000\n"


def stream(ref: str, files: Mapping[str, File]) -> bytes:
    """One commit without a parent under `ref` that holds exactly these files."""
    lines = [b"commit %b\n" % ref.encode(), _NOBODY, b"data 0\n\n"]
    for path in sorted(files):
        found = files[path]
        lines.append(b"M %b inline %b\n" % (found.mode.encode(), _quoted(path)))
        lines.append(b"data %d\n%b\n" % (len(found.content), found.content))
    return b"".join([*lines, b"done\n"])


def _quoted(path: str) -> bytes:
    """As C quotes a string."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'.encode(errors="surrogateescape")
