"""The life of one log: continue from the last signed head, integrate records, sign the next head, publish it.

Rules (control FORK), in the order in which `sign_head` upholds them:

1. Tiles and entry bundles of the new size are durable before anything is signed.
2. The new head's root and the last head's root are recomputed from those same files; unless the last head stands in
   them unchanged, nothing is signed.
3. Every key of the log whose sizes include the new one signs the same text. A key whose token does not answer is left
   out, as long as one signs.
4. Each signature is a durable row at the recorder before it leaves this process; the recorder refuses a head that
   contradicts the recorded one.
5. The note is exported, then published. A reader never sees a head that the export does not have.

`recover` runs the same rules at start against the recorded, the exported and the published head: it does not matter
where the process was killed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import structlog

from appliance.files import write_durably
from appliance.log.checkpoint import Checkpoint, LogKey, open_checkpoint
from appliance.log.errors import LogDamaged, LogForked, LogLocked, MalformedNote, SignatureInvalid
from appliance.log.exports import read_export, write_export
from appliance.log.integrator import Integrator
from appliance.log.note import Note, NoteSignature, verified_by
from appliance.log.reader import CHECKPOINT_FILE, SIGNED_ROOT_FILE, TileReader
from appliance.log.receipts import SignedRoot, prepare_root
from appliance.log.records import Records
from appliance.tree_hash import hash_of

LEAVES_A_READ = 16_384

AsyncSign = Callable[[bytes], Awaitable[bytes]]

logger = structlog.get_logger("log")


@dataclass(frozen=True)
class LogSigner:
    """A log key and the HSM call behind it."""

    name: str
    """Name of the key in rows and messages."""
    key: LogKey
    sign: AsyncSign
    unavailable: tuple[type[Exception], ...] = ()
    """Errors of `sign` that mean the token does not answer now."""


class Head(NamedTuple):
    size: int
    root: bytes


class LogWriter:
    """The one writer of one log."""

    def __init__(
        self,
        origin: str,
        log: str,
        keys: Sequence[LogKey],
        signers: Sequence[LogSigner],
        directory: Path,
        exports: Path,
        records: Records,
        saw: Callable[[list[bytes], int], None] | None = None,
    ) -> None:
        """`log` is its name at the recorder, `keys` all its keys ever, `signers` those whose tokens are open.

        `saw` is called with entries as they are integrated, and the index after the last."""
        self.origin = origin
        self.log = log
        self.directory = directory
        self._keys = keys
        self._signers = signers
        self._exports = exports
        self.records = records
        """As this log has them."""
        self._saw = saw
        self._integrator: Integrator | None = None
        self.hashing = hash_of(origin)
        self.head = Head(0, self.hashing.empty_root)
        """The last signed head."""
        self._head_time = 0
        self._published: Head | None = None
        self._recovered = False

    @property
    def size(self) -> int:
        """Entries integrated so far."""
        return 0 if self._integrator is None else self._integrator.size

    @property
    def ready(self) -> bool:
        """Whether `recover` has succeeded."""
        return self._recovered

    async def recover(self) -> None:
        """Continue from what is on disk and in the records.

        Raises LogForked when a head that was signed, exported or published contradicts the records or is ahead of
        them, LogDamaged when a file under a signed head is damaged.
        """
        recorded = await self.records.head(self.origin)
        if recorded is not None:
            self.head, self._head_time = Head(recorded.size, recorded.root), recorded.time
        exported = self._read(read_export(self._exports, self.origin), "exported")
        published = self._read(_read_optional(self.directory / CHECKPOINT_FILE), "published")
        if exported is None and published is not None:
            # A head is exported before it is published: whoever took the export away may have put back an older log.
            raise LogForked(f"no checkpoint of {self.origin} is exported, though one was: show the last one")
        self._integrator = await self._continue()
        for name, other in (("exported", exported), ("published", published)):
            if other is not None:
                await self._hold_to(name, other)
        if exported == published == self.head and (self.directory / SIGNED_ROOT_FILE).exists():
            self._published = self.head
        self._recovered = True
        logger.info("log-recovered", origin=self.origin, size=self.head.size)

    def _read(self, note: bytes | None, what: str) -> Head | None:
        """A head that left this process once: it must be a checkpoint under the log's keys."""
        if note is None:
            return None
        try:
            checkpoint = open_checkpoint(note, self.origin, self._keys)
        except (MalformedNote, SignatureInvalid) as error:
            failure = LogForked if what == "exported" else LogDamaged
            raise failure(f"the {what} checkpoint of {self.origin} is not valid: {error}") from error
        return Head(checkpoint.size, checkpoint.root)

    async def _continue(self) -> Integrator:
        """An integrator at the last recorded head: from its tiles, else derived anew from the records."""
        size, root = self.head
        try:
            if self._tiles(size).root() == root:
                return Integrator(self.directory, size, hashing=self.hashing)
            reason = "the tiles have another root"
        except LogDamaged as error:
            reason = str(error)
        logger.warning("tiles-derived-anew", origin=self.origin, size=size, reason=reason)
        integrator = Integrator(self.directory, 0, signed_size=size, hashing=self.hashing)
        await self._integrate(integrator, size)
        if integrator.size != size or integrator.root() != root:
            raise LogForked(f"the records of {self.origin} do not give the root of its recorded head of {size}")
        integrator.flush()
        return integrator

    async def _hold_to(self, name: str, other: Head) -> None:
        """The records must contain a head that is already outside; it then counts as signed."""
        integrator = self._writer()
        if other.size > integrator.size:
            await self._integrate(integrator, other.size)
            if integrator.size < other.size:
                raise LogForked(
                    f"the {name} head of {self.origin} has {other.size} entries, the records have {integrator.size}: "
                    "a ceremony decides"
                )
            integrator.flush()
        if self._tiles(other.size).root() != other.root:
            raise LogForked(f"the {name} head of {self.origin}, of {other.size}, contradicts the records")
        if other.size > self.head.size:
            self.head = other

    def _tiles(self, size: int) -> TileReader:
        return TileReader(self.directory, size, self.hashing)

    def _writer(self) -> Integrator:
        if self._integrator is None:
            raise LogLocked(f"{self.origin} has not been recovered")
        return self._integrator

    async def integrate(self) -> int:
        """Take in every record that is there; returns how many were new."""
        integrator = self._writer()
        before = integrator.size
        await self._integrate(integrator, None)
        return integrator.size - before

    async def _integrate(self, integrator: Integrator, until: int | None) -> None:
        while until is None or integrator.size < until:
            limit = LEAVES_A_READ if until is None else min(LEAVES_A_READ, until - integrator.size)
            packed = await self.records.leaves(self.log, integrator.size, limit)
            width = self.hashing.size
            entries = [packed[at : at + width] for at in range(0, len(packed), width)]
            integrator.append(entries)
            if self._saw is not None:
                self._saw(entries, integrator.size)
            if len(entries) < limit:
                return

    async def sign_head(self) -> bool:
        """Sign and publish a head over what is integrated, if that is new. Returns whether it did.

        Raises LogForked, LogDamaged, or the error of a signer when no key of the log could sign.
        """
        integrator = self._writer()
        if integrator.size in (0, None if self._published is None else self._published.size):
            return False  # a log only grows: as many entries are the same entries
        # What waits for the disk stands in threads: other logs go on meanwhile.
        new = await asyncio.to_thread(self._durable_head, integrator)
        signers = [signer for signer in self._signers if signer.key.signs(new.size)]
        if not signers:
            raise LogForked(f"{self.origin} has no key that may sign a head of {new.size}")
        moment = max(time.time_ns() // 1000, self._head_time)
        note, signer = await self._sign_note(Checkpoint(self.origin, new.size, new.root), signers, moment)
        self.head, self._head_time = new, moment
        signed_root = await self._sign_root(new, signer, moment)
        await asyncio.to_thread(self._publish, note, signed_root)
        integrator.signed_size = new.size
        self._published = new
        return True

    def _durable_head(self, integrator: Integrator) -> Head:
        """Rules 1 and 2. Raises LogForked, LogDamaged."""
        integrator.flush()
        new = Head(integrator.size, self._tiles(integrator.size).root())
        if new.root != integrator.root():
            raise LogDamaged(f"the tiles of {self.origin} were changed on disk while they were written")
        if new.size < self.head.size or self._tiles(self.head.size).root() != self.head.root:
            raise LogForked(f"{self.origin}: a head of {new.size} would not extend the signed head of {self.head.size}")
        return new

    def _publish(self, note: bytes, signed_root: SignedRoot) -> None:
        """Rule 5."""
        write_export(self._exports, self.origin, note)
        write_durably(self.directory / SIGNED_ROOT_FILE, signed_root.encode())
        write_durably(self.directory / CHECKPOINT_FILE, note)

    async def _sign_note(
        self, checkpoint: Checkpoint, signers: Sequence[LogSigner], moment: int
    ) -> tuple[bytes, LogSigner]:
        """The note under every key that answers, each signature checked and recorded; and the first such key."""
        text = checkpoint.text()
        lines: list[NoteSignature] = []
        able: list[LogSigner] = []
        failure: Exception | None = None
        for signer in signers:
            verifier = signer.key.verifier
            try:
                signature = await signer.sign(text)
            except signer.unavailable as error:
                logger.warning("log-key-unavailable", origin=self.origin, key=signer.name, error=str(error))
                failure = error
                continue
            line = NoteSignature(verifier.name, verifier.key_id, signature)
            alone = Note(text, (line,))
            verified_by(alone, [verifier])
            await self.records.record("checkpoint", signer.name, moment, self.origin, alone.encode())
            lines.append(line)
            able.append(signer)
        if not able:
            raise failure or LogForked(f"no key signed for {self.origin}")
        return Note(text, tuple(lines)).encode(), able[0]

    async def _sign_root(self, head: Head, signer: LogSigner, moment: int) -> SignedRoot:
        """The COSE signature for receipts; its head is already recorded."""
        protected, message = prepare_root(head.root, signer.key.verifier, self.hashing)
        signed = SignedRoot(head.size, head.root, protected, await signer.sign(message))
        await self.records.record("receipt", signer.name, moment, self.origin, signed.encode())
        return signed

    def close(self) -> None:
        if self._integrator is not None:
            self._integrator.close()


def _read_optional(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
