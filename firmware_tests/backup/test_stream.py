"""The encrypted stream: whole, cut, altered, reordered, and any bytes at all."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.backup import BackupUnreadable, DecryptingReader, EncryptingWriter
from appliance.backup import stream as module
from appliance.backup.stream import CHUNK_BYTES, MAGIC

PASSPHRASE = b"correct horse battery"
_CHUNK = CHUNK_BYTES + 16
_HEADER = len(MAGIC) + 23


@pytest.fixture(autouse=True)
def _cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SCRYPT_N", 1 << 4)


def encrypt(data: bytes) -> bytes:
    target = io.BytesIO()
    writer = EncryptingWriter(target, PASSPHRASE)
    for at in range(0, len(data), 300_000):
        writer.write(data[at : at + 300_000])
    writer.close()
    return target.getvalue()


def decrypt(data: bytes, passphrase: bytes = PASSPHRASE) -> bytes:
    reader = DecryptingReader(io.BytesIO(data), passphrase)
    plain = reader.read()
    reader.finish()
    return plain


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_round_trip(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    encrypted = encrypt(data)
    assert decrypt(encrypted) == data
    reader = DecryptingReader(io.BytesIO(encrypted), PASSPHRASE)
    assert b"".join(iter(lambda: reader.read(100_001), b"")) == data


def test_what_is_not_as_it_was_written() -> None:
    good = encrypt(b"a" * CHUNK_BYTES + b"b" * CHUNK_BYTES + b"c")
    chunks = [good[_HEADER : _HEADER + _CHUNK], good[_HEADER + _CHUNK : _HEADER + 2 * _CHUNK]]
    last = good[_HEADER + 2 * _CHUNK :]
    header = good[:_HEADER]
    bad = {
        "cut at a chunk": header + chunks[0] + chunks[1],
        "cut within a chunk": good[:-1],
        "only the header": header,
        "reordered": header + chunks[1] + chunks[0] + last,
        "left out": header + chunks[0] + last,
        "doubled": header + chunks[0] + chunks[0] + chunks[1] + last,
        "more behind": good + b"x",
        "another's end": header + chunks[0] + encrypt(b"c")[_HEADER:],
        "another header": encrypt(b"")[:_HEADER] + good[_HEADER:],
    }
    for name, data in bad.items():
        with pytest.raises(BackupUnreadable):
            pytest.fail(f"{name} was read: {len(decrypt(data))}")
    with pytest.raises(BackupUnreadable, match="passphrase"):
        decrypt(good, b"another passphrase")


@settings(max_examples=60)
@given(st.data())
def test_any_flipped_bit(data: st.DataObject) -> None:
    good = encrypt(b"some plaintext")
    at = data.draw(st.integers(0, len(good) * 8 - 1))
    changed = bytearray(good)
    changed[at // 8] ^= 1 << at % 8
    with pytest.raises(BackupUnreadable):
        decrypt(bytes(changed))


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(BackupUnreadable):
        decrypt(data)
    with pytest.raises(BackupUnreadable):
        decrypt(MAGIC + data)
