"""Veiled fields at the API (control VEIL): envelopes are held to their letter when they come, and opened when kind,
time and approvals of the letter allow it, with what the sender or the platform kept outside the box."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rfc8785

from appliance.api.awaited import not_open
from appliance.api.letters.rows import letter_rows
from appliance.documents import ADDRESSED, AddressedRequest
from appliance.letters.artifact import decode_artifact
from appliance.letters.envelope import Context, read_envelope
from appliance.letters.errors import EnvelopeDamaged, EnvelopeElsewhere, FieldRefused
from appliance.letters.kind import LoadedKind
from appliance.letters.state import LetterState
from appliance.letters.veil import UNOPENED, accept_envelope, key_id, open_envelope
from appliance.recorder.messages import Tally

if TYPE_CHECKING:
    from appliance.api.units import ReleaseKey
    from appliance.api.worker import Worker


async def accept(
    worker: Worker, tenant: str, loaded: LoadedKind, envelopes: Mapping[str, bytes], fields: Mapping[str, Any]
) -> None:
    """Hold envelopes to the letter that they come with. Raises EnvelopeRefused, EnvelopeElsewhere, EnvelopeDamaged,
    RecipientRefused, FieldRefused, KeyStopped, KeyExpired, and what document workers refuse with."""
    for name, raw in envelopes.items():
        field = loaded.kind.fields.get(name)
        if field is None:
            raise FieldRefused(f"/envelopes/{name}: there is no such field")
        if field.confidentiality == "veiled":
            context = context_of(loaded, tenant, name, fields)
            header = read_envelope(raw).header
            held = _key(worker, tenant, header.release_key)
            accept_envelope(raw, context, held.key.public_key)
            worker.gates.check_veiling(tenant, held.name)
            if header.platform in _ids_of_the_box(worker):
                raise EnvelopeElsewhere("/platform: it is a key of the box, which could open it alone")
        elif field.confidentiality == "recipients":
            await worker.documents.call(ADDRESSED, tenant, AddressedRequest(envelope=raw))


async def open_fields(
    worker: Worker, tenant: str, loaded: LoadedKind, before: LetterState, names: Sequence[str], codes: Mapping[str, str]
) -> dict[str, tuple[Any, str]]:
    """(value, salt in hexadecimal) of veiled fields. The caller has seen that time, state and approvals allow it.

    Raises FieldRefused, KeyStopped, OpenedTooEarly, WeakCode, WrongCode, EnvelopeDamaged."""
    opened: dict[str, tuple[Any, str]] = {}
    for name in names:
        if name not in codes:
            raise FieldRefused(f"/codes/{name}: the event opens it")
        envelope = read_envelope(await _kept(worker, tenant, before, name))
        held = _key(worker, tenant, envelope.header.release_key)
        worker.gates.check_opening(tenant, held.name)
        context = context_of(loaded, tenant, name, before.fields)
        now_us = worker.clock.read().time_us
        found = await asyncio.to_thread(
            open_envelope, envelope, context, now_us, held.key.public_key, held.key.agree, codes[name]
        )
        opened[name] = (_value(found.plaintext), found.salt.hex())
    return opened


async def tallies(
    worker: Worker,
    tenant: str,
    loaded: LoadedKind,
    before: LetterState | None,
    envelopes: Mapping[str, bytes],
    opens: Sequence[str],
) -> list[Tally]:
    """What an event adds to the counts of values that are not opened, by release key: so that whoever destroys one
    knows what is lost with it."""
    counts: dict[str, int] = {}

    def count(envelope: bytes, change: int) -> None:
        key = read_envelope(envelope).header.release_key
        counts[key] = counts.get(key, 0) + change

    for name, raw in envelopes.items():
        if loaded.kind.fields[name].confidentiality == "veiled":
            count(raw, 1)
    if before is not None:
        replaced = [name for name in envelopes if loaded.kind.fields[name].confidentiality == "veiled"]
        for name in {*replaced, *opens}:
            if name in before.sealed and name not in before.fields:
                count(await _kept(worker, tenant, before, name), -1)
    return [Tally(f"{UNOPENED}{key}", change, None) for key, change in counts.items() if change]


def _ids_of_the_box(worker: Worker) -> set[str]:
    """Every key that agrees on secrets in this box, of whatever tenant and for whatever purpose."""
    released = [one.key for keys in worker.release_keys.values() for one in keys]
    return {
        key_id(one.public_key) for one in (*released, *(one for keys in worker.message_keys.values() for one in keys))
    }


def context_of(loaded: LoadedKind, tenant: str, field: str, fields: Mapping[str, Any]) -> Context:
    """What an envelope for a field must have been made for: its reference is the field that the kind calls `second`."""
    second = fields.get(loaded.kind.second) if loaded.kind.second is not None else None
    reference = second if isinstance(second, str) else ""
    return Context(tenant=tenant, kind=loaded.digest, field=field, reference=reference)


def _value(plaintext: bytes) -> Any:  # JSON
    try:
        value = json.loads(plaintext)
        canonical = rfc8785.dumps(value)
    except (ValueError, RecursionError):
        canonical = b""
    if canonical != plaintext:
        raise EnvelopeDamaged("what was veiled is not canonical JSON")
    return value


def _key(worker: Worker, tenant: str, wanted: str) -> ReleaseKey:
    keys = worker.release_keys.get(tenant, ())
    for key in keys:
        if key_id(key.key.public_key) == wanted:
            return key
    expected = next((len(one.release_keys) for one in worker.settings.tenants if one.name == tenant), 0)
    if len(keys) < expected:
        raise not_open()
    raise EnvelopeElsewhere("/release_key: the envelope was made for another release key")


async def _kept(worker: Worker, tenant: str, before: LetterState, name: str) -> bytes:
    """The envelope of a field, out of the event that brought it."""
    digest = before.sealed.get(name)
    async with contextlib.aclosing(letter_rows(worker.recorder, tenant, bytes.fromhex(before.letter))) as rows:
        async for _, row in rows:
            artifact = decode_artifact(worker.cipher_of(tenant).open(row[1], row[-1]).artifact)
            raw = artifact.beside.get(f"{name}.envelope")
            if raw is not None and hashlib.sha256(raw).hexdigest() == digest:
                return raw
    raise FieldRefused(f"/codes/{name}: the letter has no envelope of that name")
