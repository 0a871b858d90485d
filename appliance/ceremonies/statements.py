"""An officer's statement about a proposal: a verb and a digest, signed by a credential for approvals.

What a passkey or a card signs is the challenge, 32 bytes:

    SHA-256("cinnabar statement v1" || 0x00 || verb || 0x00 || digest of the proposal, 32 bytes)

so that no signature over one verb, or for any other purpose, is a statement of another.
"""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from appliance.ceremonies.canonical import Digest, Instant, Name

CONTEXT = b"cinnabar statement v1"

Verb = Literal["request", "approve", "reject", "take-away", "accept"]
"""request: the requester's own. accept: of a person who is new, or has a new credential, in the constitution that the
proposal brings; its evidence is verified under that constitution, all others' under the one in force."""
Base64Url = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]*\Z", max_length=100_000)]


class PasskeyEvidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="passkey"):
    """A WebAuthn assertion, members as the browser gives them."""

    authenticator_data: Base64Url
    client_data_json: Base64Url
    signature: Base64Url


class CardEvidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="card"):
    """A detached CMS SignedData over the 32 bytes of the challenge, DER."""

    signed_data: Base64Url


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["cinnabar-statement/1"] = "cinnabar-statement/1"
    verb: Verb
    proposal: Digest
    officer: Name
    credential: str
    """Credential.id of the officer's entry in the constitution."""
    evidence: PasskeyEvidence | CardEvidence


class ReceivedStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement as the keymaster took it in: what it keeps, and a record bundle carries."""

    statement: Statement
    received: Instant


@dataclass(frozen=True)
class VerifiedStatement:
    """A statement whose evidence holds under the constitution in force; made by `verify_statement` only."""

    verb: Verb
    proposal: str
    officer: str
    credential: str
    received: datetime.datetime
    """By the keymaster, UTC."""


def challenge(verb: Verb, proposal: str) -> bytes:
    """The 32 bytes that a credential signs. `proposal`: its digest, hexadecimal."""
    return hashlib.sha256(CONTEXT + b"\0" + verb.encode() + b"\0" + bytes.fromhex(proposal)).digest()
