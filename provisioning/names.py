"""The names that a rehearsal box carries for ever, so that nothing it makes can pass for production."""

from __future__ import annotations

# 32473 is the enterprise number reserved for documentation (RFC 5612): no production policy can stand under it.
REHEARSAL_ARC = "1.3.6.1.4.1.32473.2026"
REHEARSAL_STAMP_POLICY = f"{REHEARSAL_ARC}.1.1"
REHEARSAL_SECOND_POLICY = f"{REHEARSAL_ARC}.1.2"

ORGANISATION = "REHEARSAL - no legal effect"


def common_name(what: str) -> str:
    """A certificate's common name on a rehearsal box."""
    return f"REHEARSAL {what}"


def log_origin(box_id: str, log: str) -> str:
    """A log's origin: a schema-less URL under the reserved top-level domain .invalid (RFC 2606)."""
    return f"rehearsal.cinnabar.invalid/{box_id}/{log}"


REVOCATION_URL = "http://rehearsal.cinnabar.invalid"
"""Where certificates of a rehearsal box say that CRLs and OCSP answers are, unless it is made for another address."""
