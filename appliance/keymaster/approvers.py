"""Approval policies as they are kept, and what API workers know of those who approve letters: one file a tenant.

Workers may not read the journal. What stands in the file follows from the constitution in force and from the newest
versions of the tenant's policies alone; the keymaster writes it when one of them changes, and looks at every round
whether it is still so. While the constitution is refused the files stay as officers last decided.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Literal

import msgspec
import structlog

from appliance.box.home import Home
from appliance.box.versions import names_of, version_files
from appliance.ceremonies import Constitution, DocumentRefused, decode, digest, encode
from appliance.ceremonies.actions import ApprovalTier
from appliance.files import sync_directory, write_file
from appliance.keymaster.context import Room
from appliance.letters.approvers import FILE, Approver, Approvers, PolicyInForce

log = structlog.get_logger("keymaster")
_one_at_a_time = threading.Lock()


class ApprovalPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version, canonical JSON: HOME/policies/TENANT/NAME/VERSION.json."""

    format: Literal["cinnabar-approval-policy/1"] = "cinnabar-approval-policy/1"
    tenant: str
    policy: str
    version: int
    previous: str | None
    """Digest of the version before; None for the first."""
    tiers: list[ApprovalTier]
    """By rising amount; the last is without end."""
    proposal: str
    """Digest of the proposal that decided it."""
    step: int


def policy_names(home: Home, tenant: str) -> list[str]:
    """Of a tenant's approval policies, sorted."""
    return names_of(home.policies, tenant)


def policies_of(home: Home, tenant: str, policy: str) -> list[bytes]:
    """Every version of a policy, the first one first."""
    return [path.read_bytes() for path in version_files(home.policies, tenant, policy)]


async def publish_approvers(room: Room) -> None:
    """Bring every tenant's file up to date; without a constitution nothing is written. Raises OSError."""
    if room.constitutions.refusal is None and room.constitutions.founded:

        def write() -> None:
            with _one_at_a_time:  # or what an older constitution says could come last
                write_approvers(room.home, room.constitutions.in_force())

        await asyncio.to_thread(write)


def write_approvers(home: Home, law: Constitution) -> None:
    """The file of every tenant that has policies, where it is not so already. Blocks."""
    if not home.policies.is_dir():
        return
    for directory in sorted(path for path in home.policies.iterdir() if path.is_dir()):
        path = directory / FILE
        try:
            text = encode(approvers_of(home, directory.name, law))
        except DocumentRefused as error:
            log.error("approvers-not-made", control="QUORUM", tenant=directory.name, detail=str(error))
            path.unlink(missing_ok=True)  # nobody approves by a policy that cannot be read
            continue
        try:
            same = path.read_bytes() == text
        except FileNotFoundError:
            same = False
        if not same:
            write_file(path, text, 0o640)
            sync_directory(directory)
            log.info("approvers-published", tenant=directory.name, digest=digest(text))


def approvers_of(home: Home, tenant: str, law: Constitution) -> Approvers:
    """The newest version of each of a tenant's policies, and the persons of the constitution that they name.

    Raises DocumentRefused."""
    policies = []
    for name in policy_names(home, tenant):
        versions = policies_of(home, tenant, name)
        if not versions:
            continue
        read = decode(versions[-1], ApprovalPolicy)
        policies.append(PolicyInForce(policy=name, version=read.version, digest=digest(versions[-1]), tiers=read.tiers))
    named = {approver for policy in policies for tier in policy.tiers for approver in tier.approvers}
    return Approvers(
        tenant=tenant,
        constitution=law.digest,
        rules=law.rules,
        policies=policies,
        persons=[Approver(id=one.id, credentials=one.credentials) for one in law.persons if one.id in named],
    )
