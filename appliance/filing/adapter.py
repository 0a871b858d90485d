"""An adapter: how letters of a kind are filed with one authority, as one TOML file. Its digest is that of its bytes.

HOME/adapters/TENANT/ID/VERSION.toml, installed by a ceremony; the newest version of each is in force.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from appliance.filing.errors import AdapterRefused
from appliance.gateway.keys import Signing, fits_signing
from appliance.letters.kind import Bilingual, Event, Kind

ADAPTER_BYTES: Final = 256 * 1024
TRY_AGAIN: Final = frozenset({408, 425, 429})
"""Statuses of HTTP by which a server asks to be asked again (RFC 9110, RFC 8470, RFC 6585)."""
Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]{0,62}\Z")]
Member = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Path = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?\Z", max_length=130)]
"""A clear field of the letter, or a member of a party's or of an amount: batch, authority.name, total.amount."""
StateName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,62}\Z")]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Authority(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where letters are filed, and by whose key receipts are known."""

    url: Annotated[str, msgspec.Meta(pattern=r"\Ahttps://[^@?#\s]+\Z", max_length=1_000)]
    method: Literal["POST", "PUT"] = "POST"
    ca: str
    """PEM: whose TLS certificates are believed."""
    certificate: str
    """PEM: whose key signs receipts."""
    sign: Signing
    """How."""


class Text(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member that is the same for every letter."""

    text: str


class Table(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows of a receipt as a table of the event's data."""

    member: Member
    """A list of objects in the receipt."""
    columns: dict[str, Member]
    """Column to member."""


class Outcome(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receipt that says so has this event happen."""

    value: str
    """Of the receipt's outcome member."""
    event: Name
    data: dict[str, Table] = {}


class Answers(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a receipt is read: a JSON object."""

    registry: Name
    """As the kind calls the authority in `receipts`."""
    request: Member
    """The member that repeats the filing's number."""
    number: Member
    """The member with the receipt's own."""
    outcome: Member
    outcomes: Annotated[list[Outcome], msgspec.Meta(min_length=1, max_length=16)]


class Later(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The authority may take a filing (HTTP 202) and have its receipt ready later, for whoever asks with its ticket."""

    ticket: Member
    """Of that answer, a JSON object: what to ask with."""
    url: Annotated[str, msgspec.Meta(pattern=r"\Ahttps://[^/@?#\s]+/[^@?#\s]*(\?[^@?#\s]*)?\Z", max_length=1_000)]
    """Where to ask, once the ticket is put after it."""
    event: Name
    """What happens to the letter then; its data `ticket` keep the ticket."""
    states: Annotated[list[StateName], msgspec.Meta(min_length=1, max_length=8)]
    """Letters in these states are asked after: where the event leads, and where they go when it takes long."""
    until: Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,62}\Z")]
    """The letter's time by which the receipt is expected: the event sets it, and the kind says what comes of it."""
    days: Annotated[int, msgspec.Meta(ge=1, le=3_660)]
    """How long after the event that is."""
    first_s: Seconds = 60
    """Before the first look; twice as long before each further one."""
    most_s: Seconds = 3_600


class Refusal(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers after which nothing is sent or asked again until somebody has looked at it. Nobody signed them."""

    statuses: Annotated[list[Annotated[int, msgspec.Meta(ge=400, le=499)]], msgspec.Meta(min_length=1, max_length=32)]
    """Of HTTP."""
    event: Name
    """What happens to the letter then; its data `status` keep the status."""


class Retry(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    first_s: Seconds = 5
    """Before the second attempt; twice as long before each further one."""
    most_s: Seconds = 3_600
    timeout_s: Seconds = 30


class Adapter(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    format: Literal["cinnabar-adapter/1"]
    id: Name
    version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    title: Bilingual
    kind: Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,62}\Z")]
    state: StateName
    """Letters in this state are filed: the event that leads there puts them into the outbox, as it is recorded."""
    when: dict[str, str] = {}
    """Clear text fields that must have these values: which of several adapters files a letter."""
    key: str
    """The tenant's seal key that signs what is filed."""
    number: Member
    """The authority's name for the filing's number."""
    message: Annotated[dict[Member, Path | Text], msgspec.Meta(min_length=1, max_length=200)]
    """The authority's name for each member, and what it is."""
    authority: Authority
    receipt: Answers
    later: Later | None = None
    """None: the receipt comes with the answer, or the filing is sent again."""
    refusal: Refusal | None = None
    """None: whatever is no receipt is asked for again."""
    retry: Retry = Retry()

    @property
    def states(self) -> tuple[str, ...]:
        """Of letters that are in its hands: in the outbox first, then those whose receipt is awaited."""
        return (self.state, *(self.later.states if self.later is not None else ()))


@dataclass(frozen=True)
class LoadedAdapter:
    """An adapter, read."""

    adapter: Adapter
    digest: str
    """SHA-256 of the file, hexadecimal."""
    signer: PublicKeyTypes
    """Whose signature a receipt carries."""

    def files(self, kind: str, state: str, fields: dict[str, object]) -> bool:
        """Whether such a letter is in its hands."""
        return state in self.adapter.states and self.would_file(kind, fields)

    def would_file(self, kind: str, fields: dict[str, object]) -> bool:
        """Whether it is in its hands once it is in one of the adapter's states."""
        adapter = self.adapter
        return adapter.kind == kind and all(fields.get(name) == value for name, value in adapter.when.items())


def read_adapter(text: bytes) -> LoadedAdapter:
    """Raises AdapterRefused."""
    if len(text) > ADAPTER_BYTES:
        raise AdapterRefused(f"an adapter has at most {ADAPTER_BYTES} bytes")
    try:
        adapter = msgspec.convert(tomllib.loads(text.decode()), Adapter)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AdapterRefused(str(error)) from None
    try:
        x509.load_pem_x509_certificates(adapter.authority.ca.encode())
        (certificate,) = x509.load_pem_x509_certificates(adapter.authority.certificate.encode())
        signer = certificate.public_key()
    except ValueError:
        raise AdapterRefused("authority: ca and certificate are PEM, the latter one certificate") from None
    if not fits_signing(adapter.authority.sign, signer):
        raise AdapterRefused(f"authority.certificate: its key is not one for {adapter.authority.sign}")
    if adapter.number in adapter.message:
        raise AdapterRefused("message: the filing's number is put in by the box")
    if adapter.refusal is not None and TRY_AGAIN & set(adapter.refusal.statuses):
        raise AdapterRefused(f"refusal.statuses: {sorted(TRY_AGAIN)} ask to try again")
    values = [one.value for one in adapter.receipt.outcomes]
    if len(set(values)) < len(values):
        raise AdapterRefused("receipt.outcomes: a value stands twice")
    return LoadedAdapter(adapter, hashlib.sha256(text).hexdigest(), signer)


def host_of(url: str) -> str:
    """HOST:PORT, as the box's settings list it; empty: the address cannot be read."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port or 443}"
    except ValueError:
        return ""


def hosts_of(adapter: Adapter) -> tuple[str, ...]:
    """HOST:PORT of each address, the one that letters are filed at first."""
    urls = [adapter.authority.url, *([] if adapter.later is None else [adapter.later.url])]
    return tuple(dict.fromkeys(map(host_of, urls)))


def check_adapter(loaded: LoadedAdapter, kind: Kind, hosts: Sequence[str]) -> None:
    """Whether an adapter goes with its kind, and with the hosts that the box may reach. Raises AdapterRefused."""
    adapter = loaded.adapter
    later = () if adapter.later is None else (("later.url", adapter.later.url),)
    for place, url in (("authority.url", adapter.authority.url), *later):
        if host_of(url) not in hosts:
            raise AdapterRefused(f"{place}: {host_of(url)} is not among the box's filing_hosts")
    for state in adapter.states:
        if state not in kind.states:
            raise AdapterRefused(f"state: {kind.id} has no state {state}")
    check_parts(adapter, kind)
    paths = [one for one in adapter.message.values() if isinstance(one, str)]
    for name in [*(path.partition(".")[0] for path in paths), *adapter.when]:
        field = kind.fields.get(name)
        if field is None or field.confidentiality != "clear":
            raise AdapterRefused(f"message: {kind.id} has no clear field {name}")
    for outcome in adapter.receipt.outcomes:
        event = _event(kind, "receipt.outcomes", outcome.event, adapter.states, list(outcome.data))
        if adapter.receipt.registry not in event.receipts:
            raise AdapterRefused(f"receipt.registry: {outcome.event} takes no receipt of {adapter.receipt.registry}")
        _check_leaves("receipt.outcomes", outcome.event, event, adapter.states)
    if adapter.later is not None:
        event = _event(kind, "later.event", adapter.later.event, [adapter.state], ["ticket"])
        if event.to not in adapter.later.states or adapter.state in adapter.later.states:
            raise AdapterRefused(f"later.states: {adapter.later.event} leads to none of them, or from one")
        field = kind.fields.get(adapter.later.until)
        if field is None or field.type != "time" or adapter.later.until not in event.fields:
            raise AdapterRefused(f"later.until: {adapter.later.event} sets no time {adapter.later.until}")
    if adapter.refusal is not None:
        event = _event(kind, "refusal.event", adapter.refusal.event, adapter.states, ["status"])
        _check_leaves("refusal.event", adapter.refusal.event, event, adapter.states)


def check_parts(adapter: Adapter, kind: Kind) -> None:
    """Whether no letters that are split off begin in an adapter's hands: all parts of one event would be filed under
    one number. Raises AdapterRefused."""
    for name, event in kind.events.items():
        if event.value is not None and event.value.parts_state in adapter.states:
            raise AdapterRefused(f"state: parts that {name} splits off begin in {event.value.parts_state}")


def _event(kind: Kind, place: str, name: str, states: Sequence[str], data: Sequence[str]) -> Event:
    """The kind's event, which may happen in all these states and has these data."""
    event = kind.events.get(name)
    missing = [state for state in states if event is None or state not in event.from_]
    if event is None or missing:
        raise AdapterRefused(f"{place}: {kind.id} has no event {name} in {missing[0]}")
    unknown = [one for one in data if one not in event.data]
    if unknown:
        raise AdapterRefused(f"{place}: {name} has no data {unknown[0]}")
    return event


def _check_leaves(place: str, name: str, event: Event, states: Sequence[str]) -> None:
    """What ends a filing leads to where the box neither files nor asks."""
    if event.to is None or event.to in states:
        raise AdapterRefused(f"{place}: after {name} the letter would be filed again")
