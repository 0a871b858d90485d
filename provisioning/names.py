"""The names that a rehearsal box carries for ever, so that nothing it makes can pass for production."""

from __future__ import annotations

from appliance.box.settings import UserSettings

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


FEDERATION = "rehearsal"
"""Whose tenants share a register of what is unique among them: every tenant, if nothing else is said."""
REGISTRY = "registry"
"""The token with one MAC key a federation."""
LONGEST_TENANT = 24
"""Characters of a tenant's name: a token's label has 32, and its release token's begins with the name."""


def release_token(tenant: str) -> str:
    """The token with a tenant's release keys."""
    return f"{tenant}-release"


REVOCATION_URL = "http://rehearsal.cinnabar.invalid"
"""Where certificates of a rehearsal box say that CRLs and OCSP answers are, unless it is made for another address."""

USERS = UserSettings(
    worker=60610,
    recorder=60611,
    front=60612,
    documents=60613,
    log=60614,
    keymaster=60615,
    clock=60616,
    management=60617,
    audit=60618,
    filer=60619,
    cosigner=60620,
    anchorer=60621,
)
"""Numbers for the box's processes: of a range that Debian gives nobody (policy, section 9.2.2: 60000 to 64999 are given
on demand)."""
