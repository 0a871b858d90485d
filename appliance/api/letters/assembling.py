"""A letter's evidence file out of what is durable, for whoever reads a tenant's records: workers, the audit process.

The file is the same bytes each time until the letter has another event: proofs are under the first head that covers
their record and that witnesses cosigned, revocation lists and OCSP answers are those that were newest when the last
event happened, anchors the first of each ledger. Before there is such a head a proof is under the first checkpoint that
covers its record: once it is there, the file changes one time; and so it does once another ledger's anchor is final. A
read signs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from appliance.api.bodies import Body, BodyCipher
from appliance.api.letters.anchoring import AnchorSource, letter_anchors
from appliance.api.letters.certificates_within import serials_within
from appliance.api.letters.rows import letter_rows
from appliance.asic import CourtPackage, EventFiles, Extras, OpenedRecord, letter_container
from appliance.errors import CinnabarError, Unavailable
from appliance.letters.artifact import decode_artifact
from appliance.letters.event import read_event
from appliance.letters.fields import moment
from appliance.letters.kind import LoadedKind
from appliance.log import LogReader, NotYetIncluded
from appliance.log.cosigned import CosignedHeads

if TYPE_CHECKING:
    from appliance.recorder import RecorderClient


MOST_EVENTS: Final = 4_096
"""Events of one evidence file."""
MOST_BYTES: Final = 256 * 1024 * 1024
"""Bytes of their records."""


class EvidenceTooLarge(CinnabarError):
    """So much leads to the letter that it does not fit into one file."""

    code = "evidence-too-large"
    status = 413
    title = "The letter's evidence is too large for one file"


class EvidenceNotReady(Unavailable):
    """The newest event is not in a signed head of the log yet: a matter of a second."""

    code = "evidence-not-ready"
    title = "The letter's newest event is not in the log's signed head yet"


@dataclass(frozen=True)
class LetterSource:
    """Where one tenant's letters are read from."""

    tenant: str
    recorder: RecorderClient
    cipher: BodyCipher
    origin: str
    """Of the tenant's log."""
    log: LogReader
    cosigned: CosignedHeads
    """Of the same log."""
    witnessed: bool
    """Whether it has witnesses now."""
    authorities: Sequence[str]
    """Names of the box's authorities, whose revocation lists go in."""
    kind_of: Callable[[str], LoadedKind]
    """A kind of the tenant's by its digest. Raises KindUnknown."""
    rehearsal: bool
    """Whether the box is one for practice."""
    anchors: AnchorSource | None = None
    """None: the box has no ledgers."""


async def letter_evidence(
    source: LetterSource,
    letter: str,
    disclosed: Sequence[str],
    court: CourtPackage | None = None,
    chain: list[EventFiles] | None = None,
    extras: Extras | None = None,
) -> bytes:
    """The evidence file (ASiC-E). `disclosed`: names of hidden fields whose values go in; `court`: made of `chain` and
    `extras`, as `read_chain` and `lasting` gave them.

    Raises what `read_chain` does, EvidenceNotBuildable, KindUnknown."""
    chain = await read_chain(source, letter) if chain is None else chain
    extras = await lasting(source, chain) if extras is None else extras
    extras = msgspec.structs.replace(
        extras, disclosed=disclosed, court=court, anchors=await anchors_of(source, chain, letter)
    )
    return await asyncio.to_thread(letter_container, chain, extras, letter)


async def anchors_of(source: LetterSource, chain: Sequence[EventFiles], letter: str) -> list[tuple[str, int, bytes]]:
    """See letter_anchors. Raises LogDamaged."""
    if source.anchors is None:
        return []
    return await letter_anchors(source.anchors, source.tenant, source.origin, source.log, chain, letter)


async def lasting(source: LetterSource, chain: Sequence[EventFiles]) -> Extras:
    """What a verifier needs later, as it was when the last event happened: the lists of the box's authorities, those
    of release keys' certificates too, and answers about the certificates in seals and time-stamps; and the files of the
    kinds that the events name. Raises KindUnknown."""
    events = [read_event(one.artifact.event) for one in chain]
    at_us = moment(events[-1].at, "")
    lists = [await source.recorder.query("list_at", name, at_us) for name in source.authorities]
    serials = await asyncio.to_thread(serials_within, [one.artifact for one in chain])
    return Extras(
        lists=[one for one in lists if one is not None],
        answers=await source.recorder.query("answers_at", [f"{one:x}" for one in serials], at_us),
        kinds=[source.kind_of(one) for one in dict.fromkeys(event.kind.digest for event in events)],
        rehearsal=source.rehearsal,
    )


async def read_chain(source: LetterSource, letter: str) -> list[EventFiles]:
    """Every event that leads to the letter, the oldest first, out of the archive if need be.

    Raises NotFound, SegmentNotMounted, SegmentDamaged, EvidenceNotReady, EvidenceTooLarge."""
    chain: list[EventFiles] = []
    size = 0
    split: bytes | None = None
    while True:
        own: list[EventFiles] = []
        read = letter_rows(source.recorder, source.tenant, bytes.fromhex(letter))
        async with contextlib.aclosing(read) as rows:
            async for _, row in rows:
                size += len(row[7])
                if len(chain) + len(own) >= MOST_EVENTS or size > MOST_BYTES:
                    raise EvidenceTooLarge(
                        f"more than {MOST_EVENTS} events lead to the letter, or more than {MOST_BYTES >> 20} MiB"
                    )
                own.append(await _event(source, row))
                if own[-1].artifact.event == split:
                    break  # what happened to the parent after the split is not this letter's
        chain = [*own, *chain[1:]] if chain else own
        first = read_event(own[0].artifact.event)
        if first.letter == letter:
            return chain
        # It was split off: its first event is its parent's.
        letter, split = first.letter, own[0].artifact.event


async def _event(source: LetterSource, row: list[Any]) -> EventFiles:
    opened = source.cipher.open(row[1], row[7])
    return EventFiles(artifact=decode_artifact(opened.artifact), opened=await proven(source, row, opened))


async def proven(source: LetterSource, row: list[Any], opened: Body) -> OpenedRecord:
    """A record with its proof. `row`: as the recorder shows it. Raises EvidenceNotReady."""
    index, commitment = row[0], row[6]
    note = source.cosigned.covering(index + 1)
    if note is None:
        note = await source.recorder.query("checkpoint_covering", source.origin, index + 1)
    try:
        if note is None:
            raise NotYetIncluded(f"{index}")
        proof = source.log.tlog_proof(index, entry=commitment, note=note)
    except NotYetIncluded:
        raise EvidenceNotReady("Ask again in a second.") from None
    return OpenedRecord(record=opened.record, salt=opened.salt, index=index, proof=proof)
