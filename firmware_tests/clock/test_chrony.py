"""chronyd's command protocol: against chronyd and chronyc, and against whatever else may come from a socket."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.clock.chrony import (
    LOCAL_REFERENCE,
    ChronyUnreachable,
    ask_tracking,
    decode_tracking,
    float_from_wire,
    tracking_request,
)


def chronyc(port: int) -> list[str]:
    done = subprocess.run(
        ["chronyc", "-n", "-h", "127.0.0.1", "-p", str(port), "-c", "tracking"],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return done.stdout.strip().split(",")


@pytest.fixture
def resting(chrony: Any) -> Iterator[Any]:
    """chronyd without new measurements, so that two questions in a row find the same."""
    chrony.server.send_signal(signal.SIGSTOP)
    try:
        yield chrony
    finally:
        chrony.server.send_signal(signal.SIGCONT)


def test_we_read_what_chronyc_reads(resting: Any) -> None:
    for _ in range(50):
        before = ask_tracking(resting.address)
        told = chronyc(resting.command_port)
        after = ask_tracking(resting.address)
        if after.reference_time_ns == before.reference_time_ns:
            break
    else:
        pytest.fail("chronyd never rests")

    def between(said: str, first: float, last: float) -> bool:
        """The correction and the dispersion go on between the questions."""
        return min(first, last) - 2e-4 <= float(said) <= max(first, last) + 2e-4

    assert f"{before.reference_id:08X}" == told[0] == "7F000001"
    assert before.stratum == int(told[2]) == 2
    assert before.reference_time_ns == pytest.approx(float(told[3]) * 1e9, abs=2_000)  # chronyc rounds to microseconds
    assert between(told[4], -before.correction, -after.correction)
    assert before.frequency_ppm == pytest.approx(float(told[7]), abs=2e-3)
    assert before.residual_frequency_ppm == pytest.approx(float(told[8]), abs=2e-3)
    assert before.skew_ppm == pytest.approx(float(told[9]), abs=2e-3)
    assert before.root_delay == pytest.approx(float(told[10]), abs=1e-8)
    assert between(told[11], before.root_dispersion, after.root_dispersion)
    assert told[13] == "Normal"
    assert 0 < before.error_bound < 0.1


def test_the_socket_answers_the_same(chrony: Any) -> None:
    over_socket, over_udp = ask_tracking(str(chrony.socket)), ask_tracking(chrony.address)
    assert over_socket.reference_id == over_udp.reference_id
    assert list(chrony.socket.parent.glob("cinnabar.*")) == []


def test_local_mode_is_told_apart(chrony: Any) -> None:
    tracking = ask_tracking(f"127.0.0.1:{chrony.server_command_port}")
    assert tracking.reference_id == LOCAL_REFERENCE
    assert tracking.leap == 0
    assert tracking.error_bound == 0  # chronyd believes itself; we do not


@pytest.mark.parametrize(
    "address", ["/nowhere/chronyd.sock", "127.0.0.1:1", "here", "127.0.0.1:0", "127.0.0.1:99999", "x:"]
)
def test_nobody_there(address: str) -> None:
    with pytest.raises(ChronyUnreachable):
        ask_tracking(address, timeout_s=0.05)


def test_a_silent_daemon_is_waited_for_no_longer_than_the_timeout() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(ChronyUnreachable, match="timed out"):
            ask_tracking(f"127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.05)


def test_an_answer_to_another_request_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
        liar.bind(("127.0.0.1", 0))

        def answer() -> None:
            data, sender = liar.recvfrom(2048)
            assert len(data) == 104
            liar.sendto(reply(sequence=int.from_bytes(data[8:12], "big") ^ 1), sender)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ChronyUnreachable, match="not chronyd's to this request"):
            ask_tracking(f"127.0.0.1:{liar.getsockname()[1]}")
        thread.join()


def reply(*, sequence: int = 7, status: int = 0, kind: int = 5) -> bytes:
    header = struct.pack(">BBBBHHHHHHIII", 6, 2, 0, 0, 33, kind, status, 0, 0, 0, sequence, 0, 0)
    body = struct.pack(">I16sHHHHIII9I", 0x7F000001, bytes(16), 1, 0, 2, 0, 0x7FFFFFFF, 1795315706, 5, *[0] * 9)
    return header + body


def test_the_answers_fields() -> None:
    tracking = decode_tracking(reply(), 7)
    assert tracking.reference_time_ns == 1795315706_000000005
    assert tracking.error_bound == 0


@pytest.mark.parametrize(
    "data", [b"", reply()[:-1], reply()[:20], reply(status=2), reply(kind=1), reply(sequence=8), b"\x05" + reply()[1:]]
)
def test_answers_that_are_none(data: bytes) -> None:
    with pytest.raises(ChronyUnreachable):
        decode_tracking(data, 7)


@given(data=st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: reply()[:28] + tail))
def test_any_bytes_are_an_answer_or_refused(data: bytes) -> None:
    try:
        tracking = decode_tracking(data, 7)
    except ChronyUnreachable:
        return
    assert tracking.error_bound == tracking.error_bound  # a number


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        (0, 0.0),
        (0x02800000, 0.5),  # exponent 1, coefficient 2^23: 2^23 * 2^(1 - 25)
        (0x04800000, 1.0),
        (0x05800000, -1.0),
        (0xFE800000, 0.125),
        (0x00FFFFFF, (2**24 - 1) / 2**25),
        (0x01000000, -0.5),
    ],
)
def test_floats(wire: int, value: float) -> None:
    assert float_from_wire(wire) == value


def test_the_request_is_as_long_as_its_answer() -> None:
    assert len(tracking_request(1)) == len(reply()) == 104


def test_no_name_is_left_behind_when_nobody_answers(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as silent:
        silent.bind(str(tmp_path / "s"))
        with pytest.raises(ChronyUnreachable):
            ask_tracking(str(tmp_path / "s"), timeout_s=0.05)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
