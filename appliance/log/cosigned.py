"""Heads with their witnesses' cosignatures, as the cosigner leaves them beside a log: only files; writes nothing.

Below HOME/cosigned, one directory a log, named by the SHA-256 of its origin:

- `cosigned-checkpoint`: the largest head with its quorum of cosignatures, a signed note;
- `heads/FIRST.jsonl`: every such head there was, one line of JSON `[size,note]` each, by rising size; FIRST is the
  size of the file's first head, 19 digits. A line never changes, and never goes.

So a record has the same cosigned head for ever: the first that covers it, which shows the earliest time. What is read
here has the log's signature checked again before a proof is made under it.
"""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from appliance.files import open_file, read_file
from appliance.log.checkpoint import Checkpoint, LogKey, open_checkpoint
from appliance.log.errors import LogDamaged, MalformedNote, NotYetIncluded, SignatureInvalid
from appliance.log.keys import read_log_keys
from appliance.log.note import MAXIMUM_NOTE_BYTES
from appliance.log.reader import log_directory

COSIGNED_FILE = "cosigned-checkpoint"
HEADS = "heads"
_DIGITS = 19


class CosignedHead(msgspec.Struct, frozen=True, array_like=True):
    """A line of a file of heads."""

    size: int
    note: str
    """The signed checkpoint with its cosignatures."""


def heads_file(directory: Path, first: int) -> Path:
    """The file whose first head has this size."""
    return directory / HEADS / f"{first:0{_DIGITS}d}.jsonl"


class CosignedHeads:
    """The cosigned heads of one log."""

    def __init__(self, directory: Path, origin: str, keys: Callable[[], Sequence[LogKey]]) -> None:
        """`keys` gives the log's keys as they are now."""
        self.directory = directory
        self.origin = origin
        self._keys = keys
        self._believed: tuple[bytes, Checkpoint] | None = None

    @classmethod
    def of(cls, cosigned: Path, logs: Path, origin: str) -> CosignedHeads:
        """`cosigned`, `logs`: HOME/cosigned and HOME/logs."""
        published = log_directory(logs, origin)
        return cls(log_directory(cosigned, origin), origin, lambda: read_log_keys(published))

    def latest(self) -> bytes:
        """The largest head that has its quorum. Raises NotYetIncluded before the first."""
        try:
            note = read_file(self.directory / COSIGNED_FILE, MAXIMUM_NOTE_BYTES)
        except FileNotFoundError:
            raise NotYetIncluded("the log has no cosigned checkpoint yet") from None
        except OSError:
            raise NotYetIncluded("the log's cosigned checkpoint cannot be read") from None
        if self._open(note) is None:
            raise NotYetIncluded("the log's cosigned checkpoint cannot be believed")
        return note

    def covering(self, size: int) -> bytes | None:
        """The first cosigned head with at least so many entries; None: there is none yet."""
        firsts = self.files()
        at = max(0, bisect_right(firsts, size) - 1)
        for first in firsts[at:]:
            found = first_in(heads_file(self.directory, first), size)
            if found is not None:
                note = found.note.encode()
                opened = self._open(note)
                return note if opened is not None and opened.size == found.size else None
        return None

    def files(self) -> list[int]:
        """The size of the first head of each file of heads, rising."""
        try:
            names = [path.stem for path in (self.directory / HEADS).iterdir() if path.suffix == ".jsonl"]
        except FileNotFoundError:
            return []
        return sorted(int(name) for name in names if name.isdecimal() and len(name) == _DIGITS)

    def _open(self, note: bytes) -> Checkpoint | None:
        """The head, if a key of the log signed it: nobody hands out a proof under a note that the cosigner made up."""
        if self._believed is None or self._believed[0] != note:
            try:
                self._believed = (note, open_checkpoint(note, self.origin, self._keys()))
            except (MalformedNote, SignatureInvalid, LogDamaged):
                return None
        return self._believed[1]


def first_in(file: Path, size: int) -> CosignedHead | None:
    """The first head of a file with at least so many entries. What is torn at its end does not count."""
    try:
        with open_file(file) as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _first(content, size)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return None


def _first(content: mmap.mmap, size: int) -> CosignedHead | None:
    low, high = 0, content.rfind(b"\n") + 1
    end = high
    while low < high:
        middle = (low + high) // 2
        start = max(low, content.rfind(b"\n", low, middle) + 1)
        after = content.find(b"\n", middle) + 1
        if decode_head(content[start:after]).size >= size:
            high = start
        else:
            low = after
    return None if low == end else decode_head(content[low : content.find(b"\n", low)])


def decode_head(line: bytes) -> CosignedHead:
    """Raises ValueError."""
    try:
        return msgspec.json.decode(line, type=CosignedHead)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"a line of cosigned heads cannot be read: {error}") from None
