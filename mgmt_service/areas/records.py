"""A tenant's seals and stamps: its records of signatures, found by time, key and application, each with its proof."""

from __future__ import annotations

import msgspec

from appliance.ceremonies import BOX
from appliance.evidence.report import Report
from appliance.verify_request import VerifyRequest
from mgmt_service import rates
from mgmt_service.access import Access, Area, Entry
from mgmt_service.areas.audit import SIGNED_KINDS, Entries, Logs, Search, found_entries, log_lines, wanted
from mgmt_service.dispatch import Context
from mgmt_service.owners import OF_OWNER
from mgmt_service.roles import AUDIT, EVERYONE
from mgmt_service.verifying import MOST_BYTES

area = Area("records")


class Verifying(msgspec.Struct, frozen=True):
    """How to verify without the box."""

    rehearsal: bool
    """Whether what the box signs verifies under rehearsal bundles only."""
    most_bytes: int
    """Of the files that this page takes, together."""


@area.read("/records", access=Access(roles=AUDIT), gives=Logs, template="records/tenants.html")
def tenants(context: Context) -> Logs:
    """The tenants whose seals and stamps the viewer may read."""
    mine = context.viewer.scopes(AUDIT) - {BOX}
    return Logs([line for line in log_lines(context) if line.scope in mine])


@area.read(
    "/records/<owner>",
    access=Access(roles=AUDIT, scope=OF_OWNER),
    gives=Entries,
    query=Search,
    template="records/list.html",
)
def records(context: Context, owner: str, query: Search) -> Entries:
    """Records of signatures, the newest first. Reads are recorded."""
    kinds = [query.kind] if query.kind in SIGNED_KINDS else list(SIGNED_KINDS)
    return found_entries(context, owner, query, msgspec.structs.replace(wanted(query), kinds=kinds))


@area.read("/verify", access=Access(entry=Entry.SIGNED_IN), gives=Verifying, template="records/verify.html")
def verify(context: Context) -> Verifying:
    """How anybody verifies a seal, a stamp, an export or a ceremony without this box."""
    return Verifying(context.services.settings().rehearsal, MOST_BYTES)


@area.act("/verify", access=Access(roles=EVERYONE), takes=VerifyRequest, gives=Report, template="records/report.html")
def verify_files(context: Context, body: VerifyRequest) -> Report:
    """Have files verified by the box's document workers under the box's own trust bundle: a convenience, no proof."""
    context.services.rates.take(rates.VERIFY, context.viewer.person)
    return context.services.verifier.verify(body)
