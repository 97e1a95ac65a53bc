"""Files that SOPS has encrypted -> what they say, by the real sops with the age keys of a Secret.

Decides which files are encrypted and as what they are read. Keys travel in the environment of the one
process that needs them; nothing decrypted is logged or named in an error.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rollouts.gitops.confined import Confined, ProgramFailed
from rollouts.gitops.resources.render import RenderError
from rollouts.gitops.sources.commit import File

__all__ = ["age_keys", "decrypted", "is_encrypted"]

KEY_SUFFIX = ".agekey"

_FORMATS = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".env": "dotenv",
    ".ini": "ini",
}
_MARKS = {
    "yaml": re.compile(rb"^sops:\s*$", re.MULTILINE),
    "json": re.compile(rb'"sops"\s*:\s*\{'),
    "dotenv": re.compile(rb"^sops_mac=", re.MULTILINE),
    "ini": re.compile(rb"^\[sops\]\s*$", re.MULTILINE),
}
_LINK = "120000"


def age_keys(secret: Mapping[str, bytes]) -> str:
    """The identities in a Secret: every key that ends in .agekey, as Flux has it."""
    found = (secret[name].decode(errors="replace") for name in sorted(secret) if name.endswith(KEY_SUFFIX))
    return "\n".join(found)


def is_encrypted(path: str, content: bytes) -> bool:
    mark = _MARKS.get(_format(path))
    return bool(mark and mark.search(content))


async def decrypted(confined: Confined, files: Mapping[str, File], keys: str) -> dict[str, File]:
    """The files with those that are encrypted as plain text. Raises `RenderError`."""
    out = dict(files)
    locked = [p for p, f in files.items() if f.mode != _LINK and is_encrypted(p, f.content)]
    if not locked:
        return out
    with tempfile.TemporaryDirectory(prefix="rollouts-sops-") as home:
        texts = await asyncio.gather(
            *(_decrypted(confined, Path(home), path, files[path].content, keys) for path in locked)
        )
    for path, text in zip(locked, texts, strict=True):
        out[path] = replace(files[path], content=text)
    return out


async def _decrypted(confined: Confined, home: Path, path: str, content: bytes, keys: str) -> bytes:
    kind = _format(path)
    arguments = ["decrypt", "--input-type", kind, "--output-type", kind, "/dev/stdin"]
    try:
        return await confined.run(
            "sops",
            arguments,
            directory=home,
            home=home,
            stdin=content,
            environment={"SOPS_AGE_KEY": keys, "SOPS_DISABLE_VERSION_CHECK": "1"},
        )
    except ProgramFailed as e:
        raise RenderError(f"{path}: cannot be decrypted: {_reason(str(e))}") from None


def _reason(complaint: str) -> str:
    """In words of our own: what sops complains may hold what it was about to print."""
    if "MAC mismatch" in complaint:
        return "it was changed after it was encrypted (its MAC does not match)"
    if "Recovery failed" in complaint or "data key" in complaint:
        return "none of the keys in the Secret of spec.decryption.secretRef is one of its recipients"
    if "limits" in complaint or "took longer" in complaint:
        return "sops went over its limits of time or memory"
    return "sops refuses it; try `sops decrypt` with the same keys"


def _format(path: str) -> str:
    return _FORMATS.get(Path(path).suffix or Path(path).name, "")
