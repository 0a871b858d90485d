"""Limits and tariffs that a tenant's quorum puts in force, and kinds whose issuing is stopped or goes on again."""

from __future__ import annotations

import sqlite3
from typing import Literal

import msgspec

from appliance.errors import BadRequest
from appliance.letter_limits import TariffFile, read_tariff_file
from appliance.letter_limits.sound import form_of, read_sound_terms
from appliance.recorder.messages import Notice
from appliance.store import limits
from appliance.store.limits import Terms

REASON_LIMIT = 200
"""Characters of why issuing is stopped."""


class SetLetterTerms(msgspec.Struct, array_like=True, frozen=True, tag="set-letter-terms"):
    """A tenant's limits, or its tariff, from now on: the file whole. The same file again changes nothing."""

    ticket: int
    tenant: str
    document: bytes
    """See appliance.letter_limits.files; its version is the one after that which stands."""
    ceremony: str = ""


class SetIssuing(msgspec.Struct, array_like=True, frozen=True, tag="set-issuing"):
    """Stop the issuing of a kind, or let it go on. The same again changes nothing."""

    ticket: int
    tenant: str
    kind: str
    state: Literal["stopped", "resumed"]
    reason: str = ""
    ceremony: str = ""


def set_terms(connection: sqlite3.Connection, tenant: int, change: SetLetterTerms, now_us: int) -> bool:
    """Whether anything changed. Raises LimitsRefused, BadRequest where the version does not follow."""
    file = read_sound_terms(change.document)
    form = form_of(file)
    known = [one for one in limits.read_terms(connection) if (one.tenant, one.form) == (tenant, form)]
    if known and known[-1].document == change.document:
        return False
    if isinstance(file, TariffFile) and known and read_tariff_file(known[-1].document).currency != file.currency:
        raise BadRequest("a tariff keeps its currency")
    version = known[-1].version + 1 if known else 1
    if file.version != version:
        raise BadRequest(f"version {file.version} of the {form} does not follow: it is to be {version}")
    limits.add_terms(connection, Terms(tenant, form, version, now_us, change.document, change.ceremony))
    return True


def set_issuing(connection: sqlite3.Connection, tenant: int, change: SetIssuing, now_us: int) -> bool:
    """Whether anything changed. Raises BadRequest."""
    if not 0 < len(change.kind) <= 64 or len(change.reason) > REASON_LIMIT or not change.reason.isprintable():
        raise BadRequest(f"a kind is named, and a reason has at most {REASON_LIMIT} characters")
    stopped = {kind for owner, kind, _, _ in limits.read_stopped(connection) if owner == tenant}
    if (change.state == "stopped") == (change.kind in stopped):
        return False
    if change.state == "stopped":
        limits.stop(connection, tenant, change.kind, now_us, change.reason or "an officer's word")
    else:
        limits.resume(connection, tenant, change.kind)
    notice = Notice("issuing-stopped" if change.state == "stopped" else "issuing-resumed", change.kind, 0, 0, 0)
    limits.add_notices(connection, [(tenant, now_us, *msgspec.structs.astuple(notice))])
    return True
