"""Limits and fees of a tenant's letters, as its quorum sets them, and issuing that officers stop and let go on.

The recorder holds them and decides by them; what was set stands in the step's bundle, byte for byte."""

from __future__ import annotations

import asyncio

from appliance.ceremonies import DocumentRefused, Proposal
from appliance.ceremonies.actions import ResumeIssuing, SetLetterTerms, StopIssuing
from appliance.keymaster.actions.kinds import newest_kinds
from appliance.keymaster.approvers import policy_names
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.registry import StepResult, executor
from appliance.keymaster.standing import check_taken
from appliance.letter_limits import LimitFile, LimitsRefused, TariffFile
from appliance.letter_limits.against import against_kinds
from appliance.letter_limits.files import digest
from appliance.letter_limits.sound import form_of, read_sound_terms
from appliance.recorder.terms import REASON_LIMIT


async def sensible(room: Room, _proposal: Proposal, action: SetLetterTerms) -> None:
    """The file is sound, alone and with the tenant's kinds and policies, and its version follows. The very file that is
    in force is taken, and changes nothing: a step runs again after a crash. Raises DocumentRefused."""
    tenant = action.tenant
    if tenant is None:
        raise DocumentRefused("limits and fees are a tenant's")
    file = read(action.terms)
    kinds = await asyncio.to_thread(newest_kinds, room.home, tenant)
    try:
        against_kinds(file, {name: one.kind for name, one in kinds.items()})
    except LimitsRefused as error:
        raise DocumentRefused(f"it does not go with the tenant's kinds: {error}") from None
    if isinstance(file, LimitFile):
        named = {tier.policy for limit in file.limits for tier in limit.tiers if tier.policy is not None}
        unknown = named - set(policy_names(room.home, tenant))
        if unknown:
            raise DocumentRefused(f"the tenant has no approval policy {', '.join(sorted(unknown))}")
    known = await room.administer(lambda admin: admin.query("letter_terms", tenant))
    versions = [(version, document) for form, version, _, document in known if form == form_of(file)]
    last, document = versions[-1] if versions else (0, b"")
    if file.version != last + 1 and document != action.terms.encode():
        raise DocumentRefused(f"version {file.version} does not follow {last}")


def read(text: str) -> LimitFile | TariffFile:
    """Raises DocumentRefused."""
    try:
        return read_sound_terms(text.encode())
    except (LimitsRefused, UnicodeEncodeError) as error:
        raise DocumentRefused(f"the file is not sound: {error}") from None


@executor(SetLetterTerms, check=sensible)
async def set_letter_terms(ctx: ExecutionContext, action: SetLetterTerms) -> StepResult:
    file, text, tenant = read(action.terms), action.terms.encode(), action.tenant or ""
    await ctx.administer(lambda admin: admin.set_letter_terms(tenant, text, ceremony=ctx.digest))
    facts = {"tenant": tenant, "terms": form_of(file), "version": file.version, "digest": digest(text)}
    return StepResult(facts, {f"{form_of(file)}-{file.version}.toml": text})


async def of_a_tenant(room: Room, _proposal: Proposal, action: StopIssuing | ResumeIssuing) -> None:
    """The kind is one of the tenant's. Raises DocumentRefused."""
    if action.tenant is None:
        raise DocumentRefused("kinds are a tenant's")
    kinds = await asyncio.to_thread(newest_kinds, room.home, action.tenant)
    if action.kind not in kinds:
        raise DocumentRefused(f"the tenant has no kind {action.kind}")


async def may_resume(room: Room, proposal: Proposal, action: ResumeIssuing) -> None:
    """Its issuing is stopped, and nothing has stopped it since officers were asked. Raises DocumentRefused,
    StoppedSince."""
    await of_a_tenant(room, proposal, action)
    stopped = await room.administer(lambda admin: admin.query("stopped_kinds", action.tenant))
    since = next((since for kind, since, _ in stopped if kind == action.kind), None)
    check_taken(room, proposal, stopped=since is not None, since_us=since)


@executor(StopIssuing, check=of_a_tenant)
async def stop_issuing(ctx: ExecutionContext, action: StopIssuing) -> StepResult:
    """At once, in every worker."""
    tenant, kind = action.tenant or "", action.kind
    because = " ".join(action.because.split())[:REASON_LIMIT]
    await ctx.administer(lambda admin: admin.set_issuing(tenant, kind, "stopped", because, ceremony=ctx.digest))
    return StepResult({"tenant": tenant, "letters": kind, "state": "stopped"})


@executor(ResumeIssuing, check=may_resume)
async def resume_issuing(ctx: ExecutionContext, action: ResumeIssuing) -> StepResult:
    tenant, kind = action.tenant or "", action.kind
    await ctx.administer(lambda admin: admin.set_issuing(tenant, kind, "resumed", ceremony=ctx.digest))
    return StepResult({"tenant": tenant, "letters": kind, "state": "resumed"})
