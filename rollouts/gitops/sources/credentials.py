"""What proves who we are to a host: password or token, SSH key, GitHub App, client certificate; and whom we trust.

Decides which keys of a Secret are read (Flux's names, Argo CD's as well) and how git is told: passwords in
the environment, keys in files that only this user can read and that are gone with the one process. What would
switch off a check (`insecure`, `insecureIgnoreHostKey`) is not read.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Credentials", "MissingError", "of_secret", "registry_login", "ssh_files"]

_SUFFICIENT = (
    "password",
    "bearer",
    "identity",
    "authority",
    "certificate",
    "app_id",
    "docker_config",
    "plain_http",
)
_TOKEN_USER = "x-access-token"  # noqa: S105 - a user name; hosts look at the token only
_NAMES = {
    "username": ("username",),
    "password": ("password", "token"),
    "bearer": ("bearerToken",),
    "identity": ("identity", "sshPrivateKey"),
    "known_hosts": ("known_hosts",),
    "authority": ("ca.crt", "caFile"),
    "certificate": ("tls.crt", "certFile", "tlsClientCertData"),
    "key": ("tls.key", "keyFile", "tlsClientCertKey"),
    "app_id": ("githubAppID",),
    "app_installation": ("githubAppInstallationID",),
    "app_owner": ("githubAppInstallationOwner",),
    "app_key": ("githubAppPrivateKey",),
    "app_url": ("githubAppBaseURL", "githubAppEnterpriseBaseUrl"),
    "docker_config": (".dockerconfigjson",),
    "plain_http": ("insecureOCIForceHttp",),
}
_SSH = (
    *(
        "ssh",
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "StrictHostKeyChecking=yes",
    ),
    *("-o", "GlobalKnownHostsFile=none", "-o", "UpdateHostKeys=no", "-o", "ConnectTimeout=20"),
    *("-o", "ForwardAgent=no", "-o", "ClearAllForwardings=yes"),
)


class MissingError(Exception):
    """The Secret does not hold what is needed; the sentence says what."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """For one repository; what is empty is not there."""

    username: str = ""
    password: str = ""
    identity: str = ""
    known_hosts: str = ""
    authority: str = ""
    certificate: str = ""
    key: str = ""
    bearer: str = ""
    """Sent as it is: `Authorization: Bearer …`."""
    app_id: str = ""
    app_installation: str = ""
    app_owner: str = ""
    app_key: str = ""
    app_url: str = ""
    docker_config: str = ""
    plain_http: str = ""
    """`true`: the registry speaks http."""

    def for_host(self, host: str) -> tuple[str, str] | None:
        """User name and password for a registry: from the Docker configuration, else the Secret's own."""
        found = registry_login(self.docker_config, host) if self.docker_config else None
        return found or ((self.username, self.password) if self.password else None)

    def __repr__(self) -> str:
        return "Credentials(…)"


def of_secret(values: Mapping[str, str]) -> Credentials:
    """The credentials in a Secret. Raises `MissingError`."""
    found = {
        field: next((values[name] for name in names if values.get(name)), "")
        for field, names in _NAMES.items()
    }
    if found["identity"] and not found["known_hosts"]:
        raise MissingError("an SSH identity needs known_hosts beside it, or any host could pose as this one")
    if bool(found["certificate"]) != bool(found["key"]):
        raise MissingError("a client certificate needs tls.crt and tls.key")
    if bool(found["app_id"]) != bool(found["app_key"]):
        raise MissingError("a GitHub App needs githubAppID and githubAppPrivateKey")
    if not any(found[name] for name in _SUFFICIENT):
        raise MissingError(
            "it needs username and password, or token, or identity and known_hosts, or githubAppID and "
            "githubAppPrivateKey, or .dockerconfigjson, or ca.crt, tls.crt, tls.key"
        )
    if found["password"]:
        found["username"] = found["username"] or _TOKEN_USER
    return Credentials(**found)


def registry_login(docker_config: str, host: str) -> tuple[str, str] | None:
    """What a Docker configuration says about a registry, whichever way it writes its address."""
    try:
        entries = json.loads(docker_config)["auths"]
        found = next((e for name, e in entries.items() if _registry(name) == host), None)
        if not found:
            return None
        if found.get("auth"):
            user, _, password = base64.b64decode(found["auth"]).decode().partition(":")
            return user, password
        return str(found["username"]), str(found["password"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _registry(name: str) -> str:
    host = name.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return "registry-1.docker.io" if host in ("index.docker.io", "docker.io") else host


@contextlib.contextmanager
def ssh_files(credentials: Credentials | None) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """(settings, environment) of git with keys and certificates in files, until the block is left."""
    if credentials is None or not (credentials.identity or credentials.authority or credentials.certificate):
        # Without a key of its own a process has no way to SSH, not even with a key of this user.
        yield {}, {"GIT_SSH_COMMAND": shlex.join([*_SSH, "-o", "PubkeyAuthentication=no"])}
        return
    directory = Path(tempfile.mkdtemp(prefix="rollouts-git-"))
    try:
        settings = {
            name: _written(directory / name, text)
            for name, text in (
                ("http.sslCAInfo", credentials.authority),
                ("http.sslCert", credentials.certificate),
                ("http.sslKey", credentials.key),
            )
            if text
        }
        command = [*_SSH]
        if credentials.identity:
            hosts = _written(directory / "known_hosts", credentials.known_hosts)
            command += ["-i", _written(directory / "identity", credentials.identity)]
            command += ["-o", f"UserKnownHostsFile={hosts}"]
        yield settings, {"GIT_SSH_COMMAND": shlex.join(command)}
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _written(place: Path, text: str) -> str:
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text if text.endswith("\n") else f"{text}\n")
    return str(place)
