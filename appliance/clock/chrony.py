"""Asking chronyd what it knows of the clock: one request of its command protocol, version 6, over UDP or its socket.

The protocol is the one that chronyc speaks; it has been the same since chrony 2.2. Only `tracking` is asked for, which
chronyd answers to any local user. A process a second for chronyc would cost more than the box spends on a hundred
stamps. All numbers are big-endian; a float is 7 bits of exponent and 25 of coefficient, both two's complement.
"""

from __future__ import annotations

import math
import os
import socket
import struct
import tempfile
from pathlib import Path

import msgspec

from appliance.errors import Unavailable

DEFAULT_ADDRESS = "127.0.0.1:323"
LOCAL_REFERENCE = 0x7F7F0101
"""The reference id of chronyd's `local` mode: it serves its own clock, which nothing shows to be right."""

_VERSION = 6
_REQUEST, _REPLY = 1, 2
_TRACKING, _TRACKING_REPLY = 33, 5
_HEADER = struct.Struct(">BBBBHHHHHHIII")
_BODY = struct.Struct(">I16sHHHHIII9I")
_REPLY_BYTES = _HEADER.size + _BODY.size
_REQUEST_HEADER = struct.Struct(">BBBBHHIII")
_PAST_1970_HIGH = 0x7FFFFFFF  # chronyd's mark for times whose upper half is not given


class ChronyUnreachable(Unavailable):
    """chronyd does not answer, or not in its protocol."""

    code = "chrony-unreachable"
    control = "TIME"


class Tracking(msgspec.Struct, frozen=True, kw_only=True):
    """chronyd's report on the system clock. Seconds, unless the name says otherwise."""

    reference_id: int
    stratum: int
    leap: int
    """0 none, 1 a second will be inserted, 2 one will be deleted, 3 not synchronised."""
    reference_time_ns: int
    """When chronyd last took over a measurement: nanoseconds since the epoch."""
    correction: float
    """How far the system clock stands from chronyd's estimate of true time."""
    frequency_ppm: float
    residual_frequency_ppm: float
    skew_ppm: float
    root_delay: float
    root_dispersion: float

    @property
    def error_bound(self) -> float:
        """The maximum error of the system clock (RFC 5905's root distance, and what is still to be corrected)."""
        return abs(self.correction) + self.root_dispersion + self.root_delay / 2


def float_from_wire(value: int) -> float:
    """chronyd's float of 32 bits."""
    exponent = value >> 25
    coefficient = value & 0x1FFFFFF
    if exponent >= 1 << 6:
        exponent -= 1 << 7
    if coefficient >= 1 << 24:
        coefficient -= 1 << 25
    return math.ldexp(coefficient, exponent - 25)


def tracking_request(sequence: int) -> bytes:
    """A request for tracking; as long as its answer, which chronyd demands so that it cannot amplify."""
    header = _REQUEST_HEADER.pack(_VERSION, _REQUEST, 0, 0, _TRACKING, 0, sequence, 0, 0)
    return header.ljust(_REPLY_BYTES, b"\x00")


def decode_tracking(data: bytes, sequence: int) -> Tracking:
    """The answer to the request of that sequence number. Raises ChronyUnreachable for anything else."""
    if len(data) < _HEADER.size:
        raise ChronyUnreachable("chronyd's answer is cut off")
    version, kind, _, _, command, reply, status, _, _, _, answered, _, _ = _HEADER.unpack_from(data)
    if (version, kind, command, answered) != (_VERSION, _REPLY, _TRACKING, sequence):
        raise ChronyUnreachable("the answer is not chronyd's to this request")
    if status != 0 or reply != _TRACKING_REPLY or len(data) < _REPLY_BYTES:
        raise ChronyUnreachable(f"chronyd refused to tell its tracking (status {status})")
    fields = _BODY.unpack_from(data, _HEADER.size)
    reference_id, _, _, _, stratum, leap, high, low, nanoseconds = fields[:9]
    floats = [float_from_wire(value) for value in fields[9:]]
    seconds = low if high == _PAST_1970_HIGH else high << 32 | low
    correction, _, _, frequency, residual, skew, root_delay, root_dispersion, _ = floats
    return Tracking(
        reference_id=reference_id,
        stratum=stratum,
        leap=leap,
        reference_time_ns=seconds * 1_000_000_000 + nanoseconds,
        correction=correction,
        frequency_ppm=frequency,
        residual_frequency_ppm=residual,
        skew_ppm=skew,
        root_delay=root_delay,
        root_dispersion=root_dispersion,
    )


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ChronyUnreachable(f"{address!r} is neither HOST:PORT nor a path")
    return host.strip("[]"), int(port)


def ask_tracking(address: str | None = None, *, timeout_s: float = 0.5) -> Tracking:
    """Ask chronyd at HOST:PORT or at the path of its socket (which begins with a slash).

    Raises ChronyUnreachable. On a socket the answer needs a name of our own beside chronyd's, so that only users who
    may write there can ask; over UDP on loopback anyone may.
    """
    sequence = int.from_bytes(os.urandom(4), "big")
    where = address or DEFAULT_ADDRESS
    try:
        if not where.startswith("/"):
            host, port = _host_and_port(where)
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as channel:
                channel.connect((host, port))
                return _exchange(channel, sequence, timeout_s)
        with (
            tempfile.TemporaryDirectory(prefix="cinnabar.", dir=Path(where).parent) as directory,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
        ):
            name = Path(directory) / "sock"
            channel.bind(str(name))
            Path(directory).chmod(0o711)
            name.chmod(0o666)
            channel.connect(where)
            return _exchange(channel, sequence, timeout_s)
    except (OSError, UnicodeError) as error:
        raise ChronyUnreachable(f"chronyd does not answer at {where}: {error}") from error


def _exchange(channel: socket.socket, sequence: int, timeout_s: float) -> Tracking:
    channel.settimeout(timeout_s)
    channel.send(tracking_request(sequence))
    return decode_tracking(channel.recv(2048), sequence)
