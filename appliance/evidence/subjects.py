"""What a stamp, a seal or an evidence record may be about: the files that were given, and digests given for others."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO

from appliance.evidence.signatures import digest, digest_of_stream


@dataclass(frozen=True)
class NamedBytes:
    """A file: what the report calls it, and its bytes."""

    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class NamedFile:
    """A file that may be larger than memory: read as a stream, again for each use. `open`: from its start."""

    name: str
    open: Callable[[], IO[bytes]] = field(repr=False)
    size: int
    front: bytes = field(repr=False)
    """Its first bytes, as many as there are up to 4096."""


@dataclass(frozen=True)
class NamedDigest:
    """The digest of a file that stays elsewhere. `algorithm` is sha256, sha384, sha512, sha3-256, -384 or -512."""

    algorithm: str
    value: bytes

    @property
    def name(self) -> str:
        """What the report calls it."""
        return f"{self.algorithm}:{self.value.hex()}"


class Subject:
    """A file or a digest, with the digests that were asked for so far."""

    def __init__(self, source: NamedBytes | NamedFile | NamedDigest) -> None:
        self.source = source
        self._digests: dict[str, bytes] = {}
        if isinstance(source, NamedDigest):
            self._digests[source.algorithm] = source.value

    @property
    def name(self) -> str:
        """As the caller named it: not yet escaped."""
        return self.source.name

    def digest(self, algorithm: str) -> bytes | None:
        """Its digest under an accepted algorithm; None for another digest of a file that is not here."""
        if algorithm not in self._digests and isinstance(self.source, NamedBytes):
            self._digests[algorithm] = digest(algorithm, self.source.content)
        elif algorithm not in self._digests and isinstance(self.source, NamedFile):
            with self.source.open() as stream:
                self._digests[algorithm] = digest_of_stream(algorithm, stream)
        return self._digests.get(algorithm)

    def stream(self) -> IO[bytes] | None:
        """The file's bytes, from its start; None for a digest of a file that is not here."""
        if isinstance(self.source, NamedBytes):
            return io.BytesIO(self.source.content)
        return self.source.open() if isinstance(self.source, NamedFile) else None


def matching(subjects: Sequence[Subject], algorithm: str, value: bytes) -> list[int]:
    """Indexes of the subjects that have this digest."""
    return [index for index, subject in enumerate(subjects) if subject.digest(algorithm) == value]
