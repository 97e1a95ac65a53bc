"""Is a commit or a tag signed by somebody whom the Application trusts?

Decides what is signed in a Git object and by which of the keys it may be: OpenPGP by the real gpg, SSH by
the real ssh-keygen, each in an empty home with nothing but these keys. Expired and revoked keys, and
signatures for another purpose than git, do not count.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rollouts.errors import RolloutsError
from rollouts.gitops.confined import Confined, ProgramFailed

__all__ = ["Signed", "UnverifiedError", "commit_of_tag", "of_commit", "of_tag", "verify"]

SSH_KEY_SUFFIX = ".sshpub"
"""Keys of the Secret with this ending hold SSH public keys, one a line; all others OpenPGP ones (Flux)."""

_BEGIN_SSH = b"-----BEGIN SSH SIGNATURE-----"
_BEGIN = re.compile(rb"^-----BEGIN (?:PGP SIGNATURE|PGP MESSAGE|SSH SIGNATURE)-----$", re.MULTILINE)
_SSH_KEY = re.compile(rb"(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[A-Za-z0-9@.-]+\s+[A-Za-z0-9+/=]+")
_GOOD = re.compile(rb"^\[GNUPG:\] GOODSIG ", re.MULTILINE)
_VALID = re.compile(rb"^\[GNUPG:\] VALIDSIG ([0-9A-F]+)", re.MULTILINE)
_SIGNER = "git"


class UnverifiedError(RolloutsError):
    """It is not signed, or by nobody who is trusted."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed, and the signature."""

    payload: bytes
    signature: bytes

    @property
    def is_ssh(self) -> bool:
        return self.signature.lstrip().startswith(_BEGIN_SSH)


def of_commit(raw: bytes) -> Signed | None:
    """The signature of a commit object: its gpgsig header, which is not part of what is signed."""
    head, blank, message = raw.partition(b"\n\n")
    kept: list[bytes] = []
    signature: list[bytes] = []
    name = b""
    for line in head.split(b"\n"):
        name = name if line.startswith(b" ") else line.partition(b" ")[0]
        if name == b"gpgsig":
            signature.append(line.removeprefix(b"gpgsig ") if not signature else line[1:])
        elif name != b"gpgsig-sha256":
            kept.append(line)
    if not signature:
        return None
    return Signed(b"\n".join(kept) + blank + message, b"\n".join(signature) + b"\n")


def of_tag(raw: bytes) -> Signed | None:
    """The signature of a tag object: what follows its message."""
    found = list(_BEGIN.finditer(raw))
    return Signed(raw[: found[-1].start()], raw[found[-1].start() :]) if found else None


def commit_of_tag(raw: bytes) -> str:
    """The commit that a tag object is about; empty for a tag of anything else."""
    headers = dict(line.partition(b" ")[::2] for line in raw.partition(b"\n\n")[0].split(b"\n"))
    return headers.get(b"object", b"").decode() if headers.get(b"type") == b"commit" else ""


async def verify(confined: Confined, signed: Signed | None, keys: Mapping[str, bytes]) -> None:
    """Raises `UnverifiedError` unless one of the keys made the signature."""
    if signed is None:
        raise UnverifiedError("is not signed")
    ssh = b"\n".join(text for name, text in sorted(keys.items()) if name.endswith(SSH_KEY_SUFFIX))
    pgp = b"\n".join(text for name, text in sorted(keys.items()) if not name.endswith(SSH_KEY_SUFFIX))
    with tempfile.TemporaryDirectory(prefix="rollouts-verify-") as directory:
        home = Path(directory)
        (home / "payload").write_bytes(signed.payload)
        (home / "signature").write_bytes(signed.signature)
        try:
            if signed.is_ssh:
                await _verify_ssh(confined, home, ssh)
            else:
                await _verify_pgp(confined, home, pgp)
        except ProgramFailed:
            kind = "an SSH" if signed.is_ssh else "an OpenPGP"
            raise UnverifiedError(f"has {kind} signature that no trusted key made") from None


async def _verify_ssh(confined: Confined, home: Path, keys: bytes) -> None:
    lines = [b'%s namespaces="git" %s' % (_SIGNER.encode(), k) for k in _SSH_KEY.findall(keys)]
    (home / "signers").write_bytes(b"\n".join(lines) + b"\n")
    arguments = ["-Y", "verify", "-f", "signers", "-I", _SIGNER, "-n", "git", "-s", "signature"]
    payload = (home / "payload").read_bytes()
    await confined.run("ssh-keygen", arguments, directory=home, home=home, stdin=payload)


async def _verify_pgp(confined: Confined, home: Path, keys: bytes) -> None:
    quiet = ["--batch", "--no-tty", "--no-autostart", "--quiet", "--no-auto-key-retrieve"]
    await confined.run("gpg", [*quiet, "--import"], directory=home, home=home, stdin=keys)
    arguments = [*quiet, "--status-fd", "1", "--trust-model", "always", "--verify", "signature", "payload"]
    told = await confined.run("gpg", arguments, directory=home, home=home)
    if not (_GOOD.search(told) and _VALID.search(told)):
        raise UnverifiedError("has an OpenPGP signature of a key that is expired or revoked")
