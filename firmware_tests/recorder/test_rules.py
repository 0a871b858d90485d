"""The recorder's rules of trust, without any I/O."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.calls.framing import FrameReader, FrameTooLong, frame
from appliance.errors import BadRequest
from appliance.recorder import errors, rules

NOW = 1_800_000_000_000
HOUR = 3_600_000


def key(milliseconds: int, version: int = 7, variant: int = 2) -> bytes:
    tail = bytearray(os.urandom(10))
    tail[0] = version << 4 | tail[0] & 0x0F
    tail[2] = variant << 6 | tail[2] & 0x3F
    return milliseconds.to_bytes(6, "big") + bytes(tail)


@pytest.mark.parametrize(
    ("milliseconds", "version", "variant", "expected"),
    [
        (NOW, 7, 2, None),
        (NOW - 24 * HOUR, 7, 2, None),
        (NOW - 24 * HOUR - 1, 7, 2, errors.IdempotencyKeyExpired),
        (NOW + 5 * 60_000, 7, 2, None),
        (NOW + 5 * 60_000 + 1, 7, 2, errors.IdempotencyKeyAhead),
        (NOW, 4, 2, errors.IdempotencyKeyInvalid),
        (NOW, 7, 3, errors.IdempotencyKeyInvalid),
    ],
)
def test_idempotency_keys(milliseconds: int, version: int, variant: int, expected: object) -> None:
    assert rules.check_key(key(milliseconds, version, variant), NOW, 24 * HOUR) is expected


@pytest.mark.parametrize("extra", [b"", bytes(15), bytes(17)])
def test_idempotency_keys_have_sixteen_bytes(extra: bytes) -> None:
    assert rules.check_key(extra, NOW, 24 * HOUR) is errors.IdempotencyKeyInvalid


def note(origin: str, size: int, root: bytes) -> bytes:
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n\n— {origin} sig\n".encode()


ROOT, OTHER_ROOT = b"r" * 32, b"o" * 32


@pytest.mark.parametrize(
    ("size", "root", "time"),
    [(9, ROOT, 2_000), (10, OTHER_ROOT, 2_000), (10, ROOT, 999), (11, OTHER_ROOT, 999), (21, OTHER_ROOT, 2_000)],
)
def test_a_head_that_contradicts_is_refused(size: int, root: bytes, time: int) -> None:
    recorded = rules.Head("log", 10, ROOT, 1_000)
    with pytest.raises(errors.Fork) as raised:
        rules.check_checkpoint(recorded, rules.read_checkpoint(note("log", size, root), time), leaves=20)
    assert raised.value.control == "FORK"


@pytest.mark.parametrize(("size", "root", "time"), [(10, ROOT, 1_000), (10, ROOT, 1_001), (20, OTHER_ROOT, 1_000)])
def test_a_head_that_continues_is_taken(size: int, root: bytes, time: int) -> None:
    recorded = rules.Head("log", 10, ROOT, 1_000)
    rules.check_checkpoint(recorded, rules.read_checkpoint(note("log", size, root), time), leaves=20)
    rules.check_checkpoint(None, rules.read_checkpoint(note("log", size, root), time), leaves=20)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"log",
        b"log\n1\n",
        b"log\n01\n" + base64.b64encode(ROOT) + b"\n",
        b"log\n-1\n" + base64.b64encode(ROOT) + b"\n",
        b"log\n1\nAAAA\n",
        b"log\n1\n!\n",
        b"\xff\n1\nx\n",
        b"\n1\n" + base64.b64encode(ROOT) + b"\n",
    ],
)
def test_malformed_checkpoints(body: bytes) -> None:
    with pytest.raises(BadRequest):
        rules.read_checkpoint(body, 0)


@given(st.binary(max_size=200))
def test_any_checkpoint_is_read_or_refused(body: bytes) -> None:
    try:
        head = rules.read_checkpoint(body, 0)
    except BadRequest:
        return
    assert len(head.root) == 32


@given(st.lists(st.binary(max_size=50), max_size=8), st.data())
def test_frames_are_found_however_they_are_cut(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(frame, payloads))
    reader, found = FrameReader(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        found += reader.take(stream[:cut])
        stream = stream[cut:]
    assert found == payloads
    assert reader.take(frame(b"next")) == [b"next"]


def test_a_frame_that_is_too_long_is_refused_by_its_length_alone() -> None:
    reader = FrameReader(limit=10)
    assert reader.take(frame(b"x" * 10)) == [b"x" * 10]
    with pytest.raises(FrameTooLong):
        reader.take((11).to_bytes(4, "big"))


def test_record_ids_far_from_the_clock_lie_outside_the_bounds() -> None:
    lowest, highest = rules.id_bounds(NOW)
    for milliseconds, inside in [(NOW, True), (NOW - 2 * HOUR, False), (NOW + HOUR, False)]:
        record_id = milliseconds.to_bytes(6, "big") + os.urandom(16)
        assert (lowest <= record_id < highest) is inside
