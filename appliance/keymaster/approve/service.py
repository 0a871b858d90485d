"""What the approval pages ask for, as values: invitations, candidates, proposals, statements. No HTTP here."""

from __future__ import annotations

import hmac
import secrets

import msgspec
from mnemonic import Mnemonic

from appliance.box.management_front import management_origin
from appliance.ceremonies import Constitution, Proposal, StatementRefused, digest_words, encode, read_proposal
from appliance.ceremonies.constitution import ApprovalRules, Credential
from appliance.ceremonies.evidence import governing
from appliance.ceremonies.explain import explain
from appliance.ceremonies.explain_voice import LANGUAGES
from appliance.ceremonies.statements import PasskeyEvidence, Statement, Verb
from appliance.keymaster.approve.registration import Registration, creation_options, verify_registration
from appliance.keymaster.approve.verbs import choices
from appliance.keymaster.engine import Engine
from appliance.keymaster.execution import Executions
from appliance.keymaster.officers.candidates import Candidate
from appliance.keymaster.officers.founding_rules import rules_before_founding


class AssertionResponse(msgspec.Struct, frozen=True):
    """Members of an assertion's response that count (WebAuthn level 3, section 5.2.2)."""

    authenticator_data: str = msgspec.field(name="authenticatorData")
    client_data: str = msgspec.field(name="clientDataJSON")
    signature: str


class Assertion(msgspec.Struct, frozen=True):
    id: str
    response: AssertionResponse


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement as the page sends it; the passkey says whose it is."""

    verb: Verb
    credential: Assertion


class ApprovalService:
    """Answers from the engine's room; what has authority in it is the evidence of statements alone."""

    def __init__(self, engine: Engine, executions: Executions) -> None:
        self._engine = engine
        self._room = engine.room
        self._executions = executions
        self._secret = secrets.token_bytes(32)

    def rules(self) -> ApprovalRules:
        """Those in force; before the box is founded those that its first constitution will have."""
        constitutions = self._room.constitutions
        if constitutions.refusal is None and not constitutions.founded:
            return rules_before_founding(self._room.home, self._room.settings)
        return constitutions.in_force().rules

    # Enrolment

    async def invitation(self, code: str) -> dict[str, object]:
        """Whom the link invites, and how to make the passkey. Raises CodeRefused."""
        invited = self._room.candidates.invitation(code)
        known = [one.credential for one in self._room.candidates.all() if one.person == invited.person]
        rules = self.rules()
        return {
            "person": invited.person,
            "name": invited.name,
            "options": creation_options(
                rules, self._room.settings.name, invited.person, invited.name, self._challenge(code), known
            ),
        }

    async def register(self, code: str, registration: Registration) -> dict[str, object]:
        """A candidate with the passkey that the browser made. Raises CodeRefused, PasskeyRefused, Conflict."""
        self._room.candidates.invitation(code)
        credential = verify_registration(self.rules(), registration, self._challenge(code))
        return self._shown(self._room.candidates.register(code, credential))

    async def candidate(self, identifier: str) -> dict[str, object]:
        """Raises NotFound."""
        return self._shown(self._room.candidates.find(identifier))

    async def confirm(self, identifier: str, code: str) -> dict[str, object]:
        """Raises NotFound, CodeRefused."""
        return self._shown(self._room.candidates.confirm(identifier, code))

    def _challenge(self, code: str) -> bytes:
        """Of this life of the keymaster and this link; the link is good for one registration."""
        return hmac.digest(self._secret, b"cinnabar enrolment v1\0" + code.encode(), "sha256")

    def _shown(self, candidate: Candidate) -> dict[str, object]:
        return {
            "id": candidate.id,
            "person": candidate.person,
            "name": candidate.name,
            "state": candidate.state,
            "fingerprint": candidate.fingerprint,
            "words": _words(candidate.fingerprint),
            "model": candidate.credential.model,
            "copies": candidate.credential.backup_eligible,
            "officer": self._is_officer(candidate.credential),
            "management": f"{self._management()}/",
        }

    def _management(self) -> str:
        """The management origin, for plain links: from the box's settings, never from what a request says."""
        return management_origin(self._room.home, self._room.settings)

    def _is_officer(self, credential: Credential) -> bool:
        constitutions = self._room.constitutions
        if constitutions.refusal is not None or not constitutions.founded:
            return False
        persons = constitutions.in_force().persons
        return any(one.id == credential.id for person in persons for one in person.credentials)

    # Proposals

    async def proposal(self, digest: str) -> dict[str, object]:
        """A proposal with all that an officer needs to decide. Raises NotFound."""
        row = self._engine.row(digest)
        law = self._room.constitutions.in_force()
        proposal = read_proposal(row.text)
        under = self._room.constitutions.under(proposal.constitution)
        found = self._engine.tally(row, proposal, law)
        counted = self._engine.counted(digest, proposal, law)
        return {
            "box": self._room.settings.name,
            "management": f"{self._management()}/ceremonies/{digest}",
            "rp_id": law.rules.rp_id,
            "text": row.text.decode(),
            "words": _words(digest),
            "explanation": {one: msgspec.to_builtins(explain(proposal, one, under)) for one in LANGUAGES},
            "state": row.state,
            "error": row.error,
            "tally": msgspec.to_builtins(found),
            "takes_away": proposal.takes_away,
            "names": _names(proposal, law),
            "choices": msgspec.to_builtins(choices(proposal, law, found, row.state, counted)),
            "statements": [
                {"verb": one.statement.verb, "officer": one.statement.officer, "received": one.received}
                for one in self._engine.received(digest)
            ],
            "steps": [step.state for step in self._room.journal.steps(digest)],
        }

    async def state(self, digest: str, said: Said) -> dict[str, object]:
        """Take a statement in; the proposal as it stands then. Raises StatementRefused and what the engine does."""
        row = self._engine.row(digest)
        proposal, law = read_proposal(row.text), self._room.constitutions.in_force()
        response = said.credential.response
        statement = Statement(
            verb=said.verb,
            proposal=digest,
            officer="nobody",
            credential=said.credential.id,
            evidence=PasskeyEvidence(
                authenticator_data=response.authenticator_data,
                client_data_json=response.client_data,
                signature=response.signature,
            ),
        )
        owner = _owner(governing(statement, proposal, law), said.credential.id)
        await self._executions.state(encode(msgspec.structs.replace(statement, officer=owner)))
        return await self.proposal(digest)

    async def state_whole(self, text: bytes) -> dict[str, object]:
        """Take in a statement that was made elsewhere, as a card's is: its canonical bytes. How the proposal stands."""
        row = await self._executions.state(text)
        return {"proposal": row.digest, "state": row.state}


def _owner(law: Constitution, credential: str) -> str:
    owner = next((p.id for p in law.persons for one in p.credentials if one.id == credential), None)
    if owner is None:
        raise StatementRefused("this passkey is no officer's of the constitution")
    return owner


def _names(proposal: Proposal, law: Constitution) -> dict[str, str]:
    people = {person.id: person.name for person in law.persons}
    for action in proposal.actions:
        brought: Constitution | None = getattr(action, "constitution", None)
        people |= {person.id: person.name for person in brought.persons} if brought is not None else {}
    return people


def _words(digest: str) -> dict[str, str]:
    return {"en": digest_words(digest), "zh-Hans": digest_words(digest, "chinese_simplified")}


def words_table() -> dict[str, list[str]]:
    """Both lists of 2048 words (BIP-39), so that a page can make the words of what it has hashed itself."""
    return {"en": Mnemonic("english").wordlist, "zh-Hans": Mnemonic("chinese_simplified").wordlist}
