"""Every call of the API as a value: what to send and how to read the answer. No I/O.

Both clients have a method for each of these functions, with its arguments and its words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

import msgspec

from appliance.api import pdf_schemas, schemas
from appliance.client.errors import NotUnderstood, TimeStampRejected
from appliance.client.expansion import MEDIA_BATCH, MEDIA_DIGESTS, StampedBatch
from appliance.client.retries import new_idempotency_key
from appliance.der import SEQUENCE, DerError, Reader
from appliance.evidence.report import Report
from appliance.seals import SealOptions
from appliance.verify_request import NamedFile, VerifyRequest

T = TypeVar("T")
Answer = Callable[[Mapping[str, str], bytes], T]

MEDIA_JSON = "application/json"
MEDIA_STAMP_QUERY = "application/timestamp-query"
MOST_DIGESTS = 10_000
"""Digests of one bulk call, as the API has it."""
PAGE = 1_000
"""Verdicts of one answer, at the most."""
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request and how its answer is read."""

    method: str
    path: str
    read: Answer[T]
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    """Whether it may be sent again after a failure."""


def json_answer(kind: type[T]) -> Answer[T]:
    """An answer in JSON of this type."""
    decode = msgspec.json.Decoder(kind).decode

    def read(_: Mapping[str, str], body: bytes) -> T:
        try:
            return decode(body)
        except msgspec.DecodeError as error:
            raise NotUnderstood(f"the answer is not a {kind.__name__}: {error}") from None

    return read


def raw_answer(_: Mapping[str, str], body: bytes) -> bytes:
    """An answer as it stands."""
    return body


def post(path: str, asked: msgspec.Struct, kind: type[T], key: str | None, *, signs: bool = True) -> Call[T]:
    """A request in JSON; `signs`: it takes an Idempotency-Key."""
    headers = {"Content-Type": MEDIA_JSON}
    if signs:
        headers["Idempotency-Key"] = key or new_idempotency_key()
    members = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not None}
    return Call("POST", path, json_answer(kind), _encode(members), headers)


def _bytes(name: str, value: object) -> bytes:
    """`value` if it is bytes-like. JSON carries bytes as base64, so a str would be taken for the base64 of others."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    hint = "; encode text first: text.encode()" if isinstance(value, str) else ""
    raise TypeError(f"{name} must be bytes, not {type(value).__name__}{hint}")


def _optional(name: str, value: object) -> bytes | None:
    return None if value is None else _bytes(name, value)


def _digest(value: object, hash_name: schemas.DigestName) -> bytes:
    digest, size = _bytes("digest", value), _size_of(hash_name)
    if len(digest) != size:
        raise ValueError(
            f"a {hash_name} digest has {size} bytes, not {len(digest)}; of a document, say document=... or digest it"
        )
    return digest


def _digests(values: Sequence[bytes], hash_name: schemas.DigestName) -> bytes:
    """The digests of a batch, one after the other; a wrong one would shift all that follow."""
    if isinstance(values, str | bytes | bytearray | memoryview):
        raise TypeError(f"digests must be a sequence of digests, not {type(values).__name__}")
    if len(values) > MOST_DIGESTS:
        raise ValueError(f"at most {MOST_DIGESTS:,} digests in one call, not {len(values):,}")
    return b"".join([_digest(value, hash_name) for value in values])


def stamp(
    digest: bytes | None = None,
    *,
    document: bytes | None = None,
    hash_name: schemas.DigestName = "sha256",
    unit: str | None = None,
    policy: str | None = None,
    nonce: int | None = None,
    certificates: bool = True,
    idempotency_key: str | None = None,
) -> Call[schemas.Stamp]:
    """Stamp a digest, or a document, whose digest is taken here: it does not leave this process."""
    if (digest is None) == (document is None):
        raise TypeError("stamp takes a digest or a document, and not both")
    taken = _digest(digest, hash_name) if document is None else digest_of(_bytes("document", document), hash_name)
    asked = schemas.StampRequest(
        digest=taken.hex(),
        hash=hash_name,
        unit=unit,
        policy=policy,
        nonce=None if nonce is None else f"{nonce:x}",
        certificates=certificates,
    )
    return post("/v1/stamps", asked, schemas.Stamp, idempotency_key)


def timestamp(query: bytes, *, unit: str | None = None, idempotency_key: str | None = None) -> Call[bytes]:
    """Send a TimeStampReq, get a granted TimeStampResp, both DER. Raises TimeStampRejected."""
    path = "/v1/stamps" if unit is None else f"/tsa/{quote(unit, safe='')}"
    headers = {"Content-Type": MEDIA_STAMP_QUERY, "Idempotency-Key": idempotency_key or new_idempotency_key()}
    return Call("POST", path, _granted, _bytes("query", query), headers)


def _granted(_: Mapping[str, str], body: bytes) -> bytes:
    """A TimeStampResp that grants (RFC 3161, section 2.4.2). Raises TimeStampRejected with the box's own words."""
    try:
        status = Reader(body).enter().enter(SEQUENCE)
        granted = status.integer()
        texts = status.enter_optional(SEQUENCE)
        said = texts.utf8_string() if texts else ""
    except DerError as error:
        raise NotUnderstood(f"the answer is not a TimeStampResp: {error}") from None
    if granted > 1:
        raise TimeStampRejected(said or f"PKIStatus {granted}")
    return body


def stamp_many(
    digests: Sequence[bytes],
    *,
    hash_name: schemas.DigestName = "sha256",
    unit: str | None = None,
    policy: str | None = None,
    idempotency_key: str | None = None,
) -> Call[StampedBatch]:
    """Stamp up to 10,000 digests with one token; every item's evidence record is made here."""
    joined = _digests(digests, hash_name)

    def read(_: Mapping[str, str], body: bytes) -> StampedBatch:
        return StampedBatch.read(body, joined, hash_name)

    query = {"hash": hash_name, "unit": unit, "policy": policy}
    return Call(
        "POST",
        "/v1/stamps/bulk",
        read,
        joined,
        {
            "Content-Type": MEDIA_DIGESTS,
            "Accept": MEDIA_BATCH,
            "Idempotency-Key": idempotency_key or new_idempotency_key(),
        },
        {name: value for name, value in query.items() if value is not None},
    )


def evidence_record(record: str, item: int) -> Call[bytes]:
    """The evidence record of one leaf of a batch, made by the box."""
    return Call("GET", f"/v1/stamps/bulk/{quote(record, safe='')}/{item}", raw_answer)


def seal(
    document: bytes | None = None,
    *,
    digest: bytes | None = None,
    hash_name: schemas.DigestName = "sha256",
    existing: bytes | None = None,
    prepared: bytes | None = None,
    form: Literal["detached", "enveloping"] = "detached",
    level: Literal["B-B", "B-T"] = "B-B",
    seal_key: str | None = None,
    unit: str | None = None,
    options: SealOptions | None = None,
    idempotency_key: str | None = None,
) -> Call[schemas.Seal]:
    """Seal a document, a digest, further on an existing CMS, or what was prepared."""
    asked = schemas.SealRequest(
        key=seal_key,
        digest=None if digest is None else _digest(digest, hash_name).hex(),
        hash=hash_name,
        document=_optional("document", document),
        existing=_optional("existing", existing),
        prepared=_optional("prepared", prepared),
        form=form,
        level=level,
        unit=unit,
        options=options or SealOptions(),
    )
    return post("/v1/seals", asked, schemas.Seal, idempotency_key)


def seal_pdf(
    document: bytes,
    *,
    level: pdf_schemas.Level = "B-T",
    seen: pdf_schemas.SealSeen | None = None,
    seal_key: str | None = None,
    unit: str | None = None,
    idempotency_key: str | None = None,
) -> Call[pdf_schemas.PdfSeal]:
    """Seal a PDF (PAdES). `seen`: where it is seen, as which seal object."""
    asked = pdf_schemas.PdfSealRequest(document=document, level=level, seen=seen, key=seal_key, unit=unit)
    return post("/v1/documents/seals", asked, pdf_schemas.PdfSeal, idempotency_key)


def prepare_seal(
    document: bytes | None = None,
    *,
    digest: bytes | None = None,
    hash_name: schemas.DigestName = "sha256",
    existing: bytes | None = None,
    form: Literal["detached", "enveloping"] = "detached",
    seal_key: str | None = None,
    options: SealOptions | None = None,
) -> Call[schemas.PreparedSeal]:
    """The exact bytes that a seal would sign, and what `seal(prepared=...)` takes."""
    asked = schemas.SealRequest(
        key=seal_key,
        digest=None if digest is None else _digest(digest, hash_name).hex(),
        hash=hash_name,
        document=_optional("document", document),
        existing=_optional("existing", existing),
        form=form,
        options=options or SealOptions(),
    )
    return post("/v1/seals/prepare", asked, schemas.PreparedSeal, None, signs=False)


def start_seals(
    digests: Sequence[bytes],
    *,
    hash_name: schemas.DigestName = "sha256",
    seal_key: str | None = None,
    wait_s: int = 0,
    idempotency_key: str | None = None,
) -> Call[schemas.Job]:
    """Start sealing up to 10,000 digests; the job, with the first page of its verdicts."""
    query = {"hash": hash_name} | ({} if seal_key is None else {"key": seal_key})
    headers = {
        "Content-Type": MEDIA_DIGESTS,
        "Prefer": f"wait={wait_s}",
        "Idempotency-Key": idempotency_key or new_idempotency_key(),
    }
    return Call("POST", "/v1/seals/bulk", json_answer(schemas.Job), _digests(digests, hash_name), headers, query)


def job(job_id: str, *, first: int = 0, count: int = PAGE, wait_s: int = 0) -> Call[schemas.Job]:
    """A job and a page of its verdicts; `wait_s` waits for its end, up to 60 s."""
    headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
    query = {"from": str(first), "count": str(count)}
    return Call("GET", f"/v1/jobs/{quote(job_id, safe='')}", json_answer(schemas.Job), b"", headers, query)


def record(record_id: str) -> Call[schemas.RecordAnswer]:
    """A record of this tenant, with its proof once the log has it."""
    return Call("GET", f"/v1/records/{quote(record_id, safe='')}", json_answer(schemas.RecordAnswer))


def record_file(record_id: str) -> Call[bytes]:
    """A record's answer as it stands, JSON: the opening that `cinnabar verify` reads."""
    return Call("GET", f"/v1/records/{quote(record_id, safe='')}", raw_answer)


def log(origin: str, resource: str = "checkpoint") -> Call[bytes]:
    """A resource of a log: checkpoint, tile/L/N, tile/entries/N, with .p/W where partial (C2SP tlog-tiles)."""
    return Call("GET", f"/log/{quote(origin, safe='/')}/{quote(resource, safe='/')}", raw_answer)


def opening(first: int = 0) -> Call[schemas.BoxOpening]:
    """The first opening, from this index of the box's own log on, of what that log holds about the tenant's."""
    return Call("GET", "/v1/log/openings", json_answer(schemas.BoxOpening), query={"from": str(first)})


def revocation_list(name: str) -> Call[bytes]:
    """A CRL of the box, DER; for example tsa-ca.crl."""
    return Call("GET", f"/crl/{quote(name, safe='')}", raw_answer)


def verify(files: Sequence[tuple[str, bytes]]) -> Call[Report]:
    """Let the box verify named files against its own trust bundle."""
    named = [NamedFile(name=name, content=_bytes(f"the content of {name}", content)) for name, content in files]
    asked = VerifyRequest(files=named)
    return post("/v1/verify", asked, Report, None, signs=False)


def health() -> Call[schemas.Health]:
    """How the box is, and what this application's keys can do now."""
    return Call("GET", "/health", json_answer(schemas.Health))


def quota() -> Call[schemas.QuotaAnswer]:
    """What this application's tenant may use a day, and has used."""
    return Call("GET", "/v1/quota", json_answer(schemas.QuotaAnswer))


def openapi() -> Call[dict[str, Any]]:
    """The description of the API, OpenAPI 3.1."""
    return Call("GET", "/v1/openapi.json", json_answer(dict))


def digest_of(document: bytes, hash_name: schemas.DigestName) -> bytes:
    """The digest of a document by the name of its hash."""
    return hashlib.new(_hashlib_name(hash_name), document).digest()


def _hashlib_name(hash_name: schemas.DigestName) -> str:
    return hash_name.replace("sha3-", "sha3_")


def _size_of(hash_name: schemas.DigestName) -> int:
    return hashlib.new(_hashlib_name(hash_name)).digest_size
