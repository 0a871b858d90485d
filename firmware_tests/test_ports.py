"""Held ports: nobody else gets them, and the program that they are for does, again and again."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from firmware_tests.ports import HeldPort

KINDS = [socket.SOCK_STREAM, socket.SOCK_DGRAM]


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_is_given_a_held_port(kind: socket.SocketKind) -> None:
    held = HeldPort(kind)
    with ExitStack() as stack:
        for _ in range(200):
            other = stack.enter_context(socket.socket(socket.AF_INET, kind))
            other.bind(("127.0.0.1", 0))
            assert other.getsockname()[1] != held.number
        other = stack.enter_context(socket.socket(socket.AF_INET, kind))
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", held.number))


def test_a_server_binds_a_held_port_as_often_as_it_starts() -> None:
    held = HeldPort()
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", held.number), timeout=5)
        with (
            socket.create_server(("127.0.0.1", held.number)) as server,
            socket.create_connection(("127.0.0.1", held.number), timeout=5) as client,
        ):
            accepted, _ = server.accept()
            accepted.sendall(b"here")
            assert client.recv(4) == b"here"
            accepted.close()


def test_what_is_sent_to_a_held_port_comes_to_the_program() -> None:
    held = HeldPort(socket.SOCK_DGRAM)
    for _ in range(3):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        ):
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", held.number))
            server.settimeout(5)
            for number in range(10):
                client.sendto(b"%d" % number, ("127.0.0.1", held.number))
                assert server.recv(10) == b"%d" % number


def test_it_ends_with_the_object() -> None:
    held = HeldPort()
    number = held.number
    del held
    with socket.socket() as other:
        other.bind(("127.0.0.1", number))
