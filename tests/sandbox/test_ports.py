"""Ports are found, not fixed."""

from __future__ import annotations

import random
import socket

from rollouts.sandbox import ports


def test_found_ports_are_free_and_different() -> None:
    found = ports.find(8)

    assert len(set(found)) == 8
    assert all(ports.is_free(port) for port in found)


def test_a_port_in_use_is_neither_free_nor_found_again() -> None:
    first = ports.find(1, rng=random.Random(7))[0]
    with socket.create_server((ports.LOOPBACK, first)):
        second = ports.find(1, rng=random.Random(7))[0]

        assert not ports.is_free(first)
        assert second != first


def test_ports_are_below_those_of_outgoing_connections() -> None:
    assert all(ports.LOWEST <= port <= ports.HIGHEST < 32_768 for port in ports.find(8))
