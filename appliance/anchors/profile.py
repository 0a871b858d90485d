"""What a verifier trusts about one ledger. It stands in a trust bundle or in a file that was given by hand, and never
comes out of what is checked. The bundle has it as canonical JSON; a file, which a person writes, as any JSON."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from appliance.anchors import canonical
from appliance.anchors.judgement import AnchorRefused, Reason

PROFILE_BYTES: Final = 1024 * 1024
"""Largest profile: a list of validators, or of certificates, is far below it."""

LedgerName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\Z")]
"""1 to 64 lower-case letters, digits and hyphens."""
LedgerType = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9]{1,32}\Z")]


class LedgerProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ledger, as a verifier knows it: canonical JSON (RFC 8785)."""

    name: LedgerName
    rules: msgspec.Raw
    """A JSON object, the Rules of the type's room."""
    tolerance_s: Annotated[int, msgspec.Meta(ge=0, le=31_622_400)]
    """How many seconds a block's time, or a stamp's, may lie before the true one: added to what receipts show."""
    type: LedgerType


def read_profile(encoded: bytes) -> LedgerProfile:
    """A profile from JSON in any spelling, its rules in the canonical one. Raises AnchorRefused (RULES_UNREADABLE)."""
    try:
        return canonical.decode(canonical.respelled(encoded, PROFILE_BYTES), LedgerProfile, PROFILE_BYTES)
    except canonical.NotCanonical as error:
        raise AnchorRefused(Reason.RULES_UNREADABLE, f"no ledger profile: {error}") from None


def write_profile(profile: LedgerProfile) -> bytes:
    """A profile's canonical bytes."""
    return canonical.encode(profile)
