"""The JSON body of a verification: what the client writes and a document worker reads, and nobody between them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from appliance.limits import VERIFIED_FILES


class NamedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file to verify, with the name that the report calls it by."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    """What the report calls it."""
    content: bytes
    """The file, whole."""


class VerifyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Verify files against the box's own trust bundle, as `cinnabar verify` does offline."""

    files: Annotated[list[NamedFile], msgspec.Meta(min_length=1, max_length=VERIFIED_FILES)]
    """Documents, seals, stamps, evidence records, records and proofs, all that belongs together."""
