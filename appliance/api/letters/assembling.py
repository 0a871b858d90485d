"""A letter's evidence file out of what is durable, for whoever reads a tenant's records: workers, the audit process.

The file is the same bytes each time until the letter has another event: proofs are under the first checkpoint that
covers their record, revocation lists are those that were newest when the last event happened. A read signs nothing.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.api.bodies import Body, BodyCipher
from appliance.asic import CourtPackage, EventFiles, Extras, OpenedRecord, letter_container
from appliance.errors import Unavailable
from appliance.letters.artifact import decode_artifact
from appliance.letters.event import read_event
from appliance.letters.kind import LoadedKind
from appliance.log import LogReader, NotYetIncluded

if TYPE_CHECKING:
    from appliance.recorder import RecorderClient


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
    authorities: Sequence[str]
    """Names of the box's authorities, whose revocation lists go in."""
    kind_of: Callable[[str], LoadedKind]
    """A kind of the tenant's by its digest. Raises KindUnknown."""


async def letter_evidence(
    source: LetterSource,
    letter: str,
    disclosed: Sequence[str],
    court: CourtPackage | None = None,
    chain: list[EventFiles] | None = None,
) -> bytes:
    """The evidence file (ASiC-E). `disclosed`: names of hidden fields whose values go in; `court`: made of `chain`, as
    `read_chain` gave it.

    Raises NotFound, Archived, EvidenceNotReady, EvidenceNotBuildable, KindUnknown."""
    chain = await read_chain(source, letter) if chain is None else chain
    newest = read_event(chain[-1].artifact.event)
    extras = Extras(
        lists=await _lists(source, newest.at),
        disclosed=disclosed,
        court=court,
        kind=source.kind_of(newest.kind.digest).kind,
    )
    return await asyncio.to_thread(letter_container, chain, extras, letter)


async def read_chain(source: LetterSource, letter: str) -> list[EventFiles]:
    """Every event that leads to the letter, the oldest first."""
    own: list[EventFiles] = []
    after, wanted = 0, bytes.fromhex(letter)
    while True:
        rows: list[tuple[int, list[Any]]] = await source.recorder.query("letter_records", source.tenant, wanted, after)
        if not rows:
            break
        for number, row in rows:
            own.append(await _event(source, row))
            after = number
    first = read_event(own[0].artifact.event)
    if first.letter == letter:
        return own
    # It was split off: its first event is its parent's. What led to that comes before it, and nothing after the split.
    parents = await read_chain(source, first.letter)
    split = [one.artifact.event for one in parents].index(own[0].artifact.event)
    return [*parents[: split + 1], *own[1:]]


async def _event(source: LetterSource, row: list[Any]) -> EventFiles:
    opened = source.cipher.open(row[1], row[7])
    return EventFiles(artifact=decode_artifact(opened.artifact), opened=await proven(source, row, opened))


async def proven(source: LetterSource, row: list[Any], opened: Body) -> OpenedRecord:
    """A record with its proof. `row`: as the recorder shows it. Raises EvidenceNotReady."""
    index, commitment = row[0], row[6]
    note = await source.recorder.query("checkpoint_covering", source.origin, index + 1)
    try:
        if note is None:
            raise NotYetIncluded(f"{index}")
        proof = source.log.tlog_proof(index, entry=commitment, note=note)
    except NotYetIncluded:
        raise EvidenceNotReady("Ask again in a second.") from None
    return OpenedRecord(record=opened.record, salt=opened.salt, index=index, proof=proof)


async def _lists(source: LetterSource, at: str) -> list[bytes]:
    moment = datetime.datetime.fromisoformat(at)
    time_us = (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1)
    found = [await source.recorder.query("list_at", name, time_us) for name in source.authorities]
    return [one for one in found if one is not None]
