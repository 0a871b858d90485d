"""Documents: named by their bytes, whole or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.store.documents import DocumentDamaged, DocumentMissing, Documents


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.binary(max_size=5000), max_size=5))
def test_what_is_put_is_read(tmp_path: Path, parts: list[bytes]) -> None:
    store = Documents(tmp_path / "documents")
    whole = b"".join(parts)
    digest = store.put(iter(parts))
    assert digest == hashlib.sha256(whole).digest() == store.put(whole)
    assert store.read(digest) == whole
    assert digest in store
    name = digest.hex()
    assert store.path(digest) == tmp_path / "documents" / name[:2] / name[2:4] / name
    assert store.path(digest).stat().st_mode & 0o777 == 0o600


def test_a_document_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = Documents(tmp_path)

    def failing() -> Iterator[bytes]:
        yield b"begin"
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        store.put(failing())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    store = Documents(tmp_path)
    digest = store.put(b"letter")
    store.path(digest).write_bytes(b"lettes")
    with pytest.raises(DocumentDamaged):
        store.read(digest)


def test_missing_removed_and_misnamed_documents(tmp_path: Path) -> None:
    store = Documents(tmp_path)
    digest = store.put(b"letter")
    store.remove(digest)
    store.remove(digest)
    assert digest not in store
    with pytest.raises(DocumentMissing):
        store.read(digest)
    with pytest.raises(ValueError, match="32 bytes"):
        store.path(b"../../etc/passwd")


def test_what_a_dead_writer_left_is_swept(tmp_path: Path) -> None:
    store = Documents(tmp_path)
    digest, unnamed = store.put(b"letter"), store.put(b"nobody's")
    left = tmp_path / "incoming" / "left"
    left.write_bytes(b"torn")
    assert store.sweep({digest}, time.time() - 60) == 0  # somebody may be about to name it
    assert (unnamed in store, left.exists()) == (True, True)
    assert store.sweep({digest}, time.time() + 60) == 2
    assert (unnamed in store, left.exists()) == (False, False)
    assert store.read(digest) == b"letter"


def test_a_document_is_flushed_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of flushes is the promise: file, name, directory (and new directories on the way)."""
    order: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(descriptor: int) -> None:
        order.append("directory" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "file")
        real_sync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        order.append("name")
        return real_replace(path, target)

    store = Documents(tmp_path)
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    store.put(b"letter")
    assert order[0] == "file"
    assert order[-2:] == ["name", "directory"]
