"""A rehearsal of a ceremony's work in tokens: the same script, on throwaway tokens that are destroyed afterwards.

Every token that the proposal names is stood in for by a fresh SoftHSM token of the same name, with stand-ins of the
keys that the script finds there, under the same names, ids and kinds. Each step does there what it will do: make keys
with the attributes asked for, wrap them, split and prove the shares, restore, destroy. What only the real box can give,
the serial numbers of tokens and the public keys, is listed as differing; steps that do nothing in a token say so.
Nothing is recorded, no live token is opened, and the outcome carries no authority. Beside it stands what the box would
say against a step now: the checks of submission and execution, which change nothing.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import os
import resource
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from appliance.box.process import interpreter
from appliance.ceremonies import Proposal, check_proposal, encode, proposal_digest, read_proposal
from appliance.ceremonies.actions import (
    Action,
    BackUpKeys,
    CreateFederation,
    DestroyKey,
    DestroyReleaseKey,
    GenerateKey,
    InitialiseToken,
    MakeMessageKey,
    MakeUniquenessKey,
    RequestCertificate,
    RestoreKeys,
)
from appliance.errors import CinnabarError
from appliance.keymaster.context import Room, step_key_id
from appliance.keymaster.engine import check_requester
from appliance.keymaster.keys.backups import find_key_backup
from appliance.keymaster.keys.release_keys import SCHEME as RELEASE_SCHEME
from appliance.keymaster.keys.release_keys import public_key_in
from appliance.keymaster.keys.shares import make_shares, recover
from appliance.keymaster.keys.wrapping import BackupFailed, throwaway_module
from appliance.keymaster.registry import answers, find_executor
from hsm import HsmError, LaneSettings, Pkcs11Uri, Token, initialise_token, open_token
from hsm.agreement import AgreementKey, generate_agreement_key
from hsm.backup import install_wrapping_key, remove_wrapping_keys, restore_key, wrap_key
from hsm.inventory import list_objects
from hsm.keys import destroy_key_pair, generate_key_pair
from hsm.mac import generate_mac_key
from hsm.public_keys import public_key_der

_TIMEOUT_S = 300.0
_one_at_a_time = asyncio.Lock()
_WRAPPING = "cinnabar-backup-rehearsal"


class StandIn(msgspec.Struct, frozen=True):
    """A key that the script finds, as it will be stood in for."""

    token: str
    name: str
    id: bytes
    scheme: str
    for_backup: bool


class Step(msgspec.Struct, frozen=True):
    """One step of a rehearsal."""

    step: int
    action: str
    outcome: str
    """done, failed, or not-in-a-token."""
    facts: dict[str, Any] = {}
    differs: list[str] = []
    """What will be other on the box."""
    error: str = ""
    refused: str = ""
    """Why the box would refuse the step as it stands now."""


class _Job(msgspec.Struct, frozen=True):
    proposal: bytes
    module: str
    directory: str
    keys: list[StandIn]


async def rehearse(room: Room, proposal: Proposal) -> list[Step]:
    """The transcript of a rehearsal, which ends at a step that fails. Raises BackupFailed where none can be held."""
    modules = [uri for token in room.settings.tokens if (uri := Pkcs11Uri.parse(token.uri).module_path) is not None]
    with tempfile.TemporaryDirectory(prefix="cinnabar-rehearsal-") as name:
        directory = Path(name)
        configuration = directory / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {name}\nobjectstore.backend = file\nlog.level = ERROR\n")
        job = _Job(encode(proposal), throwaway_module(modules), name, _stand_ins(room, proposal))
        process = await asyncio.create_subprocess_exec(
            *(*interpreter(), "-m", "appliance.keymaster.actions.rehearsals"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=dict(os.environ) | {"SOFTHSM2_CONF": str(configuration)},
            cwd="/",
        )
        try:
            text, _ = await asyncio.wait_for(process.communicate(msgspec.msgpack.encode(job)), _TIMEOUT_S)
            return msgspec.msgpack.decode(text, type=list[Step])
        except (TimeoutError, msgspec.MsgspecError):
            raise BackupFailed("the rehearsal came to no end") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def _stand_ins(room: Room, proposal: Proposal) -> list[StandIn]:
    """The keys of the ledger, and of backups, that the script names."""
    found: dict[tuple[str | None, str], StandIn] = {}
    for action in proposal.actions:
        if isinstance(action, RestoreKeys):
            for key in find_key_backup(room.home, action.backup).keys:
                if key.name in action.keys:
                    stand_in = StandIn(action.token, key.name, bytes.fromhex(key.id), key.scheme, True)
                    found[action.tenant, key.name] = stand_in
            continue
        names = action.keys if isinstance(action, BackUpKeys) else [getattr(action, "key", None)]
        tenant = getattr(action, "tenant", None)
        for name in names:
            known = room.ledger.find(tenant, name) if isinstance(name, str) else None
            if known is not None and known.state != "destroyed" and not isinstance(action, GenerateKey):
                stand_in = StandIn(known.token, known.label, known.cka_id, known.scheme, known.for_backup)
                found[tenant, known.label] = stand_in
    return list(found.values())


@answers("rehearse")
async def answer_rehearsal(room: Room, proposal: bytes) -> list[dict[str, Any]]:
    """A rehearsal for the desk: of a proposal's canonical bytes, submitted or not. One at a time.

    Raises DocumentRefused, QuorumMissing where the box would not take the proposal; BackupFailed."""
    read, law = read_proposal(proposal), room.constitutions.in_force()
    # First: what a rehearsal says of keys is for the scope's own officers (CHANNEL).
    check_requester(read.requester, [part.scope for part in read.quorum], read.actions, law)
    check_proposal(read, law, datetime.datetime.now(datetime.UTC))
    refused = [await _refusal(room, read, action) for action in read.actions]
    async with _one_at_a_time:
        played = await rehearse(room, read)
    return [
        msgspec.to_builtins(msgspec.structs.replace(step, refused=why))
        for step, why in zip(played, refused, strict=False)  # it ends at a step that fails
    ]


async def _refusal(room: Room, proposal: Proposal, action: Action) -> str:
    try:
        _, check = find_executor(action)
        if check is not None:
            await check(room, proposal, action)
    except (CinnabarError, HsmError) as error:
        return str(error)
    return ""


# In the process of its own


class _Stage:
    """The throwaway tokens of one rehearsal."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self._digest = proposal_digest(read_proposal(job.proposal))
        self._pins: dict[str, tuple[Pkcs11Uri, str, str]] = {}
        self._open: dict[str, Token] = {}
        self._where: dict[str, StandIn] = {}

    def token(self, name: str) -> Token:
        if name not in self._pins:
            pin, so_pin = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
            self._pins[name] = (initialise_token(self._job.module, name, so_pin, pin), pin, so_pin)
        if name not in self._open:
            uri, pin, _ = self._pins[name]
            self._open[name] = open_token(uri, lambda: pin, LaneSettings())
        return self._open[name]

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def stand_in(self) -> None:
        for key in self._job.keys:
            token = self.token(key.token)
            with suppress(HsmError):
                _make_pair(token, key)
            self._where[key.name] = key

    def perform(self, step: int, action: Action) -> tuple[dict[str, Any], list[str]] | None:
        """What the step did and what will differ; None: it does nothing in a token."""
        if isinstance(action, InitialiseToken):
            self.token(action.token)
            return {"token": action.token}, ["the token's serial number", "its PINs"]
        if isinstance(action, GenerateKey):
            return self._generate(step, action)
        if isinstance(action, RequestCertificate):
            key = self._where[action.key]
            self.token(key.token).signing_key(Pkcs11Uri(id=key.id), key.scheme).sign(b"rehearsal")
            return {"signed": action.key}, ["the public key and the signature"]
        if isinstance(action, BackUpKeys):
            return self._back_up(action)
        if isinstance(action, RestoreKeys):
            return self._restore(action)
        if isinstance(action, MakeMessageKey):
            identifier, token = step_key_id(self._digest, step), self.token(action.token)
            AgreementKey.find(token, generate_agreement_key(token, "message", id=identifier))
            return {"id": identifier.hex()}, ["the public key"]
        if isinstance(action, MakeUniquenessKey | CreateFederation):
            return self._make_mac_key(step, action)
        if isinstance(action, DestroyKey | DestroyReleaseKey):
            key = self._where.pop(action.key)
            destroy_key_pair(self.token(key.token), Pkcs11Uri(object=key.name, id=key.id))
            return {"destroyed": action.key}, ["the public key"]
        return None

    def _generate(self, step: int, action: GenerateKey) -> tuple[dict[str, Any], list[str]]:
        token, identifier = self.token(action.token), step_key_id(self._digest, step)
        key = StandIn(action.token, action.key, identifier, action.scheme, action.for_backup)
        public_key_in(token, _make_pair(token, key), action.scheme)
        made = next(one for one in list_objects(token) if one.kind == "private-key" and one.id == identifier)
        self._where[action.key] = key
        facts = {
            "key": action.key,
            "id": identifier.hex(),
            "attributes": {"true": list(made.flags), "false": list(made.cleared)},
        }
        return facts, ["the public key", f"the serial number of token {action.token}"]

    def _make_mac_key(
        self, step: int, action: MakeUniquenessKey | CreateFederation
    ) -> tuple[dict[str, Any], list[str]]:
        identifier = step_key_id(self._digest, step)
        name = action.token if isinstance(action, CreateFederation) else str(action.tenant)
        token = self.token(name)
        token.mac_key(generate_mac_key(token, f"{name}-uniqueness", id=identifier))
        return {"id": identifier.hex()}, ["the key, which never leaves its token"]

    def _back_up(self, action: BackUpKeys) -> tuple[dict[str, Any], list[str]]:
        value = os.urandom(32)
        shares = make_shares(value, action.threshold, len(action.custodians))
        for name in action.keys:
            key = self._where[name]
            self._carry(key, key.token, recover(shares[: action.threshold]), f"{key.token}-trial"[:32])
        facts = {"custodians": len(shares), "threshold": action.threshold, "keys": list(action.keys)}
        return facts, ["the wrapping key, its shares and the set's id", "the digest of the backup file"]

    def _restore(self, action: RestoreKeys) -> tuple[dict[str, Any], list[str]]:
        for name in action.keys:
            self._carry(self._where[name], action.token, os.urandom(32), f"{action.token}-back"[:32])
        return {"keys": list(action.keys), "token": action.token}, ["shares, which custodians enter on the console"]

    def _carry(self, key: StandIn, source: str, value: bytes, target: str) -> None:
        """Out of one throwaway token and into another, as a backup and its restore do."""
        self.token(source)
        self.close()
        uri, _, so_pin = self._pins[source]
        install_wrapping_key(uri, lambda: so_pin, _WRAPPING, value)
        token, named = self.token(source), Pkcs11Uri(object=key.name, id=key.id, type="private")
        public_key = token.signing_key(named, key.scheme).public_key
        wrapped = wrap_key(token, named, _WRAPPING)
        remove_wrapping_keys(token, _WRAPPING)
        restore_key(self.token(target), wrapped, value, named, key.scheme, public_key)
        restored = self.token(target).signing_key(named, key.scheme)
        if (
            hashlib.sha256(public_key_der(restored.public_key)).digest()
            != hashlib.sha256(public_key_der(public_key)).digest()
        ):
            raise BackupFailed("another key came back than was wrapped")


def _make_pair(token: Token, key: StandIn) -> Pkcs11Uri:
    if key.scheme == RELEASE_SCHEME:
        return generate_agreement_key(token, key.name, id=key.id)
    return generate_key_pair(token, key.name, key.scheme, id=key.id, for_backup=key.for_backup)


def _play(job: _Job) -> list[Step]:
    stage, transcript = _Stage(job), []
    try:
        stage.stand_in()
        for index, action in enumerate(read_proposal(job.proposal).actions):
            tag = str(action.__struct_config__.tag)
            transcript.append(_step(index, tag, lambda index=index, action=action: stage.perform(index, action)))  # type: ignore[misc]
            if transcript[-1].outcome == "failed":
                break
    finally:
        stage.close()
        shutil.rmtree(job.directory, ignore_errors=True)
    return transcript


def _step(index: int, tag: str, perform: Callable[[], tuple[dict[str, Any], list[str]] | None]) -> Step:
    try:
        done = perform()
    except (HsmError, CinnabarError) as error:
        return Step(index, tag, "failed", error=f"{type(error).__name__}: {error}")
    except KeyError as error:
        return Step(index, tag, "failed", error=f"there is no key {error}")
    return Step(index, tag, "not-in-a-token") if done is None else Step(index, tag, "done", *done)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=_Job)
    sys.stdout.buffer.write(msgspec.msgpack.encode(_play(job)))


if __name__ == "__main__":
    main()
