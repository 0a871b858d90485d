"""GET /v1/evidence/{letter}/court: the letter's evidence with a court package (K16), sealed when it is asked for.

Whoever hands the content out for a court leaves a record of its own, of kind `court`: the read itself is evidence. The
file is complete once that record stands in a signed head of the log, which is a matter of a second.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import platform
import ssl
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import msgspec
import rfc8785

from appliance.api import signing
from appliance.api.application import query_of
from appliance.api.bodies import Body
from appliance.api.callers import Caller
from appliance.api.letters.assembling import (
    EvidenceNotReady,
    LetterSource,
    lasting,
    letter_evidence,
    proven,
    read_chain,
)
from appliance.api.letters.evidence import letter_source
from appliance.api.letters.sealing import Sealing
from appliance.api.messages import NO_STORE, Request, Response
from appliance.asic import ASIC_E, COURT_RECORD, CourtPackage, EventFiles, Extras, OpenedRecord, court_manifest
from appliance.asic.letter import helper_entries
from appliance.asic.manifest import read_manifest
from appliance.asic.names import COURT_PARTS, HELPERS, JSON_TYPE, names_of, read_name
from appliance.documents import RENDER_LETTER, RenderLetterRequest
from appliance.instants import rfc3339
from appliance.letters import court
from appliance.letters.event import read_event
from appliance.letters.kind import Kind
from appliance.record import Record

if TYPE_CHECKING:
    from appliance.api.units import SealingKey, StampingUnit
    from appliance.api.worker import Worker

PATIENCE_S: Final = 5.0
"""How long a log's signed head is waited for."""
_PAUSE_S: Final = 0.1
_PACKAGES: Final = ("cinnabar", "cryptography", "msgspec", "python-pkcs11", "typst", "pyhanko")
_record = msgspec.json.Decoder(Record).decode


async def court_evidence(worker: Worker, request: Request) -> Response:
    """GET /v1/evidence/{letter}/court"""
    caller, letter = request.known_caller, request.arguments["letter"]
    disclosed = [name for name in query_of(request).get("disclose", "").split(",") if name]
    key, unit = worker.seal_key_for(caller, None), worker.unit_for(caller, None)
    worker.gates.check(caller, unit.name)
    source = letter_source(worker, caller.tenant)
    chain = await read_chain(source, letter)
    extras = await lasting(source, chain)
    package = await _package(worker, caller, source, chain, extras, (key, unit))
    file = await letter_evidence(source, letter, disclosed, package, chain, extras)
    headers = NO_STORE + b'content-disposition: attachment; filename="%s-court.asice"\r\n' % letter.encode()
    return Response(file, ASIC_E.encode(), headers=headers)


async def _package(
    worker: Worker,
    caller: Caller,
    source: LetterSource,
    chain: list[EventFiles],
    extras: Extras,
    signers: tuple[SealingKey, StampingUnit],
) -> CourtPackage:
    """The parts, sealed together with the newest event and what a verifier needs later, and recorded."""
    key, unit = signers
    course = [court.Happened(read_event(one.artifact.event), _record(one.opened.record)) for one in chain]
    newest = course[-1].event
    kind = source.kind_of(newest.kind.digest).kind
    now_us = worker.clock.read().time_us
    parts = {
        court.STEPS: court.steps(course, kind),
        court.APPROVALS: court.approvals(course, _policies(worker, caller.tenant)),
        court.CLOCK: rfc8785.dumps(_clock(worker)),
        court.KEYS: rfc8785.dumps(_keys(worker, caller.tenant, {one.record.key for one in course} | {key.name})),
        court.SOFTWARE: rfc8785.dumps(_software(worker)),
    }
    parts[court.CERTIFICATE] = await _certificate(worker, caller, course, kind, parts, now_us)
    tail = _tail(chain[-1])
    files = [
        (names_of("court").beside + name, COURT_PARTS[name], hashlib.sha256(one).digest())
        for name, one in sorted(parts.items())
    ]
    helpers = [
        (name, HELPERS[place.role], hashlib.sha256(content).digest())
        for name, content in helper_entries(extras)
        if (place := read_name(name)) is not None
    ]
    newest_event = (tail, JSON_TYPE, hashlib.sha256(chain[-1].artifact.event).digest())
    manifest = court_manifest([*files, newest_event, *helpers])
    prepared = key.profile.prepare_document(manifest, now_us)
    await worker.gates.check_room(worker.recorder, caller, key.name, None)
    sealing = Sealing(worker, caller, key, unit)
    seal = await sealing.seal(
        prepared, lambda signature, token: key.profile.complete(prepared, signature, token), COURT_RECORD
    )
    await signing.commit(worker, caller, sealing.signed, None, (unit.name, sealing.stamped_us))
    return CourtPackage(
        parts=parts, manifest=manifest, seal=seal, opened=await _opened(source, sealing.signed[0].entry.record_id)
    )


async def _opened(source: LetterSource, record_id: bytes) -> OpenedRecord:
    """The package's own record with its proof, once a signed head of the log covers it. It is handed out now and never
    again, so where the log has witnesses their cosignatures are waited for as well."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while True:
        row = await source.recorder.query("get_record", source.tenant, record_id, 1 << 20)
        body: Body = source.cipher.open(record_id, row[7])
        late = loop.time() > deadline
        try:
            placed = source.line.place(row[0])
            if late or not source.witnessed or placed.log.cosigned.covering(placed.index + 1) is not None:
                return await proven(source, row, body)
        except EvidenceNotReady:
            if late:
                raise
        await asyncio.sleep(_PAUSE_S)


def _tail(newest: EventFiles) -> str:
    """The entry's name of the newest event, as its own manifest has it."""
    return names_of(read_manifest(newest.artifact.manifest).tail).event


def _policies(worker: Worker, tenant: str) -> list[dict[str, Any]]:
    approvers = worker.approvers.of(tenant)
    return [] if approvers is None else [
        {"policy": one.policy, "version": one.version, "digest": one.digest} for one in approvers.policies
    ]  # fmt: skip


def _clock(worker: Worker) -> dict[str, Any]:
    """The clock as it is when the package is made."""
    reading = worker.clock.read()
    return {
        "read": rfc3339(reading.time_us),
        "error_us": reading.error_us,
        "source": reading.source,
    }


def _keys(worker: Worker, tenant: str, named: set[str]) -> list[dict[str, Any]]:
    """What the tokens say of the keys that sealed the events and seal the package: empty `weaknesses` is a key that was
    made inside its token and cannot leave it (docs/keys.md)."""
    weak: dict[str, tuple[str, ...]] = {}
    for token in worker.tokens.values():
        for site in token.health().sites:
            weak |= {held.uri: held.weaknesses for held in site.keys}
    settings = {one.name: one for one in worker.settings.seal_keys if one.tenant == tenant}
    found = []
    for name in sorted(named):
        one, held = settings.get(name), worker.seal_keys.get(name)
        if one is None or held is None:
            found.append({"key": name, "held": False})
            continue
        uri = next((uri for uri in weak if uri.endswith(one.key_uri.removeprefix("pkcs11:"))), None)
        found.append(
            {
                "key": name,
                "held": True,
                "scheme": one.scheme,
                "token": one.token,
                "weaknesses": None if uri is None else list(weak[uri]),
                "certificates": [base64.b64encode(encoded).decode() for encoded in held.profile.certificates],
            }
        )
    return found


def _software(worker: Worker) -> dict[str, Any]:
    return {
        "box": worker.settings.box_id,
        "rehearsal": worker.settings.rehearsal,
        "packages": {name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "kernel": platform.release(),
    }


async def _certificate(
    worker: Worker,
    caller: Caller,
    course: list[court.Happened],
    kind: Kind,
    parts: dict[str, bytes],
    now_us: int,
) -> bytes:
    tenant = next(one for one in worker.settings.tenants if one.name == caller.tenant)
    page = court.certificate_page(
        course, kind, parts, organisation=tenant.organisation or tenant.name, made=rfc3339(now_us),
        box=worker.settings.box_id, rehearsal=worker.settings.rehearsal,
    )  # fmt: skip
    request = RenderLetterRequest(data=page.json(), time_s=now_us // 1_000_000, attachment=parts[court.STEPS])
    return await worker.documents.call(RENDER_LETTER, caller.tenant, request)
