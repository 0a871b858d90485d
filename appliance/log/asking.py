"""Asking a locked box's witnesses, before it is opened again, whether the head that it would go on from is the newest.

A witness that cosigns it now says that it has seen none that is larger (C2SP tlog-cosignature): an old file could not.
What it is shown lies on the records already, and the proof from where it is comes out of them, since the tiles of a
restored home may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from appliance.box.witnesses import Witness
from appliance.cosigner.asking import WitnessLine
from appliance.cosigner.protocol import Answer, AtSize, Cosigned
from appliance.instants import rfc3339
from appliance.log import tree
from appliance.log.check import RecordSource
from appliance.log.checkpoint import Checkpoint, open_checkpoint
from appliance.log.errors import LogForked
from appliance.log.note import Note, parse_note
from appliance.log.resume import Given, KnownLog, roots
from appliance.tree_hash import hash_of

_SIZES_TOLD = 3


@dataclass
class Asked:
    """What the witnesses of one log said."""

    given: list[Given] = field(default_factory=list)
    """The head with the cosignature of each that gave one."""
    told: list[str] = field(default_factory=list)
    """For people: a line a witness."""


async def ask_witnesses(
    log: KnownLog, witnesses: Sequence[Witness], given: Sequence[Given], records: RecordSource
) -> Asked:
    """Have each witness of a log cosign the largest head given of it, which must lie on the records.

    Raises LogForked where one of them has cosigned another history, or more of it than this box has.
    """
    asked = Asked()
    largest = _largest(log, given)
    if largest is None:
        return asked
    head, note = largest
    names = {key.name for key in log.witnesses.keys}
    for witness in witnesses:
        if witness.name not in names:
            continue
        line = WitnessLine(witness)
        try:
            answer = await _ask(line, log, head, note, records)
        finally:
            await line.close()
        if isinstance(answer, Cosigned):
            cosigned = Note(note.text, (*note.signatures, answer.line)).encode()
            asked.given.append(Given(f"the answer of {witness.name}", cosigned))
            at = rfc3339(answer.time_s * 1_000_000)
            asked.told.append(f"{witness.name} has seen no larger head of {log.origin} than {head.size}, as of {at}")
        elif isinstance(answer, AtSize):
            raise LogForked(
                f"{witness.name} has cosigned a head of {log.origin} with {answer.size} entries, and the largest one "
                f"given has {head.size}: history was lost, or an older checkpoint was given; the box stays locked"
            )
        elif answer.trouble.doubts_the_log:
            raise LogForked(f"{witness.name} has cosigned another history of {log.origin}: the box stays locked")
        else:
            asked.told.append(f"{witness.name} says nothing of {log.origin}: {answer.trouble.label}, {answer.detail}")
    return asked


def _largest(log: KnownLog, given: Sequence[Given]) -> tuple[Checkpoint, Note] | None:
    """Of notes that were held to the log's keys and records already."""
    heads = []
    for file in given:
        note = parse_note(file.note)
        if Checkpoint.parse(note.text).origin == log.origin:
            heads.append((open_checkpoint(file.note, log.origin, log.keys), note))
    return max(heads, key=lambda head: head[0].size, default=None)


async def _ask(line: WitnessLine, log: KnownLog, head: Checkpoint, note: Note, records: RecordSource) -> Answer:
    old = 0
    answer: Answer = AtSize(0)
    for _ in range(_SIZES_TOLD):
        path = consistency_from_records(log, old, head.size, records)
        answer = await line.ask(old, tuple(path), note, head.size)
        if not isinstance(answer, AtSize) or answer.size > head.size:
            break
        old = answer.size
    return answer


def consistency_from_records(log: KnownLog, old: int, new: int, records: RecordSource) -> list[bytes]:
    """The consistency proof between two sizes, from the recorded entries. Raises LogForked where they are missing."""
    path = []
    for start, end in tree.consistency_ranges(old, new):
        found, root = roots(partial(_from, records, log.log, start), hash_of(log.origin))(end - start)
        if found < end - start:
            raise LogForked(f"the records of {log.origin} end before entry {end}")
        path.append(root)
    return path


def _from(records: RecordSource, log: str, start: int, first: int, limit: int) -> bytes:
    return records.leaves(log, start + first, limit)
