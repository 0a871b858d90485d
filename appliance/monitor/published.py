"""Fetching what a log publishes (C2SP tlog-tiles) over HTTP, within bounds of size and time; nothing is followed."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Final, Self

import httpx

from appliance.log.note import MAXIMUM_NOTE_BYTES
from appliance.log.reader import SubtreeSource
from appliance.log.tiles import WIDTH, Tile
from appliance.log.tree import HASH_BYTES
from appliance.monitor.errors import NotPublished
from appliance.outward import IDENTITY, AnswerRefused, body_within, tls_context

FETCH_SECONDS: Final = 20.0
"""For one resource, from the first byte to the last."""


def client_context(ca: Path | None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Trusts one CA, or where none is given the machine's; shows a client certificate where there is one.

    Raises NotPublished, which names the file.
    """
    try:
        context = tls_context(ca)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(str(path) for path in (ca, certificate, key) if path is not None)
        raise NotPublished(f"{names}: {getattr(error, 'reason', None) or error.strerror}") from None
    return context


class PublishedLog:
    """A log under a prefix; a context manager."""

    def __init__(self, prefix: str, context: ssl.SSLContext | None = None) -> None:
        self._prefix = prefix.rstrip("/")
        verify: ssl.SSLContext | bool = True if context is None else context
        self._client = httpx.Client(verify=verify, timeout=FETCH_SECONDS, trust_env=False, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def checkpoint(self, name: str = "checkpoint") -> bytes:
        """The signed head as it is published now. Raises NotPublished."""
        return self.fetch(name, MAXIMUM_NOTE_BYTES)

    def tile(self, tile: Tile) -> bytes:
        """The hashes of a tile, as many as its width; cut from the full one where the partial one is gone.

        Raises NotPublished.
        """
        try:
            found = self.fetch(tile.path(), WIDTH * HASH_BYTES)
        except NotPublished:
            if tile.full:
                raise
            found = self.fetch(Tile(tile.level, tile.index).path(), WIDTH * HASH_BYTES)
        wanted = tile.width * HASH_BYTES
        if len(found) < wanted:
            raise NotPublished(f"{tile.path()} has {len(found)} bytes, not {wanted}")
        return found[:wanted]

    def fetch(self, resource: str, most: int) -> bytes:
        """A resource below the prefix, of at most so many bytes. Raises NotPublished."""
        found = self.fetch_if_there(resource, most)
        if found is None:
            raise NotPublished(f"{resource}: status 404, the log is not published there to whoever asks so")
        return found

    def fetch_if_there(self, resource: str, most: int) -> bytes | None:
        """A resource, or None where the server says that there is none. Raises NotPublished."""
        url = f"{self._prefix}/{resource}"
        deadline = time.monotonic() + FETCH_SECONDS
        try:
            with self._client.stream("GET", url, headers=IDENTITY) as answer:
                if answer.status_code == 404:
                    return None
                if answer.status_code != 200:
                    raise NotPublished(f"{resource}: status {answer.status_code}")
                return body_within(answer, most, deadline)
        except AnswerRefused as error:
            raise NotPublished(f"{resource}: {error}") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise NotPublished(f"{resource}: the server's certificate is not of the CA that is trusted") from None
            raise NotPublished(f"{resource}: {type(error).__name__}") from None


class PublishedTiles(SubtreeSource):
    """Subtrees of a published log at one size. Raises NotPublished where LogDamaged is told of files."""

    def __init__(self, log: PublishedLog, size: int) -> None:
        super().__init__(size)
        self._log = log

    def read(self, tile: Tile) -> bytes:
        return self._log.tile(tile)
