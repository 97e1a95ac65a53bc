"""Writes the kubeconfig files of a sandbox: by client certificate for components, by token for accounts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from rollouts.sandbox.pki import Pki


def write_for_certificate(path: Path, *, server: str, pki: Pki, name: str) -> None:
    """A kubeconfig that signs in with the client certificate of that name."""
    user = {"client-certificate": str(pki.certificate(name)), "client-key": str(pki.key(name))}
    _write(path, server=server, pki=pki, name=name, user=user)


def write_for_token(path: Path, *, server: str, pki: Pki, name: str, token: str) -> None:
    """A kubeconfig that signs in with a bearer token."""
    _write(path, server=server, pki=pki, name=name, user={"token": token})


def _write(path: Path, *, server: str, pki: Pki, name: str, user: Mapping[str, str]) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "sandbox", "cluster": {"server": server, "certificate-authority": str(pki.authority)}}
        ],
        "users": [{"name": name, "user": dict(user)}],
        "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": name}}],
        "current-context": "sandbox",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        yaml.safe_dump(config, file, sort_keys=False)
    temporary.replace(path)
