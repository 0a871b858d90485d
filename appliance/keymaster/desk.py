"""What the management service may ask. Nothing here has authority: statements are judged, drafts are only texts."""

from __future__ import annotations

import functools
from typing import Annotated, Any

import msgspec

from appliance.calls.server import Method
from appliance.ceremonies import Tally, encode, read_proposal
from appliance.ceremonies.canonical import Digest, Name, Text
from appliance.ceremonies.constitution import ScopeName
from appliance.keymaster.bundles import Bundles
from appliance.keymaster.context import Room
from appliance.keymaster.engine import Engine
from appliance.keymaster.errors import ConstitutionRefused, NoConstitution
from appliance.keymaster.execution import LONGEST_PATIENCE_S, Executions
from appliance.keymaster.journal import ProposalRow
from appliance.keymaster.officers.candidates import Candidate
from appliance.keymaster.registry import questions, served_actions

Hours = Annotated[int, msgspec.Meta(ge=1, le=24 * 365)]


class Desk:
    """The methods of the desk, each as its name says; `methods` is what the socket serves."""

    def __init__(self, engine: Engine, executions: Executions) -> None:
        self._engine = engine
        self._executions = executions
        self._room: Room = engine.room
        self._bundles = Bundles(engine)

    def methods(self) -> dict[str, Method]:
        own = "status constitution draft submit proposals proposal state execute transcript bundle candidates invite"
        found: dict[str, Method] = {name: getattr(self, name) for name in own.split()}
        for name, question in questions().items():
            if name in found:
                raise ValueError(f"the desk answers {name} itself")
            found[name] = _bound(question, self._room)
        return found

    async def status(self) -> dict[str, Any]:
        return status(self._engine)

    async def constitution(self, digest: str = "") -> bytes:
        try:
            return encode(self._room.constitutions.under(digest))
        except NoConstitution:
            return b""

    async def draft(self, requester: Name, title: Text, reason: Text, actions: bytes, hours: Hours = 24) -> bytes:
        return await self._engine.draft(requester, title, reason, actions, hours)

    async def submit(self, proposal: bytes) -> str:
        return await self._engine.submit(proposal)

    async def proposals(self, scopes: list[ScopeName] | None = None) -> list[dict[str, Any]]:
        rows = self._room.journal.proposals()
        wanted = None if scopes is None else set(scopes)
        return [self._summary(row) for row in rows if wanted is None or wanted & set(row.scopes.split(" "))]

    async def proposal(self, digest: Digest) -> dict[str, Any]:
        row = self._engine.row(digest)
        proposal = read_proposal(row.text)
        return {
            **self._summary(row),
            "proposal": row.text,
            "statements": [encode(one) for one in self._engine.received(digest)],
            "waiting": [
                {name: one[name] for name in ("number", "kind", "prompt", "shown", "until")}
                for one in self._room.console.pending()
                if one["proposal"] == digest
            ],
            "steps": [
                {
                    "step": step.step,
                    "action": str(proposal.actions[step.step].__struct_config__.tag),
                    "state": step.state,
                    "begun": step.begun,
                    "ended": step.ended,
                    "facts": msgspec.json.decode(step.facts) if step.facts else {},
                    "outputs": sorted(_outputs(step.outputs)),
                    "error": step.error,
                }
                for step in self._room.journal.steps(digest)
            ],
        }

    async def state(self, statement: bytes) -> dict[str, Any]:
        return self._summary(await self._executions.state(statement))

    async def execute(self, digest: Digest, patience_s: float = 0.0) -> dict[str, Any]:
        return self._summary(await self._executions.execute(digest, min(max(patience_s, 0.0), LONGEST_PATIENCE_S)))

    async def transcript(self, digest: Digest) -> dict[str, Any]:
        row = self._engine.row(digest)
        journal = self._room.journal
        return {
            **self._summary(row),
            "proposal": row.text,
            "statements": [encode(one) for one in self._engine.received(digest)],
            "entries": [
                {
                    "record_id": entry.record_id,
                    "event": entry.event,
                    "log": entry.log,
                    "leaf": entry.leaf,
                    "time": entry.time,
                    "salt": entry.salt,
                    "record": entry.record,
                    "refused": entry.refused,
                }
                for entry in journal.entries(digest)
            ],
            "outputs": [
                {"step": step.step, "name": name, "data": data}
                for step in journal.steps(digest)
                for name, data in sorted(_outputs(step.outputs).items())
            ],
            "questions": journal.questions(digest),
        }

    async def bundle(self, digest: Digest) -> bytes:
        return await self._bundles.bundle(digest)

    async def candidates(self) -> list[dict[str, Any]]:
        return [shown_candidate(one) for one in self._room.candidates.all()]

    async def invite(self, person: Name, name: Text) -> str:
        return self._room.candidates.invite(person, name)

    def _summary(self, row: ProposalRow) -> dict[str, Any]:
        proposal = read_proposal(row.text)
        tallied: dict[str, Any] | None = None
        if self._room.constitutions.refusal is None and self._room.constitutions.founded:
            tallied = shown_tally(self._engine.tally(row, proposal, self._room.constitutions.in_force()))
        return {
            "digest": row.digest,
            "state": row.state,
            "title": proposal.title,
            "requester": proposal.requester,
            "scopes": row.scopes.split(" "),
            "actions": [str(action.__struct_config__.tag) for action in proposal.actions],
            "takes_away": bool(row.takes_away),
            "made": proposal.made,
            "expires": proposal.expires,
            "submitted": row.submitted,
            "changed": row.changed,
            "reached": row.reached,
            "attempt": row.attempt,
            "error": row.error,
            "tally": tallied,
        }


def status(engine: Engine) -> dict[str, Any]:
    """How the keymaster stands, for desk and console."""
    room = engine.room
    shown: dict[str, Any] = {"version": None, "digest": None}
    try:
        law = room.constitutions.in_force()
        shown = {"version": law.version, "digest": law.digest}
    except (NoConstitution, ConstitutionRefused):
        pass
    return {
        "box": room.settings.box_id,
        "name": room.settings.name,
        "rehearsal": room.settings.rehearsal,
        "founded": room.constitutions.founded,
        "constitution": shown,
        "refused": room.constitutions.refusal,
        "recorder": room.recorder is not None and room.recorder.connected,
        "executing": [row.digest for row in room.journal.proposals(("executing",))],
        "open": len(room.journal.proposals(("open", "approved"))),
        "unrecorded": len(room.journal.entries_waiting()),
        "questions": len(room.console.pending()),
        "actions": served_actions(),
    }


def shown_tally(found: Tally) -> dict[str, Any]:
    return {
        "outcome": found.outcome,
        "must_accept": list(found.must_accept),
        "scopes": [
            {
                "scope": part.scope,
                "threshold": part.threshold,
                "approved": list(part.approved),
                "rejected": list(part.rejected),
                "may_still": list(part.may_still),
            }
            for part in found.scopes
        ],
    }


def shown_candidate(one: Candidate) -> dict[str, Any]:
    return {
        "id": one.id,
        "person": one.person,
        "name": one.name,
        "credential": msgspec.to_builtins(one.credential),
        "fingerprint": one.fingerprint,
        "words": one.words,
        "state": one.state,
        "registered": one.registered,
    }


def _outputs(packed: bytes | None) -> dict[str, bytes]:
    return msgspec.msgpack.decode(packed, type=dict[str, bytes]) if packed else {}


def _bound(question: Any, room: Room) -> Method:
    """The question with the room filled in."""
    return functools.partial(question, room)
