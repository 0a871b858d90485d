"""`cinnabar log check`: derive every tile and root again from the entry bundles, and name the file that differs.

What is checked, per log: each entry bundle, each hash of each tile at every level, the published checkpoint's
signatures and root, the signed root of receipts, the exported checkpoint, and entries and heads against the recorder's
database where it can be read. One changed bit in any of these files is found. Only reads; works beside a running
follower, whose newest tiles may lie beyond the head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from appliance.log.checkpoint import Checkpoint, LogKey, open_checkpoint
from appliance.log.derive import Derivation, Finding
from appliance.log.errors import LogDamaged, MalformedNote, MalformedProof, SignatureInvalid
from appliance.log.exports import export_file
from appliance.log.note import parse_note
from appliance.log.reader import CHECKPOINT_FILE, SIGNED_ROOT_FILE, TileReader, read_held
from appliance.log.receipts import SignedRoot, verify_signed_root
from appliance.log.tiles import WIDTH
from appliance.tree_hash import TreeHash, hash_of

_READ_AT_ONCE = 256 * WIDTH


class RecordSource(Protocol):
    """The recorder's database, through its socket or, when it is down, from its file."""

    def leaves(self, log: str, first: int, limit: int) -> bytes: ...

    def head(self, origin: str) -> tuple[int, bytes] | None: ...


@dataclass
class LogReport:
    """What a check of one log found."""

    origin: str
    size: int = 0
    """Size of the published head; 0 where there is none."""
    root: str = ""
    entries: int = 0
    """Entries derived again, those beyond the head included."""
    files: int = 0
    compared_with_records: bool = False
    signed_by: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is to be known and is no damage."""

    @property
    def sound(self) -> bool:
        return not self.findings


def check_log(
    origin: str,
    log: str,
    directory: Path,
    exports: Path,
    keys: list[LogKey],
    records: RecordSource | None,
    progress: Callable[[int], None] | None = None,
    *,
    locked: bool = False,
) -> LogReport:
    """Check one log. `log` is its name at the recorder; `progress` is told of entries done.

    `locked`: the box awaits `cinnabar log resume`; the exported checkpoint is then with the operator and not here.
    """
    report = LogReport(origin, compared_with_records=records is not None)
    if locked:
        report.notes.append("locked, awaiting log resume")
    # The head first: a running follower may publish more while the tiles are read, never less.
    head = _read_head(report, directory / CHECKPOINT_FILE, keys)
    hashing = hash_of(origin)
    derivation = Derivation(directory, hashing)
    recorded = None if records is None else _bundles(records, log, hashing)
    root = derivation.run(report.size, recorded, progress)
    derivation.judge(entries_are_right=head is None or root == head.root)
    report.entries, report.files = derivation.entries, derivation.files
    report.findings += derivation.findings
    if head is not None:
        if root != head.root and not derivation.findings:
            _find(report, directory / CHECKPOINT_FILE, "has another root than the entries give")
        _check_export(report, export_file(exports, origin), head, keys, locked=locked)
        _check_signed_root(report, directory / SIGNED_ROOT_FILE, head, keys)
        if records is not None:
            _check_recorded(report, directory / CHECKPOINT_FILE, head, records.head(origin))
    elif report.sound and records is not None and records.head(origin) is not None:
        _find(report, directory / CHECKPOINT_FILE, "is missing: the records have a signed head")
    return report


def _find(report: LogReport, path: Path, problem: str) -> None:
    report.findings.append(Finding(str(path), problem))


def _bundles(records: RecordSource, log: str, hashing: TreeHash) -> Iterator[bytes]:
    """The recorded entries, packed, a bundle at a time."""
    at = 0
    while packed := records.leaves(log, at, _READ_AT_ONCE):
        for start in range(0, len(packed), WIDTH * hashing.size):
            yield packed[start : start + WIDTH * hashing.size]
        at += len(packed) // hashing.size
        if at % WIDTH:
            return


def _read_head(report: LogReport, path: Path, keys: list[LogKey]) -> Checkpoint | None:
    try:
        note = read_held(path)
        head = open_checkpoint(note, report.origin, keys)
    except FileNotFoundError:
        return None
    except (LogDamaged, MalformedNote, SignatureInvalid) as error:
        _find(report, path, str(error))
        return None
    report.size, report.root = head.size, head.root.hex()
    known = {(key.verifier.name, key.verifier.key_id) for key in keys if key.signs(head.size)}
    for signature in parse_note(note).signatures:
        if (signature.name, signature.key_id) in known:
            report.signed_by.append(f"{signature.name}+{signature.key_id.hex()}")
        else:
            _find(report, path, f"has a line of a key that may not sign here: {signature.name!r}")
    return head


def _check_export(report: LogReport, path: Path, head: Checkpoint, keys: list[LogKey], *, locked: bool) -> None:
    try:
        exported = open_checkpoint(read_held(path), report.origin, keys)
    except FileNotFoundError:
        if not locked:
            _find(report, path, "is missing: the published head was not exported")
        return
    except (LogDamaged, MalformedNote, SignatureInvalid) as error:
        _find(report, path, str(error))
        return
    if exported.size < head.size or (exported.size == head.size and exported.root != head.root):
        _find(report, path, "is not the published head")


def _check_signed_root(report: LogReport, path: Path, head: Checkpoint, keys: list[LogKey]) -> None:
    try:
        signed = SignedRoot.decode(read_held(path))
        verify_signed_root(signed, keys, hash_of(report.origin))
    except FileNotFoundError:
        _find(report, path, "is missing")
        return
    except (LogDamaged, MalformedProof, SignatureInvalid) as error:
        _find(report, path, str(error))
        return
    if signed.size == head.size:
        matches = signed.root == head.root
    else:
        # The signature covers the root alone, so the size is held to the tiles: a running follower may be a head ahead.
        try:
            tiles = TileReader(path.parent, signed.size, hash_of(report.origin))
            matches = signed.size > head.size and tiles.root() == signed.root
        except LogDamaged:
            matches = False
    if not matches:
        _find(report, path, "is not over the published head")


def _check_recorded(report: LogReport, path: Path, head: Checkpoint, recorded: tuple[int, bytes] | None) -> None:
    if recorded is None or recorded[0] < head.size:
        _find(report, path, "is ahead of the recorded head")
    elif recorded[0] == head.size and recorded[1] != head.root:
        _find(report, path, "has another root than the recorded head")
