"""What the cosigner leaves on disk of one log: its cosigned heads, and how far each witness is. The only writer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
import structlog

from appliance.files import sync_directory, write_durably
from appliance.log.checkpoint import Checkpoint
from appliance.log.cosigned import COSIGNED_FILE, HEADS, CosignedHead, CosignedHeads, decode_head, heads_file
from appliance.log.errors import MalformedNote
from appliance.log.note import parse_note

STATE_FILE: Final = "witnesses.json"
FILE_BYTES: Final = 8 * 1024 * 1024
"""A file of heads is followed by another once it is so large."""
_LONGEST_LINE: Final = 65_536

logger = structlog.get_logger("cosigner")


class WitnessState(msgspec.Struct, kw_only=True):
    """How far a witness is with a log, as it said itself."""

    size: int = 0
    """Of the last head that it cosigned for us."""
    time: int = 0
    """When it said that it did, in seconds since the epoch."""
    trouble: str | None = None
    """A label of appliance.cosigner.protocol.Trouble; None: it does what it is asked."""
    detail: str = ""
    since: float = 0.0
    """Since when the trouble lasts, in seconds since the epoch."""


class HeadsWriter:
    """The files of one log, below HOME/cosigned. A torn end, or a file that is behind another one, is put right."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / HEADS).mkdir(parents=True, exist_ok=True)
        self._file: Path | None = None
        self.last: CosignedHead | None = None
        """The largest head that has its quorum."""
        self._continue()

    def _continue(self) -> None:
        for first in reversed(CosignedHeads(self._directory, "", list).files()):
            file = heads_file(self._directory, first)
            self.last = _last_whole(file)
            if self.last is not None:
                self._file = file
                break
            file.unlink()
        published = _published(self._directory / COSIGNED_FILE)
        if published is not None and (self.last is None or published.size > self.last.size):
            self._append(published)  # the files of heads were put back from an older copy
        elif self.last is not None and published != self.last:
            write_durably(self._directory / COSIGNED_FILE, self.last.note.encode())

    def settle(self, size: int, note: bytes) -> None:
        """A head has its quorum: it is kept, then published. Raises OSError; then it can be tried again."""
        head = CosignedHead(size, note.decode())
        if self.last is None or size > self.last.size:
            self._append(head)
        write_durably(self._directory / COSIGNED_FILE, head.note.encode())

    def _append(self, head: CosignedHead) -> None:
        current = self._file
        new = current is None or current.stat().st_size >= FILE_BYTES
        file = heads_file(self._directory, head.size) if new or current is None else current
        with file.open("ab") as handle:
            before = handle.tell()
            try:
                handle.write(msgspec.json.encode(head) + b"\n")
                handle.flush()
                os.fsync(handle.fileno())
            except OSError:
                handle.truncate(before)
                raise
        if new:
            sync_directory(file.parent)
            sync_directory(self._directory)
        self._file, self.last = file, head

    def read_states(self) -> dict[str, WitnessState]:
        """How far the witnesses were, by name. What cannot be read is asked for again."""
        try:
            return msgspec.json.decode((self._directory / STATE_FILE).read_bytes(), type=dict[str, WitnessState])
        except (OSError, msgspec.MsgspecError):
            return {}

    def write_states(self, states: dict[str, WitnessState]) -> None:
        """Raises OSError."""
        write_durably(self._directory / STATE_FILE, msgspec.json.encode(states))


def _last_whole(file: Path) -> CosignedHead | None:
    """The last head of a file, which loses the line that a power cut has torn; None: it has none."""
    while size := file.stat().st_size:
        with file.open("rb") as handle:
            start = handle.seek(max(0, size - 2 * _LONGEST_LINE))
            tail = handle.read()
        whole = tail.rfind(b"\n") + 1
        if whole == len(tail):
            return decode_head(tail[tail.rfind(b"\n", 0, whole - 1) + 1 :])
        logger.warning("torn-line-dropped", file=str(file), bytes=len(tail) - whole)
        os.truncate(file, start + whole)
    return None


def _published(path: Path) -> CosignedHead | None:
    try:
        note = path.read_bytes()
        return CosignedHead(Checkpoint.parse(parse_note(note).text).size, note.decode())
    except (FileNotFoundError, MalformedNote):
        return None
