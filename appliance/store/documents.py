"""Documents: encrypted bytes, named by their SHA-256, on disk before the commit that names them.

A document stands at ROOT/ab/cd/abcd...: two levels of 256 directories, so that 10^8 documents make about 1,500 names a
directory. It is written under a temporary name, flushed, given its name, and its directory flushed; a name that can be
seen therefore always has all its bytes. The caller encrypts per tenant; equal bytes have equal names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from appliance.errors import CinnabarError, NotFound
from appliance.files import sync_directory

DIGEST_BYTES = 32
_READ_BYTES = 1024 * 1024


class DocumentDamaged(CinnabarError):
    """The stored bytes are not those that the name promises."""

    code = "document-damaged"


class DocumentMissing(NotFound):
    """No document has that name."""


class Documents:
    """The store under one directory. Several processes may write and read at once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, digest: bytes) -> Path:
        """Where a document stands. `digest`: SHA-256 of its bytes, 32 bytes."""
        if len(digest) != DIGEST_BYTES:
            raise ValueError("a document is named by 32 bytes")
        name = digest.hex()
        return self._root / name[:2] / name[2:4] / name

    def put(self, data: bytes | Iterable[bytes]) -> bytes:
        """Store a document, whole or in parts, and return its digest. When this returns it is on disk.

        Raises OSError (a full disk among them); then nothing is left behind."""
        parts = (data,) if isinstance(data, bytes) else data
        hasher = hashlib.sha256()
        temporary = self._incoming / secrets.token_hex(16)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for part in parts:
                    hasher.update(part)
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            digest = hasher.digest()
            target = self.path(digest)
            self._make_directory(target.parent)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(target.parent)
        return digest

    def read(self, digest: bytes) -> bytes:
        """A whole document. Raises DocumentMissing, DocumentDamaged."""
        return b"".join(self.parts(digest))

    def parts(self, digest: bytes) -> Iterator[bytes]:
        """A document in parts of at most 1 MiB; DocumentDamaged is raised at the end if the bytes are not its own."""
        hasher = hashlib.sha256()
        try:
            file = self.path(digest).open("rb")
        except FileNotFoundError:
            raise DocumentMissing("there is no such document") from None
        with file:
            while part := file.read(_READ_BYTES):
                hasher.update(part)
                yield part
        if hasher.digest() != digest:
            raise DocumentDamaged(f"document {digest.hex()} is damaged")

    def __contains__(self, digest: bytes) -> bool:
        return self.path(digest).exists()

    def remove(self, digest: bytes) -> None:
        """Forget a document; its digest stays in whatever named it."""
        self.path(digest).unlink(missing_ok=True)

    def sweep(self, named: Container[bytes], before_s: float) -> int:
        """Remove documents that nobody names, and what writers that died left unfinished, last written before a time
        (seconds since the epoch). Who names one later than that must write it anew. Returns how many."""
        gone = 0
        for path in (*self._incoming.iterdir(), *self._root.glob(f"{'[0-9a-f]' * 2}/{'[0-9a-f]' * 2}/*")):
            if path.parent != self._incoming and bytes.fromhex(path.name) in named:
                continue
            with contextlib.suppress(FileNotFoundError):  # another one removed it
                if path.stat().st_mtime < before_s:
                    path.unlink()
                    gone += 1
        return gone

    def _make_directory(self, directory: Path) -> None:
        if directory.is_dir():
            return
        for path in (directory.parent, directory):
            if not path.is_dir():
                path.mkdir(mode=0o700, exist_ok=True)
                sync_directory(path.parent)
