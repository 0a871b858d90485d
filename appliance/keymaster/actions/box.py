"""The box itself: locked, unlocked, shut down; which update may be put on it; back from a tamper signal.

The supervisor does what is decided here (appliance.box.control); a lock stands over a restart.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from appliance.box.states import Cause
from appliance.ceremonies import Proposal, encode, instant_text
from appliance.ceremonies.actions import ApproveUpdate, Lock, RecoverFromTamper, Stop, Unlock
from appliance.errors import Conflict
from appliance.files import sync_directory, write_file
from appliance.keymaster.context import ExecutionContext, Room
from appliance.keymaster.keys.ledger_watch import last_found, settle_owner
from appliance.keymaster.registry import StepResult, answers, executor
from appliance.keymaster.standing import check_taken, last_word, locked_us, signalled_us


@executor(Lock)
async def lock(ctx: ExecutionContext, _action: Lock) -> StepResult:
    """Nothing is signed any more, also after a restart, until a ceremony unlocks the box."""
    await ctx.room.control(lambda control: control.lock(Cause.LOCKED_BY_OFFICER, f"proposal {ctx.digest[:16]}"))
    return StepResult({"state": "locked"})


async def locked(room: Room, proposal: Proposal, _action: Unlock) -> None:
    """There is something to unlock, and nothing has locked the box since officers were asked."""
    word = last_word(room, proposal, lambda one: isinstance(one, Lock))
    times = [at for at in (locked_us(room.home), last_found(room, None), word) if at is not None]
    stopped = room.home.lock.exists() or last_found(room, None) is not None
    check_taken(room, proposal, stopped=stopped, since_us=max(times, default=None))


@executor(Unlock, check=locked)
async def unlock(ctx: ExecutionContext, action: Unlock) -> StepResult:
    """What else locks the box, such as a history that is not shown, still does."""
    await locked(ctx.room, ctx.proposal, action)
    settled = await settle_owner(ctx, None)
    await ctx.room.control(lambda control: control.unlock())
    return StepResult({"state": "unlocked", "settled": settled})


@executor(Stop)
async def stop(ctx: ExecutionContext, _action: Stop) -> StepResult:
    """Shut the box down once: a run after the restart finds that this has been done."""
    mark, life = ctx.scratch / "stopped", supervisors_life()
    if not mark.exists() or mark.read_text() == life:
        ctx.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(mark, life.encode(), 0o600)
        sync_directory(ctx.scratch)
        await ctx.room.control(lambda control: control.stop())
    return StepResult({"state": "stopping"})


def supervisors_life() -> str:
    """What tells this life of the supervisor, whose child this process is, from every other."""
    parent = os.getppid()
    fields = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {parent} {fields[19]}"


class ApprovedUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One approved update, canonical JSON: HOME/keymaster/approved-updates/BUNDLE.json."""

    format: Literal["cinnabar-approved-update/1"] = "cinnabar-approved-update/1"
    version: str
    bundle: str
    """SHA-256 of the whole update, hexadecimal."""
    proposal: str
    approved: str
    """When its quorum was found to hold."""


@executor(ApproveUpdate)
async def approve_update(ctx: ExecutionContext, action: ApproveUpdate) -> StepResult:
    """Keep what the officers approved where the updater looks; it takes no other update."""
    made = ApprovedUpdate(
        version=action.version, bundle=action.bundle, proposal=ctx.digest, approved=instant_text(ctx.judged)
    )
    directory = ctx.home.approved_updates
    path = directory / f"{action.bundle}.json"
    if path.exists():
        known = msgspec.json.decode(path.read_bytes(), type=ApprovedUpdate)
        if known.version != action.version:
            raise Conflict("this update was approved as another version")
    else:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(path, encode(made), 0o600)
        sync_directory(directory)
        sync_directory(directory.parent)
    return StepResult({"version": action.version, "bundle": action.bundle})


@answers("updates")
async def updates(room: Room) -> list[bytes]:
    """Every approved update, canonical."""
    return [path.read_bytes() for path in sorted(room.home.approved_updates.glob("*.json"))]


async def tampered(room: Room, proposal: Proposal, _action: RecoverFromTamper) -> None:
    """There is something to come back from, and it is the signal that officers examined."""
    signalled = signalled_us(room.home)
    check_taken(room, proposal, stopped=signalled is not None, since_us=signalled)


@executor(RecoverFromTamper, check=tampered)
async def recover_from_tamper(ctx: ExecutionContext, action: RecoverFromTamper) -> StepResult:
    """The latch goes, the processes get their PINs back and sign again; the box has said so in its log before."""
    await tampered(ctx.room, ctx.proposal, action)
    await ctx.room.control(lambda control: control.recover())
    return StepResult({"finding": action.finding})
