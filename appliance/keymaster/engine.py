"""Proposals and what officers say about them, up to the decision; appliance.keymaster.execution does what is decided.

Nothing that comes over the desk has authority: a proposal is bytes, a statement is a signature, and both are judged
here by the rules of appliance.ceremonies under the constitution that the token pins. Every event is on disk in the
journal first, in the logs of the proposal's scopes next, and only then counted or answered.
"""

from __future__ import annotations

import asyncio
import datetime
import secrets
import sqlite3
import time
from collections.abc import Callable

import msgspec

from appliance.box.settings import LogSettings
from appliance.ceremonies import (
    Action,
    Constitution,
    DocumentRefused,
    Proposal,
    StatementRefused,
    Tally,
    VerifiedStatement,
    check_proposal,
    decode,
    digest,
    encode,
    instant,
    instant_text,
    newcomers,
    proposal_digest,
    read_proposal,
    require,
    required_scopes,
    tally,
)
from appliance.ceremonies.actions import AmendConstitution
from appliance.ceremonies.chain import verified_statements, waiting_ends
from appliance.ceremonies.constitution import Scope, everyone
from appliance.ceremonies.evidence import governing, verify_statement
from appliance.ceremonies.proposal import AuditHead, ScopeQuorum
from appliance.ceremonies.quorum import withdrawn
from appliance.ceremonies.records import CeremonyRecord
from appliance.ceremonies.statements import ReceivedStatement, Statement
from appliance.errors import Conflict, NotFound
from appliance.instants import MICROSECOND
from appliance.keymaster.context import Room
from appliance.keymaster.errors import JournalContradicted, ProposalClosed, StillWaiting, TooManyProposals
from appliance.keymaster.heads import check_head, empty_head
from appliance.keymaster.journal import ProposalRow, State, StatementRow
from appliance.keymaster.registry import find_executor
from appliance.keymaster.scratch import clear_scratch
from appliance.keymaster.standing import check_standing
from appliance.recorder.messages import BOX_LOG

MOST_OPEN = 50
"""Open proposals of one requester; who submits without end fills no log, and stands in nobody else's way."""
MOST_UNSIGNED = 20
"""Of them, those that no officer has signed; words that take away have as many of their own."""
LOOK_AGAIN_S = 30
"""An open proposal about which nothing new was said is judged so often: time passes for it too."""


NO_LIMIT = -1


class _Requested(msgspec.Struct):
    requester: str


_requester = msgspec.json.Decoder(_Requested)


def uptime_s() -> float:
    """Seconds since the machine was started, also while it slept: a clock that nobody sets."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def now_utc() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Engine:
    """Takes proposals and statements in, and says how each stands."""

    def __init__(self, room: Room, clock: Callable[[], datetime.datetime] = now_utc) -> None:
        self.room = room
        self.clock = clock
        self.uptime: Callable[[], float] = uptime_s
        self.changing = asyncio.Lock()
        """Held while a proposal's state is judged and changed."""
        self._judged: dict[str, tuple[tuple[str, int], int]] = {}
        """Of each open proposal: the constitution, how much about it was on record, and when it was judged so."""
        self._waiting: dict[str, float] = {}
        """Of each recovery that waits in public: until when, by `uptime`, its waiting was counted."""

    def now_us(self) -> int:
        return int(self.clock().timestamp() * 1_000_000)

    # Making and taking in proposals

    async def draft(self, requester: str, title: str, reason: str, actions: bytes, hours: int) -> bytes:
        """The canonical bytes of a proposal that would be taken now; nothing is kept. Raises what `submit` does."""
        law = self.room.constitutions.in_force()
        try:
            wanted = msgspec.json.decode(actions, type=list[Action])
        except msgspec.MsgspecError as error:
            raise DocumentRefused(f"the actions cannot be read: {error}") from None
        if not wanted or not 0 < hours <= 24 * 365:
            raise DocumentRefused("a proposal has actions, and a life of 1 to 8760 hours")
        scopes = sorted(required_scopes(wanted, law))
        check_requester(requester, scopes, wanted, law)
        now = self.clock().replace(microsecond=0)
        made = Proposal(
            box=law.box,
            mode="rehearsal" if law.rehearsal else "production",
            quorum=[ScopeQuorum(scope=name, threshold=_threshold(law, name, wanted)) for name in scopes],
            requester=requester,
            title=title,
            reason=reason,
            actions=wanted,
            constitution=law.digest,
            audit=await self._head(_seen_by(requester, scopes, law) or scopes[0]),
            nonce=secrets.token_hex(16),
            made=instant_text(now),
            expires=instant_text(now + datetime.timedelta(hours=hours)),
        )
        text = encode(made)
        await self._admit(read_proposal(text), law)
        return text

    async def submit(self, text: bytes) -> str:
        """Take a proposal in; its digest. The same bytes again are no other proposal.

        Raises DocumentRefused, QuorumMissing, SuccessionRefused, HistoryDiffers, NotServed, NoConstitution,
        ConstitutionRefused, TooManyProposals, JournalContradicted, RecorderUnavailable."""
        proposal = read_proposal(text)
        name = digest(text)
        async with self.changing:
            if self.room.journal.proposal(name) is None:
                await self._admit(proposal, self.room.constitutions.in_force())
                self._check_room(proposal)
                now = self.now_us()
                scopes = [part.scope for part in proposal.quorum]
                try:
                    with self.room.journal.transaction():
                        self.room.journal.add_proposal(name, proposal.nonce, text, scopes, proposal.takes_away, now)
                        record = CeremonyRecord(event="submitted", proposal=name, officer=proposal.requester, time=now)
                        self.room.recording.keep(proposal, "submitted", record, text)
                except sqlite3.IntegrityError:
                    raise Conflict("another proposal has this nonce") from None
            await self.room.recording.send(name)
            self._check_recorded(name)
        return name

    def _check_recorded(self, name: str) -> None:
        if "submitted" not in self.room.recording.on_record(name):
            raise JournalContradicted("the proposal's submission is not on record, or another one is")

    async def _admit(self, proposal: Proposal, law: Constitution) -> None:
        if proposal.constitution != law.digest:
            raise DocumentRefused("the proposal was made under another constitution than the one in force")
        # First: what the other checks say of keys, applications and logs is for the scope's own officers (CHANNEL).
        check_requester(proposal.requester, [part.scope for part in proposal.quorum], proposal.actions, law)
        await self._check(proposal, law)

    async def _check(self, proposal: Proposal, law: Constitution) -> None:
        """All that must hold at submission and again at execution, but for the statements."""
        check_proposal(proposal, law, self.clock())
        for action in proposal.actions:
            _, check = find_executor(action)
            if check is not None:
                await check(self.room, proposal, action)
        await self._check_head(proposal)

    def _check_room(self, proposal: Proposal) -> None:
        """Only the requester's own proposals count: nobody fills another's room, or learns how full it is (CHANNEL)."""
        every = self.room.journal.proposals(("open", "approved"), NO_LIMIT)
        mine = [row for row in every if _requester.decode(row.text).requester == proposal.requester]
        alike = [row for row in mine if bool(row.takes_away) is proposal.takes_away]
        unsigned = [row for row in alike if not self.room.journal.statements(row.digest)]
        if len(unsigned) >= MOST_UNSIGNED or (len(mine) >= MOST_OPEN and not proposal.takes_away):
            raise TooManyProposals("too many proposals of this requester are open")

    # The log that the requester had seen

    def _log(self, scope: str) -> LogSettings:
        name = self.room.recording.log_of(scope)
        wanted = None if name == BOX_LOG else name
        return next(entry for entry in self.room.settings.logs if entry.tenant == wanted)

    async def _signed_head(self, origin: str) -> tuple[int, bytes] | None:
        head = await self.room.connected().query("head", origin)
        return None if head is None else (head[0], head[1])

    async def _head(self, scope: str) -> AuditHead:
        origin = self._log(scope).origin
        head = await self._signed_head(origin)
        if head is None:
            return empty_head(origin)
        return AuditHead(origin=origin, size=head[0], root=head[1].hex())

    async def _check_head(self, proposal: Proposal) -> None:
        law = self.room.constitutions.in_force()
        scope = _seen_by(proposal.requester, [part.scope for part in proposal.quorum], law)
        if scope is None:
            return  # she has left every roster since, and so requests nothing any more
        origin = self._log(scope).origin
        size, root = await self._signed_head(origin) or (0, bytes.fromhex(empty_head(origin).root))
        await asyncio.to_thread(check_head, self.room.home.logs, proposal.audit, origin, size, root)

    # Statements

    async def state(self, text: bytes) -> ProposalRow:
        """Take an officer's statement in, if its evidence holds; how the proposal stands then.

        Raises StatementRefused, DocumentRefused, NotFound, ProposalClosed, and as `submit`."""
        statement = decode(text, Statement)
        async with self.changing:
            row = self.row(statement.proposal)
            if row.state not in {"open", "approved", "failed"}:
                raise ProposalClosed(f"the proposal is {row.state}")
            if row.state == "failed" and statement.verb != "reject":
                raise ProposalClosed("an execution failed: the proposal is executed again, or withdrawn by rejections")
            proposal, law = read_proposal(row.text), self.room.constitutions.in_force()
            await self.room.recording.send(row.digest)
            now = self.clock()
            verified = verify_statement(governing(statement, proposal, law), statement, now)
            check_speaker(proposal, law, verified)
            if now >= instant(proposal.expires):
                await self._settle(row, proposal, law)
                raise ProposalClosed("the proposal has expired")
            name = digest(text)
            said = {(one.verb, one.officer) for one in self.counted(row.digest, proposal, law)}
            if (verified.verb, verified.officer) not in said:
                self._keep_statement(row, proposal, statement, name, text)
            await self.room.recording.send(row.digest)
            return await self._settle(self.row(row.digest), proposal, law)

    def _keep_statement(
        self, row: ProposalRow, proposal: Proposal, statement: Statement, name: str, text: bytes
    ) -> None:
        now, journal = self.now_us(), self.room.journal
        if any(one.digest == name for one in journal.statements(row.digest)):
            return  # kept before, and not in the logs yet
        record = CeremonyRecord(
            event="statement", proposal=row.digest, verb=statement.verb, officer=statement.officer, time=now
        )
        with journal.transaction():
            journal.add_statement(name, row.digest, statement.verb, statement.officer, text, now)
            self.room.recording.keep(proposal, f"statement/{name}", record, text, digest=row.digest)

    def received(self, name: str) -> list[ReceivedStatement]:
        """The statements about a proposal that are on record in all its logs, as they were received."""
        on_record = self.room.recording.on_record(name)
        return [
            received_statement(row)
            for row in self.room.journal.statements(name)
            if f"statement/{row.digest}" in on_record
        ]

    def counted(self, name: str, proposal: Proposal, law: Constitution) -> list[VerifiedStatement]:
        """Those whose evidence holds under the constitution in force, and under every one since: a revoked officer's
        fall for good."""
        return verified_statements(proposal, law, self.received(name), self.room.constitutions.versions)

    def tally(self, row: ProposalRow, proposal: Proposal, law: Constitution) -> Tally:
        return tally(proposal, law, self.counted(row.digest, proposal, law), self.clock())

    # How a proposal stands

    def row(self, name: str) -> ProposalRow:
        row = self.room.journal.proposal(name)
        if row is None:
            raise NotFound("there is no such proposal")
        return row

    async def _settle(self, row: ProposalRow, proposal: Proposal, law: Constitution) -> ProposalRow:
        """Bring the journal's state in line with the tally; ends are put on record. `changing` is held."""
        if row.state not in {"open", "approved", "failed"}:
            return row
        found = self.tally(row, proposal, law)
        outcome, failed = found.outcome, row.state == "failed"
        if failed and withdrawn(found):
            outcome = "rejected"
        journal, now = self.room.journal, self.now_us()
        if outcome == "rejected" or (outcome == "expired" and not failed):
            with journal.transaction():
                journal.set_state(row.digest, outcome, now)
                record = CeremonyRecord(event=outcome, proposal=row.digest, time=now)
                self.room.recording.keep(proposal, outcome, record, digest=row.digest)
            await self.room.recording.send(row.digest)
        elif not failed:
            state: State = "approved" if outcome == "approved" else "open"
            with journal.transaction():
                if state != row.state:
                    journal.set_state(row.digest, state, now)
                if (state == "approved") is not (row.reached is not None):
                    journal.set_reached(row.digest, now if state == "approved" else None)
                    self._waiting.pop(row.digest, None)
            if state == "approved" and _recovers(proposal):
                self._count_waiting(row.digest)
        return self.row(row.digest)

    def _count_waiting(self, name: str) -> None:
        """Write down for how long a recovery has waited since it was looked at last, in this life of the process."""
        now = self.uptime()
        before = self._waiting.setdefault(name, now)
        if now > before:
            self.room.journal.add_waited(name, int((now - before) * 1_000_000))
            self._waiting[name] = now

    async def settle_all(self) -> None:
        """Expiries, what another constitution makes of open proposals, and withdrawals that a crash left half done.

        Called every few seconds."""
        if self.room.constitutions.refusal is not None or not self.room.constitutions.founded:
            return
        law, now = self.room.constitutions.in_force().digest, self.now_us()
        judged, self._judged = self._judged, {}
        for row in self.room.journal.proposals(("open", "approved", "failed"), NO_LIMIT):
            known = law, len(self.room.recording.on_record(row.digest))
            before, at = judged.get(row.digest, (None, 0))
            if before == known and abs(now - at) < LOOK_AGAIN_S * 1_000_000:
                self._judged[row.digest] = known, at
                continue
            self._judged[row.digest] = known, now
            await asyncio.sleep(0)  # what officers ask comes in between
            async with self.changing:
                fresh = self.row(row.digest)
                if fresh.state in {"open", "approved"} or (fresh.state == "failed" and self._said_since(fresh)):
                    await self._settle(fresh, read_proposal(fresh.text), self.room.constitutions.in_force())
        async with self.changing:
            clear_scratch(self.room, self.clock())

    def _said_since(self, row: ProposalRow) -> bool:
        return any(one.received > row.changed for one in self.room.journal.statements(row.digest))

    async def judge(self, row: ProposalRow, proposal: Proposal) -> Constitution:
        """Whether the proposal may be executed now: everything anew, under the constitution in force. The latter.

        Raises QuorumMissing, DocumentRefused, SuccessionRefused, HistoryDiffers, StillWaiting, ConstitutionRefused,
        Tampered, BoxLocked, StoppedSince."""
        law = self.room.constitutions.in_force()
        check_standing(self.room.home, proposal)
        if proposal_digest(proposal) != row.digest or not self.room.constitutions.knows(proposal.constitution):
            raise DocumentRefused("the proposal is not the one that was submitted, or of another box's constitution")
        self._check_recorded(row.digest)
        await self._check(proposal, law)
        require(proposal, law, self.counted(row.digest, proposal, law), self.clock())
        reached = datetime.datetime.fromtimestamp((row.reached or self.now_us()) / 1_000_000, datetime.UTC)
        ends = waiting_ends(proposal, law, reached)
        if self.clock() < ends:
            raise StillWaiting(f"the recovery waits in public until {instant_text(ends)}")
        if ends > reached:
            # The box's clock says so; whoever sets it forward has not let anybody look for any longer.
            self._count_waiting(row.digest)
            missing = (ends - reached) // MICROSECOND - self.row(row.digest).waited
            if missing > 0:
                hours = -(-missing // 3_600_000_000)
                raise StillWaiting(f"the recovery has not waited in public for long enough: {hours} more hours")
        return law


def check_speaker(proposal: Proposal, law: Constitution, said: VerifiedStatement) -> None:
    """Whether this person has anything to say about this proposal, by this verb. Raises StatementRefused."""
    if proposal.takes_away is not (said.verb == "take-away"):
        raise StatementRefused("what takes power away needs a take-away statement, and nothing else does")
    if said.verb in {"request", "take-away"} and said.officer != proposal.requester:
        raise StatementRefused("only the requester named in the proposal requests it")
    if said.verb == "approve" and said.officer == proposal.requester:
        raise StatementRefused("the requester never counts as an approver")
    if said.verb == "accept":
        amendment = next(action for action in proposal.actions if isinstance(action, AmendConstitution))
        if said.officer not in newcomers(law, amendment.constitution):
            raise StatementRefused("this person is not new in the constitution that the proposal brings")
    elif said.officer not in everyone_of(proposal, law):
        raise StatementRefused("this person is no officer of a scope of the proposal")


def check_requester(requester: str, scopes: list[str], actions: list[Action], law: Constitution) -> None:
    """Whether this person may propose it: an officer of a scope that decides, and of each one that is acted for.

    What is proposed stands in the log of every scope that decides, and tells the requester where: so an amendment may
    reach into a scope that is not hers only where a person serves that one too. A foreign tenant and one that there is
    not are refused alike. Raises DocumentRefused."""
    if _seen_by(requester, scopes, law) is None:
        raise DocumentRefused("the requester is no officer of a scope of the proposal")
    owned = {action.scope_of() for action in actions if not isinstance(action, AmendConstitution)}
    for action in actions:
        if isinstance(action, AmendConstitution):
            owned |= {part.name for part in law.scopes if action.constitution.scope(part.name) != part}
    if not all(_serves(requester, name, law) for name in owned):
        raise DocumentRefused("the requester is no officer of every scope that the proposal acts for")


def _serves(person: str, name: str, law: Constitution) -> bool:
    scope = law.scope(name)
    return scope is not None and person in everyone(scope)


def _seen_by(requester: str, scopes: list[str], law: Constitution) -> str | None:
    """The scope whose log the requester has seen: the first that is hers, never another tenant's (CHANNEL)."""
    return next((name for name in scopes if _serves(requester, name, law)), None)


def everyone_of(proposal: Proposal, law: Constitution) -> frozenset[str]:
    """Officers of both rosters of the proposal's scopes."""
    scopes: list[Scope] = [scope for part in proposal.quorum if (scope := law.scope(part.scope)) is not None]
    return frozenset().union(*(everyone(scope) for scope in scopes))


def received_statement(row: StatementRow) -> ReceivedStatement:
    received = datetime.datetime.fromtimestamp(row.received // 1_000_000, datetime.UTC)
    return ReceivedStatement(statement=decode(row.text, Statement), received=instant_text(received))


def _recovers(proposal: Proposal) -> bool:
    return any(isinstance(action, AmendConstitution) and action.recovery for action in proposal.actions)


def _threshold(law: Constitution, name: str, actions: list[Action]) -> int:
    scope = law.scope(name)
    if scope is None:
        raise DocumentRefused(f"{name} has no officers")
    if any(isinstance(action, AmendConstitution) and action.recovery for action in actions):
        if scope.recovery is None:
            raise DocumentRefused(f"{name} has no recovery roster")
        return scope.recovery.threshold
    return scope.threshold
