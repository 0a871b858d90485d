"""A record as its tenant's applications get it, for people: the artifact as it was handed out, and the record opening
that `cinnabar verify` takes (the JSON of GET /v1/records/{id})."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance import der
from appliance.api.records import ARTIFACT_TYPES
from appliance.api.schemas import InclusionProof, RecordAnswer
from appliance.api.units import insert_certificates
from appliance.box.home import Home
from appliance.box.settings import BoxSettings
from appliance.log import Checkpoint, TlogProof, parse_note

SIGNED_KINDS = frozenset({"stamp", "seal", "batch-stamp", "pdf-seal", "court", "letter", "message", "filing"})
_OPENED: Callable[[object], bytes] = msgspec.json.Encoder().encode


def handed_out(home: Home, settings: BoxSettings, kind: str, key: str, artifact: bytes) -> bytes:
    """The artifact as it left the box. Stamps are kept without their unit's certificates: these are put in again while
    the box has the unit; else the token stays as it was kept, which holds as well."""
    unit = next((unit for unit in settings.units if unit.name == key), None) if kind == "stamp" else None
    if unit is None:
        return artifact
    try:
        chain = x509.load_pem_x509_certificates((home.root / unit.certificate).read_bytes())
        encoded = sorted(certificate.public_bytes(Encoding.DER) for certificate in chain)
        return insert_certificates(artifact, der.tlv(der.context(0), b"".join(encoded)))
    except (OSError, ValueError, der.DerError):
        return artifact


def opening(
    *, record: str, kind: str, content: str, salt: str, commitment: str, index: int, artifact: bytes,
    origin: str, tlog_proof: str | None,
) -> bytes:  # fmt: skip
    """The record opening; nothing for what no application asked for."""
    if kind not in SIGNED_KINDS:
        return b""
    return _OPENED(
        RecordAnswer(
            record=record,
            content=content,
            salt=salt,
            commitment=commitment,
            index=index,
            artifact=artifact,
            artifact_type=ARTIFACT_TYPES[kind],
            proof=None if tlog_proof is None else _proof(origin, index, tlog_proof),
        )
    )


def _proof(origin: str, index: int, text: str) -> InclusionProof:
    proof = TlogProof.parse(text.encode())
    return InclusionProof(
        origin=origin,
        index=index,
        tree_size=Checkpoint.parse(parse_note(proof.checkpoint).text).size,
        hashes=[node.hex() for node in proof.path],
        checkpoint=proof.checkpoint.decode(),
        tlog_proof=text,
    )
