"""A kind of letter: fields, uniqueness, value, life cycle, approvals, quotas and confidentiality as one TOML file.

This is the file's schema; what must hold between its parts is checked by appliance.letters.check. The kind's digest is
the SHA-256 of the file's bytes. Adding a kind needs no code: see docs/kinds.md.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from appliance.letters.errors import KindRefused

KIND_BYTES = 256 * 1024
"""Largest file of a kind."""
_LONG_KEY: Final = re.compile(rb"""(?:(?:(?<![\w-])[\w-]+|(?<!\\)"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*\.[ \t]*){32}""")
"""A key of more parts than any kind's: Python's reader takes memory by the square of their number."""

Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,62}\Z")]
"""Of a kind, a state, an event, a role, a step."""
FieldName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,62}\Z")]
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Currency = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{3}\Z")]
Decimal = Annotated[str, msgspec.Meta(pattern=r"\A(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?\Z")]
Row = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z][0-9]{1,2}\Z")]
Period = Annotated[str, msgspec.Meta(pattern=r"\AP(?=[0-9])([0-9]{1,4}Y)?([0-9]{1,4}M)?([0-9]{1,5}D)?\Z")]
"""Of ISO 8601: years, months, days."""
Place = Annotated[str, msgspec.Meta(pattern=r"\A(@letter|@balance|[a-z][a-z0-9_]{0,62}(\.[a-z][a-z0-9_]{0,62})?)\Z")]
"""What a condition compares."""
Moment = Annotated[str, msgspec.Meta(pattern=r"\A(@begun|[a-z][a-z0-9_]{0,62})\Z")]
Whose = Annotated[str, msgspec.Meta(pattern=r"\A(@set\.)?[a-z][a-z0-9_]{0,62}\Z")]
"""Where the party stands whose event it is."""
SETS: Final = "@set."
"""Before the name of a field: as the event sets it, whoever stood there before."""
LETTER, BALANCE, BEGUN = "@letter", "@balance", "@begun"
"""Of a letter itself, beside its fields: its id, what is left of its value, and when it began."""

Type = Literal[
    "text", "money", "integer", "decimal", "date", "time", "choice", "yes-no", "digest", "party", "letter", "table"
]
Confidentiality = Literal["clear", "hidden", "recipients", "veiled"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Bilingual(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text for people in both languages."""

    en: Words
    zh: Words


class Term(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long after another date or time of the letter; years and months by the calendar (appliance.letters.terms)."""

    after: Moment
    """A date or time field of the letter; or `@begun`, when it began by the box's clock."""
    most: Period | None = None
    """P1Y: at most a year after it."""
    least: Period | None = None


class Field(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value of a letter or of one event."""

    label: Bilingual
    """As it stands beside the value, for people."""
    type: Type
    required: bool = True
    """Of a letter's field: whoever begins a letter gives it; of an event's data: it comes with the event."""
    confidentiality: Confidentiality = "clear"
    """clear: in the event; hidden: its salted hash only (RFC 9901), the value is disclosed to whom it concerns;
    recipients: encrypted to named certificates; veiled: encrypted by its sender, opened by code after the time."""
    pattern: str | None = None
    """Of a text: an anchored regular expression, without back-references."""
    longest: Annotated[int, msgspec.Meta(ge=1, le=20_000)] = 200
    """Characters of a text, rows of a table."""
    least: str | None = None
    """Of money, an integer, a decimal, a date or a time: the smallest value, as it is written in a letter."""
    most: str | None = None
    """The largest."""
    currencies: Annotated[list[Currency], msgspec.Meta(max_length=64)] = []
    """Of money: those allowed."""
    choices: dict[Name, Bilingual] = {}
    """Of a choice: the values, each with its words."""
    columns: dict[FieldName, Field] = {}
    """Of a table: its columns, in their order; no table within."""
    identified: bool = False
    """Of a party: its id must be given; wanted where something counts by it."""
    term: Term | None = None
    """Of a letter's date or time."""


class Unique(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What no two letters may share (control ONCE), but for letters in a state of `free_in`."""

    fields: Annotated[list[str], msgspec.Meta(min_length=1, max_length=16)]
    """Names of clear or hidden fields; `field.name` or `field.id` of a party."""
    scope: Annotated[str, msgspec.Meta(pattern=r"\A(tenant|@[a-z][a-z0-9-]{0,62})\Z")] = "tenant"
    """`tenant`, or a federation of tenants: @NAME."""
    free_in: list[Name] = []
    capacity: FieldName | None = None
    """A money field that says how much there is of it: letters then share it, each with its value (K8)."""


class Value(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a letter is worth: balance: drawn and raised by events; divisible: may be split into letters as well."""

    rule: Literal["balance", "divisible"]
    amount: FieldName
    """The required money field that opens the balance."""


class Move(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an event does to the letter's value."""

    move: Literal["open", "raise", "lower", "close", "split"]
    """open: the value becomes the kind's amount; raise, lower: by `amount`; close: what is left ends; split: into new
    letters, one a row of `parts`."""
    emptied: Name | None = None
    """Of lower and split: the state when nothing is left, in place of the event's."""
    amount: FieldName | None = None
    """Of raise and lower: a money field of the event's own data."""
    parts: FieldName | None = None
    """Of split: a table of the event's own data; its money column `amount` is what each new letter gets, its other
    columns are fields of the new letter."""
    parts_state: Name | None = None
    """Of split: the new letters' state."""


class Step(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Approvers who sign, by an approval policy of the tenant, which names persons, numbers and order."""

    policy: Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9.-]{0,62}\Z")]


class Tier(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who approves up to an amount: each step in its order."""

    up_to: Decimal | None = None
    """None: without end; the last tier of a currency."""
    currency: Currency | None = None
    """None: the event has no amount to go by."""
    steps: Annotated[list[Step], msgspec.Meta(max_length=8)] = []
    """Empty: nobody needs to approve."""


class Approvals(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    amount: FieldName | None = None
    """The money field, of the event's data or else of the letter, that the tiers go by; None: one tier for all."""
    tiers: Annotated[list[Tier], msgspec.Meta(min_length=1, max_length=64)]


class Comparison(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold between a value here and one of the other letter; where either is missing, it does not."""

    own: Place
    """A field of the event's data or else of the letter, clear or hidden; `field.id`, `field.name` of a party,
    `field.column` of a table; `@letter`: this letter's id; `@balance`: what is left of it before the event."""
    is_: Literal["equal", "at-most", "at-least", "within"] = msgspec.field(name="is")
    """within: every value here is one of those there. Amounts are compared in one currency only."""
    theirs: Place
    """The same of the other letter, clear."""
    of: list[Name] = []
    """Kinds of the other letter for which it must hold; empty: all that the condition names."""


class Serves(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The other letter serves so many events and no more, whatever races (control ONCE)."""

    name: Name = msgspec.field(name="as")
    """What it serves as: events of all kinds that name the same are counted together."""
    at_most: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | FieldName
    """A number; or the other letter's integer field that says it, without end where it is missing. With `each`: its
    money field, which all that it serves together do not exceed."""
    each: FieldName | None = None
    """A money field of the event's data or else of this letter: so much of it each event uses up. None: one of it."""


class Condition(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another letter of the same tenant, named by a field, must be so (K20)."""

    letter: FieldName
    """A field of type letter, of the event's data or else of the letter."""
    kinds: Annotated[list[Name], msgspec.Meta(min_length=1)]
    states: Annotated[list[Name], msgspec.Meta(min_length=1)]
    same: dict[FieldName, FieldName] = {}
    """Fields of this letter that must equal fields of the other one."""
    not_after: FieldName | None = None
    """A date or time field of the other letter, where its kind has it, that must not be past by the box's clock."""
    compare: Annotated[list[Comparison], msgspec.Meta(max_length=32)] = []
    serves: Serves | None = None


class SealedDocument(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A PDF that several institutions seal in their order, each on its own box: it comes with the event (K1)."""

    digest: FieldName
    """The required digest field of the letter that holds SHA-256 of the PDF before its first seal."""
    order: Annotated[list[FieldName], msgspec.Meta(min_length=1, max_length=8)]
    """Required party fields of the letter: whose seals it bears in the end, in their order."""
    own: FieldName
    """Which of them seals with this event. The PDF bears the seals of those before it, and no others."""


class Event(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may happen to a letter."""

    title: Bilingual
    from_: Annotated[list[Name], msgspec.Meta(max_length=64)] = msgspec.field(name="from", default=[])
    """States in which it may happen; empty: it begins a letter."""
    to: Name | None = None
    """The state after it; None: the same."""
    by: Annotated[list[Name], msgspec.Meta(min_length=1)]
    """Roles: an application with the permission `role-NAME` may ask for it."""
    acts_for: dict[Name, Whose] = {}
    """Whose event it is: a role of `by`, and the party field, of the event's data or else of the letter (clear or
    hidden), whose party asks in that role. The application needs the permission `party-ID` with the id that stands
    there before the event (where nothing stands there yet: that it sets), or `party-*`. `@set.FIELD`: with the id that
    the event sets in this field of the letter, whoever stood there before. Where the party or its id is missing, the
    event is nobody's in that role. Roles that are not here act for anybody."""
    fields: list[FieldName] = []
    """Fields of the letter that it sets; those that begin a letter set all that are required."""
    data: dict[FieldName, Field] = {}
    """Values of the event alone."""
    value: Move | None = None
    approvals: Approvals | None = None
    not_before: FieldName | None = None
    """A date or time field of the letter before which it does not happen, by the box's clock."""
    not_after: FieldName | None = None
    """A date or time field after which it does not happen; a date counts whole, in the kind's zone."""
    conditions: list[Condition] = []
    receipts: list[Name] = []
    """Outside registries whose receipt must be attached, by name (K8)."""
    seals_document: SealedDocument | None = None
    """A PDF comes with it and is sealed with it."""
    opens: list[FieldName] = []
    """Veiled fields that it opens: the sender's code comes with it (control VEIL)."""
    refusal: Literal["told", "sealed"] = "told"
    """sealed: where its conditions, times or uses refuse it, the box seals which of them did, and records it (K20)."""
    automatic: bool = False
    """The box itself has it happen once `not_before` is reached, as the application `@box`."""


class State(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: Bilingual
    final: bool = False
    """Nothing more happens."""


class Quota(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is counted, and refused above a limit that the tenant sets (K12)."""

    title: Bilingual
    measure: Literal["letters", "value"]
    period: Literal["hour", "day", "month", "year", "ever", "outstanding"]
    """Hours, days, months and years of the kind's zone; outstanding: what is open now, given back when value ends."""
    by: str | None = None
    """A clear or hidden field, or `field.id` of a party: one count each (concentration), under a keyed hash."""
    events: Annotated[list[Name], msgspec.Meta(max_length=32)] = []
    """Only these events are counted, each as it happens: letters counts them, value what they move. Empty: what letters
    are worth."""
    amount: FieldName | None = None
    """Of value counted by events: a required money field of their data that is counted in place of what they move."""
    group: Name | None = None
    """Kinds of the tenant that name the same group count together, under this quota's name."""


class Pair(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two fields by which anybody who knows both finds a letter without its code (验真), and is told what is public."""

    fields: Annotated[list[str], msgspec.Meta(min_length=2, max_length=2)]
    """Names of required clear or hidden fields; `field.name` or `field.id` of a party."""
    from_: FieldName | None = msgspec.field(name="from", default=None)
    """A required date or time field before which nothing is told: who bids is nobody's business before the opening."""


class Settable(NamedTuple):
    """What an event may set of its letter."""

    fields: Mapping[str, Field]
    encrypted: frozenset[str]
    """Those of them that come as envelopes."""
    hidden: frozenset[str]
    required: Sequence[str]
    """Of whoever begins a letter by it."""


class Kind(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """See the module. What follows from the file and every event asks for is found once (cached properties)."""

    format: Literal["cinnabar-kind/1"]
    id: Name
    """Among the tenant's kinds, for ever; applications name it."""
    version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    """Rises; a letter keeps the one under which it began."""
    title: Bilingual
    """At most 60 characters, 30 in Chinese; so every other title and label."""
    about: Bilingual
    """What the letter is for, and what it promises."""
    zone: Annotated[str, msgspec.Meta(pattern=r"\A[+-](0[0-9]|1[0-4]):(00|30|45)\Z")] = "+08:00"
    """Where its dates begin and end: an offset from UTC."""
    retention_years: Annotated[int, msgspec.Meta(ge=1, le=100)]
    """After its last event."""
    rows: Annotated[list[Row], msgspec.Meta(max_length=64)] = []
    """Of the systems that use it, in docs/kinds.md: for whoever looks for a kind to begin with."""
    template: Name = "letter"
    """What its documents look like."""
    languages: Annotated[tuple[Literal["en", "zh"], ...], msgspec.Meta(min_length=1)] = ("zh", "en")
    """Of its documents, the first one first."""
    value: Value | None = None
    """None: it is worth nothing by itself."""
    fields: Annotated[dict[FieldName, Field], msgspec.Meta(max_length=256)]
    """What stands in a letter, in this order."""
    states: Annotated[dict[Name, State], msgspec.Meta(max_length=64)]
    events: Annotated[dict[Name, Event], msgspec.Meta(max_length=128)]
    """What may happen, and who may do it when."""
    unique: Annotated[dict[Name, Unique], msgspec.Meta(max_length=32)] = {}
    """By a name that all kinds of the scope share: two kinds with `invoice` take the same invoice once."""
    quotas: Annotated[dict[Name, Quota], msgspec.Meta(max_length=32)] = {}
    metered_by: str | None = None
    """A clear or hidden field, or `field.id` of a party, for whom its events are metered: a payer, a source of data."""
    public: list[FieldName] = []
    """Fields that whoever has the letter's code and `second` is shown (验真)."""
    second: FieldName | None = None
    """The field that must be given beside the code."""
    pair: Pair | None = None

    @cached_property
    def counters(self) -> Mapping[str, Quota]:
        """Its quotas by the names that limits give them: KIND/QUOTA, GROUP/QUOTA where kinds count together."""
        return {f"{quota.group or self.id}/{name}": quota for name, quota in self.quotas.items()}

    @cached_property
    def waiting(self) -> Sequence[tuple[str, Event, FieldName]]:
        """Its events that wait for a time, each with its name and the field that says when."""
        return [(name, one, one.not_before) for name, one in self.events.items() if one.not_before is not None]

    @cached_property
    def termed(self) -> Mapping[str, Field]:
        """Its fields that have a term."""
        return {name: one for name, one in self.fields.items() if one.term is not None}

    @cached_property
    def _settable(self) -> dict[str, Settable]:
        return {}

    def settable(self, event: str) -> Settable:
        """What one of its events may set."""
        found = self._settable.get(event)
        if found is None:
            fields = {name: self.fields[name] for name in self.events[event].fields}
            found = self._settable[event] = Settable(
                fields,
                frozenset(name for name, one in fields.items() if one.confidentiality in ("recipients", "veiled")),
                frozenset(name for name, one in fields.items() if one.confidentiality == "hidden"),
                [name for name, one in fields.items() if one.required],
            )
        return found


class LoadedKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind with the digest of its file."""

    kind: Kind
    digest: str
    """SHA-256 of the file, lower-case hexadecimal."""
    source: bytes
    """The file."""


def read_kind(text: bytes) -> LoadedKind:
    """Read a kind's file against the schema alone. Raises KindRefused."""
    if len(text) > KIND_BYTES:
        raise KindRefused(f"a kind's file has at most {KIND_BYTES} bytes")
    try:
        if b"\r" in text:
            raise KindRefused("its lines end with a line feed alone, so that its digest is the same everywhere")
        if _LONG_KEY.search(text):
            raise KindRefused("a key has too many parts")
        document = tomllib.loads(text.decode())
        kind = msgspec.convert(document, Kind)
    except UnicodeDecodeError as error:
        raise KindRefused(f"not UTF-8 at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise KindRefused(f"not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise KindRefused(str(error)) from None
    except ValueError as error:  # a number of more digits than Python reads
        raise KindRefused(f"not TOML: {error}") from None
    except RecursionError:
        raise KindRefused("nested too deeply") from None
    return LoadedKind(kind=kind, digest=hashlib.sha256(text).hexdigest(), source=text)
