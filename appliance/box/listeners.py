"""Binding the fronts' addresses, so that a free port is known and a privileged one needs no root nginx."""

from __future__ import annotations

import socket

import msgspec

from appliance.box.front import FRONTS, Listener, listener_addresses
from appliance.box.home import Home
from appliance.box.management_front import write_front
from appliance.box.settings import BoxSettings


class Addresses(msgspec.Struct, frozen=True):
    """HOME/run/addresses.json: where the front listens."""

    applications: str | None = None
    tsa: str | None = None
    public: str | None = None
    revocation: str | None = None
    metrics: str | None = None
    management: str | None = None


def _bind(address: str) -> socket.socket:
    """A listening socket for HOST:PORT; port 0 takes a free one."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"{address!r} is not HOST:PORT")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
    except (OSError, OverflowError) as error:
        listener.close()
        raise OSError(f"{address}: {getattr(error, 'strerror', None) or error}") from error
    listener.listen(511)
    # nginx takes a socket that it inherits as it is: two of its workers wake for one connection, and the one that comes
    # second would wait in accept(2), with all its connections, until the next one comes.
    listener.setblocking(False)
    listener.set_inheritable(True)
    return listener


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind_fronts(home: Home, settings: BoxSettings) -> tuple[Addresses, dict[str, list[socket.socket]]]:
    """Bind every listener that is on and write the fronts' configurations; the sockets by front.

    Raises ValueError for an address that is not HOST:PORT, OSError for one that is taken or not this machine's.
    """
    configured = listener_addresses(settings)
    shown: dict[str, str] = {}
    sockets: dict[str, list[socket.socket]] = {}
    for front, names in FRONTS.items():
        bound = {name: _bind(configured[name]) for name in names if name in configured}
        if bound:
            sockets[front] = list(bound.values())
            shown |= {name: _shown(listener) for name, listener in bound.items()}
    addresses = Addresses(**shown)
    write_fronts(home, settings, addresses)
    return addresses, sockets


def write_fronts(home: Home, settings: BoxSettings, addresses: Addresses) -> None:
    """Write the configuration of every front that has a listener."""
    bound = {name: address for name, address in msgspec.structs.asdict(addresses).items() if address is not None}
    for front, names in FRONTS.items():
        listeners = [Listener(name, bound[name]) for name in names if name in bound]
        if listeners:
            write_front(home, settings, listeners, front)
