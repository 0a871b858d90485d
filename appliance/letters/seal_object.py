"""Seal objects, after the idea of GB/T 38540: a picture that stands for a seal, how long it may, and with which keys.

A tenant's quorum registers one in a ceremony (`register-seal`) and takes it back (`withdraw-seal`). The keymaster keeps
each version, HOME/seal-objects/TENANT/NAME/VERSION.json in canonical JSON, naming the one before; whoever seals reads
the newest. What is sealed with one carries its digest, so that anybody can say later which seal object it was.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, Final, Literal

import msgspec

from appliance.ceremonies.canonical import Base64, Digest, Instant, Name, decode, instant
from appliance.letters.errors import SealObjectRefused
from appliance.letters.seal_types import SealType, Side

FILE_BYTES: Final = 512 * 1024
"""Largest document that is taken."""
BESIDE: Final = "seal-object.json"
"""Its name beside the event, where it is seen on the letter's page."""
ON_DOCUMENT: Final = "document-seal-object.json"
"""Likewise, where it is seen on the PDF that the event seals."""
MOST_CERTIFICATES: Final = 32


class SealObject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a seal object."""

    format: Literal["cinnabar-seal-object/1"] = "cinnabar-seal-object/1"
    tenant: Name
    seal: Name
    """Its name, for as long as it has versions."""
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    """The seal's own name, as people call it."""
    type: SealType
    version: Annotated[int, msgspec.Meta(ge=1)]
    previous: Digest | None
    """SHA-256 of the version before."""
    image: Base64
    """PNG; empty: of a withdrawn one."""
    side_mm: Side
    not_before: Instant
    not_after: Instant
    certificates: Annotated[list[Digest], msgspec.Meta(max_length=MOST_CERTIFICATES)]
    """SHA-256 of the DER of each certificate whose key may seal with it."""
    withdrawn: bool = False
    proposal: Digest | None
    """Of the ceremony that decided it; None: made with the box for a rehearsal."""
    step: int

    def png(self) -> bytes:
        return base64.b64decode(self.image)


def read_seal_object(text: bytes) -> SealObject:
    """Out of its canonical form. Raises DocumentRefused."""
    return decode(text, SealObject, limit=FILE_BYTES)


def check_usable(found: SealObject, certificate: bytes, time_us: int) -> None:
    """Whether the key of this certificate (DER) may seal with it at this time (microseconds since the epoch).

    Raises SealObjectRefused.
    """
    if found.withdrawn:
        raise SealObjectRefused(f"the seal object {found.seal} was withdrawn")
    at = time_us / 1_000_000
    if not instant(found.not_before).timestamp() <= at <= instant(found.not_after).timestamp():
        raise SealObjectRefused(
            f"the seal object {found.seal} may be used from {found.not_before} to {found.not_after} only"
        )
    if hashlib.sha256(certificate).hexdigest() not in found.certificates:
        raise SealObjectRefused(f"the certificate of this key is not in the list of the seal object {found.seal}")
