"""Kinds of a tenant's letters: files that the tenant's quorum has read and lets the box work by."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from appliance.box.adapters import adapter_files
from appliance.box.home import Home
from appliance.box.kinds import kinds_of
from appliance.box.versions import keep_version
from appliance.ceremonies import DocumentRefused, Proposal
from appliance.ceremonies.actions import InstallKind, SetApprovalPolicy
from appliance.ceremonies.constitution import tenant_scope
from appliance.filing import AdapterRefused, check_parts, read_adapter
from appliance.keymaster.approvers import policy_names
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.registry import StepResult, answers, executor, tenant_name
from appliance.letters.check import check_beside, check_together, read_sound_kind
from appliance.letters.errors import KindRefused
from appliance.letters.kind import LoadedKind, read_kind
from appliance.letters.policies import missing, proposed


async def sensible(room: Room, _proposal: Proposal, action: InstallKind) -> None:
    await asyncio.to_thread(check_kind, room.home, action)


def check_kind(home: Home, action: InstallKind) -> LoadedKind:
    """The kind is sound, alone and with the tenant's others, the versions of all of them that letters live by too, and
    its version rises. The very file that is installed already is taken, and changes nothing: a step runs again after a
    crash. Raises DocumentRefused. Blocks."""
    if action.tenant is None:
        raise DocumentRefused("a kind of letter is a tenant's")
    try:
        loaded = read_sound_kind(action.file.encode())
    except (KindRefused, UnicodeEncodeError) as error:
        raise DocumentRefused(f"the kind is not sound: {error}") from None
    kind = loaded.kind
    installed = [read_kind(text) for text in kinds_of(home, action.tenant)]
    newest = {one.kind.id: one for one in installed}
    before = newest.get(kind.id)
    if before is not None and before.digest != loaded.digest and before.kind.version >= kind.version:
        raise DocumentRefused(f"version {kind.version} of {kind.id} does not follow {before.kind.version}")
    together = [one.kind for one in (newest | {kind.id: loaded}).values()]
    for found in check_together(together, whole=False):
        if len(together) == 1 or found.path.startswith(f"{kind.id}: "):
            raise DocumentRefused(f"the kind does not go with the tenant's others: {found}")
    for found in check_beside(kind, (one.kind for one in installed)):
        raise DocumentRefused(f"the kind does not go with what is installed: {found}")
    for path in adapter_files(home, action.tenant):
        adapter = read_adapter(path.read_bytes()).adapter
        try:
            if adapter.kind == kind.id:
                check_parts(adapter, kind)
        except AdapterRefused as error:
            raise DocumentRefused(f"the kind does not go with the adapter {adapter.id}: {error}") from None
    return loaded


def newest_kinds(home: Home, tenant: str) -> dict[str, LoadedKind]:
    """The newest version of each of a tenant's kinds, by id. Blocks."""
    loaded = (read_kind(text) for text in kinds_of(home, tenant))
    return {one.kind.id: one for one in loaded}


def keep(home: Home, action: InstallKind) -> LoadedKind:
    """Write the kind's file, once. Raises DocumentRefused. Blocks."""
    loaded = check_kind(home, action)
    kind, text = loaded.kind, action.file.encode()
    keep_version(home.kinds, action.tenant or "", kind.id, f"{kind.version}.toml", text)
    return loaded


@executor(InstallKind, check=sensible)
async def install_kind(ctx: ExecutionContext, action: InstallKind) -> StepResult:
    loaded = await asyncio.to_thread(keep, ctx.home, action)
    kind = loaded.kind
    facts: dict[str, Any] = {
        "tenant": action.tenant,
        "kind": kind.id,
        "version": kind.version,
        "digest": loaded.digest,
        # Its events wait for these: they are set by a ceremony of their own.
        "missing_policies": list(missing([kind], policy_names(ctx.home, str(action.tenant)))),
    }
    return StepResult(facts, {f"{kind.id}-{kind.version}.toml": action.file.encode()})


@answers("missing_policies")
async def missing_policies(room: Room, tenant: str) -> list[dict[str, Any]]:
    """The approval policies that a tenant's kinds ask for and that nobody has set: each as an action that its officers
    may begin with."""
    name = tenant_name(tenant)
    scope = room.constitutions.in_force().scope(tenant_scope(name))

    def look() -> dict[str, set[str]]:
        return missing((one.kind for one in newest_kinds(room.home, name).values()), policy_names(room.home, name))

    wanted = await asyncio.to_thread(look) if scope is not None else {}
    tiers = proposed(wanted, scope.officers if scope is not None else [])
    return [
        msgspec.to_builtins(SetApprovalPolicy(tenant=name, policy=policy, tiers=made)) for policy, made in tiers.items()
    ]


@answers("kinds")
async def kinds(room: Room, tenant: str) -> list[bytes]:
    """The file of the newest version of each of a tenant's kinds, by the kind's id."""
    versions = await kind_versions(room, tenant)
    return await asyncio.to_thread(lambda: list({read_kind(text).kind.id: text for text in versions}.values()))


@answers("kind_versions")
async def kind_versions(room: Room, tenant: str) -> list[bytes]:
    """The file of every version of each of a tenant's kinds; of one kind, the oldest first."""
    name = tenant_name(tenant)
    return await asyncio.to_thread(kinds_of, room.home, name)
