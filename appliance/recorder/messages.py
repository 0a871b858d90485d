"""The messages between the recorder, the single writer, and the processes that submit to it.

A frame is four bytes of big-endian length and that many bytes of msgpack. A worker sends `Batch` frames and gets
`Answers` frames back; commands of one batch are applied in order, each accepted or refused singly, in one transaction
with whatever else has arrived, and answered after the transaction is on disk (control RECORD).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from appliance.instants import rfc3339

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Not negative, and fits a database's integer."""
Instant = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999_999)]
"""Microseconds since the epoch, to the end of the year 9999: a leaf stays for ever, and so must be one that every
reader can show."""

FEDERATION_TALLY = "@federation/"
"""Before NAME/asked and NAME/refused: how often a tenant used something in a federation's register, and how often it
was told that it cannot."""
BOX_LOG = "@box"
"""Name of the box's own log where a tenant's name stands otherwise; no tenant can be called so."""
LOG_KEY = "log."
"""Before a log key's id (C2SP signed-note, hexadecimal) in its name among the box's own keys in the register."""


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """One record to append: what the signature leaves behind."""

    record_id: bytes
    """22 bytes, see appliance.record.new_record_id."""
    kind: str
    key: str
    time: Instant
    """As in the record."""
    commitment: bytes
    """32 bytes: the log entry."""
    body: bytes
    """The encrypted record, salt and artifact; opaque to the recorder."""


class Idempotency(msgspec.Struct, array_like=True, frozen=True):
    """An Idempotency-Key (UUIDv7, 16 bytes) and the SHA-256 of method, path and body of the request that carries it."""

    key: bytes
    request_digest: bytes


class LetterStep(msgspec.Struct, array_like=True, frozen=True, tag="step"):
    """A letter's head moves on by one event: a compare-and-swap (control ONCE). An event may move several letters."""

    letter: bytes
    """16 bytes: the letter's id, one of the tenant's."""
    before: bytes
    """SHA-256 of the event before, 32 bytes; empty: the letter is new."""
    after: bytes
    """SHA-256 of this event, 32 bytes."""
    number: Count
    """How many events the letter then has."""
    entry: Count
    """Which of the command's entries is the event's record."""
    kind: str
    state: str
    """Of the letter after the event, in clear: lists of letters are made by them."""
    view: bytes
    """The letter's folded state (appliance.letters.state), encrypted by the tenant; opaque to the recorder."""
    due: Count = 0
    """Microseconds since the epoch from which an event may happen that waits for a time; 0: none."""
    automatic: Count = 0
    """From which the box itself has one to make."""


class ValueMove(msgspec.Struct, array_like=True, frozen=True, tag="value"):
    """Value goes from one letter of the tenant to another; nothing is left below zero, so sums are conserved (ONCE)."""

    source: bytes
    """16 bytes; empty: value comes into being."""
    target: bytes
    """16 bytes; empty: value ends."""
    amount: Count
    """Ten-thousandths of a currency unit."""


class Claim(msgspec.Struct, array_like=True, frozen=True, tag="claim"):
    """A letter uses something that may be used once, or up to its capacity, by all letters of a scope (ONCE)."""

    scope: str
    """A federation's name after "@", or empty: the tenant's own."""
    key: bytes
    """32 bytes: the keyed hash of what is used (appliance.letters.uniqueness)."""
    letter: bytes
    """16 bytes: who uses it."""
    amount: int
    """How much; negative: given back, at most what this letter used."""
    capacity: Count
    """How much there is: 1 for what may be used once. The first claim fixes it; another capacity is refused."""
    again: bool = False
    """Nothing happens where the letter uses some of it already: it may come with several of its events."""


class Tally(msgspec.Struct, array_like=True, frozen=True, tag="tally"):
    """A named count of the tenant's letters, for quotas, concentrations and fees."""

    name: str
    """Of a counter that has limits: COUNTER/WINDOW/WHOM (appliance.letter_limits.windows); WHOM is a keyed hash."""
    amount: int
    """What is added; negative: taken away, never below zero."""
    most: Count | None
    """Refused above it; None: the tenant's limits alone say."""
    counter: str = ""
    """KIND/QUOTA/CURRENCY, by which the tenant's limits name it; empty: it has none."""
    label: bytes = b""
    """Whom it counts, encrypted by the tenant; opaque to the recorder, kept with the first count."""
    approved: list[str] = []
    """Approval policies of limits whose approvals the event holds, complete."""


QUESTIONS_OF_A_DAY = 10_000
"""Of one application: a register is not for reading through."""


def question_tally(application: str, at: int) -> Tally:
    """Counts a question to a register, asked at a time (microseconds), among the application's of that day (UTC)."""
    return Tally(f"@questions/{application}/{rfc3339(at)[:10]}", 1, QUESTIONS_OF_A_DAY)


class Meter(msgspec.Struct, array_like=True, frozen=True, tag="meter"):
    """An event is metered: counted by day, and its fee reckoned by the tariff in force at its time."""

    kind: str
    event: str
    day: str
    """2026-11-22, on the clocks of the kind's zone."""
    at: Instant
    """The event's time."""
    currency: str
    """Of the value that it moves; empty: none."""
    amount: Count
    whom: str = ""
    """For whom it is metered, as a keyed hash in hexadecimal; empty: the kind does not say."""
    label: bytes = b""
    """As of a tally."""


class Billed(msgspec.Struct, array_like=True, frozen=True, tag="billed"):
    """A line of a bill over what was metered in a month: never more than was metered, never twice."""

    month: str
    kind: str
    event: str
    application: str
    whom: str
    currency: str
    tariff: Count
    """Version."""
    before: Count
    """How many of these events were billed before: a compare-and-swap."""
    count: Count
    amount: Count
    fee: Count


class MessageTaken(msgspec.Struct, array_like=True, frozen=True, tag="message"):
    """A partner's message is taken, once in all (appliance.recorder.partner_messages); the entry holds its answer."""

    partner: str
    nonce: bytes
    """32 bytes: SHA-256 of the nonce, which is the partner's own."""
    digest: bytes
    """32 bytes: SHA-256 of the whole message."""
    expires: Instant
    """Until when the nonce is remembered: later than the message could be taken."""
    entry: Count
    """Which of the command's entries is the record of the message and its answer."""


class LetterStands(msgspec.Struct, array_like=True, frozen=True, tag="stands"):
    """Another letter of the tenant, on which the event depends, still has this head; else refused as HeadMoved."""

    letter: bytes
    """16 bytes; none that the command steps."""
    head: bytes
    """SHA-256 of its newest event, 32 bytes."""


class Find(msgspec.Struct, array_like=True, frozen=True, tag="find"):
    """A letter can be found under a key from now on: by a pair of its fields, by a file that was made of it."""

    key: bytes
    """32 bytes: a keyed hash (appliance.letters.finding)."""
    letter: bytes
    """16 bytes: a letter that the command steps."""


Effect = LetterStep | ValueMove | Claim | Tally | LetterStands | Meter | Billed | Find | MessageTaken


class Append(msgspec.Struct, array_like=True, frozen=True, tag="append"):
    """Append entries to a tenant's records, all or none. One entry per C_Sign call."""

    ticket: int
    tenant: str
    application: str
    certificate: bytes
    """SHA-256 of the caller's whole certificate; checked against the register inside the transaction."""
    entries: list[Entry]
    idempotency: Idempotency | None = None
    mark: tuple[str, Instant] | None = None
    """(unit, genTime in microseconds): raises the unit's durable high-water mark."""
    effects: list[Effect] = []
    """What the entries do to letters: decided in the same transaction, all or none of them, with the entries."""


class Housekeeping(msgspec.Struct, array_like=True, frozen=True, tag="housekeeping"):
    """A signature made for the box itself: checkpoint, crl, self-test. A durable row before it is released.

    One row a C_Sign: a checkpoint under two log keys is two rows, each a note with that key's line; "receipt" is the
    COSE signature over an already recorded checkpoint's root; "chain-transaction" one signature in a transaction for a
    ledger, whose body is its place in it (a byte) and the raw transaction. "box-leaf" is none: the
    next leaf of the box's own log (subject: its origin), read with the box's other leaves (administrative records)
    as those of tenant BOX_LOG. Its log entry is `body` where that is as long as a hash, else the hash of `body`, by the
    log's hash; its index in that log is answered.
    """

    ticket: int
    kind: Literal["checkpoint", "receipt", "box-leaf", "chain-transaction", "crl", "self-test", "certificate", "ocsp"]
    key: str
    time: Instant
    subject: str
    """What it is about: a log's origin, a CA's name, a key's name, a ledger's name.

    A checkpoint is a compare-and-swap on its origin: a smaller size than recorded, another root for the recorded size,
    an older time, or more leaves than the log has, is refused (control FORK)."""
    body: bytes
    """The signed thing itself (a signed note, a CRL), or empty for a self-test."""


class Reading(msgspec.Struct, array_like=True, frozen=True, tag="reading"):
    """Somebody is about to be shown content of a log's records: see appliance.recorder.readings. No signature."""

    ticket: int
    log: str
    entry: Entry


class Query(msgspec.Struct, array_like=True, frozen=True, tag="query"):
    """A read, answered outside the transaction. `name` and `arguments` are listed in appliance.recorder.queries."""

    ticket: int
    name: str
    arguments: list[object]


class JobCreate(msgspec.Struct, array_like=True, frozen=True, tag="job-create"):
    """A bulk request becomes a job. `request` is opaque; `items` how many there are."""

    ticket: int
    tenant: str
    application: str
    certificate: bytes
    job_id: bytes
    kind: str
    items: Count
    request: bytes
    idempotency: Idempotency


class JobSlice(msgspec.Struct, array_like=True, frozen=True, tag="job-slice"):
    """Items [start, start + len(verdicts)) of a job: entries and progress in one transaction.

    Refused with `job-moved` when the job's progress is not `start` (another worker was there first)."""

    ticket: int
    job_id: bytes
    start: Count
    entries: list[Entry]
    verdicts: list[bytes]
    """One opaque verdict per item, kept with the job."""
    certificate: bytes = b""
    """SHA-256 of the certificate that made the job; where given, entries are taken only while it is active."""


class JobClaim(msgspec.Struct, array_like=True, frozen=True, tag="job-claim"):
    """Take an unfinished job that nobody holds, of one of `tenants`, for `lease` seconds.

    The tenant that was served least recently comes first, of its applications likewise, of their jobs the oldest
    (control CHANNEL): one tenant's many items wait for nobody but themselves. Every slice renews the lease; a lost
    connection gives the job back at once. Result.value is None or
    [job_id, tenant, application, kind, items, progress, request]."""

    ticket: int
    tenants: list[str]
    lease: Count = 30
    release: bytes = b""
    """Id of a job that this run held until now and gives back with this claim."""


class DraftKeep(msgspec.Struct, array_like=True, frozen=True, tag="draft-keep"):
    """Keep a draft that waits for approvals, change it, or drop it (`content` empty): a compare-and-swap."""

    ticket: int
    tenant: str
    application: str
    certificate: bytes
    draft: bytes
    """32 bytes: its id, one of the tenant's."""
    revision: Count
    """1: it is new; else the one after that which stands. The same again changes nothing."""
    expires: Instant
    content: bytes
    """Encrypted by the tenant; opaque to the recorder."""


class IntakeCreate(msgspec.Struct, array_like=True, frozen=True, tag="intake-create"):
    """A file of rows is to come: each begins a letter, or is an event of one. See appliance.recorder.intakes."""

    ticket: int
    tenant: str
    application: str
    certificate: bytes
    intake: bytes
    """16 bytes: the run's id."""
    kind: str
    event: str
    checks: bool
    """Rows are judged and nothing is made."""
    size: Count
    """Bytes of the file."""
    request: bytes
    """Encrypted by the tenant; opaque to the recorder."""
    idempotency: Idempotency


class IntakePart(msgspec.Struct, array_like=True, frozen=True, tag="intake-part"):
    """A part of a run's file is stored. Parts come in order, each once."""

    ticket: int
    tenant: str
    application: str
    certificate: bytes
    intake: bytes
    start: Count
    """Bytes before it."""
    length: Count
    digest: bytes
    """32 bytes: the document that holds it, encrypted (appliance.store.documents)."""


class IntakeMove(msgspec.Struct, array_like=True, frozen=True, tag="intake-move"):
    """A run goes from one state to another: a compare-and-swap on state and cursor. Result.value is the new state.

    An application stops and resumes (`certificate` given); all else is a worker's."""

    ticket: int
    tenant: str
    intake: bytes
    before: str
    """Empty: any in which the move may be made."""
    after: str
    application: str = ""
    certificate: bytes = b""
    at: bytes = b""
    """The cursor that it goes by, of a worker's move."""
    cursor: bytes = b""
    rows: Count = 0
    fault: bytes = b""
    """Why it failed or was stopped, encrypted by the tenant."""


class IntakeItem(msgspec.Struct, array_like=True, frozen=True):
    """One row of a slice: what it makes, or why the worker refuses it.

    `code` empty: `entries` and `effects` are taken or refused as those of an Append, unless the row was accepted
    before. Of a run that checks they are judged, and never taken."""

    number: Count
    """Of the row in its file, from 1."""
    key: bytes
    """16 bytes: the keyed hash by which the row is known again; empty with a code."""
    content: bytes
    """8 bytes: a keyed hash of what stands in the row."""
    letter: bytes
    """16 bytes: the letter that it begins, or whose event it is."""
    code: str
    entries: list[Entry]
    effects: list[Effect]


class IntakeSlice(msgspec.Struct, array_like=True, frozen=True, tag="intake-slice"):
    """The next rows of a run, each decided by itself, and progress, in one transaction.

    Result.value is [[status, letter, code, detail], ...] of the rows that were decided, from the first, and [code,
    detail] of what stopped it before the others, or None. Refused with `intake-moved` unless the run is running and
    has decided `start` rows."""

    ticket: int
    intake: bytes
    start: Count
    token: bytes
    """16 random bytes: the same slice again, after a lost connection, is answered as it was."""
    items: list[IntakeItem]
    told: bytes
    """What the worker says of rows that it refuses, encrypted by the tenant."""
    cursor: bytes
    certificate: bytes
    mark: tuple[str, Instant] | None = None
    stamp: Entry | None = None
    """The time-stamp over all seals of the rows: taken with the first row that is accepted, or not at all."""


class IntakeClaim(msgspec.Struct, array_like=True, frozen=True, tag="intake-claim"):
    """Take a run that nobody holds and that has work to do, of one of `tenants`, in turn as JobClaim. Result.value is
    None or the run as the query `intake` shows it, with `parts`, and with `alone`: no other run waits for its turn."""

    ticket: int
    tenants: list[str]
    lease: Count = 30
    release: bytes = b""
    """Id of a run that is given back."""


class DraftSign(msgspec.Struct, array_like=True, frozen=True, tag="draft-sign"):
    """Add an approver's signature to a draft that waits: its content changes, and nothing else of it. Who brought it is
    nobody's matter: the signature is its authority, and whoever opens the content checks it."""

    ticket: int
    tenant: str
    draft: bytes
    """32 bytes."""
    revision: Count
    """The one after that which stands."""
    content: bytes
    """Encrypted by the tenant; opaque to the recorder."""


class Goodbye(msgspec.Struct, array_like=True, frozen=True, tag="goodbye"):
    """The last command of a run that stops cleanly: its counts must balance.

    Result.value is [signed, rows, dropped]."""

    ticket: int


Command = (
    Append
    | Housekeeping
    | Reading
    | Query
    | JobCreate
    | JobSlice
    | JobClaim
    | DraftKeep
    | DraftSign
    | IntakeCreate
    | IntakePart
    | IntakeMove
    | IntakeSlice
    | IntakeClaim
    | Goodbye
)


class Batch(msgspec.Struct, array_like=True, frozen=True):
    """What a worker sends: its run, its cumulative counts, and commands."""

    run: str
    """Random id of this life of the process."""
    signed: Count
    """C_Sign calls that this run has made so far."""
    drops: dict[str, Count]
    """Signatures that were dropped inside the box, by reason, cumulative."""
    commands: list[Command]
    again: bool = False
    """The commands were sent before over a connection that was lost: what is recorded is found, not doubled."""


class Notice(msgspec.Struct, array_like=True, frozen=True):
    """An early warning, or issuing that stopped: once a crossing."""

    what: Literal["limit-warning", "share-warning", "issuing-stopped", "issuing-resumed"]
    subject: str
    """The tally's name; of issuing, KIND/BREAKER, or KIND alone by an officer's word."""
    threshold: Count
    """Ten-thousandths of the limit; of a share or an indicator, the limit itself; of refusals, how many."""
    used: Count
    """What the tally, or the indicator's numerator, came to."""
    most: Count
    """What it is compared with: the limit, the sum, the denominator."""


class Committed(msgspec.Struct, array_like=True, frozen=True, tag="committed"):
    ticket: int
    first_index: int
    """Leaf index of the first entry in the tenant's log; the others follow without a gap. -1 where not applicable."""
    notices: list[Notice] = []
    """What the command's tallies came to; durable, and a leaf of the tenant's log each."""


class Replayed(msgspec.Struct, array_like=True, frozen=True, tag="replayed"):
    """The idempotency key was already used with the same request: nothing was written; this is what was."""

    ticket: int
    first_index: int
    entries: list[Entry]
    job_id: bytes | None = None


class Refused(msgspec.Struct, array_like=True, frozen=True, tag="refused"):
    ticket: int
    code: str
    """Code of a subclass of CinnabarError in appliance.recorder.errors."""
    detail: str
    left: Count = 0
    """Where a limit refused it: how many of its entries, from the first, would have been taken."""


class Result(msgspec.Struct, array_like=True, frozen=True, tag="result"):
    ticket: int
    value: object


Answer = Committed | Replayed | Refused | Result


class ApplicationEntry(msgspec.Struct, array_like=True, frozen=True):
    """A certificate of an application, as the register has it now."""

    certificate: bytes
    """SHA-256 of the whole certificate, 32 bytes."""
    application: str
    tenant: str
    permissions: list[str]
    """Names of units and seal keys the application may use; "*" for all of its tenant."""
    not_before: int
    not_after: int
    """Seconds since the epoch."""


KeyState = Literal["active", "suspended", "deactivated", "compromised"]
"""States of a key that has been made (NIST SP 800-57 part 1, section 7)."""


class KeyEntry(msgspec.Struct, array_like=True, frozen=True):
    """What is said about a tenant's unit or seal key. A key without an entry may be used as the register permits."""

    tenant: str
    key: str
    state: KeyState
    until: int | None
    """Seconds since the epoch, inclusive; None: no end."""
    limit: int | None
    """Signatures in all; None: no limit."""
    applications: list[str]
    """Those that may use it, of those that the register permits; empty: all of them."""


class Register(msgspec.Struct, array_like=True, frozen=True, tag="register"):
    """The whole register of active callers; pushed on connect and after every change. What is not in it is refused."""

    version: int
    tenants: list[str]
    applications: list[ApplicationEntry]
    keys: list[KeyEntry] = []


class Answers(msgspec.Struct, array_like=True, frozen=True):
    answers: list[Answer]
    register: Register | None = None
