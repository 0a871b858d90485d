"""Making the record bundle of a ceremony that has ended: once, and the same bytes for everybody who asks again.

The members are settled first and put on disk; then the manifest's digest goes into the logs of the ceremony, exactly
once; then the bundle gets the proofs of that. A life that ends in between is followed by one that finds the settled
members: the log has one digest, and they still fit it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import msgspec

from appliance.ceremonies import bundle as form
from appliance.ceremonies import encode, instant, read_proposal
from appliance.ceremonies.bundle import (
    Attempt,
    Deviation,
    LogOrigin,
    LogRecord,
    Output,
    Question,
    Records,
    Said,
    Statements,
    Step,
    Transcript,
    Wording,
)
from appliance.ceremonies.chain import ConstitutionVersion, verified_statements
from appliance.ceremonies.constitution import Constitution
from appliance.ceremonies.explain import explain, explain_action
from appliance.ceremonies.explain_voice import LANGUAGES
from appliance.ceremonies.printed import printed
from appliance.ceremonies.proposal import Proposal
from appliance.ceremonies.records import CeremonyRecord
from appliance.ceremonies.statements import ReceivedStatement
from appliance.documents import RENDER, DocumentsClient, RenderRequest
from appliance.errors import Conflict
from appliance.files import write_file
from appliance.keymaster.engine import Engine
from appliance.keymaster.errors import JournalContradicted
from appliance.keymaster.journal import EntryRow, ProposalRow, StepRow
from appliance.log import LogReader, log_directory
from appliance.log.errors import NotYetIncluded
from appliance.record import commitment

PATIENCE_S = 20.0
"""How long a bundle waits for the logs to sign a head that has its events."""
_LOOK_AGAIN_S = 0.2
_OWN = "bundle"


class Bundles:
    """Makes bundles, one at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._room = engine.room
        self._making = asyncio.Lock()
        self._documents: DocumentsClient | None = None

    async def bundle(self, digest: str) -> bytes:
        """The record bundle of a ceremony that has ended. Raises NotFound, Conflict while it has not, NotYetIncluded
        and RecorderUnavailable (try again), JournalContradicted, LogDamaged, and what setting the transcript does."""
        async with self._making:
            row = self._engine.row(digest)
            if row.state not in {"executed", "failed", "rejected", "expired"}:
                raise Conflict("the ceremony has not ended yet")
            await self._room.recording.send(digest)
            kept = self._room.home.keymaster / "bundles" / f"{digest}-{self._edition(row)}.asice"
            if kept.exists():
                return await asyncio.to_thread(kept.read_bytes)
            made = await self._make(row, kept)
            await asyncio.to_thread(write_file, kept, made)
            kept.with_suffix(".settled").unlink(missing_ok=True)
            return made

    def _edition(self, row: ProposalRow) -> str:
        """Which bundle of the ceremony it is: another one for each execution, and for what officers said after it."""
        begun = [one.time for one in self._room.journal.entries(row.digest) if one.event == f"begun/{row.attempt}"]
        later = [one for one in self._room.journal.statements(row.digest) if begun and one.received > begun[0]]
        return f"{row.attempt}-{row.state}-{len(later)}" if later else str(row.attempt)

    async def close(self) -> None:
        if self._documents is not None:
            await self._documents.close()

    async def _make(self, row: ProposalRow, kept: Path) -> bytes:
        settled = kept.with_suffix(".settled")
        if settled.exists():
            members = form.unpack(await asyncio.to_thread(settled.read_bytes))
        else:
            members = await self._members(row)
            kept.parent.mkdir(mode=0o700, exist_ok=True)
            await asyncio.to_thread(write_file, settled, form.pack(members))
        key = f"{_OWN}/{self._edition(row)}"
        await self._record(row, key, members[form.MANIFEST])
        own = [entry for entry in self._room.journal.entries(row.digest) if entry.event == key]
        members[form.BUNDLE_RECORD] = encode(await self._opened(own))
        return form.pack(members)

    async def _record(self, row: ProposalRow, key: str, manifest: bytes) -> None:
        proposal = read_proposal(row.text)
        record = CeremonyRecord(event=_OWN, proposal=row.digest, attempt=row.attempt, time=self._engine.now_us())
        self._room.recording.keep(proposal, key, record, manifest, digest=row.digest)
        await self._room.recording.send(row.digest)
        entries = [entry for entry in self._room.journal.entries(row.digest) if entry.event == key]
        if any(entry.leaf is None or entry.artifact != manifest for entry in entries):
            raise JournalContradicted("the log has another bundle of this ceremony")

    # Members

    async def _members(self, row: ProposalRow) -> dict[str, bytes]:
        """Everything but the logs' record of the bundle itself."""
        journal = self._room.journal
        proposal = read_proposal(row.text)
        entries = [entry for entry in journal.entries(row.digest) if not entry.event.startswith(f"{_OWN}/")]
        statements = self._engine.received(row.digest)
        chain = self._chain(row, entries)
        law = chain[-1].constitution
        steps = {step.step: step for step in journal.steps(row.digest)}
        transcript = self._transcript(row, proposal, law, entries, statements)
        members = {
            form.MIMETYPE: form.ASIC_E,
            form.PROPOSAL: row.text,
            form.STATEMENTS: encode(Statements(statements=statements)),
            form.TRANSCRIPT: encode(transcript),
            form.RECORDS: encode(await self._opened(entries)),
        }
        for version in chain:
            members[f"{form.CONSTITUTION}{version.constitution.version}.json"] = encode(version)
        for step in transcript.steps:
            outputs = outputs_of(steps.get(step.step))
            members |= {one.file: outputs[one.name] for one in step.outputs if one.file}
        for language in LANGUAGES:
            members[form.SCRIPTS[language]] = explain(proposal, language, law).text().encode()
        members[form.PRINTED] = await self._set(proposal, law, statements, transcript)
        members[form.MANIFEST] = form.manifest(members)
        return members

    def _chain(self, row: ProposalRow, entries: list[EntryRow]) -> list[ConstitutionVersion]:
        """The versions up to the one that the ceremony was decided under."""
        begun = [entry.time for entry in entries if entry.event.startswith("begun/")]
        executed = row.state in {"executed", "failed"}
        decided = (begun[-1] if begun and executed else row.changed) / 1_000_000
        found: list[ConstitutionVersion] = []
        for version in self._room.constitutions.versions:
            own = version.proposal is not None and encode(version.proposal) == row.text
            if own or (found and instant(version.adopted).timestamp() > decided):
                break
            found.append(version)
        return found

    def _transcript(
        self,
        row: ProposalRow,
        proposal: Proposal,
        law: Constitution,
        entries: list[EntryRow],
        statements: list[ReceivedStatement],
    ) -> Transcript:
        """From what is on record; of the journal only what records leave out: when steps began, and outputs."""
        journal = self._room.journal
        logs = list(dict.fromkeys(entry.log for entry in entries))
        events = {entry.event: msgspec.json.decode(entry.record, type=CeremonyRecord) for entry in entries}
        records = list(events.values())
        rows = {step.step: step for step in journal.steps(row.digest)}
        verified = verified_statements(proposal, law, statements, self._chain(row, entries))
        counts = {(one.verb, one.officer, one.credential) for one in verified}
        attempts = [attempt_of(one, records) for one in records if one.event == "begun"]
        steps = [step_of(one, rows.get(one.step)) for one in records if one.event == "step"]
        return Transcript(
            box=proposal.box,
            proposal=row.digest,
            state=row.state,  # type: ignore[arg-type]  # one that has ended
            law=law.digest,
            logs=[LogOrigin(log=name, origin=self._origin(name)) for name in logs],
            submitted=events["submitted"].time,
            attempts=attempts,
            ended=records[-1].time,
            said=[
                Said(
                    verb=one.statement.verb,
                    officer=one.statement.officer,
                    received=events[f"statement/{hashlib.sha256(encode(one.statement)).hexdigest()}"].time,
                    counts=(one.statement.verb, one.statement.officer, one.statement.credential) in counts,
                )
                for one in statements
            ],
            steps=steps,
            questions=[msgspec.convert(without(one, "number"), Question) for one in journal.questions(row.digest)],
            exceptions=exceptions_of(proposal, law, steps, attempts, row.state == "rejected"),
        )

    async def _set(
        self, proposal: Proposal, law: Constitution, statements: list[ReceivedStatement], transcript: Transcript
    ) -> bytes:
        if self._documents is None:
            self._documents = DocumentsClient(self._room.home.documents_socket)
        data = json.dumps(printed(proposal, law, statements, transcript))
        request = RenderRequest(template="ceremony", data=data, time_s=transcript.ended // 1_000_000)
        return await self._documents.call(RENDER, "@box", request)

    # Logs

    def _origin(self, log: str) -> str:
        return next(one.origin for one in self._room.settings.logs if (one.tenant or "@box") == log)

    async def _opened(self, entries: list[EntryRow]) -> Records:
        """Every entry with its proof under the newest signed head of its log. Raises NotYetIncluded."""
        found: list[LogRecord] = []
        for entry in sorted(entries, key=lambda one: (one.log, one.leaf or 0)):
            if entry.leaf is None:
                continue  # refused by the recorder: the transcript tells of it, and no log has it
            proof = await self._proof(entry, entry.leaf)
            found.append(
                LogRecord(
                    log=entry.log,
                    event=entry.event,
                    index=entry.leaf,
                    record=msgspec.json.decode(entry.record),
                    salt=entry.salt.hex(),
                    tlog_proof=proof.decode(),
                )
            )
        return Records(records=found)

    async def _proof(self, entry: EntryRow, leaf: int) -> bytes:
        reader = LogReader(log_directory(self._room.home.logs, self._origin(entry.log)))
        wanted = commitment(entry.salt, entry.record)
        ends = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            try:
                return await asyncio.to_thread(reader.tlog_proof, leaf, entry=wanted)
            except NotYetIncluded:
                if asyncio.get_running_loop().time() > ends:
                    raise
            await asyncio.sleep(_LOOK_AGAIN_S)


def outputs_of(row: StepRow | None) -> dict[str, bytes]:
    """What a step made, as the journal has it."""
    if row is None or not row.outputs:
        return {}
    return msgspec.msgpack.decode(row.outputs, type=dict[str, bytes])


def without(members: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in members.items() if key != name}


def attempt_of(begun: CeremonyRecord, records: list[CeremonyRecord]) -> Attempt:
    """An execution by the records of its beginning and its end."""
    end = next(one for one in records if one.event in {"executed", "failed"} and one.attempt == begun.attempt)
    return Attempt(
        attempt=begun.attempt,
        begun=begun.time,
        ended=end.time,
        state=end.event,  # type: ignore[arg-type]  # one of the two
        error=end.error,
    )


def step_of(record: CeremonyRecord, row: StepRow | None) -> Step:
    """A step by its record. The journal knows only the last attempt of each."""
    own = row is not None and row.attempt == record.attempt
    names = outputs_of(row) if own else {}
    return Step(
        step=record.step,
        action=record.action,
        attempt=record.attempt,
        begun=row.begun if row is not None and own else None,
        ended=record.time,
        outcome=record.outcome,  # type: ignore[arg-type]  # done or failed
        facts=record.facts,
        outputs=[
            Output(name=name, file=form.output_file(record.step, name) if name in names else "", sha256=value)
            for name, value in sorted(record.outputs.items())
        ],
        error=record.error,
    )


def exceptions_of(
    proposal: Proposal, law: Constitution, steps: list[Step], attempts: list[Attempt], withdrawn: bool
) -> list[Deviation]:
    """Executions that failed: what was expected, what happened, and what came of it."""
    found = []
    for attempt in attempts:
        if attempt.state != "failed":
            continue
        failed = next((one for one in steps if one.attempt == attempt.attempt and one.outcome == "failed"), None)
        done = sum(one.outcome == "done" for one in steps if one.attempt <= attempt.attempt)
        at = failed.step if failed is not None else min(done, len(proposal.actions) - 1)
        expected = [explain_action(proposal.actions[at], language, law).sentence for language in LANGUAGES]
        found.append(
            Deviation(
                step=at,
                attempt=attempt.attempt,
                time=attempt.ended,
                expected=Wording(en=expected[0], zh=expected[1]),
                happened=attempt.error,
                decided=_decision(attempt, attempts, withdrawn),
            )
        )
    return found


def _decision(attempt: Attempt, attempts: list[Attempt], withdrawn: bool) -> Wording:
    if attempt is attempts[-1] and withdrawn:
        return Wording(
            en="Officers withdrew it: it is not executed any more. What was done before stays as it is.",
            zh="安全官已将其撤回，不再执行；此前已完成的步骤保持不变。",
        )
    if attempt is attempts[-1]:
        return Wording(
            en="The execution ended here. What was done before stays as it is.",
            zh="执行到此结束，此前已完成的步骤保持不变。",
        )
    following = attempt.attempt + 1
    return Wording(
        en=f"Executed again from this step, as execution {following}, on the same approvals.",
        zh=f"依据同一批准，从此步骤起再次执行（第 {following} 次）。",
    )
