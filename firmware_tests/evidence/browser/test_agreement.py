"""The page in headless Chromium and the program, over one table of files and what was done to them: the same verdict.

Where a row says TOTAL-FAILED neither of them takes the file for undecided, whatever else it lacks.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import example, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page, sync_playwright

from appliance.anchors import Reason, canonical
from appliance.asic import OpenedRecord, event_names, read_container, write_container
from appliance.asic.names import MOST_KINDS, kind_name
from appliance.ceremonies import encode
from appliance.ceremonies.constitution import ApprovalRules, Credential
from appliance.evidence import CosigningEntry, Indication, LogEntry, WitnessEntry, read_bundle
from appliance.evidence.browser import verifier_page
from appliance.evidence.bundle import AlgorithmEnd, AuthorityCompromise, TimeRules
from appliance.evidence.letters import LetterFacts
from appliance.evidence.letters.facts import LedgerFact
from appliance.letters.approvers import Approver, Approvers
from appliance.letters.event import APPROVERS, Approval, ApprovalStep, Event, KindReference
from appliance.letters.kind import KIND_BYTES
from appliance.log import TlogProof, inclusion_proof, leaf_hash, parse_note, root, subtree_reader
from appliance.log.box_leaf import NO_COMMITMENT, TenantStatement, make_box_leaf
from appliance.log.note import Note, VerifierKey
from firmware_tests.anchors.evm import chains as evm_chains
from firmware_tests.anchors.evm import test_judge as evm_cost
from firmware_tests.browsers import CHROMIUM, TIMEOUT_MS
from firmware_tests.evidence import anchors, der_trees, ledgers
from firmware_tests.evidence.corpus import PACKED
from firmware_tests.evidence.der_trees import Node
from firmware_tests.evidence.ledgers import OnLedger
from firmware_tests.evidence.letters import (
    LETTER,
    NOW,
    PART,
    check,
    event,
    evidence,
    letter_of_a_file,
    office,
    opened_value,
    plain_letter,
    split_letter,
    surroundings,
)
from firmware_tests.evidence.logs import ORIGIN as LOG_ORIGIN
from firmware_tests.evidence.logs import Log
from firmware_tests.evidence.material import DAY, T0, Holder, World, certify, crl, microseconds, seal, time_stamper
from firmware_tests.evidence.ocsp import RESPONDING, answer, responder
from firmware_tests.evidence.test_letters import FIRST, HOSTILE, VEILED, court, good, hiding, lying, raw, sealed
from firmware_tests.letters.approving import by_passkey
from firmware_tests.letters.kinds import BID_BOND, FIELDS, catalogue
from firmware_tests.officers import ORIGIN, RP_ID, SoftwareOfficer

PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
CLIENT_AUTH: Final = x509.ExtendedKeyUsageOID.CLIENT_AUTH
BOX_ORIGIN: Final = "box.rehearsal.example/log"
SEAL, RECORD = event_names(1).seal, event_names(1).evidence_record
Entries = dict[str, bytes]
HOUR: Final = timedelta(hours=1)
EARLY, LATER = T0 - HOUR, T0 + 5 * HOUR


@dataclass(frozen=True)
class Row:
    """A file under a trust bundle, and what both say of it."""

    expected: Indication
    content: Callable[[], bytes]
    world: Callable[[World], World] = lambda world: world
    bundle: Mapping[str, Any] = field(default_factory=dict)
    """Changes of the bundle's members."""
    approvals: tuple[Indication, ...] = ()
    """Of its first event, where there are any."""


# --- what the files are ----------------------------------------------------------------------------------------------

DRAFT: Final = event(None, "issue", fields=FIELDS, value=opened_value())
TEXT: Final = ApprovalStep(policy="issue", step=0).heading() + DRAFT.draft_text()
MOVED: Final = ApprovalStep(policy="issue", step=1).heading() + DRAFT.draft_text()
RULES: Final = ApprovalRules(rp_id=RP_ID, origins=[ORIGIN], backup_eligible=True)
CHEN: Final = SoftwareOfficer("chen")
CARD: Final = certify("Chen, approver", surroundings()[0].seal_ca)
STRANGER: Final = certify("Li, approver", certify("Some other CA", ca=True))


def card_credential(holder: Holder) -> Credential:
    encoded = base64.b64encode(holder.der).decode()
    return Credential(kind="card", id=hashlib.sha256(holder.der).hexdigest(), public_key=encoded, model="card")


def by_card(holder: Holder, text: bytes, **changes: Any) -> Approval:
    made = seal(holder, text, when=None, **({"certificates": [holder.der]} | changes))
    return Approval(approver="chen", form="cms", signature=base64.b64encode(made).decode(), policy="issue", step=0)


def approved(
    *given: Approval, credentials: list[Credential] | None = None, draft: Event = DRAFT, beside: bytes | None = None,
    **changes: Any,
) -> bytes:  # fmt: skip
    """An event with these approvals. `credentials`: those of chen beside it; None: a file from before there were."""
    files = {}
    if credentials is not None:
        extract = Approvers(
            tenant=draft.actor.tenant, constitution="ab" * 32, rules=RULES, policies=[],
            persons=[Approver(id="chen", credentials=credentials)],
        )  # fmt: skip
        files = {APPROVERS: encode(msgspec.structs.replace(extract, **changes)) if beside is None else beside}
    desk = office()
    desk.seal(msgspec.structs.replace(draft, approvals=list(given)), beside=files)
    return evidence(desk.chain())


def passkey(algorithm: str = "es256", **wrong: Any) -> bytes:
    officer = CHEN if algorithm == "es256" else SoftwareOfficer("chen", algorithm)
    return approved(by_passkey(officer, TEXT, **wrong), credentials=[officer.credential()])


def assertion_alone(challenge: bytes) -> bytes:
    said = base64.urlsafe_b64encode(hashlib.sha256(challenge).digest()).decode().rstrip("=")
    client_data = base64.urlsafe_b64encode(json.dumps({"challenge": said}).encode()).decode().rstrip("=")
    text = json.dumps({"id": "AA", "response": {"clientDataJSON": client_data}}).encode()
    one = Approval(approver="chen", form="webauthn", signature=base64.b64encode(text).decode(), policy="issue", step=0)
    return approved(one)


@functools.cache
def box_log() -> Log:
    return Log(BOX_ORIGIN)


def with_box_log(world: World) -> World:
    keys = (*world.logs, LogEntry(origin=BOX_ORIGIN, key=str(box_log().verifier)))
    return replace(world, logs=keys)


def under_the_box_log(
    change: Callable[[dict[str, Any]], object] = len, seen_by: Sequence[int] = (2,), **leaf: Any
) -> bytes:
    """A letter whose record is shown under the box's own log too. `change`: of the box proof; `seen_by`: after how many
    hours witnesses saw that log's head; `leaf`: of the statement."""
    desk = office()
    desk.seal(DRAFT)
    (one,) = desk.chain()
    entries = [*desk.log.entries, *desk.entries]
    hashes = [leaf_hash(entry) for entry in entries]
    statement = TenantStatement(
        **({"origin": LOG_ORIGIN, "previous": NO_COMMITMENT, "root": root(hashes).hex(), "size": len(entries)} | leaf)
    )
    made = make_box_leaf({"bank": statement}, microseconds(T0))
    proof = {
        "hashes": [step.hex() for step in inclusion_proof(5, len(entries), subtree_reader(hashes))],
        "leaf": {
            "index": 5,
            "opening": made.openings["bank"].encode().decode(),
            "tlog_proof": box_log().proof(made.leaf.entry(), [T0 + hours * HOUR for hours in seen_by]).decode(),
        },
    }
    change(proof)
    opened = msgspec.structs.replace(one.opened, box_proof=proof)
    return evidence([msgspec.structs.replace(one, opened=opened)])


def another_opening(**changes: Any) -> Callable[[dict[str, Any]], object]:
    def change(proof: dict[str, Any]) -> None:
        opening = json.loads(proof["leaf"]["opening"])
        opening.update(changes)
        proof["leaf"]["opening"] = json.dumps(opening, separators=(",", ":"))

    return change


def reopened(change: Callable[[OpenedRecord], OpenedRecord]) -> bytes:
    chain = plain_letter(2)
    return evidence([msgspec.structs.replace(chain[0], opened=change(chain[0].opened)), *chain[1:]])


def changed(content: bytes, change: Callable[[Entries], object]) -> bytes:
    entries = read_container(content)
    change(entries)
    return write_container(entries.items())


def flipped(name: str, place: int) -> Callable[[Entries], object]:
    def change(entries: Entries) -> None:
        content = bytearray(entries[name])
        content[place] ^= 1
        entries[name] = bytes(content)

    return change


def renamed(entries: Entries) -> None:
    """The records of two events in each other's place, with their proofs."""
    for name in ("META-INF/opening-000%d.json", "META-INF/proof-000%d.tlog-proof"):
        entries[name % 1], entries[name % 2] = entries[name % 2], entries[name % 1]


def resigned(number: int) -> Callable[[Entries], object]:
    """Another signature under the head of the log that the last proof has: the log's, or a witness's."""

    def change(entries: Entries) -> None:
        name = max(one for one in entries if "/proof-" in one)
        proof = TlogProof.parse(entries[name])
        note = parse_note(proof.checkpoint)
        lines = list(note.signatures)
        signature = bytearray(lines[number].signature)
        signature[-1] ^= 1
        lines[number] = replace(lines[number], signature=bytes(signature))
        entries[name] = replace(proof, checkpoint=Note(note.text, tuple(lines)).encode()).encode()

    return change


def rule(quorum: int, numbers: Sequence[int], last: int | None = None, origin: str = LOG_ORIGIN) -> CosigningEntry:
    names = [f"witness{number}.example" for number in numbers]
    return CosigningEntry(origin=origin, witnesses=names, quorum=quorum, last_size=last)


def policy(
    quorum: int,
    numbers: Sequence[int],
    origin: str = LOG_ORIGIN,
    *,
    known: Sequence[int] = (0, 1, 2),
    revoked: Sequence[int] = (),
    before: Sequence[CosigningEntry] = (),
    renamed: tuple[int, int] | None = None,
    of_box: bool = False,
) -> dict[str, Any]:
    """What a bundle says of witnesses. `known`: those that it names; `renamed`: the key of the first is a further key
    of the second; `of_box`: they are those of the box's log, whose keys are others."""
    log = box_log() if of_box else surroundings()[1]
    keys = [(number, key) for number, key in enumerate(log.names()) if number in known]
    since = {number: LATER.strftime("%Y-%m-%dT%H:%M:%SZ") for number in revoked}
    witnesses = [WitnessEntry(key=str(key), revoked=since.get(number, msgspec.UNSET)) for number, key in keys]
    if renamed is not None:
        first, second = renamed
        further = VerifierKey(f"witness{second}.example", keys[first][1].public, keys[first][1].type)
        witnesses[first] = WitnessEntry(key=str(further))
    return {"witnesses": witnesses, "cosigning": [*before, rule(quorum, numbers, None, origin)]}


def recorded(**facts: Any) -> bytes:
    desk = office()
    desk.seal(FIRST, change=lambda record: record.update(facts))
    return evidence(desk.chain())


def late(**sealing: Any) -> bytes:
    return evidence(sealed(FIRST, **sealing))


def seen(*when: datetime | timedelta) -> bytes:
    """A letter under a head of the log that witnesses saw then, or so long after it was made."""
    desk = office()
    desk.seal(FIRST)
    return evidence(desk.chain([T0 + one if isinstance(one, timedelta) else one for one in when]))


def revoking(issuer: str, name: str, when: datetime, reason: x509.ReasonFlags | None) -> Callable[[World], World]:
    def change(world: World) -> World:
        list_ = crl(getattr(world, issuer), [(getattr(world, name), when, reason)])
        return replace(world, crls={**world.crls, f"{issuer.replace('_', '-')}.crl": list_})

    return change


def compromised(place: int, since: datetime) -> dict[str, Any]:
    authorities = surroundings()[0].authorities()
    said = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    mark = AuthorityCompromise(since=said, declared=said)
    authorities[place] = msgspec.structs.replace(authorities[place], compromised=mark)
    return {"authorities": authorities}


def unit(key_ends: datetime) -> Holder:
    """A time-stamping unit whose key ends before its certificate."""
    period = x509.PrivateKeyUsagePeriod(not_before=T0 - 9 * DAY, not_after=key_ends)
    return time_stamper("TSU 2, Cinnabar rehearsal", surroundings()[0].tsa_ca, extra=[(period, False)])


def revoking_responder(world: World) -> World:
    """Lists that no longer answer, and that revoked the responders."""
    old: Mapping[str, Any] = {"issued": T0 - 9 * DAY, "until": T0 - DAY}
    lists = {
        f"{name}.crl": crl(getattr(world, name), [(RESPONDERS[name], EARLY, Flags.superseded)], **old)
        for name in RESPONDERS
    }
    return replace(world, crls=lists)


def answers(change: Callable[[Holder], Holder] = lambda by: by, **said: Any) -> list[bytes]:
    """About the unit and the sealer, by responders of their authorities. `change`: of each responder."""
    world, _ = surroundings()
    pairs = ((world.tsa, "tsa_ca"), (world.sealer, "seal_ca"))
    return [answer(about, getattr(world, name), change(RESPONDERS[name]), **said) for about, name in pairs]


def answered(given: list[bytes], **extras: Any) -> bytes:
    return evidence(plain_letter(2), answers=given, **extras)


def by_authority(by: Holder) -> Holder:
    world, _ = surroundings()
    return next(one for one in (world.tsa_ca, world.seal_ca) if one.certificate.subject == by.certificate.issuer)


def otherwise(**changes: Any) -> Callable[[Holder], Holder]:
    """Another responder of the same authority."""
    return lambda by: responder(by_authority(by), **changes)


def unknown(encoded: bytes) -> bytes:
    """Said to be signed otherwise than with ECDSA and SHA-256."""
    known = bytes.fromhex("06082a8648ce3d040302")
    assert known in encoded
    return encoded.replace(known, known[:-1] + b"\x63")


def with_court(change: Callable[[Entries], object] = len) -> bytes:
    chain, given = plain_letter(), answers()
    return changed(evidence(chain, answers=given, court=court(chain, answers=given)), change)


def without_answers(entries: Entries) -> None:
    for name in [one for one in entries if "/answer-" in one]:
        del entries[name]


def altered(
    where: str, path: tuple[int, ...], change: Callable[[list[Node], int], object], base: Callable[[], bytes] = good
) -> Callable[[], bytes]:
    """A file with one element of the DER in an entry changed. `where`: how the entry's name begins."""

    def made() -> bytes:
        entries = {}
        for name, content in read_container(base()).items():
            if not name.startswith(where):
                entries[name] = content
                continue
            spoiled = der_trees.at(content, path, change)
            digest = hashlib.sha256(spoiled).hexdigest()
            named_by_digest = name.endswith((".ors", ".crl"))
            entries[f"{name.rpartition('-')[0]}-{digest}{name[-4:]}" if named_by_digest else name] = spoiled
        return write_container(entries.items())

    return made


def with_content(content: bytes) -> Callable[[list[Node], int], object]:
    """In place of an element's own; X stands for that."""

    def change(nodes: list[Node], place: int) -> None:
        nodes[place] = Node(nodes[place].tag, content.replace(b"X", nodes[place].content))

    return change


def foreign_attribute(nodes: list[Node], place: int) -> None:
    """One that no verifier knows, twice."""
    nodes[place + 1 :] = [Node(0x30, bytes.fromhex("06032a03043100"))] * 2


def witness_named(more: str) -> Callable[[], bytes]:
    """A letter whose witness has this within its name."""
    name = "META-INF/proof-0001.tlog-proof"
    return lambda: changed(
        seen(T0 + timedelta(hours=1)),
        lambda one: one.update({name: one[name].replace("\n— witness".encode(), f"\n— wit{more}ness".encode())}),
    )


def spelt(change: Callable[[Any], object]) -> Callable[[Entries], object]:
    """The opening of the first record, changed and written again as boxes write it."""

    def made(entries: Entries) -> None:
        value = json.loads(entries["META-INF/opening-0001.json"])
        change(value)
        entries["META-INF/opening-0001.json"] = rfc8785.dumps(value)

    return made


def with_lists() -> bytes:
    return evidence(plain_letter(2), lists=list(surroundings()[0].crls.values()))


def with_kind() -> bytes:
    return evidence(plain_letter(), kinds=[BID_BOND])


def kind_in_court() -> bytes:
    chain = plain_letter()
    return evidence(chain, kinds=[BID_BOND], court=court(chain, kinds=[BID_BOND]))


def named_by_itself(kind: bytes) -> Entries:
    return {kind_name(hashlib.sha256(kind).hexdigest()): kind}


def of_kinds(*kinds: bytes) -> bytes:
    """A letter each of whose events names another kind's file, all of them in the evidence."""
    desk = office()
    before: Event | None = None
    for number, kind in enumerate(kinds):
        reference = KindReference(digest=hashlib.sha256(kind).hexdigest(), id=BID_BOND.kind.id, version=1)
        before = event(before, "extend" if number else "issue", kind=reference)
        desk.seal(before)
    return changed(evidence(desk.chain()), lambda entries: [entries.update(named_by_itself(kind)) for kind in kinds])


KIND_ENTRY: Final = kind_name(BID_BOND.digest)
RESPONDERS: Final = {name: responder(getattr(surroundings()[0], name)) for name in ("tsa_ca", "seal_ca")}
NO_LISTS: Final[dict[str, Any]] = {"revocation_lists": {}}
Flags = x509.ReasonFlags


def anchored(make: Callable[[Any], tuple[str, int, bytes]] = anchors.anchor_of) -> bytes:
    """Three events, and an anchor as a test has it."""
    chain = plain_letter()
    ledger, size, encoded = make(chain)
    return changed(evidence(chain), lambda one: one.update({f"META-INF/anchor-{ledger}-{size}.json": encoded}))


def of_a_history(more: str) -> bytes:
    """An anchor under another history of the tenant's log than the one in which the letter's proofs are."""
    first, *others = surroundings()[1].entries
    before = [first[::-1] + b"another", *([b"one more"] if more else []), *others]
    return anchored(lambda chain: anchors.anchor_of(chain, entries_before=before))


def with_ledger(world: World) -> World:
    key = LogEntry(origin=anchors.BOX_ORIGIN, key=str(anchors.box_log().verifier))
    return replace(world, logs=(*world.logs, key))


LEDGERS: Final[dict[str, Any]] = {"ledgers": [anchors.entry(anchors.profile())]}

REFUTING: Final = (Reason.MALFORMED, Reason.OTHER_CHECKPOINT, Reason.OTHER_COMMITMENT)


def on_ledger(one: OnLedger) -> Row:
    """A letter whose head stands on a ledger, and what that comes to."""
    verdict = PASSED if one.verdict in ("proven", "attested") else FAILED if one.verdict in REFUTING else UNDECIDED
    bundle = {"ledgers": [anchors.entry(one.profile())], "time": TimeRules(accepted=["ledger"])}
    content = functools.partial(anchors.anchor_of, of=one.receipt, ledger=one.type)
    return Row(verdict, lambda: anchored(content), with_ledger, bundle)


def ended(name: str, algorithm: str, bits: int | None = None) -> Row:
    """A letter on a ledger, once an algorithm that its receipt relies on has ended."""
    row = on_ledger(ledgers.table()[name])
    end = AlgorithmEnd(algorithm=algorithm, below_bits=bits, until=f"{NOW - HOUR:%Y-%m-%dT%H:%M:%SZ}")  # type: ignore[arg-type]
    verdict = PASSED if bits is not None and bits <= 256 else UNDECIDED
    return replace(row, expected=verdict, bundle={**row.bundle, "algorithms": [end]})


def revoked_since(reason: x509.ReasonFlags) -> Row:
    """A stamp in a receipt, whose unit was revoked later, as the bundle's own list tells."""
    since = crl(anchors.CA, [(anchors.UNIT, NOW - HOUR, reason)], issued=NOW - HOUR)
    world: Callable[[World], World] = lambda one: replace(  # noqa: E731
        with_ledger(one), crls={**one.crls, "ledger-ca.crl": since}
    )
    verdict = PASSED if reason is Flags.superseded else UNDECIDED
    return Row(verdict, anchored, world, LEDGERS)


def ending(algorithm: str) -> dict[str, Any]:
    return {"algorithms": [AlgorithmEnd(algorithm=algorithm, until=f"{T0:%Y-%m-%dT%H:%M:%SZ}")]}  # type: ignore[arg-type]


TABLE: Final[dict[str, Row]] = {
    # What ledgers hold.
    **{f"on {name}": on_ledger(one) for name, one in ledgers.table().items()},
    "on a chain whose seals' curve has ended": ended("evm: honest, clique", "ecdsa"),
    "on a chain whose seals' curve has not ended": ended("evm: honest, clique", "ecdsa", 256),
    "on a chain of work whose tree's digest has ended": ended("bitcoin: honest, scrypt", "sha256"),
    "on Fabric once its curve has ended": ended("fabric: honest", "ecdsa", 257),
    "on an authority whose unit was replaced since": revoked_since(Flags.superseded),
    "on an authority whose unit's key was lost since": revoked_since(Flags.key_compromise),
    # Anchors: what leads to the ledger.
    "an anchor": Row(PASSED, anchored, with_ledger, LEDGERS),
    "an anchor on a ledger that nobody trusts": Row(PASSED, anchored, with_ledger),
    "an anchor under a log that nobody trusts": Row(UNDECIDED, anchored, bundle=LEDGERS),
    "an anchor of other events": Row(
        FAILED, lambda: anchored(lambda chain: anchors.anchor_of(chain, tails=["0001"])), with_ledger, LEDGERS
    ),
    "an anchor of other records": Row(
        FAILED,
        lambda: anchored(lambda chain: anchors.anchor_of(chain, tails=["0001", "0002", "0003"])),
        with_ledger,
        LEDGERS,
    ),
    "an anchor called another": Row(
        FAILED, lambda: anchored(lambda chain: ("other", 6, anchors.anchor_of(chain)[2])), with_ledger, LEDGERS
    ),
    "an anchor of another head": Row(
        FAILED,
        lambda: anchored(
            lambda chain: anchors.anchor_of(chain, of=anchors.receipt(anchors.box_log().checkpoint([b"other"], [])))
        ),
        with_ledger,
        LEDGERS,
    ),
    "an anchor under which a record stands in another place": Row(
        UNDECIDED, lambda: of_a_history("0"), with_ledger, LEDGERS
    ),
    "an anchor of another head of the same size": Row(UNDECIDED, lambda: of_a_history(""), with_ledger, LEDGERS),
    "an anchor once its log's hash has ended": Row(
        UNDECIDED,
        anchored,
        with_ledger,
        LEDGERS | {"algorithms": [AlgorithmEnd(algorithm="sha256", until=f"{T0:%Y-%m-%dT%H:%M:%SZ}")]},
    ),
    "an anchor once its log's keys have ended": Row(
        UNDECIDED,
        anchored,
        with_ledger,
        LEDGERS | {"algorithms": [AlgorithmEnd(algorithm="ed25519", until=f"{T0:%Y-%m-%dT%H:%M:%SZ}")]},
    ),
    "a cosignature of a time that is still to come": Row(PASSED, lambda: seen(NOW + timedelta(days=400))),
    "an anchor cut off": Row(
        FAILED, lambda: anchored(lambda chain: (anchors.LEDGER, 6, anchors.anchor_of(chain)[2][:-1])), with_ledger
    ),
    # Files as they came.
    "three events": Row(PASSED, good),
    "a part of a split": Row(PASSED, lambda: evidence(split_letter(2))),
    "a part without an event": Row(PASSED, lambda: evidence(split_letter(0), PART)),
    "stamped together": Row(PASSED, lambda: evidence(letter_of_a_file())),
    "a court package": Row(PASSED, lambda: evidence(plain_letter(), court=court(plain_letter()))),
    "a hidden field": Row(PASSED, lambda: evidence(hiding())),
    "a disclosed field": Row(PASSED, lambda: evidence(hiding(), disclosed=["bidder"])),
    "another value disclosed": Row(FAILED, lambda: lying(hiding())),
    **{f"a veil, {number}": Row(expected, lambda one=one: one) for number, (one, expected) in enumerate(VEILED)},
    # The container and its entries.
    **{
        f"{name}: three events": Row(FAILED, lambda change=change: changed(good(), change))
        for name, change in HOSTILE.items()
    },
    **{f"{name}: packed": Row(FAILED, lambda change=change: change(good())) for name, change in PACKED.items()},
    "a byte behind the court's seal": Row(
        FAILED,
        lambda: changed(
            evidence(plain_letter(), court=court(plain_letter())), flipped("META-INF/ASiCManifest-court.xml", -9)
        ),
    ),
    "a changed court part": Row(
        FAILED,
        lambda: changed(evidence(plain_letter(), court=court(plain_letter())), flipped("court/steps.json", 9)),
    ),
    "a page for people that lies": Row(
        PASSED, lambda: changed(good(), lambda one: one.update({"META-INF/for-people.html": b"<h1>Paid</h1>"}))
    ),
    "nobody's letter": Row(FAILED, lambda: raw(sealed(FIRST, event(FIRST, "claim", letter=PART)))),
    "a first event without a time": Row(FAILED, lambda: raw(sealed(event(None, "issue", at="")))),
    "an event without a time": Row(FAILED, lambda: raw(sealed(FIRST, event(FIRST, "claim", at="")))),
    "an event at no time": Row(FAILED, lambda: raw(sealed(FIRST, event(FIRST, "claim", at="x")))),
    "an event that does not follow": Row(FAILED, lambda: raw(sealed(FIRST, event(FIRST, "claim", previous="00" * 32)))),
    "another letter's id": Row(FAILED, lambda: raw(plain_letter(), "00" * 16)),
    "the same letter's id": Row(PASSED, lambda: raw(plain_letter(), LETTER)),
    "a certificate changed within the seal": Row(FAILED, lambda: changed(good(), flipped(SEAL, 300))),
    "another tag in the seal": Row(FAILED, lambda: changed(good(), flipped(SEAL, 23))),
    "another tag around the algorithms of a seal": Row(FAILED, lambda: changed(good(), flipped(SEAL, 26))),
    "an evidence record cut off": Row(
        FAILED,
        lambda: changed(evidence(letter_of_a_file(1)), lambda one: one.update({RECORD: one[RECORD][:-1]})),
    ),
    # Kinds.
    "a kind's file": Row(PASSED, with_kind),
    "a kind's file that was changed": Row(FAILED, lambda: changed(with_kind(), flipped(KIND_ENTRY, 40))),
    "a kind's file of no event": Row(
        FAILED, lambda: changed(with_kind(), lambda one: one.update(named_by_itself(catalogue("loan").source)))
    ),
    "a kind's file instead of the event's": Row(
        FAILED, lambda: changed(good(), lambda one: one.update(named_by_itself(catalogue("loan").source)))
    ),
    "a kind's file that is none": Row(PASSED, lambda: of_kinds(b"no kind")),
    "a kind's file that is too large": Row(FAILED, lambda: of_kinds(b"#" * (KIND_BYTES + 1))),
    "a kind's file as large as any": Row(PASSED, lambda: of_kinds(b"#" * KIND_BYTES)),
    "as many kinds as may be": Row(PASSED, lambda: of_kinds(*(b"#%d" % number for number in range(MOST_KINDS)))),
    "more kinds": Row(FAILED, lambda: of_kinds(*(b"#%d" % number for number in range(MOST_KINDS + 1)))),
    "a kind's file under a court's seal": Row(PASSED, kind_in_court),
    "a kind's file that is missing in a court's file": Row(
        FAILED, lambda: changed(kind_in_court(), lambda one: one.pop(KIND_ENTRY))
    ),
    # Records and logs.
    "no record": Row(UNDECIDED, lambda: changed(good(), lambda one: one.pop("META-INF/opening-0001.json"))),
    "no log proof": Row(UNDECIDED, lambda: reopened(lambda one: msgspec.structs.replace(one, proof=None, index=None))),
    "records in each other's place": Row(FAILED, lambda: changed(good(), renamed)),
    "another salt": Row(FAILED, lambda: reopened(lambda one: msgspec.structs.replace(one, salt=bytes(32)))),
    "another place in the log": Row(FAILED, lambda: reopened(lambda one: msgspec.structs.replace(one, index=9))),
    "a record of another application": Row(UNDECIDED, lambda: recorded(application="another")),
    "a record of another time": Row(UNDECIDED, lambda: recorded(time=microseconds(T0 + DAY))),
    "a record of another kind": Row(UNDECIDED, lambda: recorded(kind="seal")),
    "a record of another content": Row(UNDECIDED, lambda: recorded(content_digest="00" * 32)),
    "a proof cut off": Row(
        FAILED, lambda: changed(good(), lambda one: one.update({"META-INF/proof-0001.tlog-proof": b""}))
    ),
    "a signature of the log": Row(FAILED, lambda: changed(good(), resigned(0))),
    "a log that nobody knows": Row(UNDECIDED, good, lambda world: replace(world, logs=())),
    "a log of another size": Row(
        FAILED,
        good,
        lambda world: replace(world, logs=tuple(msgspec.structs.replace(one, first_size=99) for one in world.logs)),
    ),
    "a log under another key": Row(
        FAILED, good, lambda world: replace(world, logs=(LogEntry(origin=LOG_ORIGIN, key=str(Log().verifier)),))
    ),
    "seen by witnesses": Row(PASSED, lambda: seen(T0 + timedelta(hours=1), T0 + timedelta(hours=2))),
    "a witness whose word fails": Row(PASSED, lambda: changed(seen(LATER, EARLY), resigned(2))),
    # Policies on witnesses: who counts, and whether they are enough.
    "cosigned by the quorum": Row(PASSED, lambda: seen(HOUR, 2 * HOUR), bundle=policy(2, (0, 1, 2))),
    "cosigned by all": Row(PASSED, lambda: seen(3 * HOUR, HOUR, 2 * HOUR), bundle=policy(3, (0, 1, 2))),
    "cosigned by too few": Row(UNDECIDED, lambda: seen(HOUR), bundle=policy(2, (0, 1, 2))),
    "cosigned by nobody": Row(UNDECIDED, seen, bundle=policy(1, (0,))),
    "cosigned by others": Row(UNDECIDED, lambda: seen(HOUR), bundle=policy(1, (1, 2))),
    "cosigned by the quorum, and another": Row(PASSED, lambda: seen(HOUR, 2 * HOUR), bundle=policy(1, (1,))),
    "cosigned by one who lies": Row(
        UNDECIDED, lambda: changed(seen(HOUR, 2 * HOUR), resigned(2)), bundle=policy(2, (0, 1, 2))
    ),
    "cosigned by one who lies, and enough others": Row(
        PASSED, lambda: changed(seen(HOUR, 2 * HOUR), resigned(2)), bundle=policy(1, (0, 1, 2))
    ),
    "cosigned by strangers": Row(UNDECIDED, lambda: seen(HOUR), bundle=policy(1, (1,), known=(1, 2))),
    "cosigned by a stranger, and enough others": Row(
        PASSED, lambda: seen(HOUR, 2 * HOUR), bundle=policy(1, (1,), known=(1, 2))
    ),
    "cosigned by a witness that was revoked": Row(
        UNDECIDED, lambda: seen(HOUR, 2 * HOUR), bundle=policy(2, (0, 1), revoked=(1,))
    ),
    "cosigned by a witness that was revoked later": Row(
        UNDECIDED, lambda: seen(HOUR), bundle=policy(1, (0, 1), revoked=(0,))
    ),
    "cosigned by a witness that was revoked, and enough others": Row(
        PASSED, lambda: seen(HOUR, 2 * HOUR), bundle=policy(1, (0, 1), revoked=(0,))
    ),
    "cosigned by a revoked witness, without policies": Row(
        PASSED, lambda: seen(HOUR), bundle=policy(1, (0,), revoked=(0,)) | {"cosigning": None}
    ),
    "of before there were witnesses": Row(PASSED, seen, bundle=policy(2, (0, 1, 2), before=[rule(0, (), 6)])),
    "of after there were witnesses": Row(UNDECIDED, seen, bundle=policy(2, (0, 1, 2), before=[rule(0, (), 5)])),
    "cosigned by the witnesses of before": Row(
        PASSED, lambda: seen(HOUR), bundle=policy(2, (1, 2), before=[rule(1, (0,), 9)])
    ),
    "cosigned by the witnesses of before, too late": Row(
        UNDECIDED, lambda: seen(HOUR), bundle=policy(2, (1, 2), before=[rule(1, (0,), 5)])
    ),
    "cosigned by those of two policies": Row(
        PASSED, lambda: seen(4 * HOUR, HOUR), bundle=policy(1, (0, 2), before=[rule(2, (0, 1), 9)])
    ),
    "a policy of another log": Row(PASSED, lambda: seen(HOUR), with_box_log, bundle=policy(2, (0, 1), BOX_ORIGIN)),
    "a policy that asks for nobody": Row(PASSED, lambda: seen(HOUR), bundle=policy(0, ())),
    "a policy of the box's log that is not fulfilled": Row(
        PASSED, under_the_box_log, with_box_log, bundle=policy(2, (0, 1), BOX_ORIGIN)
    ),
    "a policy of the box's log alone": Row(
        PASSED,
        lambda: under_the_box_log(seen_by=[4, 2]),
        with_box_log,
        bundle=policy(2, (0, 1), BOX_ORIGIN, of_box=True),
    ),
    "a witness's second key": Row(PASSED, lambda: seen(3 * HOUR, HOUR), bundle=policy(1, (0,), renamed=(1, 0))),
    "a witness's two keys count once": Row(
        UNDECIDED, lambda: seen(3 * HOUR, HOUR), bundle=policy(2, (0, 2), renamed=(1, 0))
    ),
    "seen before it was": Row(UNDECIDED, lambda: seen(EARLY), with_box_log),
    # The box's own log.
    "under the box's log": Row(PASSED, under_the_box_log, with_box_log),
    "under a box's log that nobody knows": Row(PASSED, under_the_box_log),
    "a box proof of another tenant's head": Row(FAILED, lambda: under_the_box_log(root="00" * 32), with_box_log),
    "a box proof of another size": Row(FAILED, lambda: under_the_box_log(size=5), with_box_log),
    "a box proof at another place": Row(FAILED, lambda: under_the_box_log(another_opening(position=99)), with_box_log),
    "a box proof with another salt": Row(
        FAILED, lambda: under_the_box_log(another_opening(salt="00" * 32)), with_box_log
    ),
    "a box proof with another leaf": Row(
        FAILED,
        lambda: under_the_box_log(
            another_opening(leaf={"format": "cinnabar-box-leaf/1", "root": "00" * 32, "time": 1})
        ),
        with_box_log,
    ),
    "a box proof with a member more": Row(FAILED, lambda: under_the_box_log(another_opening(more=1)), with_box_log),
    "a box proof of a narrow tree": Row(FAILED, lambda: under_the_box_log(another_opening(width=8)), with_box_log),
    "a box proof that nobody knows and does not lead": Row(
        FAILED, lambda: under_the_box_log(another_opening(salt="00" * 32))
    ),
    "a box proof under another log's head": Row(
        FAILED, lambda: under_the_box_log(lambda proof: proof["leaf"].update(tlog_proof="x")), with_box_log
    ),
    "a box proof of another leaf's entry": Row(
        FAILED,
        lambda: under_the_box_log(lambda proof: proof["leaf"].update(tlog_proof=box_log().proof(bytes(32)).decode())),
        with_box_log,
    ),
    "a box proof with another path": Row(
        FAILED, lambda: under_the_box_log(lambda proof: proof.update(hashes=[])), with_box_log
    ),
    "a box proof without its leaf": Row(
        FAILED, lambda: under_the_box_log(lambda proof: proof.pop("leaf")), with_box_log
    ),
    # Times, authorities, revocation.
    "no time-stamp": Row(UNDECIDED, lambda: late(stamped_by=None)),
    "a time-stamp of another signature": Row(UNDECIDED, lambda: late(stamp_over=b"another")),
    "a time-stamp before the event": Row(UNDECIDED, lambda: late(stamped_at=T0 - timedelta(hours=1))),
    "a time-stamp over SM3": Row(PASSED, lambda: late(stamp_hash="sm3")),
    "a time-stamp over SM3, which has ended": Row(UNDECIDED, lambda: late(stamp_hash="sm3"), bundle=ending("sm3")),
    "a time-stamp over SHA-256, once SM3 has ended": Row(PASSED, late, bundle=ending("sm3")),
    "a time-stamp over SM3 of another signature": Row(UNDECIDED, lambda: late(stamp_over=b"another", stamp_hash="sm3")),
    "a time-stamp to come": Row(UNDECIDED, lambda: late(stamped_at=NOW + DAY)),
    "a time-stamp within its key's time": Row(PASSED, lambda: late(stamped_by=unit(T0 + DAY))),
    "a time-stamp after its key's time": Row(UNDECIDED, lambda: late(stamped_by=unit(EARLY))),
    "a seal by a stranger": Row(UNDECIDED, good, lambda world: replace(world, seal_ca=certify("Another CA", ca=True))),
    "no lists": Row(UNDECIDED, good, bundle={"revocation_lists": {}}),
    "a bundle that has ended": Row(UNDECIDED, good, bundle={"expires": T0}),
    "a seal revoked before": Row(UNDECIDED, good, revoking("seal_ca", "sealer", EARLY, None)),
    "a seal's key stolen later": Row(PASSED, good, revoking("seal_ca", "sealer", LATER, Flags.key_compromise)),
    "a seal's key revoked later, without a reason": Row(PASSED, good, revoking("seal_ca", "sealer", LATER, None)),
    "a seal on hold": Row(UNDECIDED, good, revoking("seal_ca", "sealer", LATER, Flags.certificate_hold)),
    "a unit revoked before": Row(UNDECIDED, good, revoking("tsa_ca", "tsa", EARLY, Flags.superseded)),
    "a unit's key stolen later": Row(UNDECIDED, good, revoking("tsa_ca", "tsa", LATER, Flags.key_compromise)),
    "a unit revoked later, without a reason": Row(UNDECIDED, good, revoking("tsa_ca", "tsa", LATER, None)),
    "a unit superseded later": Row(PASSED, good, revoking("tsa_ca", "tsa", LATER, Flags.superseded)),
    "a unit of a file revoked before": Row(
        FAILED, lambda: evidence(letter_of_a_file()), revoking("tsa_ca", "tsa", EARLY, Flags.superseded)
    ),
    "seals' authority compromised before": Row(UNDECIDED, good, bundle=compromised(1, EARLY)),
    "seals' authority compromised later": Row(PASSED, good, bundle=compromised(1, LATER)),
    "units' authority compromised later": Row(UNDECIDED, good, bundle=compromised(0, LATER)),
    "helpers in an algorithm that nobody has": Row(
        PASSED,
        lambda: answered(
            [unknown(one) for one in answers()],
            lists=[unknown(crl(surroundings()[0].seal_ca))],
            certificates=[unknown(certify("An authority", surroundings()[0].seal_ca, ca=True).der)],
        ),
    ),
    # OCSP answers.
    "answers instead of lists": Row(PASSED, lambda: answered(answers()), bundle=NO_LISTS),
    "answers that name certificates by SHA-1": Row(
        PASSED,
        lambda: answered(answers(named_by=hashes.SHA1())),  # noqa: S303
        bundle=NO_LISTS,
    ),
    "answers by the authorities themselves": Row(PASSED, lambda: answered(answers(by_authority)), bundle=NO_LISTS),
    "answers of later": Row(PASSED, lambda: answered(answers(issued=LATER, until=None)), bundle=NO_LISTS),
    "answers that are over": Row(UNDECIDED, lambda: answered(answers(until=EARLY)), bundle=NO_LISTS),
    "answers to come": Row(UNDECIDED, lambda: answered(answers(issued=NOW + DAY)), bundle=NO_LISTS),
    "an answer about one of two": Row(UNDECIDED, lambda: answered(answers()[:1]), bundle=NO_LISTS),
    "answers by who may do more": Row(
        UNDECIDED, lambda: answered(answers(otherwise(eku=[RESPONDING, CLIENT_AUTH]))), bundle=NO_LISTS
    ),
    "answers by who may not answer": Row(UNDECIDED, lambda: answered(answers(otherwise(eku=None))), bundle=NO_LISTS),
    "answers by whom one has to ask about": Row(
        UNDECIDED, lambda: answered(answers(otherwise(extra=()))), bundle=NO_LISTS
    ),
    "answers by who was not in force": Row(
        UNDECIDED, lambda: answered(answers(otherwise(not_after=T0 - 2 * DAY))), bundle=NO_LISTS
    ),
    "answers by a stranger": Row(
        UNDECIDED, lambda: answered(answers(lambda _: responder(certify("Another CA", ca=True)))), bundle=NO_LISTS
    ),
    "answers by a revoked responder": Row(UNDECIDED, lambda: answered(answers()), revoking_responder),
    "answers whose signature fails": Row(
        UNDECIDED, lambda: answered([one[:-1] + bytes([one[-1] ^ 1]) for one in answers()]), bundle=NO_LISTS
    ),
    "answers that are none": Row(PASSED, lambda: answered([b"", b"0", b"\x30\x03\x0a\x01\x06", answers()[0][:-9]])),
    "answers that revoke before": Row(UNDECIDED, lambda: answered(answers(revoked=(EARLY, Flags.superseded)))),
    "answers that revoke later": Row(PASSED, lambda: answered(answers(revoked=(LATER, Flags.superseded)))),
    "answers that know nothing of a list's revocation": Row(
        UNDECIDED, lambda: answered(answers(issued=LATER)), revoking("seal_ca", "sealer", EARLY, None)
    ),
    "answers after a hold": Row(
        PASSED, lambda: answered(answers(issued=LATER)), revoking("seal_ca", "sealer", EARLY, Flags.certificate_hold)
    ),
    "answers that a court's seal covers": Row(PASSED, with_court, bundle=NO_LISTS),
    "answers that are missing in a court's file": Row(FAILED, lambda: with_court(without_answers)),
    # One spelling of DER, and nothing behind what is read.
    **{
        f"{what} in {where}": Row(FAILED, altered(SEAL, path, change))
        for where, path in {
            "what the file is": (0, 0),
            "a signer's digest": (0, 1, 0, -1, 0, 2, 0),
            "an unsigned attribute's type": (0, 1, 0, -1, 0, 6, 0, 0),
        }.items()
        for what, change in {
            "a padded identifier": with_content(b"\x80X"),
            "an unfinished identifier": with_content(b"X\x81"),
        }.items()
    },
    "a seal's version in two bytes": Row(FAILED, altered(SEAL, (0, 1, 0, 0), der_trees.padded)),
    "a signer's version in two bytes": Row(FAILED, altered(SEAL, (0, 1, 0, -1, 0, 0), der_trees.padded)),
    "a token's version in two bytes": Row(
        UNDECIDED, altered(SEAL, (0, 1, 0, -1, 0, 6, 0, 1, 0, 1, 0, 0), der_trees.padded)
    ),
    "something behind a content": Row(FAILED, altered(SEAL, (0, 1), der_trees.behind)),
    "something behind an unsigned attribute": Row(FAILED, altered(SEAL, (0, 1, 0, -1, 0, 6, 0, 1), der_trees.behind)),
    "a signature's number with a zero more": Row(FAILED, altered(SEAL, (0, 1, 0, -1, 0, 5, 0, 0), der_trees.padded)),
    "an unsigned attribute twice": Row(PASSED, altered(SEAL, (0, 1, 0, -1, 0, 6, 0), foreign_attribute)),
    "a time-stamp twice": Row(UNDECIDED, altered(SEAL, (0, 1, 0, -1, 0, 6, 0), der_trees.twice)),
    "two time-stamps in one attribute": Row(UNDECIDED, altered(SEAL, (0, 1, 0, -1, 0, 6, 0, 1, 0), der_trees.twice)),
    "an evidence record's version in two bytes": Row(
        FAILED, altered(RECORD, (0, 0), der_trees.padded, lambda: evidence(letter_of_a_file(1)))
    ),
    "an evidence record that lists a digest more": Row(
        PASSED, altered(RECORD, (0, 1, 0), der_trees.twice, lambda: evidence(letter_of_a_file(1)))
    ),
    "an evidence record's token of another version": Row(
        FAILED, altered(RECORD, (0, 2, 0, 0, -1, 1, 0, 0), with_content(b"\x02"), lambda: evidence(letter_of_a_file(1)))
    ),
    **{
        f"an answer with {what}": Row(
            UNDECIDED, altered("META-INF/answer-", path, change, lambda: answered(answers())), bundle=NO_LISTS
        )
        for what, path, change in (
            ("its status in two bytes", (0, 0), der_trees.padded),
            ("something behind its kind and content", (0, 1, 0, 1), der_trees.behind),
            ("something behind that", (0, 1, 0), der_trees.behind),
            ("something behind its certificates", (0, 1, 0, 1, 0, 3, 0), der_trees.behind),
            ("something behind all", (0, 1, 0, 1, 0, 3), der_trees.behind),
        )
    },
    "lists in the file": Row(PASSED, with_lists, bundle=NO_LISTS),
    "lists with another algorithm outside": Row(
        UNDECIDED, altered("META-INF/list-", (0, 1, 0), der_trees.behind, with_lists), bundle=NO_LISTS
    ),
    "lists whose signature has unused bits": Row(
        UNDECIDED,
        altered("META-INF/list-", (0, 2), lambda nodes, place: setattr(nodes[place], "before", b"\1"), with_lists),
        bundle=NO_LISTS,
    ),
    # One spelling of everything else.
    "a record in a list": Row(FAILED, lambda: changed(good(), spelt(lambda one: one.update(content=[one["content"]])))),
    "a box proof in capitals": Row(
        FAILED,
        lambda: under_the_box_log(lambda proof: proof.update(hashes=[one.upper() for one in proof["hashes"]])),
        with_box_log,
    ),
    "a byte order mark in a witness's name": Row(FAILED, witness_named("\ufeff")),
    "a control character in a witness's name": Row(FAILED, witness_named("\x85")),
    "another character in a witness's name": Row(PASSED, witness_named("é")),
    # Approvals.
    **{
        f"a passkey, {algorithm}": Row(PASSED, lambda algorithm=algorithm: passkey(algorithm), approvals=(UNDECIDED,))
        for algorithm in ("es256", "es384", "es512", "eddsa", "rs256")
    },
    "a passkey with extensions": Row(
        PASSED, lambda: passkey(flags=0x85, after=b"\xa1\x61a\xf5"), approvals=(UNDECIDED,)
    ),
    "a passkey over another event": Row(FAILED, lambda: passkey(signed_challenge=bytes(32))),
    "a passkey at another site": Row(FAILED, lambda: passkey(origin="https://elsewhere.example")),
    "a passkey in another's page": Row(FAILED, lambda: passkey(more={"crossOrigin": True})),
    "a passkey under another page": Row(FAILED, lambda: passkey(more={"topOrigin": ORIGIN})),
    "a passkey of another party": Row(FAILED, lambda: passkey(rp_id="elsewhere.example")),
    "a passkey that registers": Row(FAILED, lambda: passkey(kind="webauthn.create")),
    "a passkey whose user was not verified": Row(FAILED, lambda: passkey(flags=0x01)),
    "a passkey whose user was away": Row(FAILED, lambda: passkey(flags=0x04)),
    "a passkey that can be copied now": Row(FAILED, lambda: passkey(flags=0x0D)),
    "a passkey that was copied and cannot be": Row(FAILED, lambda: passkey(flags=0x15)),
    "a passkey with bytes behind": Row(FAILED, lambda: passkey(after=b"\0")),
    "a passkey with broken extensions": Row(FAILED, lambda: passkey(flags=0x85, after=b"\xa1\x61a")),
    "a passkey with bytes behind its extensions": Row(FAILED, lambda: passkey(flags=0x85, after=b"\xa0\0")),
    "a passkey that brings another": Row(FAILED, lambda: passkey(flags=0x45)),
    "a passkey that says something twice": Row(
        FAILED, lambda: passkey(client_data=b'{"type":"webauthn.get","type":"webauthn.get"}')
    ),
    "a passkey of nobody": Row(FAILED, lambda: approved(by_passkey(CHEN, TEXT), credentials=[])),
    "another's passkey": Row(
        FAILED,
        lambda: approved(
            by_passkey(CHEN, TEXT),
            credentials=[SoftwareOfficer("chen").credential(id=CHEN.credential().id)],
        ),
    ),
    "keys of another tenant": Row(
        FAILED,
        lambda: approved(by_passkey(CHEN, TEXT), credentials=[CHEN.credential()], tenant="another"),
    ),
    "keys of nobody": Row(
        FAILED, lambda: approved(by_passkey(CHEN, TEXT), credentials=[CHEN.credential()], persons=[])
    ),
    "keys that are none": Row(FAILED, lambda: approved(by_passkey(CHEN, TEXT), credentials=[], beside=b"{}")),
    "keys with a member twice": Row(
        FAILED, lambda: approved(by_passkey(CHEN, TEXT), credentials=[], beside=b'{"a":1,"a":1}')
    ),
    "a card's approval of another step": Row(FAILED, lambda: approved(by_card(CARD, MOVED))),
    "a passkey without its key": Row(PASSED, lambda: assertion_alone(TEXT), approvals=(UNDECIDED,)),
    "a passkey over another event, without its key": Row(FAILED, lambda: assertion_alone(b"another")),
    "a card that the bundle leads to": Row(
        PASSED,
        lambda: approved(by_card(CARD, TEXT), credentials=[card_credential(CARD)]),
        approvals=(PASSED,),
    ),
    "a card of a stranger": Row(
        PASSED,
        lambda: approved(by_card(STRANGER, TEXT), credentials=[card_credential(STRANGER)]),
        approvals=(UNDECIDED,),
    ),
    "a card over another event": Row(
        FAILED, lambda: approved(by_card(CARD, b"x"), credentials=[card_credential(CARD)])
    ),
    "a card that brings another": Row(
        FAILED,
        lambda: approved(
            by_card(CARD, TEXT, certificates=[CARD.der, STRANGER.der]),
            credentials=[card_credential(CARD)],
        ),
    ),
    "another's card": Row(FAILED, lambda: approved(by_card(CARD, TEXT), credentials=[card_credential(STRANGER)])),
    "the second card of two": Row(
        PASSED,
        lambda: approved(by_card(CARD, TEXT), credentials=[card_credential(STRANGER), card_credential(CARD)]),
        approvals=(PASSED,),
    ),
    "a card and a passkey": Row(
        PASSED,
        lambda: approved(
            by_card(CARD, TEXT),
            by_passkey(CHEN, TEXT),
            credentials=[card_credential(CARD), CHEN.credential()],
        ),
        approvals=(PASSED, UNDECIDED),
    ),
    "a card without its key beside": Row(PASSED, lambda: approved(by_card(CARD, TEXT)), approvals=(PASSED,)),
    "a stranger's card without its key beside": Row(
        PASSED, lambda: approved(by_card(STRANGER, TEXT)), approvals=(UNDECIDED,)
    ),
    "a card over another event, without its key": Row(FAILED, lambda: approved(by_card(CARD, b"x"))),
    "a signature that is none": Row(
        FAILED, lambda: approved(Approval(approver="chen", form="cms", signature="MAA=", policy="issue", step=0))
    ),
}

JUDGE: Final = """async ([trust, file, now]) => {
  const bytes = (said) => Uint8Array.from(atob(said), (one) => one.charCodeAt(0));
  const files = new Map(Object.entries(trust).map(([name, said]) => [name, bytes(said)]));
  const { indication, parts, letter } = await verifyEvidence(bytes(file), await readTrust(files), now);
  const checks = parts.flatMap((one) => one.findings.checks);
  const words = { passed: "TOTAL-PASSED", note: "INDETERMINATE", failed: "TOTAL-FAILED" };
  const witnesses = checks.filter((one) => one.name === "witnesses");
  return {
    indication,
    witnesses: witnesses.map((one) => [one.outcome, one.outcome === "passed" ? "" : one.said.en]),
    existed: letter?.events.at(-1).outside?.until ?? null,
    ledgers: (letter?.ledgers ?? []).map(({ ledger, strength, by, place, time, until, reason }) => [
      ledger, strength, by ?? "", place?.en ?? "", ...[time, until].map((one) => (one === null ? "" : spoken(one))),
      reason?.en.split(":")[0] ?? "",
    ]),
    approvals: checks.filter((one) => one.name === "approval").map((one) => words[one.outcome]),
    pages: ["page for people", "page"].map((name) => checks.filter((one) => one.name === name)).map((found) =>
      found.map((one) => one.outcome)),
    told: checks.filter((one) => one.outcome === "failed" || one.outcome === "undecided").map((one) => one.said.en),
  };
}"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    path: Path = tmp_path_factory.mktemp("agreement") / "verifier.html"
    path.write_bytes(verifier_page())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        opened = browser.new_context(offline=True).new_page()
        opened.set_default_timeout(TIMEOUT_MS)
        opened.goto(path.as_uri())
        yield opened
        browser.close()


def _told(one: LedgerFact) -> list[str]:
    reason = one.reason.split(":")[0]
    return [one.ledger, one.strength, one.by, one.place, one.time, one.existed_no_later_than, reason]


@pytest.mark.parametrize(("name", "one"), ledgers.table().items(), ids=ledgers.table())
def test_the_table_says_what_judges_say(name: str, one: OnLedger) -> None:
    row = TABLE[f"on {name}"]
    report = check(row.content(), trust=read_bundle(row.world(surroundings()[0]).bundle_files(**row.bundle), None))
    letter = report.files[0].letter
    assert isinstance(letter, LetterFacts)
    (found,) = letter.ledgers
    assert (found.reason.split(":")[0] or found.strength) == one.verdict
    existed = report.files[0].existed_no_later_than
    assert (existed is not None and one.type in existed.by) == (one.verdict == "proven")


@pytest.mark.parametrize("name", TABLE)
def test_both_say_the_same(page: Page, name: str) -> None:
    agree(page, TABLE[name])


def agree(page: Page, row: Row) -> None:
    """Both say the same of the file, and what the row says."""
    content = row.content()
    files = row.world(surroundings()[0]).bundle_files(**row.bundle)
    report = check(content, trust=read_bundle(files, None))
    reasons = [one.text for part in report.files[0].parts for one in part.checks if one.sub_indication]
    encoded = {name: base64.b64encode(one).decode() for name, one in files.items()}
    said = page.evaluate(JUDGE, [encoded, base64.b64encode(content).decode(), microseconds(NOW) // 1000])
    assert (report.indication.value, said["indication"]) == (row.expected.value, row.expected.value), (reasons, said)
    checks = [one for part in report.files[0].parts for one in part.checks]
    pages = [[one.outcome for one in checks if one.name == name] for name in ("page for people", "page")]
    assert pages == said["pages"]
    cosigned = [[one.outcome, "" if one.outcome == "passed" else one.text] for one in checks if one.name == "witnesses"]
    if row.expected is not FAILED:
        assert cosigned == said["witnesses"]
    existed, letter = report.files[0].existed_no_later_than, report.files[0].letter
    if isinstance(letter, LetterFacts):
        assert [_told(one) for one in letter.ledgers] == said["ledgers"]
    if row.expected is PASSED:
        entries = read_container(content)
        assert pages[0] == ["note"] * ("META-INF/for-people.html" in entries)
        assert pages[1] == ["note"] * sum(name.endswith("/letter.pdf") for name in entries)
        assert said["existed"] == (None if existed is None else existed.time_us // 1000)
    if row.approvals:
        assert isinstance(letter, LetterFacts)
        found = [one.indication for one in letter.events[0].approvals]
        assert (found, said["approvals"]) == (list(row.approvals), [one.value for one in row.approvals]), said


# --- anchors damaged at random, and hostile ones ----------------------------------------------------------------------

DAMAGED_ANCHORS: Final = {
    "a stamp": OnLedger(lambda _: b"", anchors.rules(), "proven"),
    **{name: ledgers.table()[name] for name in ("evm: honest, qbft", "bitcoin: honest, scrypt", "fabric: honest")},
}
CHAIN: Final = plain_letter(1)


@functools.cache
def damageable(name: str) -> tuple[bytes, str, dict[str, bytes]]:
    """A letter of one event, its anchor's entry, and a bundle that knows the ledger."""
    one = DAMAGED_ANCHORS[name]
    stamp = name == "a stamp"
    ledger, size, encoded = anchors.anchor_of(CHAIN, **({} if stamp else {"of": one.receipt, "ledger": one.type}))
    entries = [anchors.entry(anchors.profile() if stamp else one.profile())]
    files = with_ledger(surroundings()[0]).bundle_files(ledgers=entries, time=TimeRules(accepted=["ledger"]))
    return evidence(CHAIN, anchors=[(ledger, size, encoded)]), f"META-INF/anchor-{ledger}-{size}.json", files


@pytest.mark.parametrize("name", DAMAGED_ANCHORS)
def test_both_say_the_same_of_an_anchor_damaged_at_random(page: Page, name: str) -> None:
    content, entry, files = damageable(name)
    encoded = {one: base64.b64encode(held).decode() for one, held in files.items()}
    trust = read_bundle(files, None)
    honest = read_container(content)[entry]

    @settings(max_examples=60)
    @given(st.integers(0, len(honest) - 1), st.integers(0, 255), st.sampled_from(["change", "drop", "add", "cut"]))
    @example(0, honest[0], "change")
    def compare(at: int, byte: int, how: str) -> None:
        kept = {"change": honest[at + 1 :], "drop": honest[at + 1 :], "add": honest[at:], "cut": b""}[how]
        damaged = honest[:at] + (bytes([byte]) if how in ("change", "add") else b"") + kept
        made = changed(content, lambda one: one.update({entry: damaged}))
        file = check(made, trust=trust).files[0]
        said = page.evaluate(JUDGE, [encoded, base64.b64encode(made).decode(), microseconds(NOW) // 1000])
        assert isinstance(file.letter, LetterFacts)
        told = [_told(one) for one in file.letter.ledgers]
        if [one[1] for one in said["ledgers"]] != ["undecided"]:  # what this browser cannot check, and says so
            assert (file.indication.value, told) == (said["indication"], said["ledgers"])
        else:
            assert file.indication is UNDECIDED
            assert said["indication"] == UNDECIDED

    compare()


DECODE: Final = """async ([trust, file]) => {
  const bytes = (said) => Uint8Array.from(atob(said), (one) => one.charCodeAt(0));
  const files = Object.entries(trust).map(([name, said]) => [name, bytes(said)]);
  window.given = { file: bytes(file), trust: new Map(files) };
}"""
TICKING: Final = """async (now) => {
  const ticks = { count: 0, longest: 0, last: performance.now() };
  const tick = () => {
    ticks.count += 1;
    ticks.longest = Math.max(ticks.longest, performance.now() - ticks.last);
    ticks.last = performance.now();
  };
  const timer = setInterval(tick, 5);
  const { indication, letter } = await verifyEvidence(window.given.file, await readTrust(window.given.trust), now);
  tick();
  clearInterval(timer);
  const reasons = letter.ledgers.map((one) => one.reason?.en.split(":")[0] ?? one.strength);
  return { indication, reasons, ...ticks };
}"""
LONGEST_PAUSE_MS: Final = 10_000
"""Under the load of other tests, which takes turns away from the browser; alone it is a tenth of a second."""


def test_hostile_receipts_do_not_hold_up_the_page(page: Page) -> None:
    """As many headers and as much data as a receipt may have, on several ledgers at once."""
    made: dict[str, tuple[Any, Any]] = {
        "headers": (lambda _: evm_cost.many_headers(), evm_chains.rules(evm_cost.CLIQUE)),
        "large": (lambda _: evm_cost.large_headers(), evm_chains.rules(evm_cost.CLIQUE)),
        "nodes": (lambda _: evm_cost.large_nodes(), evm_chains.rules(evm_cost.CLIQUE)),
        "logs": (lambda _: evm_cost.a_large_receipt(), evm_chains.rules(evm_cost.CLIQUE)),
    }
    entries, held = [], []
    for name, (proof, under) in made.items():
        one = OnLedger(lambda commitment, proof=proof: canonical.encode(proof(commitment)), under, "", {"name": name})  # type: ignore[misc]
        entries.append(anchors.entry(one.profile()))
        held.append(anchors.anchor_of(CHAIN, of=functools.partial(one.receipt, ledger=name), ledger=name))
    content = evidence(CHAIN, anchors=held)
    files = with_ledger(surroundings()[0]).bundle_files(ledgers=entries)
    report = check(content, trust=read_bundle(files, None)).files[0]
    assert isinstance(report.letter, LetterFacts)
    encoded = {one: base64.b64encode(each).decode() for one, each in files.items()}
    page.evaluate(DECODE, [encoded, base64.b64encode(content).decode()])
    said = page.evaluate(TICKING, microseconds(NOW) // 1000)
    assert said["count"] > 2, "the page had no turn meanwhile"
    assert said["indication"] == report.indication.value
    assert said["reasons"] == [one.reason.split(":")[0] or one.strength for one in report.letter.ledgers]
    assert said["longest"] < LONGEST_PAUSE_MS
