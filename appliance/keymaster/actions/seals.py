"""Seal objects of a tenant: kept version by version, each naming the one before by its digest."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable

import msgspec

from appliance.box.home import Home
from appliance.box.seal_objects import seal_object_versions
from appliance.box.versions import keep_version, names_of
from appliance.ceremonies import DocumentRefused, Proposal, digest, encode
from appliance.ceremonies.actions import RegisterSeal, WithdrawSeal
from appliance.ceremonies.canonical import instant
from appliance.documents import SEAL_PICTURE, DocumentsClient, NotRendered, SealPictureRequest
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.registry import StepResult, answers, executor, tenant_name
from appliance.letters.seal_object import SealObject, read_seal_object
from appliance.pdf import PdfRefused


async def sensible(room: Room, _proposal: Proposal, action: RegisterSeal) -> None:
    """The times follow each other, no certificate is named twice, and a document worker can read the picture."""
    if action.tenant is None:
        raise DocumentRefused("a seal object is a tenant's")
    if instant(action.not_before) >= instant(action.not_after):
        raise DocumentRefused("a seal object begins before it ends")
    if len(set(action.certificates)) != len(action.certificates):
        raise DocumentRefused("a certificate is named once")
    await _check_picture(room, action)


async def _check_picture(room: Room, action: RegisterSeal) -> None:
    client = DocumentsClient(room.home.documents_socket)
    try:
        image = base64.b64decode(action.image, validate=True)
        request = SealPictureRequest(image=image, side_mm=float(action.side_mm), only_png=True)
        await client.call(SEAL_PICTURE, action.tenant or "", request)
    except (NotRendered, PdfRefused, binascii.Error) as error:
        raise DocumentRefused(f"the picture is refused: {error}") from None
    finally:
        await client.close()


async def known(room: Room, _proposal: Proposal, action: WithdrawSeal) -> None:
    """There is such a seal object."""
    if action.tenant is None or action.seal not in names_of(room.home.seal_objects, action.tenant):
        raise DocumentRefused("the tenant has no such seal object")


@executor(RegisterSeal, check=sensible)
async def register_seal(ctx: ExecutionContext, action: RegisterSeal) -> StepResult:
    def following(last: SealObject | None, previous: str | None) -> SealObject:
        return SealObject(
            tenant=action.tenant or "",
            seal=action.seal,
            title=action.title,
            type=action.seal_type,
            version=1 if last is None else last.version + 1,
            previous=previous,
            image=action.image,
            side_mm=action.side_mm,
            not_before=action.not_before,
            not_after=action.not_after,
            certificates=action.certificates,
            proposal=ctx.digest,
            step=ctx.step,
        )

    made = await asyncio.to_thread(_keep, ctx.home, action.tenant or "", action.seal, ctx, following)
    return _result(made)


@executor(WithdrawSeal, check=known)
async def withdraw_seal(ctx: ExecutionContext, action: WithdrawSeal) -> StepResult:
    def following(last: SealObject | None, previous: str | None) -> SealObject:
        if last is None:
            raise DocumentRefused("the tenant has no such seal object")
        return msgspec.structs.replace(
            last, version=last.version + 1, previous=previous, image="", certificates=[], withdrawn=True,
            proposal=ctx.digest, step=ctx.step,
        )  # fmt: skip

    made = await asyncio.to_thread(_keep, ctx.home, action.tenant or "", action.seal, ctx, following)
    return _result(made)


def _keep(
    home: Home,
    tenant: str,
    name: str,
    ctx: ExecutionContext,
    following: Callable[[SealObject | None, str | None], SealObject],
) -> SealObject:
    """Write the next version, once for a step. Blocks."""
    texts = seal_object_versions(home, tenant, name)
    last = read_seal_object(texts[-1]) if texts else None
    if last is not None and (last.proposal, last.step) == (ctx.digest, ctx.step):
        return last
    made = following(last, digest(texts[-1]) if texts else None)
    keep_version(home.seal_objects, tenant, name, f"{made.version}.json", encode(made))
    return made


def _result(made: SealObject) -> StepResult:
    text = encode(made)
    facts = {"tenant": made.tenant, "seal": made.seal, "version": made.version, "digest": digest(text)}
    return StepResult(facts, {f"{made.seal}-{made.version}.json": text})


@answers("seal_objects")
async def seal_objects(room: Room, tenant: str) -> list[bytes]:
    """The newest version of each of a tenant's seal objects, canonical."""
    name = tenant_name(tenant)
    return [seal_object_versions(room.home, name, one)[-1] for one in names_of(room.home.seal_objects, name)]
