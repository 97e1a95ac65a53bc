"""What is said when the API server cannot be reached, or does not want to know who we are."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from rollouts.errors import Rejected, RolloutsError, Transient
from rollouts.kube import transport


def _kubeconfig(path: Path, server: str) -> str:
    cluster = f"{{name: c, cluster: {{server: '{server}'}}}}"
    context = "{name: c, context: {cluster: c, user: u}}"
    path.write_text(
        f"{{apiVersion: v1, kind: Config, current-context: c, clusters: [{cluster}], contexts: [{context}], "
        "users: [{name: u, user: {}}]}"
    )
    return str(path)


async def _get(kubeconfig: str) -> None:
    opened = await transport.open_transport(kubeconfig)
    try:
        await opened.request("POST", "/api")
    finally:
        await opened.close()


def test_a_server_that_is_not_there_is_named_without_the_path_of_the_request(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(Transient, match=f"^the API server {server} cannot be reached: .*refused"):
            asyncio.run(_get(_kubeconfig(tmp_path / "config", server)))


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none"

    with pytest.raises(
        RolloutsError, match=f"^kubeconfig {missing} does not exist; name one with --kubeconfig"
    ):
        asyncio.run(transport.open_transport(str(missing)))


def test_credentials_that_are_refused_are_told_with_where_to_look() -> None:
    error = transport.error_of(401, {"message": "Unauthorized"})

    assert isinstance(error, Rejected)
    assert "refuses the credentials (Unauthorized); check the user of the kubeconfig" in str(error)
