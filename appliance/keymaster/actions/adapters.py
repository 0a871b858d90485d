"""Adapters of a tenant's filings: files that the tenant's quorum has read and lets the box file by."""

from __future__ import annotations

import asyncio

from appliance.box.adapters import adapter_files
from appliance.box.home import Home
from appliance.box.settings import BoxSettings
from appliance.box.versions import keep_version
from appliance.ceremonies import DocumentRefused, Proposal
from appliance.ceremonies.actions import InstallAdapter
from appliance.filing import AdapterRefused, LoadedAdapter, check_adapter, read_adapter
from appliance.gateway import SCHEMES
from appliance.keymaster.actions.kinds import newest_kinds
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.registry import StepResult, executor


async def sensible(room: Room, _proposal: Proposal, action: InstallAdapter) -> None:
    await asyncio.to_thread(check, room.home, room.settings, action)


def check(home: Home, settings: BoxSettings, action: InstallAdapter) -> LoadedAdapter:
    """The adapter is sound, what it names is there, its host may be reached, and its version rises; the very file that
    is installed already is taken. Raises DocumentRefused. Blocks."""
    if action.tenant is None:
        raise DocumentRefused("an adapter is a tenant's")
    try:
        loaded = read_adapter(action.adapter.encode())
        adapter = loaded.adapter
        kind = newest_kinds(home, action.tenant).get(adapter.kind)
        if kind is None:
            raise AdapterRefused(f"kind: the tenant has no kind {adapter.kind}")
        check_adapter(loaded, kind.kind, settings.filing_hosts)
    except (AdapterRefused, UnicodeEncodeError) as error:
        raise DocumentRefused(f"the adapter is not sound: {error}") from None
    keys = {one.name: one.scheme for one in settings.seal_keys if one.tenant == action.tenant}
    if keys.get(adapter.key) not in SCHEMES:
        raise DocumentRefused(f"key: a seal key of the tenant that signs by one of {', '.join(sorted(SCHEMES))}")
    for path in adapter_files(home, action.tenant):
        before = read_adapter(path.read_bytes())
        same = before.adapter.id == adapter.id
        if same and before.digest != loaded.digest and before.adapter.version >= adapter.version:
            raise DocumentRefused(f"version {adapter.version} of {adapter.id} does not follow {before.adapter.version}")
    return loaded


def keep(home: Home, settings: BoxSettings, action: InstallAdapter) -> LoadedAdapter:
    """Write the adapter's file, once. Raises DocumentRefused. Blocks."""
    loaded = check(home, settings, action)
    adapter, text = loaded.adapter, action.adapter.encode()
    keep_version(home.adapters, action.tenant or "", adapter.id, f"{adapter.version}.toml", text)
    return loaded


@executor(InstallAdapter, check=sensible)
async def install_adapter(ctx: ExecutionContext, action: InstallAdapter) -> StepResult:
    loaded = await asyncio.to_thread(keep, ctx.home, ctx.settings, action)
    adapter = loaded.adapter
    facts = {"tenant": action.tenant, "adapter": adapter.id, "version": adapter.version, "digest": loaded.digest}
    return StepResult(facts, {f"{adapter.id}-{adapter.version}.toml": action.adapter.encode()})
